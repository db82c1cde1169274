//! Subscribe: Base, then every event in apply order. From any voter.
use super::{SequencerRole, ended};
use dfs_rpc::roles::Answers;
use dfs_wire::{Code, Refusal, v1};
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;

impl SequencerRole {
    pub(super) fn stream_events(&self) -> Result<Answers<v1::LogEvent>, Refusal> {
        let what = "subscription to the log";
        let starting = || Refusal::new(Code::Unavailable, what, "the sequencer is starting");
        if !self.is_alone() && !self.leads() && self.leader_address().is_empty() {
            let why = "no sequencer leads now: nothing would be heard here";
            return Err(Refusal::new(Code::Unavailable, what, why));
        }
        Ok(answers(self.board.subscribe().ok_or_else(starting)?, what))
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
