//! What becomes of outputs that the bus will never take: the event is a failed event and a rejection, and all else goes on. Pure.

use bus::{Outgoing, Refusal, RefusalCode, RefusedShare, Share};
use contracts::{
    envelope::EventHeaders,
    progress::{Fact, FailedEvent, Progress},
    topics,
};

use crate::{found, publish};

/// The reason of the rejections that are made here.
const REASON: &str = "refused-by-bus";
/// The `stage` of the failed events that are made here.
const STAGE: &str = "publish";

/// The share as it may be taken, without what was refused.
///
/// # Errors
/// What cannot be done without: the position, the ids that were seen, progress that says nothing superfluous, a topic of our own.
pub(crate) fn set_aside(refused: RefusedShare) -> Result<Share, Refusal> {
    let RefusedShare { mut share, refusals } = refused;
    let mut places: Vec<(usize, Refusal)> = Vec::with_capacity(refusals.len());
    for refusal in refusals {
        let Some(at) = refusal.record.filter(|at| *at < share.outputs.len()) else { return Err(refusal) };
        places.push((at, refusal));
    }
    // From the last on, so that the places of the others stay.
    places.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (at, refusal) in places {
        match share.outputs[at].topic.as_str() {
            topics::PROGRESS => shorten(&mut share.outputs[at], refusal)?,
            topics::REJECTED if !refusal.code.is_of_topic() => {
                tracing::error!(partition = %share.partition, %refusal, "a rejection cannot be recorded, and is left out");
                share.outputs.remove(at);
            }
            topic if topic.starts_with(topics::EVENT_PREFIX) => fail_event(&mut share.outputs, at, &refusal)?,
            _ => return Err(refusal),
        }
    }
    Ok(share)
}

/// The event becomes a rejection, and a failed event in the progress of its raw record, which follows it.
fn fail_event(outputs: &mut [Outgoing], at: usize, refusal: &Refusal) -> Result<(), Refusal> {
    let headers =
        EventHeaders::decode(outputs[at].topic.as_str(), &outputs[at].headers).map_err(|_| refusal.clone())?;
    let is_its = |output: &&mut Outgoing| output.topic.as_str() == topics::PROGRESS;
    let told = outputs[at..].iter_mut().find(is_its).ok_or_else(|| refusal.clone())?;
    let value = told.value.as_deref().unwrap_or_default();
    let mut progress = Progress::decode(value).map_err(|_| refusal.clone())?;
    let Fact::Detected(detected) = &mut progress.fact else { return Err(refusal.clone()) };
    detected.events.retain(|event| event.id != headers.id);
    let error = refusal.to_string();
    if detected.failed.len() < found::FAILED {
        detected.failed.push(FailedEvent { event: headers.event.clone(), stage: STAGE.into(), error: error.clone() });
    } else {
        detected.failed_more += 1;
    }
    tracing::warn!(
        event.name = %headers.event, topic = %refusal.topic, code = %refusal.code, raw = %headers.raw,
        "an event is set aside: the bus will never take it"
    );
    told.value = Some(progress.encode().into());
    outputs[at] = publish::rejected(publish::Refusal {
        reason: REASON,
        detail: error,
        source: headers.source_name(),
        at: headers.time,
        occurrence: Some(&progress.occurrence),
        raw: headers.raw,
        event: Some(headers.event.clone()),
    });
    Ok(())
}

