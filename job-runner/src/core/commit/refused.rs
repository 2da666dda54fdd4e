//! What becomes of a share that the bus will never take as it is.

use bus::{Outgoing, Refusal, RefusedShare};
use contracts::{
    headers,
    ids::InvocationId,
    progress::{AttemptState, Fact, Progress},
    topics,
};

/// The outputs of the share as they may be taken: a step is told without what makes it large, a rejection is left out, and
/// a run that publishes what cannot be written has failed.
///
/// # Errors
/// What cannot be done without: the position, a topic of our own, a step that says nothing superfluous.
pub(super) fn mend(refused: RefusedShare) -> Result<Vec<Outgoing>, Refusal> {
    let mut outputs: Vec<Option<Outgoing>> = refused.share.outputs.into_iter().map(Some).collect();
    for refusal in refused.refusals {
        let Some(at) = refusal.record.filter(|at| *at < outputs.len()) else { return Err(refusal) };
        if refusal.code.is_of_topic() {
            return Err(refusal);
        }
        let Some(output) = &mut outputs[at] else { continue };
        match output.topic.as_str() {
            topics::REJECTED => {
                tracing::error!(partition = %refused.share.partition, %refusal, "a rejection cannot be recorded, and is left out");
                outputs[at] = None;
            }
            topics::RAW => unpublish(&mut outputs, at, refusal)?,
            _ => shorten(output, refusal)?,
        }
    }
    Ok(outputs.into_iter().flatten().collect())
}

/// The publication is left out, and the run that wanted it has failed.
fn unpublish(outputs: &mut [Option<Outgoing>], at: usize, refusal: Refusal) -> Result<(), Refusal> {
    let raw = outputs[at].take();
    let of = |raw: &Outgoing| raw.headers.text(headers::INVOCATION)?.parse::<InvocationId>().ok();
    let Some(invocation) = raw.as_ref().and_then(of) else { return Err(refusal) };
    let mut has_failed = false;
    for place in &mut outputs[..at] {
        let Some(output) = place.as_mut().filter(|output| output.topic.as_str() == topics::PROGRESS) else { continue };
        let Ok(mut progress) = Progress::decode(output.value.as_deref().unwrap_or_default()) else { continue };
        match &mut progress.fact {
            Fact::Awaited(_) if progress.occurrence.invocation == invocation => *place = None,
            Fact::Job(step) if step.published.as_ref().is_some_and(|published| published.invocation == invocation) => {
                tracing::warn!(job.name = %step.job, run.id = %step.run, %refusal, "what a run publishes cannot be written");
                step.state = AttemptState::Failed;
                step.published = None;
                step.error = Some(format!("what it publishes cannot be written: {refusal}"));
                output.value = Some(progress.encode().into());
                has_failed = true;
            }
            _ => {}
        }
    }
    if has_failed { Ok(()) } else { Err(refusal) }
}

fn shorten(output: &mut Outgoing, refusal: Refusal) -> Result<(), Refusal> {
    let Ok(mut progress) = Progress::decode(output.value.as_deref().unwrap_or_default()) else { return Err(refusal) };
    let Fact::Job(step) = &mut progress.fact else { return Err(refusal) };
    let told = format!("left out: {refusal}");
    let had_result = step.result.take().is_some();
    let had_output = step.stderr.take().is_some() | step.stdout.take().is_some();
    let had_error = step.error.as_ref().is_some_and(|error| error.len() > told.len());
    if !had_result && !had_output && !had_error {
        return Err(refusal);
    }
    tracing::warn!(job.name = %step.job, run.id = %step.run, %refusal, "the result of a run is left out");
    if had_result {
        let note = serde_json::json!({ "cut": true, "begins": told });
        step.result = serde_json::value::to_raw_value(&note).ok();
    }
    if had_error || had_output {
        step.error = Some(told);
    }
    output.value = Some(progress.encode().into());
    Ok(())
}
