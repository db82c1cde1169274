//! What a reader does: LOG-R1.

use crate::log::LogModel;
use crate::log::mutant::Mutant;
use crate::log::state::State;

impl LogModel {
    /// LOG-R1: the next LSN, below the end known from applied cuts, from any one unit that serves it
    /// (LOG-R3). Merging is this: the LSN says which stripe is asked.
    pub(crate) fn read(&self, state: &mut State, unit: usize) -> bool {
        if !self.scenario.reader {
            return false;
        }
        let lsn = state.reader.len();
        let payload = match lsn < state.end() {
            true => self.served(state, unit, lsn),
            false => self.served_unapplied(state, unit, lsn),
        };
        let Some(payload) = payload else {
            return false;
        };
        state.reader = state.reader.and(payload);
        true
    }

    /// The mutant of LOG-D4: the leader's proposal is published, units and readers take it as applied.
    fn served_unapplied(&self, state: &State, unit: usize, lsn: u8) -> Option<u8> {
        let proposal = state.own.filter(|_| self.is(Mutant::ReadUnapplied))?;
        let mut ahead = state.clone();
        self.apply(&mut ahead, &proposal);
        ahead.units[unit].heard = ahead.cut_seq();
        self.served(&ahead, unit, lsn)
    }
}
