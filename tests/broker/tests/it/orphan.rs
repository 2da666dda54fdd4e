//! No Kafka outlives the process that started it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A process with a Kafka of its own, whose temporary folders are in one that we see.
struct Owner {
    process: Child,
    broker: SocketAddr,
    temporary: TempDir,
}

impl Owner {
    fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
        command.arg("single").env("TMPDIR", temporary.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let broker = line.trim().strip_prefix("bootstrap=").unwrap().parse().unwrap();
        Self { process, broker, temporary }
    }

    /// Waits until there is no broker any more, and no folder of it.
    fn leaves_nothing(&self) {
        let begun = Instant::now();
        let left = || {
            let folders = fs::read_dir(self.temporary.path()).unwrap();
            // Java leaves a folder for its tools where it is killed; it is everybody's.
            let folders = folders
                .filter(|entry| !entry.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b"hsperfdata"));
            TcpStream::connect(self.broker).is_ok() || folders.count() > 0
        };
        while left() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "something is left in {}",
                self.temporary.path().display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_broker_dies_with_its_process() {
    let mut owner = Owner::start();
    TcpStream::connect(owner.broker).unwrap();
    owner.process.kill().unwrap();
    owner.process.wait().unwrap();
    owner.leaves_nothing();
}

#[test]
fn the_tool_runs_until_its_stdin_closes() {
    let mut owner = Owner::start();
    TcpStream::connect(owner.broker).unwrap();
    drop(owner.process.stdin.take());
    assert!(owner.process.wait().unwrap().success());
    owner.leaves_nothing();
}