/// Progress that is too large tells of what failed by number alone: the rest of it is bounded where it is made.
fn shorten(output: &mut Outgoing, refusal: Refusal) -> Result<(), Refusal> {
    if refusal.code != RefusalCode::TooLarge {
        return Err(refusal);
    }
    let value = output.value.as_deref().unwrap_or_default();
    let Ok(mut progress) = Progress::decode(value) else { return Err(refusal) };
    let Fact::Detected(detected) = &mut progress.fact else { return Err(refusal) };
    let left_out = std::mem::take(&mut detected.failed).len();
    detected.failed_more += left_out as u64;
    if left_out == 0 {
        return Err(refusal);
    }
    tracing::warn!(correlation.id = %progress.occurrence.correlation, left_out, %refusal, "progress is told in short");
    output.value = Some(progress.encode().into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use bus::{Generation, Offset, Partition, Position, TopicPartition};
    use contracts::{
        ids::{EventId, InvocationId},
        names::EventRef,
        progress::{Detected, DetectedEvent, Occurrence, Origin},
        raw::{Kind, Place},
        rejected::Rejected,
    };

    use super::*;

    /// What a raw record became: an event of each name, and the progress that tells of them.
    fn decided(offset: u64, names: &[&str]) -> Vec<Outgoing> {
        let invocation = InvocationId::derived("test", &offset.to_string());
        let (raw, time) = (Place { partition: 0, offset }, "2026-01-02T03:04:05Z".parse().expect("a time"));
        let correlation: contracts::ids::CorrelationId = format!("c-{offset}").parse().expect("an id");
        let mut outputs = Vec::new();
        let mut events = Vec::new();
        for name in names {
            let event: EventRef = name.parse().expect("a name");
            let id = EventId::derived(invocation, &event);
            let headers = EventHeaders {
                id,
                event: event.clone(),
                source: contracts::envelope::source_of("test"),
                subject: None,
                time,
                dataschema: None,
                correlation: correlation.clone(),
                invocation,
                cause: None,
                user: None,
                organisation: None,
                traceparent: None,
                jobs: vec!["job".parse().expect("a name")],
                catalog: 1,
                depth: 0,
                raw,
            };
            outputs.push(publish::event(format!("event.{name}").into(), &headers, None, b"{}".to_vec()));
            events.push(DetectedEvent { id, event, jobs: headers.jobs });
        }
        let origin = Origin {
            body: Kind::Hasura,
            source: "test".into(),
            table: None,
            key: None,
            op: None,
            trigger: None,
            user: None,
            depth: 0,
            related_to: None,
            event: None,
            cause: None,
        };
        let fact = Fact::Detected(Detected {
            origin,
            catalog: 1,
            events,
            undetected: vec![],
            undetected_more: 0,
            failed: vec![],
            failed_more: 0,
        });
        outputs.push(publish::progress(Occurrence { invocation, correlation, raw, received: time }, fact));
        outputs
    }

    fn refused(outputs: Vec<Outgoing>, refusals: &[(usize, RefusalCode)]) -> RefusedShare {
        let refusal = |(at, code): &(usize, RefusalCode)| Refusal {
            record: Some(*at),
            topic: outputs[*at].topic.clone(),
            code: *code,
            reason: "no".into(),
        };
        let refusals = refusals.iter().map(refusal).collect();
        let partition = TopicPartition { topic: topics::RAW.into(), partition: Partition(0) };
        let position = Position::at(Offset(9));
        RefusedShare { share: Share { partition, generation: Generation(1), outputs, position }, refusals }
    }

    fn detected(output: &Outgoing) -> Detected {
        match Progress::decode(output.value.as_deref().unwrap_or_default()).expect("progress").fact {
            Fact::Detected(detected) => detected,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_that_is_refused_fails_alone() {
        let mut outputs = decided(1, &["move.new", "move.old"]);
        outputs.extend(decided(2, &["move.new", "move.old"]));
        let before = outputs.clone();
        let share = set_aside(refused(outputs, &[(0, RefusalCode::Forbidden), (4, RefusalCode::TooLarge)]));
        let after = share.expect("it can go on").outputs;
        assert_eq!((&after[1], &after[3]), (&before[1], &before[3]));
        for (rejection, progress, failed, left, code) in
            [(0, 2, "move.new", "move.old", "forbidden"), (4, 5, "move.old", "move.new", "too-large")]
        {
            assert_eq!(after[rejection].topic.as_str(), topics::REJECTED);
            let value = after[rejection].value.as_deref().unwrap_or_default();
            let rejected: Rejected = serde_json::from_slice(value).expect("a rejection");
            assert_eq!((rejected.reason.as_str(), rejected.event), ("refused-by-bus", failed.parse().ok()));
            assert!(rejected.detail.contains(code) && rejected.detail.contains(failed), "{}", rejected.detail);
            let detected = detected(&after[progress]);
            let names = |event: &EventRef| event.name.to_string();
            assert_eq!(detected.events.iter().map(|event| names(&event.event)).collect::<Vec<_>>(), [left]);
            assert_eq!(detected.failed.iter().map(|event| names(&event.event)).collect::<Vec<_>>(), [failed]);
        }
    }

    #[test]
    fn progress_that_is_too_large_is_told_in_short_and_then_given_up() {
        let one_failed = set_aside(refused(decided(1, &["move.new"]), &[(0, RefusalCode::Forbidden)]));
        let outputs = one_failed.expect("it can go on").outputs;
        let share = set_aside(refused(outputs, &[(1, RefusalCode::TooLarge)])).expect("it is shorter");
        let told = detected(&share.outputs[1]);
        assert_eq!((told.events.len(), told.failed.len(), told.failed_more), (0, 0, 1));
        set_aside(refused(share.outputs, &[(1, RefusalCode::TooLarge)])).expect_err("nothing is left to leave out");
    }

    #[test]
    fn what_the_detector_cannot_do_without_stops_it() {
        set_aside(refused(decided(1, &[]), &[(0, RefusalCode::Forbidden)])).expect_err("no progress");
        let mut position = refused(decided(1, &[]), &[(0, RefusalCode::Position)]);
        position.refusals[0].record = None;
        set_aside(position).expect_err("no position");
    }
}
