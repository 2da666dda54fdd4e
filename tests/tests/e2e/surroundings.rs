//! What is around a process: its terminal, its log, its folder, its signals, and being process 1.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{LOOK, PATIENCE, body, client};

use crate::support::{is_kafka, noted, shell, with_jobs};

/// `herald dev .` in a folder of its own, whose log lies beside its catalog.
struct Dev {
    folder: tempfile::TempDir,
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<ChildStderr>,
    webhook: SocketAddr,
}

impl Dev {
    fn start(event: &str, before: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("events")).unwrap();
        fs::write(folder.path().join("events/thing.made.yaml"), event).unwrap();
        let herald = tests::binary().display().to_string();
        let line: Vec<&str> = before.iter().copied().chain([herald.as_str(), "dev", "."]).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]).current_dir(folder.path());
        command.env("SCRATCH", folder.path()).env("NO_COLOR", "1");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take();
        let mut line = String::new();
        let webhook = loop {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended before it listened");
            if let Some(url) = line.trim().strip_prefix("webhook") {
                break url.trim().trim_start_matches("http://").trim_end_matches("/hasura").parse().unwrap();
            }
        };
        Self { folder, child, stdout: Some(stdout), stderr, webhook }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends an insert into a table, and tells the events that it made, once all is complete.
    async fn events(&self, id: &str, table: &str) -> Vec<String> {
        let body = body::insert(id, table, json!({ "id": id })).to_string();
        let answer = client::send(self.webhook, &client::Request::post("/hasura?wait=60s", body)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let summary: Value = answer.json();
        let events = summary["invocations"][0]["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends inserts, without a pause, until one of them makes an event.
    async fn counts(&self, table: &str, event: &str) {
        let begun = Instant::now();
        for attempt in 0.. {
            if self.events(&format!("{table}-{attempt}"), table).await == [event] {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the edit does not count");
        }
    }

    async fn stop(self, signal: Signal) -> ExitStatus {
        let id = Pid::from_child(&self.child);
        self.stop_by(id, signal).await
    }

    /// Sends the signal to that process, and waits for the end of the one that was started.
    async fn stop_by(mut self, id: Pid, signal: Signal) -> ExitStatus {
        kill_process(id, signal).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_serves_on_without_a_log_and_without_a_terminal() {
    if is_kafka("the streams of a process have nothing to do with its bus") {
        return;
    }
    let mut dev = Dev::start(&with_jobs("things", &shell("fails", "exit 1", "    attempts: 1\n")), &[]);
    drop((dev.stdout.take(), dev.stderr.take()));
    // Both are worth a line: a job that fails, and a catalog that counts.
    assert_eq!(dev.events("a", "things").await, ["thing.made"]);
    fs::write(dev.path("events/other.made.yaml"), noted("others")).unwrap();
    dev.counts("others", "other.made").await;
    assert!(dev.stop(Signal::TERM).await.success());
}

#[tokio::test]
async fn signals_that_come_together_are_one_wish() {
    if is_kafka("signals have nothing to do with its bus") {
        return;
    }
    let dev = Dev::start(&noted("things"), &[]);
    assert_eq!(dev.events("a", "things").await, ["thing.made"]);
    // As `timeout` and a terminal that is closed tell the process and its group.
    kill_process(Pid::from_child(&dev.child), Signal::TERM).unwrap();
    assert!(dev.stop(Signal::INT).await.success());
}

#[tokio::test]
async fn an_edit_counts_while_the_log_beside_the_catalog_is_written_to() {
    if is_kafka("there the log is elsewhere") {
        return;
    }
    let dev = Dev::start(&noted("things"), &[]);
    fs::write(dev.path("events/other.made.yaml"), noted("others")).unwrap();
    // Without a pause: the log is never left alone for as long as an editor is waited for.
    dev.counts("others", "other.made").await;
    // Tests that run under `nohup` hand that on.
    let end = if runtime::signals::is_hangup_ignored() { Signal::TERM } else { Signal::HUP };
    assert!(dev.stop(end).await.success(), "the end of a terminal ends it gracefully");
}

#[tokio::test]
async fn as_process_1_it_reaps_what_jobs_leave_behind_and_passes_signals_on() {
    if is_kafka("the processes of a container have nothing to do with its bus") {
        return;
    }
    const NAMESPACE: [&str; 3] = ["unshare", "-Urpf", "--mount-proc"];
    let tried = Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        // A machine without namespaces for everybody.
        return;
    }
    // `ps` sees the namespace that the job is in.
    let leaves = "(sleep 0.05 &) ; ";
    let looks = "for try in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; \
                 z=$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z 1 '); [ \"$z\" = 0 ] && exit 0; done; exit 1";
    let event = with_jobs("things", &shell("leaves", &format!("{leaves}{looks}"), "    attempts: 1\n"));
    let dev = Dev::start(&event, &NAMESPACE);
    let body = body::insert("a", "things", json!({ "id": 1 })).to_string();
    let answer = client::send(dev.webhook, &client::Request::post("/hasura?wait=60s", body)).await.unwrap();
    let summary: Value = answer.json();
    assert_eq!(summary["counters"]["succeeded"], 1, "{}", answer.text());
    // Process 1 of the namespace is the child of `unshare`.
    let children = format!("/proc/{0}/task/{0}/children", dev.child.id());
    let init = fs::read_to_string(children).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap();
    assert!(dev.stop_by(init, Signal::TERM).await.success());
}

/// What `herald dev` with these arguments says until it says that, or until it ends.
fn dev_says(arguments: &[&str], until: &str) -> String {
    let mut command = Command::new(tests::binary());
    command.arg("dev").args(arguments).args(["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]).env("NO_COLOR", "1");
    command.env("HERALD__JOB_RUNNER__GRACE", "10ms");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !said.contains(until) && lines.read_line(&mut said).unwrap() > 0 {}
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let errors = child.wait_with_output().unwrap().stderr;
    said + &String::from_utf8_lossy(&errors)
}

#[tokio::test]
async fn a_data_folder_knows_whose_it_is() {
    if is_kafka("there is no data folder") {
        return;
    }
    let dev = Dev::start(&with_jobs("things", &shell("waits", "sleep 1000", "    timeout: 1h\n")), &[]);
    let (data, own) = (dev.path(".herald").display().to_string(), dev.path(".").display().to_string());
    let body = body::insert("a", "things", json!({ "id": 1 })).to_string();
    client::send(dev.webhook, &client::Request::post("/hasura?wait=1s", body)).await.unwrap().expect(202);
    let (folder, mut dev) = (dev.folder.path().to_owned(), dev);
    // More than once: it does not wait for its job.
    while dev.child.try_wait().unwrap().is_none() {
        kill_process(Pid::from_child(&dev.child), Signal::INT).unwrap();
        tokio::time::sleep(LOOK).await;
    }

    let other = tempfile::tempdir().unwrap();
    fs::create_dir(other.path().join("events")).unwrap();
    fs::write(other.path().join("events/other.made.yaml"), "when: [1]\n").unwrap();
    let at = other.path().display().to_string();
    let refused = dev_says(&[&at, "--data", &data], "listening");
    assert!(refused.contains("1 invocation that is not finished") && refused.contains("--fresh"), "{refused}");
    let asks = dev_says(&[&at, "--data", &data, "--fresh"], "listening");
    assert!(asks.contains("which --fresh would delete"), "{asks}");
    let again = dev_says(&[&own, "--data", &data], "thing.made");
    assert!(again.contains("↻ 1 job: waits (attempt 1 had begun)"), "{again}");

    fs::write(folder.join(".herald/mine.txt"), "mine").unwrap();
    let fresh = dev_says(&[&own, "--data", &data, "--fresh"], "thing.made");
    assert!(fresh.contains("Started anew") && fresh.contains("version 1") && !fresh.contains("goes on"), "{fresh}");
    assert_eq!(fs::read_to_string(folder.join(".herald/mine.txt")).unwrap(), "mine");
    let waits = dev_says(&[&at, "--data", &data], "❌");
    assert!(
        waits.contains("waiting for files that can be used") && waits.contains("counts for nothing here"),
        "{waits}"
    );
    fs::write(other.path().join("events/other.made.yaml"), noted("others")).unwrap();
    let takes = dev_says(&[&at, "--data", &data], "other.made ");
    assert!(takes.contains("version 2") && takes.contains("the data folder was that of"), "{takes}");
}
