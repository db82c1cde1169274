//! Trim: the log lets go of its oldest records, never past a pin (LOG-I11).
use crate::order::command::Trim;
use crate::order::{Effects, Event, Order, Outcome};
use dfs_wire::v1;
use dfs_wire::v1::PinKind;

impl Order {
    /// How far trim may go: to the lowest pin, and not into cuts whose stamps are still held here alone
    /// (LOG-U6). 0 before a shard has a snapshot: its state could not be had otherwise than from LSN 1.
    pub fn trim_bound(&self) -> u64 {
        let pins = &self.history.pins;
        let has_snapshot = pins.values().any(|pin| pin.kind() == PinKind::Shard);
        let lowest = pins.values().map(|pin| pin.lsn).min();
        let stamped = self.cuts.front().map_or(self.next_lsn, |cut| cut.first_lsn);
        let lowest = lowest.filter(|_| has_snapshot);
        lowest.map_or(0, |lowest| lowest.min(stamped))
    }

    /// LOG-I16: a trim that stands already does nothing.
    pub(super) fn trim(&mut self, index: u64, trim: &Trim) -> Effects {
        let lsn = trim.lsn.min(self.trim_bound());
        if lsn <= self.history.trim_lsn {
            return Effects::quiet(Outcome::Stands);
        }
        self.history.trim_lsn = lsn;
        let pinned = self.history.pins.values().all(|pin| lsn <= pin.lsn);
        assert!(pinned, "LOG-I11: trimmed to {lsn}, past a pin");
        self.trim_waiting(lsn);
        self.forget_lanes(lsn);
        let trimmed = v1::Trimmed {
            trim_lsn: lsn,
            raft_index: index,
        };
        Effects {
            outcome: Outcome::Stands,
            events: vec![Event::Trimmed(trimmed)],
            members_changed: false,
        }
    }

    /// Sealed lanes leave when all of their records have. The last one stays, so that no id comes back.
    fn forget_lanes(&mut self, trim_lsn: u64) {
        let last = self.lanes.keys().next_back().copied();
        self.lanes.retain(|id, lane| {
            let gone = lane.sealed && lane.end_lsn > 0 && lane.end_lsn <= trim_lsn;
            !gone || Some(*id) == last
        });
    }
}
