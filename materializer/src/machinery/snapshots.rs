//! Snapshots of the shard: when the primary takes one, and what of it is registered (FOLD-X2, SNAPSHOT.md).
mod holders;
pub(crate) mod load;
mod take;

use std::sync::Arc;
use std::time::Duration;

use dfs_wire::{Code, Refusal, v1};
use tokio::time::Instant;

use super::config::{SHARD, SnapshotPolicy};
use super::hub::Hub;
use super::open::view_failed;
use super::ops::OpId;
use super::shard::{Command, Gives, Office, Shard};
use super::streams::Body;
use crate::plan::control;
use crate::state;

/// After one that failed: its extents are stored anew, which is not cheap.
const RETRY: Duration = Duration::from_secs(5);

/// Of the primary.
#[derive(Default)]
pub(crate) struct Snapshots {
    under_way: bool,
    /// Asked for by hand.
    waiting: Vec<OpId>,
    /// Of frames, since the last one began.
    bytes_since: u64,
    bytes_at_begin: u64,
    /// What the sequencer is known to know; a new primary says it again.
    registered_lsn: u64,
    retry_at: Option<Instant>,
}

impl Snapshots {
    pub(crate) fn folded(&mut self, bytes: usize) {
        self.bytes_since += bytes as u64;
    }

    /// The log since the last one must outweigh it: the cost of snapshots stays a share of that of the log.
    fn is_due(
        &self,
        policy: &SnapshotPolicy,
        lsn: u64,
        newest: Option<&v1::SnapshotTaken>,
    ) -> bool {
        let (last_lsn, last_bytes) = newest.map_or((0, 0), |newest| (newest.lsn, newest.bytes));
        let reached = |since: u64, every: u64| every > 0 && since >= every;
        let due = reached(lsn.saturating_sub(last_lsn), policy.every_records)
            || reached(self.bytes_since, policy.every_bytes);
        due && self.bytes_since >= last_bytes
    }
}

impl Shard {
    /// At every turn of the primary.
    pub(crate) fn tend_snapshots(&mut self, now: Instant) -> Result<(), Refusal> {
        let own = &self.snapshots;
        if own.under_way || self.hub.units.is_none() || self.is_stopping() {
            return Ok(());
        }
        let snapshot = self.folder.snapshot();
        let known = state::snapshots(snapshot, SHARD).map_err(view_failed)?;
        let newest = known.last();
        let may = own.retry_at.is_none_or(|at| now >= at);
        let unregistered = newest.filter(|newest| newest.lsn > own.registered_lsn);
        if let Some(newest) = unregistered.filter(|_| may) {
            let task = register(self.hub.clone(), newest.clone());
            self.snapshots.under_way = true;
            self.hub.env.spawn("register snapshot", task);
            return Ok(());
        }
        let due = may && own.is_due(&self.hub.snapshot_policy, snapshot.stamp.lsn, newest);
        let is_new = newest.is_none_or(|newest| snapshot.stamp.lsn > newest.lsn);
        if is_new && (due || !own.waiting.is_empty()) {
            let task = take(self.hub.clone(), snapshot.clone());
            self.snapshots.under_way = true;
            self.snapshots.bytes_at_begin = self.snapshots.bytes_since;
            self.hub.env.spawn("take snapshot", task);
        }
        Ok(())
    }

    /// By hand.
    pub(crate) fn wants_snapshot(&mut self, id: OpId) -> Result<(), Refusal> {
        if self.hub.units.is_none() {
            let why = "this materializer knows no log units to store it on";
            self.finish(id, Err(Refusal::new(Code::State, "snapshot", why)));
            return Ok(());
        }
        self.snapshots.waiting.push(id);
        self.tend_snapshots(self.hub.env.now())
    }

    pub(crate) fn plan_snapshot_taken(
        &mut self,
        id: OpId,
        taken: v1::SnapshotTaken,
        session: u64,
    ) -> Result<(), Refusal> {
        let planned = self.planned(id, |context| {
            control::snapshot_taken(context, session, taken)
        });
        match planned {
            // It is what lets the log be trimmed: as privileged as a deletion (FOLD-T5).
            Some(Ok(planned)) => self.append(id, planned, Gives::Done(v1::Done::default()), true),
            Some(Err(refusal)) => {
                self.finish(id, Err(refusal));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What a task of this file came to.
    pub(crate) fn snapshot_ended(
        &mut self,
        outcome: Result<Ended, Refusal>,
    ) -> Result<(), Refusal> {
        self.snapshots.under_way = false;
        if !matches!(self.office, Office::Primary(_)) {
            self.snapshots = Snapshots::default(); // its waiters were told when the term ended
            return Ok(());
        }
        let now = self.hub.env.now();
        let told = match outcome {
            Ok(Ended::Registered(lsn)) => {
                self.snapshots.registered_lsn = lsn;
                return self.tend_snapshots(now);
            }
            Ok(Ended::Taken(made)) => {
                tracing::info!(lsn = made.lsn, bytes = made.bytes, "took a snapshot");
                let own = &mut self.snapshots;
                own.registered_lsn = made.lsn;
                own.bytes_since -= own.bytes_at_begin;
                own.retry_at = None;
                Ok(Body::Snapshot(made))
            }
            Err(refusal) => {
                tracing::info!(%refusal, "try again to take a snapshot");
                self.snapshots.retry_at = Some(now + RETRY);
                Err(refusal)
            }
        };
        for id in std::mem::take(&mut self.snapshots.waiting) {
            match &told {
                Ok(body) => self.finish_now(id, body.clone()),
                Err(refusal) => self.finish(id, Err(refusal.clone())),
            }
        }
        Ok(())
    }
}

/// Of a task that the loop began.
pub(crate) enum Ended {
    Taken(v1::SnapshotMade),
    /// One that was taken before, by whomever: its LSN.
    Registered(u64),
}

async fn take(hub: Arc<Hub>, snapshot: crate::view::Snapshot) {
    let outcome = take::take(&hub, snapshot).await.map(Ended::Taken);
    let _ = hub.commands.send(Command::SnapshotEnded(outcome)).await; // the loop ended
}

async fn register(hub: Arc<Hub>, taken: v1::SnapshotTaken) {
    let registered = take::register(&hub, &taken).await;
    let outcome = registered.map(|()| Ended::Registered(taken.lsn));
    let _ = hub.commands.send(Command::SnapshotEnded(outcome)).await; // the loop ended
}
