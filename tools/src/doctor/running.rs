//! The process that runs now, by its API: which of its jobs and stages stand still, since when and why.

use std::time::Duration;

use runtime::finding::Finding;

use client::{
    address::Api,
    exit,
    http::Error,
    status::{Job, Status},
};

const CHECK: &str = "running";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The data folder that was looked at, where the bus is embedded.
pub(super) struct Folder {
    /// Which process has it open.
    pub(super) holder: Option<u32>,
    /// Whether it was asked for by name.
    pub(super) is_named: bool,
}

/// Asks it. That none answers is worth a note: nothing need be running. What is told of a Herald that has another folder open
/// is told as such, or left out where this folder was asked for.
pub(super) async fn check(api: &Api, folder: Option<&Folder>) -> Vec<Finding> {
    let place = api.api.to_string();
    let asked = tokio::time::timeout(PATIENCE, Status::ask(api)).await;
    match asked.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer within {PATIENCE:?}"))) {
        Ok(status) => {
            let stranger = folder.and_then(|folder| stranger(folder, status.process?));
            let findings = if stranger.as_ref().is_some_and(|it| it.is_left_out) { Vec::new() } else { found(&status) };
            let dead = if stranger.as_ref().is_some_and(|it| it.is_left_out) { Vec::new() } else { dead(api).await };
            let findings = stranger.map(|it| it.finding).into_iter().chain(findings).chain(dead);
            findings.map(|finding| finding.at(place.clone())).collect()
        }
        Err(error) => match error.downcast_ref::<Error>() {
            Some(Error::Unreachable { .. }) => {
                let what = "no Herald answers here, so jobs and stages were not asked; --api names another";
                vec![Finding::ok(CHECK, what).at(place)]
            }
            _ => {
                let advice = "name the API with --api, and its token with --token";
                vec![Finding::warning(
                    CHECK,
                    format!("jobs and stages cannot be asked: {}", exit::told(&error)),
                    advice,
                )]
            }
        },
    }
}

/// The dead letters of each job: what waits for a person. Who serves no jobs has none to tell.
async fn dead(api: &Api) -> Vec<Finding> {
    let told = |(job, count): (String, u64)| {
        let letters = if count == 1 { "letter" } else { "letters" };
        let advice = format!("`herald dlq list --job {job}` shows them, `herald dlq redrive {job}` runs them again");
        Finding::warning(CHECK, format!("the job `{job}` has {count} dead {letters}"), advice)
    };
    client::jobs::dead(api).await.map(|jobs| jobs.into_iter().map(told).collect()).unwrap_or_default()
}

/// A Herald that is not the one of the folder.
struct Stranger {
    finding: Finding,
    is_left_out: bool,
}

fn stranger(folder: &Folder, process: u32) -> Option<Stranger> {
    let Folder { holder, is_named: is_left_out } = *folder;
    if holder == Some(process) {
        return None;
    }
    let then = if is_left_out { "it was not asked" } else { "what follows is about that one" };
    let what = |who: &str| {
        format!("the Herald that answers here (process {process}) has another data folder open, {who}: {then}")
    };
    let finding = match holder {
        Some(holder) => {
            let advice = format!("name the API of process {holder} with --api");
            Finding::warning(CHECK, what(&format!("and process {holder} has this one")), advice)
        }
        None if is_left_out => Finding::ok(CHECK, what("and nobody has this one")),
        None => Finding::warning(CHECK, what("and nobody has this one"), "name its folder with --data"),
    };
    Some(Stranger { finding, is_left_out })
}

fn found(status: &Status) -> Vec<Finding> {
    let mut found: Vec<Finding> = status.jobs.iter().filter_map(|(name, job)| standing(name, job)).collect();
    // What stands behind the troubles of `jobs` is told job by job.
    let troubles = status.troubles.iter().filter(|(part, _)| part.as_str() != "jobs" || found.is_empty());
    let trouble = |(part, why): (&String, &String)| {
        Finding::problem(CHECK, format!("`{part}` is not ready: {why}"), "the log of that process says more")
    };
    let troubles: Vec<Finding> = troubles.map(trouble).collect();
    found.extend(troubles);
    if found.is_empty() {
        let what = match status.jobs.len() {
            0 => "nothing stands still; its jobs, if it has any, run in other processes".to_owned(),
            count => format!("nothing stands still; it has {count} jobs"),
        };
        found.push(Finding::ok(CHECK, what));
    }
    found
}

