//! What becomes of a share that the bus will never take as it is.

use bus::{Outgoing, Refusal, RefusedShare};
use contracts::{
    dead::DeadLetter,
    headers,
    ids::InvocationId,
    lane::Key,
    origin::Origin,
    progress::{AttemptState, Fact, JobStep, Progress},
    topics,
};

/// A share as it may be taken.
pub(super) struct Mended {
    pub(super) outputs: Vec<Outgoing>,
    /// Events that cannot be kept while they wait, and why.
    pub(super) unkept: Vec<(Origin, Outgoing, Refusal)>,
}

/// The outputs of the share as they may be taken: a step is told without what makes it large; a rejection, a dead letter and an
/// event that would wait are left out; a run that publishes what cannot be written has failed.
///
/// # Errors
/// What cannot be done without: the position, a topic of our own, a step that says nothing superfluous.
pub(super) fn mend(refused: RefusedShare) -> Result<Mended, Refusal> {
    let mut outputs: Vec<Option<Outgoing>> = refused.share.outputs.into_iter().map(Some).collect();
    let mut unkept = Vec::new();
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
            topic if topic.starts_with(topics::DEAD_PREFIX) => {
                tracing::error!(partition = %refused.share.partition, %refusal, "a dead letter cannot be kept, and is left out");
                let letter = outputs[at].take();
                let letter = letter.and_then(|letter| DeadLetter::of(&letter.headers).ok());
                outputs.iter_mut().flatten().for_each(|output| without_letter(output, letter.as_ref(), &refusal));
            }
            topic if topic.starts_with(topics::LANE_PREFIX) => {
                let Some(Key::Event(origin)) = output.key.as_deref().and_then(Key::parse) else { return Err(refusal) };
                let (topic, state) = (output.topic.clone(), Key::State(origin.clone()).to_string());
                let event = outputs[at].take();
                let is_its =
                    |output: &Outgoing| output.topic == topic && output.key.as_deref() == Some(state.as_bytes());
                outputs.iter_mut().for_each(|output| drop(output.take_if(|output| is_its(output))));
                unkept.extend(event.map(|event| (origin, event, refusal)));
            }
            _ => shorten(output, refusal)?,
        }
    }
    Ok(Mended { outputs: outputs.into_iter().flatten().collect(), unkept })
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

/// What is told of a run whose dead letter is left out.
fn without_letter(output: &mut Outgoing, letter: Option<&DeadLetter>, refusal: &Refusal) {
    let Some(letter) = letter else { return };
    // What is no step stays as it is.
    let _ = change(output, |step| {
        if step.run == letter.run && step.dead.take().is_some() {
            let error = step.error.take().unwrap_or_default();
            step.error = Some(format!("{error} (and it is no dead letter: {refusal})"));
        }
        Ok(())
    });
}

fn change(output: &mut Outgoing, change: impl FnOnce(&mut JobStep) -> Result<(), ()>) -> Result<(), ()> {
    let mut progress = Progress::decode(output.value.as_deref().unwrap_or_default()).map_err(|_| ())?;
    let Fact::Job(step) = &mut progress.fact else { return Err(()) };
    change(step)?;
    output.value = Some(progress.encode().into());
    Ok(())
}

fn shorten(output: &mut Outgoing, refusal: Refusal) -> Result<(), Refusal> {
    let told = format!("left out: {refusal}");
    let shortened = change(output, |step| {
        let had_result = step.result.take().is_some();
        let had_output = step.stderr.take().is_some() | step.stdout.take().is_some();
        let had_error = step.error.as_ref().is_some_and(|error| error.len() > told.len());
        if !had_result && !had_output && !had_error {
            return Err(());
        }
        tracing::warn!(job.name = %step.job, run.id = %step.run, %refusal, "the result of a run is left out");
        if had_result {
            let note = serde_json::json!({ "cut": true, "begins": told });
            step.result = serde_json::value::to_raw_value(&note).ok();
        }
        if had_error || had_output {
            step.error = Some(told);
        }
        Ok(())
    });
    shortened.map_err(|()| refusal)
}
