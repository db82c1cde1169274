//! SeatVoter, UnseatVoter: which directory a voter keeps its votes and entries in (LOG.md §6).
use crate::order::command::{SeatVoter, UnseatVoter};
use crate::order::{Effects, Order, Outcome};
use dfs_wire::Code;

impl Order {
    /// The id is never given again, and whoever holds it is not listened to: a row without a directory.
    pub(super) fn unseat_voter(&mut self, unseat: &UnseatVoter) -> Effects {
        self.seats.insert(unseat.voter, Vec::new());
        Effects::quiet(Outcome::Stands)
    }

    /// The first directory counts, for good: one that was emptied has forgotten what it promised.
    pub(super) fn seat_voter(&mut self, seat: &SeatVoter) -> Effects {
        let kept = self
            .seats
            .entry(seat.voter)
            .or_insert_with(|| seat.nonce.clone());
        if *kept == seat.nonce {
            return Effects::quiet(Outcome::Stands);
        }
        let what = format!("voter {}", seat.voter);
        Effects::refused(Code::Mismatch, what, "it is known with another directory")
    }
}