/// What is to be told of a job, unless it runs. A state that is not known is told as it is.
fn standing(name: &str, job: &Job) -> Option<Finding> {
    let since = job.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    let why = job.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let told = |how: &str| format!("the job `{name}` {how}{since}{why}");
    match job.state.as_str() {
        "running" | "joining" => None,
        "paused" => {
            let by = job.paused.as_ref().map(|said| format!("is paused by {} since {:.0}", said.by, said.at));
            let advice = format!("`herald jobs resume {name}` lets it go on");
            Some(Finding::warning(CHECK, told(by.as_deref().unwrap_or("is paused")), advice))
        }
        "circuitOpen" => {
            let open = job.circuit.as_ref();
            let how = open.map(|open| format!("has an open circuit since {:.0}: {}", open.since, open.error));
            let next =
                open.map(|open| format!("it is tried by itself, next at {:.0}; ", open.probe)).unwrap_or_default();
            let advice = format!("mend the target; {next}`herald jobs resume {name}` tries it at once");
            Some(Finding::warning(CHECK, told(how.as_deref().unwrap_or("has an open circuit")), advice))
        }
        "stopped" => {
            let advice = "mend what it names; then it goes on by itself within a minute, or with the next catalog";
            Some(Finding::problem(CHECK, told("stands still"), advice))
        }
        "waiting" => Some(Finding::warning(CHECK, told("stands still"), "it is tried again by itself")),
        "awaitsCatalog" => {
            Some(Finding::warning(CHECK, told("awaits a catalog"), "it goes on when that catalog is on the bus"))
        }
        other => Some(Finding::warning(CHECK, told(&format!("is `{other}`")), "a newer Herald may know what that is")),
    }
}

#[cfg(test)]
mod tests {
    use runtime::finding::Level;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn told(body: &'static str, status: &'static str) -> Vec<(Level, String)> {
        told_beside(None, body, status).await
    }

    async fn told_beside(folder: Option<Folder>, body: &'static str, status: &'static str) -> Vec<(Level, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.expect("a request");
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("answered");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let api = Api { api: address.to_string().parse().expect("a URL"), token: Some("t0ken".to_owned()) };
        let found =
            check(&api, folder.as_ref()).await.into_iter().map(|finding| (finding.level, finding.what)).collect();
        let request = server.await.expect("a request");
        assert!(request.contains("GET /v1/status?") && request.contains("Bearer t0ken"), "{request}");
        found
    }

    #[tokio::test]
    async fn jobs_and_stages_that_stand_still_are_named_with_since_when_and_why() {
        const STANDING: &str = r#"{"results":{"invocations":1,"open":0},"groups":{},"topics":1,
            "jobs":{"good":{"state":"running"},"held":{"state":"paused","paused":{"by":"ann","at":"2026-11-21T02:22:51Z"}},"mail":{"state":"stopped","since":"2026-11-21T02:22:52Z","error":"position gone"},
                    "slow":{"state":"waiting","since":"2026-11-21T02:22:53Z","error":"no broker"},"new":{"state":"dreaming"},
                    "bill":{"state":"circuitOpen","circuit":{"error":"503 from billing","since":"2026-11-21T02:22:50Z","probe":"2026-11-21T02:23:00Z"}}},
            "troubles":{"detector":"nothing has been read since 2026-11-21T02:22:54Z","jobs":"2 of 4 jobs stand still"}}"#;
        let expected = [
            (Level::Warning, "the job `bill` has an open circuit since 2026-11-21T02:22:50Z: 503 from billing"),
            (Level::Warning, "the job `held` is paused by ann since 2026-11-21T02:22:51Z"),
            (Level::Problem, "the job `mail` stands still since 2026-11-21T02:22:52Z: position gone"),
            (Level::Warning, "the job `new` is `dreaming`"),
            (Level::Warning, "the job `slow` stands still since 2026-11-21T02:22:53Z: no broker"),
            (Level::Problem, "`detector` is not ready: nothing has been read since 2026-11-21T02:22:54Z"),
        ];
        let found = told(STANDING, "200 OK").await;
        assert_eq!(found.iter().map(|(level, what)| (*level, what.as_str())).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_herald_of_another_data_folder_is_told_as_such_or_not_asked() {
        const ANSWER: &str = r#"{"process":7,"results":{"invocations":1,"open":0},"groups":{},"topics":1,
            "jobs":{"mail":{"state":"stopped","error":"position gone"}}}"#;
        let told = async |holder, is_named| told_beside(Some(Folder { holder, is_named }), ANSWER, "200 OK").await;
        let own = told(Some(7), true).await;
        assert!(matches!(own.as_slice(), [(Level::Problem, what)] if what.contains("`mail`")), "{own:?}");
        for (holder, level) in [(None, Level::Ok), (Some(8), Level::Warning)] {
            let left_out = told(holder, true).await;
            assert!(
                matches!(left_out.as_slice(), [(is, what)] if *is == level && what.contains("not asked")),
                "{left_out:?}"
            );
            let told = told(holder, false).await;
            assert!(
                matches!(told.as_slice(), [(Level::Warning, what), _] if what.contains("about that one")),
                "{told:?}"
            );
        }
    }

    #[tokio::test]
    async fn that_all_is_well_or_cannot_be_told_is_said() {
        const WELL: &str =
            r#"{"results":{"invocations":1,"open":0},"groups":{},"topics":1,"jobs":{"a":{"state":"running"}}}"#;
        assert_eq!(told(WELL, "200 OK").await, [(Level::Ok, "nothing stands still; it has 1 jobs".to_owned())]);
        let refused = told("", "401 Unauthorized").await;
        assert!(matches!(refused.as_slice(), [(Level::Warning, what)] if what.contains("401")), "{refused:?}");
        let nobody = Api { api: "127.0.0.1:1".parse().expect("a URL"), token: None };
        let found = check(&nobody, None).await;
        assert!(matches!(found.as_slice(), [one] if one.level == Level::Ok && one.what.contains("no Herald answers")));
    }
}
