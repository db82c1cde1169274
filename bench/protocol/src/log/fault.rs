//! What goes wrong: leaders that die, power that fails, disks that are lost or damaged.

use crate::log::LogModel;
use crate::log::content::Content;
use crate::log::mutant::Mutant;
use crate::log::scenario::LANES;
use crate::log::state::{Disk, Report, State, Unit};

impl LogModel {
    pub(crate) fn failover(&self, state: &mut State) -> bool {
        let Some(left) = state.budget.failovers.checked_sub(1) else {
            return false;
        };
        state.budget.failovers = left;
        self.elect(state);
        true
    }

    /// Power fails everywhere: what no fdatasync covered is gone, Raft replays its cuts.
    pub(crate) fn power_failure(&self, state: &mut State) -> bool {
        let Some(left) = state.budget.power.checked_sub(1) else {
            return false;
        };
        state.budget.power = left;
        self.elect(state);
        state.units.iter_mut().for_each(lose_power);
        true
    }

    /// One unit's machine loses power, or its process is killed before the kernel has written.
    pub(crate) fn crash(&self, state: &mut State, unit: usize) -> bool {
        let Some(left) = state.budget.crashes.checked_sub(1) else {
            return false;
        };
        state.budget.crashes = left;
        let unit = &mut state.units[unit];
        if self.is(Mutant::HelloBeforeResync) && !unit.page_cache_shown {
            // Killed with the page cache intact: it sees its unsynced frames, and says so at once.
            unit.page_cache_shown = true;
            unit.heard = unit.stamped;
        } else {
            lose_power(unit);
        }
        unit.is_up()
    }

    /// A disk is lost. What comes back on it has a new nonce, and so another id: for this write set,
    /// which is immutable (LOG-I12), the unit is gone. The mutant comes back empty as if it were itself.
    pub(crate) fn lose_disk(&self, state: &mut State, unit: usize) -> bool {
        let Some(left) = state.budget.faults.checked_sub(1) else {
            return false;
        };
        let lost = &mut state.units[unit];
        if !lost.is_up() {
            return false;
        }
        let forgets = self.is(Mutant::UnitForgets);
        *lost = Unit {
            disk: if forgets { Disk::Active } else { Disk::Lost },
            known: lost.known,
            // Counted as a visible loss until its Hello, which has no bad range to name: to a leader
            // it then merely lags.
            lossy: if forgets { lost.synced } else { [0; LANES] },
            ..Unit::default()
        };
        state.budget.faults = left;
        true
    }

    /// LOG-D1: the new nonce registers, the former id is Dead and counts for nothing.
    pub(crate) fn register(&self, state: &mut State, unit: usize) -> bool {
        let unit = &mut state.units[unit];
        if unit.disk != Disk::Lost {
            return false;
        }
        unit.disk = Disk::Dead;
        unit.known = Report::default();
        true
    }

    /// The last synced frame of a lane is damaged; the unit finds out when it opens its segments, and
    /// its Hello will name the bad range (LOG.md §6).
    pub(crate) fn damage(&self, state: &mut State, unit: usize, lane: usize) -> bool {
        let Some(left) = state.budget.faults.checked_sub(1) else {
            return false;
        };
        let damaged = &mut state.units[unit];
        let Some(length) = damaged.synced[lane].checked_sub(1) else {
            return false;
        };
        lose_power(damaged);
        damaged.held[lane] = damaged.held[lane].prefix(length);
        damaged.synced[lane] = length;
        damaged.sent = None;
        damaged.lossy[lane] = length + 1;
        damaged.told = false;
        state.budget.faults = left;
        true
    }
}

fn lose_power(unit: &mut Unit) {
    for lane in 0..LANES {
        unit.held[lane] = unit.durable(lane);
    }
    debug_assert!(unit.synced == unit.held.map(Content::len));
    unit.heard = unit.stamped;
    unit.page_cache_shown = false;
}
