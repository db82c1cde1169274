//! How long to wait between attempts, and asking the sequencer until it answers.
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dfs_rpc::roles::Sequencer;
use dfs_wire::{Code, Refusal};

use super::hub::Hub;

/// One attempt at anything that answers at once when it is well.
pub(super) const ATTEMPT_TIME: Duration = Duration::from_secs(5);
/// A question to the sequencer outlives its restart, so that a caller sees only latency.
pub(super) const ASK_TIME: Duration = Duration::from_secs(10);
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Whoever waits for a role that restarts sees at most this on top.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// The pause after this many failures in a row.
pub(super) fn pause(failures: u32) -> Duration {
    (PAUSE_MIN * (1 << failures.saturating_sub(1).min(10))).min(PAUSE_MAX)
}

/// One attempt, within `ATTEMPT_TIME`.
pub(super) async fn attempt<T>(
    hub: &Hub,
    what: &'static str,
    asked: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let late = |_| Refusal::new(Code::TimedOut, what, "no answer in time");
    hub.env.timeout(ATTEMPT_TIME, asked).await.map_err(late)?
}

/// Asks until there is an answer that trying again would not change, for `ASK_TIME` at most.
pub(super) async fn ask<T, F>(
    hub: &Hub,
    what: &'static str,
    call: impl Fn(Arc<dyn Sequencer>) -> F,
) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    let begun = hub.env.now();
    let mut failures = 0;
    loop {
        let asked = async { call(hub.connector.sequencer().await?).await };
        let refusal = match attempt(hub, what, asked).await {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        failures += 1;
        let pause = pause(failures);
        if !refusal.is_retryable() || hub.env.now() + pause > begun + ASK_TIME {
            return Err(refusal);
        }
        hub.env.sleep(pause).await;
    }
}
