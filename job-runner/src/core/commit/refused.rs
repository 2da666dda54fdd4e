//! What becomes of a share that the bus will never take as it is.

use bus::{Outgoing, Refusal, RefusedShare};
use contracts::{
    progress::{Fact, Progress},
    topics,
};

/// The outputs of the share as they may be taken: a step is told without what makes it large, and a rejection is left out.
///
/// # Errors
/// What cannot be done without: the position, a topic of our own, a step that says nothing superfluous.
pub(super) fn mend(refused: RefusedShare) -> Result<Vec<Outgoing>, Refusal> {
    let mut outputs = refused.share.outputs;
    let mut refusals = refused.refusals;
    // From the last on, so that the places of the others stay.
    refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.record));
    for refusal in refusals {
        let Some(at) = refusal.record.filter(|at| *at < outputs.len()) else { return Err(refusal) };
        if refusal.code.is_of_topic() {
            return Err(refusal);
        }
        if outputs[at].topic.as_str() == topics::REJECTED {
            tracing::error!(partition = %refused.share.partition, %refusal, "a rejection cannot be recorded, and is left out");
            outputs.remove(at);
        } else {
            shorten(&mut outputs[at], refusal)?;
        }
    }
    Ok(outputs)
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
