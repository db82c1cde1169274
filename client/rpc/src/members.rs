//! The keep-alive stream of a process: says that it lives, hears who else does (LOG-D5).
use crate::roles::Connector;
use dfs_env::{Env, Task};
use dfs_wire::{Refusal, v1};
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A fifth of the silence after which a member is gone (LOG-D5: 500 ms).
const BEAT_EVERY: Duration = Duration::from_millis(100);
/// Between attempts to reach a sequencer: short beside an election, long beside a round trip.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// What the process says of itself in each beat.
pub type BeatSource = Arc<dyn Fn() -> v1::Beat + Send + Sync>;

/// Beats for as long as the returned task runs; the receiver holds the latest Members
/// (the default, empty, until the first answer).
pub fn keep_alive(
    env: &Env,
    connector: Arc<dyn Connector>,
    source: BeatSource,
) -> (watch::Receiver<Arc<v1::Members>>, Task<()>) {
    let (sender, receiver) = watch::channel(Arc::default());
    let own = env.clone();
    let task = env.spawn("keep-alive", async move {
        loop {
            if let Err(refusal) = converse(&own, &*connector, &source, &sender).await {
                tracing::debug!(%refusal, "keep-alive broke; trying again");
            }
            own.sleep(RETRY_EVERY).await;
        }
    });
    (receiver, task)
}

/// One stream, until it breaks.
async fn converse(
    env: &Env,
    connector: &dyn Connector,
    source: &BeatSource,
    members: &watch::Sender<Arc<v1::Members>>,
) -> Result<(), Refusal> {
    let sequencer = connector.sequencer().await?;
    let first = Some((env.clone(), source.clone()));
    let beats = futures::stream::once(std::future::ready(source())).chain(futures::stream::unfold(
        first,
        |state| async move {
            let (env, source) = state?;
            env.sleep(BEAT_EVERY).await;
            let beat = source();
            Some((beat, Some((env, source))))
        },
    ));
    let mut answers = sequencer.keep_alive(beats.boxed()).await?;
    while let Some(answer) = answers.next().await {
        members.send_replace(Arc::new(answer?));
    }
    Ok(())
}
