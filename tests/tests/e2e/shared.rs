//! Shared jobs with parameters, and jobs that work on something else than an event's data.

use contracts::summary::Outcome;
use serde_json::json;
use tests::{Herald, body};

use crate::support::{job, result};

const GREET: &str = "parameters:\n  whom: Whom it greets.\n  how: { description: The word., default: Hello }\n\
    log: { message: \"${params.how} ${params.whom}\" }\n";

fn greeted(table: &str, with: &str) -> String {
    format!(
        "from: {{ table: {table}, operations: [insert] }}\ndata: {{ name: new.name }}\nsample: {{ name: Ada }}\n\
         jobs:\n  - use: greet\n    with: {with}\n"
    )
}

#[tokio::test]
async fn each_event_gives_a_shared_job_its_parameters_and_an_edit_counts() {
    let herald = Herald::build()
        .file("jobs/greet.yaml", GREET)
        .event("thing.made", &greeted("things", "{ whom: data.name }"))
        .event("other.made", &greeted("others", "{ whom: \"'you, ' + data.name\", how: \"'Hi'\" }"))
        .start()
        .await;
    let message = async |id: &str, table: &str| {
        let summary = herald.run(body::insert(id, table, json!({ "name": "Ada" }))).await;
        result(job(&summary, "greet")).to_owned()
    };
    assert_eq!(message("a", "things").await, r#"{"message":"Hello Ada"}"#);
    assert_eq!(message("b", "others").await, r#"{"message":"Hi you, Ada"}"#);
    herald.apply("events/thing.made.yaml", &greeted("things", "{ whom: \"upper(data.name)\" }")).await;
    assert_eq!(message("c", "things").await, r#"{"message":"Hello ADA"}"#);
    let status: serde_json::Value = herald.get("/v1/status").await.json();
    let groups = status["groups"].as_object().unwrap().keys().filter(|group| group.starts_with("job."));
    assert_eq!(groups.collect::<Vec<_>>(), ["job.greet"], "it is one group: {status}");
}

#[tokio::test]
async fn what_an_event_asked_for_before_it_listed_a_job_no_more_has_its_last_parameters() {
    let slow = "parameters: { name: x }\nconcurrency: 1\norder: none\n\
        command: [sh, -c, 'while [ -d \"$SCRATCH\" ] && [ ! -e \"$SCRATCH/go\" ]; do sleep 0.05; done; echo \"\\\"$1\\\"\"', sh, \"${params.name}\"]\n";
    let event = "from: { table: things, operations: [insert] }\ndata: { name: new.name }\nsample: { name: x }\n";
    let herald = Herald::build()
        .file("jobs/slow.yaml", slow)
        .event("thing.made", &format!("{event}jobs: [{{ use: slow, with: {{ name: data.name }} }}]\n"))
        .start()
        .await;
    let first = herald.post(body::insert("a", "things", json!({ "name": "one" }))).await;
    let second = herald.post(body::insert("b", "things", json!({ "name": "two" }))).await;
    herald
        .wait_for("both to be detected", async || {
            let (first, second) =
                (herald.summary(&first.correlation_id).await?, herald.summary(&second.correlation_id).await?);
            (first.counters.jobs == 1 && second.counters.jobs == 1).then_some(())
        })
        .await;
    herald.apply("events/thing.made.yaml", event).await;
    herald.mark("go");
    assert_eq!(result(job(&herald.complete(&first.correlation_id, 1).await, "slow")), r#""one""#);
    assert_eq!(result(job(&herald.complete(&second.correlation_id, 1).await, "slow")), r#""two""#);
}

#[tokio::test]
async fn a_job_works_on_what_its_input_makes_of_the_payload() {
    let event = "from: { table: things, operations: [insert] }\ndata: { id: new.id }\nsample: { id: 1 }\n\
        jobs:\n  - id: all\n    input: payload\n    command: [cat]\n\
        \u{20} - id: some\n    input: { id: data.id, secret: payload.event.data.new.secret }\n    command: [cat]\n\
        \u{20} - id: note\n    input: payload.event.session_variables\n    log: { message: \"by ${input['x-hasura-role']}\" }\n\
        \u{20} - id: fails\n    input: payload.nothing\n    command: [cat]\n";
    let herald = Herald::build().event("thing.made", event).start().await;
    let body =
        body::with_session(body::insert("a", "things", json!({ "id": 7, "secret": 1.50 })), "x-hasura-role", "clerk");
    let summary = herald.run(body.clone()).await;
    let data = |name: &str| -> serde_json::Value {
        let event: serde_json::Value = serde_json::from_str(result(job(&summary, name))).unwrap();
        event["data"].clone()
    };
    assert_eq!((&data("all")["event"]["data"], &data("all")["id"]), (&body["event"]["data"], &body["id"]));
    assert_eq!(data("some").to_string(), r#"{"id":7,"secret":1.5}"#);
    assert_eq!(result(job(&summary, "note")), r#"{"message":"by clerk"}"#);
    let fails = job(&summary, "fails");
    assert_eq!(fails.outcome, Some(Outcome::Failure));
    assert!(fails.error.as_ref().unwrap().contains("input: payload.nothing is missing"), "{:?}", fails.error);
}
