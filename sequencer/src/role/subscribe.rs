//! Subscribe: Base, then every event in apply order. From any voter.
use super::{SequencerRole, ended};
use dfs_rpc::roles::Answers;
use dfs_wire::{Refusal, v1};
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;

impl SequencerRole {
    pub(super) fn stream_events(&self) -> Answers<v1::LogEvent> {
        answers(self.board.subscribe(), "subscription to the log")
    }
}

/// What is queued, then a refusal: the queue ends only from this side.
pub(super) fn answers<T: Send + 'static>(
    queue: mpsc::Receiver<T>,
    what: &'static str,
) -> Answers<T> {
    let queued = stream::unfold(queue, |mut queue| async move {
        let next = queue.recv().await?;
        Some((Ok(next), queue))
    });
    let end = stream::once(async move { Err::<T, Refusal>(ended(what)) });
    queued.chain(end).boxed()
}
