//! What owners of lanes do: LOG-A1 to LOG-A4.

use crate::log::LogModel;
use crate::log::mutant::Mutant;
use crate::log::state::{Phase, State};

/// A cloned owner's payloads begin here, so that no two processes frame the same one.
const CLONED_PAYLOADS: u8 = 10;

impl LogModel {
    /// LOG-A4, LOG-I7: after the reply to MoveLane, exactly idx ≥ final length is sent again, from 0.
    pub(crate) fn resend(&self, state: &mut State, lane: usize, from: u8) -> bool {
        let old = state.lanes[lane];
        let Some(successor) = old.successor.filter(|_| !old.resent) else {
            return false;
        };
        let stale = self.is(Mutant::ResendFromHeard) && from < old.cut.len();
        if old.phase != Phase::Sealed || (from != old.cut.len() && !stale) {
            return false;
        }
        state.lanes[lane].resent = true;
        state.lanes[usize::from(successor)].content = old.content.after(from);
        true
    }

    /// The mutant of LOG-I7: a lane opened and filled from what is cut *so far*, the seal to follow.
    pub(crate) fn resend_early(&self, state: &mut State, lane: usize) -> bool {
        let old = state.lanes[lane];
        let may = self.is(Mutant::ResendBeforeSeal) && old.phase == Phase::Open;
        if !may || old.successor.is_some() || state.budget.moves == 0 {
            return false;
        }
        state.budget.moves -= 1;
        let opened = self.open_successor(state, lane);
        let Some(new) = state.lanes[lane].successor.filter(|_| opened) else {
            return false;
        };
        state.lanes[lane].resent = true;
        state.lanes[usize::from(new)].content = old.content.after(old.cut.len());
        true
    }

    /// A second process takes itself for the owner of a lane and goes on where its cut ends, with
    /// records of its own. By LOG-A1 none does so on purpose; a machine that was cloned might.
    pub(crate) fn clone_owner(&self, state: &mut State, lane: usize) -> bool {
        let of = &mut state.lanes[lane];
        let Some(left) = state.budget.clones.checked_sub(1) else {
            return false;
        };
        if of.phase != Phase::Open || of.cut.len() >= of.content.len() {
            return false;
        }
        of.cloned = of.cut;
        for payload in (CLONED_PAYLOADS..).take(usize::from(of.content.len() - of.cut.len())) {
            of.cloned = of.cloned.and(payload);
        }
        state.budget.clones = left;
        true
    }
}
