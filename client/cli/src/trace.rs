//! What becomes of a command's trace when the command ends.
use crate::call::Call;
use crate::exit::Exit;
use dfs_rpc::trace::ring;
use std::time::Duration;
use tokio::time::Instant;

/// A person wonders why from here on; a faster one that succeeded costs nothing more.
const SLOW: Duration = Duration::from_millis(100);
/// Nobody waits longer for it.
const LEFT_WITHIN: Duration = Duration::from_millis(500);

/// Leaves what this process has seen of a slow or failed command with the cluster, for `why`.
pub(crate) async fn leave(call: &Call, exit: Exit, began: Instant) {
    let now = call.env.now();
    let slow = now.saturating_duration_since(began) >= SLOW;
    if !slow && exit == Exit::Done {
        return;
    }
    let mut spans = ring::spans_of(call.trace_id, now);
    // The root has ended last; of many, what came last is what it waited for.
    spans.reverse();
    spans.truncate(ring::SPANS_TOLD_MAX);
    for connector in call.connectors() {
        let left = connector.leave_spans(call.trace_id, spans.clone());
        if let Ok(Err(refusal)) = call.env.timeout(LEFT_WITHIN, left).await {
            tracing::debug!(%refusal, "the cluster does not keep the spans of this command");
        }
    }
}
