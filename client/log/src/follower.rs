//! A reading end: what any log gives to those who follow it.
use std::future::poll_fn;
use std::task::{Context, Poll};

use dfs_wire::Refusal;

use crate::shared_log::Batch;

/// Where a follower's batches come from.
pub(crate) trait Source: Send {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, Refusal>>;

    /// See [`Follower::waits_for`].
    fn waits_for(&self) -> Option<Refusal> {
        None
    }
}

/// Frames in strict LSN order, and how far they are complete.
pub struct Follower {
    source: Box<dyn Source>,
    ended: Option<Refusal>,
}

impl Follower {
    pub(crate) fn new(source: impl Source + 'static) -> Follower {
        Follower {
            source: Box::new(source),
            ended: None,
        }
    }

    /// Waits for more. Dropping the wait loses nothing. A refusal is final (TRIMMED, LOST, CORRUPT):
    /// whatever is merely away is waited for.
    pub async fn next(&mut self) -> Result<Batch, Refusal> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// While [`Follower::next`] waits for units that are away: which LSNs, and what each unit said
    /// (UNAVAILABLE). `None`: nothing is missed, or only for a moment.
    pub fn waits_for(&self) -> Option<Refusal> {
        if self.ended.is_some() {
            return None;
        }
        self.source.waits_for()
    }

    /// See [`Follower::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, Refusal>> {
        if let Some(refusal) = &self.ended {
            return Poll::Ready(Err(refusal.clone()));
        }
        let batch = self.source.poll_batch(cx);
        if let Poll::Ready(Err(refusal)) = &batch {
            self.ended = Some(refusal.clone());
        }
        batch
    }
}
