//! The process that runs now, by its API: which of its jobs and stages stand still, since when and why.

use std::time::Duration;

use kafka_admin::doctor::Finding;

use client::{
    address::Api,
    exit,
    http::Error,
    status::{Job, Status},
};

const CHECK: &str = "running";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks it. That none answers is worth a note: nothing need be running.
pub(super) async fn check(api: &Api) -> Vec<Finding> {
    let place = api.api.to_string();
    let asked = tokio::time::timeout(PATIENCE, Status::ask(api)).await;
    match asked.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer within {PATIENCE:?}"))) {
        Ok(status) => found(&status).into_iter().map(|finding| finding.at(place.clone())).collect(),
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
    use kafka_admin::doctor::Level;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn told(body: &'static str, status: &'static str) -> Vec<(Level, String)> {
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
        let found = check(&api).await.into_iter().map(|finding| (finding.level, finding.what)).collect();
        let request = server.await.expect("a request");
        assert!(request.contains("GET /v1/status?") && request.contains("Bearer t0ken"), "{request}");
        found
    }

    #[tokio::test]
    async fn jobs_and_stages_that_stand_still_are_named_with_since_when_and_why() {
        const STANDING: &str = r#"{"results":{"invocations":1,"open":0},"groups":{},"topics":1,
            "jobs":{"good":{"state":"running"},"mail":{"state":"stopped","since":"2026-11-21T02:22:52Z","error":"position gone"},
                    "slow":{"state":"waiting","since":"2026-11-21T02:22:53Z","error":"no broker"},"new":{"state":"dreaming"}},
            "troubles":{"detector":"nothing has been read since 2026-11-21T02:22:54Z","jobs":"2 of 4 jobs stand still"}}"#;
        let expected = [
            (Level::Problem, "the job `mail` stands still since 2026-11-21T02:22:52Z: position gone"),
            (Level::Warning, "the job `new` is `dreaming`"),
            (Level::Warning, "the job `slow` stands still since 2026-11-21T02:22:53Z: no broker"),
            (Level::Problem, "`detector` is not ready: nothing has been read since 2026-11-21T02:22:54Z"),
        ];
        let found = told(STANDING, "200 OK").await;
        assert_eq!(found.iter().map(|(level, what)| (*level, what.as_str())).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn that_all_is_well_or_cannot_be_told_is_said() {
        const WELL: &str =
            r#"{"results":{"invocations":1,"open":0},"groups":{},"topics":1,"jobs":{"a":{"state":"running"}}}"#;
        assert_eq!(told(WELL, "200 OK").await, [(Level::Ok, "nothing stands still; it has 1 jobs".to_owned())]);
        let refused = told("", "401 Unauthorized").await;
        assert!(matches!(refused.as_slice(), [(Level::Warning, what)] if what.contains("401")), "{refused:?}");
        let nobody = Api { api: "127.0.0.1:1".parse().expect("a URL"), token: None };
        let found = check(&nobody).await;
        assert!(matches!(found.as_slice(), [one] if one.level == Level::Ok && one.what.contains("no Herald answers")));
    }
}
