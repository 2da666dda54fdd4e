//! Questions to a bus that may be away for a while: they are asked again until it answers, and that is said once.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long until it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// The answer; none if the shutdown came first.
///
/// # Errors
/// Whatever asking again cannot mend.
pub(super) async fn patiently<T, F>(
    shutdown: &CancellationToken,
    mut ask: impl FnMut() -> F,
) -> Result<Option<T>, bus::Error>
where
    F: Future<Output = Result<T, bus::Error>>,
{
    let mut away = false;
    loop {
        let Some(answer) = shutdown.run_until_cancelled(ask()).await else { return Ok(None) };
        match answer {
            Err(bus::Error::Unavailable(reason)) => {
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(reason, "results wait for the bus");
                }
            }
            answer => return answer.map(Some),
        }
        if shutdown.run_until_cancelled(sleep(AGAIN)).await.is_none() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn a_bus_that_is_away_is_asked_until_it_answers_or_the_shutdown_comes() {
        let (mut asked, shutdown) = (0, CancellationToken::new());
        let away = || bus::Error::Unavailable("no broker answers".into());
        let answer = patiently(&shutdown, || {
            asked += 1;
            ready(if asked < 2 { Err(away()) } else { Ok(asked) })
        });
        assert!(matches!(answer.await, Ok(Some(2))));
        let stopped = patiently(&shutdown, || ready(Err::<(), _>(bus::Error::Stopped("for good".into()))));
        assert!(matches!(stopped.await, Err(bus::Error::Stopped(_))));
        let ending = shutdown.clone();
        let answer = patiently(&shutdown, || {
            ending.cancel();
            ready(Err::<(), _>(away()))
        });
        assert!(matches!(answer.await, Ok(None)));
    }
}
