//! The own frames in flight, as if they were folded; and locks for those that may still turn out void (FOLD-P1).
use super::{Planned, Ticket};
use crate::view::{Read, ViewError};

/// Serves planning only (FOLD-P2).
#[derive(Default)]
pub struct Overlay {}

impl Overlay {
    /// Takes in a plan that will be appended, in the order of planning. `folded` as it was for the plan.
    pub fn add(
        &mut self,
        ticket: Ticket,
        planned: &Planned,
        folded: &dyn Read,
    ) -> Result<(), ViewError> {
        let _ = (ticket, planned, folded);
        Ok(())
    }

    /// The plan's frame is folded, void or not, and the state that planning sees holds it.
    pub fn folded(&mut self, ticket: Ticket) {
        let _ = ticket;
    }

    /// The term is over: nothing of it is in flight any more, as far as planning is concerned.
    pub fn clear(&mut self) {}

    /// The newest plan in flight: what a refusal has to wait for (FOLD-P3).
    pub fn newest(&self) -> Option<Ticket> {
        None
    }
}
