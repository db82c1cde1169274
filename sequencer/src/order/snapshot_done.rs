//! SnapshotDone: a shard's snapshot is registered, and its pin moves to the second-newest (FOLD-X2).
use crate::order::{Effects, Order, Outcome};
use dfs_wire::v1::PinKind;
use dfs_wire::{Code, v1};

/// The newest is what a replica loads, the one before it what is left if that is damaged.
const SNAPSHOTS_KEPT: usize = 2;

/// How the names of shards' pins begin; nobody else's may.
pub(super) const SHARD_PIN: &str = "shard-";

impl Order {
    /// LOG-I16: only a newer snapshot than the newest known does anything.
    pub(super) fn snapshot_done(&mut self, done: &v1::SnapshotRow) -> Effects {
        if done.lsn == 0 || done.lsn >= self.next_lsn {
            let what = format!("snapshot of shard {} at LSN {}", done.shard, done.lsn);
            return Effects::refused(Code::Invalid, what, "there is no such record");
        }
        let rows = &mut self.history.snapshots.entry(done.shard).or_default().rows;
        if rows.last().is_some_and(|newest| newest.lsn >= done.lsn) {
            return Effects::quiet(Outcome::Stands);
        }
        rows.push(done.clone());
        if rows.len() > SNAPSHOTS_KEPT {
            rows.remove(0);
        }
        // With one snapshot alone the log must still give what it gives.
        let held = if rows.len() == SNAPSHOTS_KEPT {
            rows[0].lsn
        } else {
            self.history.trim_lsn
        };
        let name = format!("{SHARD_PIN}{}", done.shard);
        let pin = self.history.pins.entry(name.clone()).or_default();
        pin.name = name;
        pin.set_kind(PinKind::Shard);
        pin.lsn = pin.lsn.max(held).max(1);
        Effects::quiet(Outcome::Stands)
    }
}
