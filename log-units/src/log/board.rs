//! Credits on their way back to one appender: the newest of each lane, never a queue of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Posted {
    /// Bounded by the lanes of one stream.
    credits: BTreeMap<u64, v1::Credit>,
    refusal: Option<Refusal>,
    /// Nothing more will be sent to the unit.
    ended: bool,
    /// The appender no longer listens.
    closed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Board {
    posted: Mutex<Posted>,
    some: Notify,
    closing: Notify,
}

impl Board {
    /// Replaces what was not fetched yet; a flag that was raised stays until it is fetched.
    pub(crate) fn post(&self, credit: v1::Credit) {
        let mut posted = self.posted.lock();
        let before = posted.credits.insert(credit.lane, credit);
        if let (Some(before), Some(now)) = (before, posted.credits.get_mut(&credit.lane)) {
            now.gap |= before.gap;
            now.unknown_lane |= before.unknown_lane;
        }
        drop(posted);
        self.some.notify_one();
    }

    /// Ends the stream after the credits posted so far.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let mut posted = self.posted.lock();
        posted.refusal.get_or_insert(refusal);
        posted.ended = true;
        drop(posted);
        self.some.notify_one();
    }

    pub(crate) fn end(&self) {
        self.posted.lock().ended = true;
        self.some.notify_one();
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.posted.lock().refusal.is_some()
    }

    pub(crate) fn close(&self) {
        self.posted.lock().closed = true;
        self.closing.notify_one();
    }

    /// Waits until the appender no longer listens.
    pub(crate) async fn closed(&self) {
        while !self.posted.lock().closed {
            self.closing.notified().await;
        }
    }

    /// The next batch; `None` at the end.
    pub(crate) async fn next(&self) -> Option<Result<v1::CreditBatch, Refusal>> {
        loop {
            {
                let mut posted = self.posted.lock();
                if !posted.credits.is_empty() {
                    let credits = std::mem::take(&mut posted.credits).into_values().collect();
                    return Some(Ok(v1::CreditBatch { credits }));
                }
                if posted.ended {
                    return posted.refusal.take().map(Err);
                }
            }
            self.some.notified().await;
        }
    }
}

/// Closes a board when the stream that reads it is dropped.
#[derive(Debug)]
pub(crate) struct Listening(pub(crate) Arc<Board>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}
