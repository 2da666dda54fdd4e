//! A plan, and what was done, as JSON.

use kafka_admin::{
    Done, Plan,
    plan::{Difference, State, Step, TopicPlan},
};
use serde_json::{Value, json};

pub(super) fn plan(plan: &Plan) -> Value {
    json!({ "done": plan.is_done(), "topics": plan.topics.iter().map(topic).collect::<Vec<_>>() })
}

pub(super) fn applied(done: &[Done], left: &Plan) -> Value {
    let one = |done: &Done| json!({ "name": done.name, "what": done.what, "failed": done.failed });
    json!({ "applied": done.iter().map(one).collect::<Vec<_>>(), "left": plan(left) })
}

fn topic(topic: &TopicPlan) -> Value {
    let (state, partitions, differences) = match &topic.state {
        State::Missing => ("missing", None, [].as_slice()),
        State::Exists(count, differences) => ("exists", Some(*count), differences.as_slice()),
    };
    json!({
        "topic": topic.topic.as_str(),
        "name": topic.name,
        "kind": topic.kind.as_str(),
        "state": state,
        "partitions": partitions,
        "planned": {
            "partitions": topic.planned.partitions,
            "replication": topic.planned.replication,
            "config": topic.planned.config,
        },
        "differences": differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn difference(difference: &Difference) -> Value {
    let (step, advice) = match &difference.step {
        Step::Apply => ("apply", None),
        Step::ApplyDrained => ("apply-drained", None),
        Step::Refused(why) => ("refused", Some(why)),
        Step::ByHand(how) => ("by-hand", Some(how)),
        Step::Left(why) => ("left", Some(why)),
    };
    json!({ "what": difference.what, "is": difference.is, "planned": difference.planned, "step": step, "advice": advice })
}
