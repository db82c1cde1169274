//! Snapshot: a materializer's whole state, stored beside the files, so that the log may be trimmed (LOG.md §8).

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};

use crate::fs::Fs;

impl Fs {
    /// Takes one now, or waits for the one under way. As long as the state is large: ask with a
    /// time-out to match. Asked twice it is taken twice, which does no harm.
    pub async fn take_snapshot(&self) -> Result<v1::SnapshotMade, Refusal> {
        let op = Op::TakeSnapshot(v1::TakeSnapshot {});
        let answer = self.shared.dialog.read_patiently(op).await?;
        match answer.body {
            Some(Body::Snapshot(made)) => Ok(made),
            _ => Err(crate::ops::odd_answer("a snapshot")),
        }
    }
}
