//! What clients do: attempts (FOLD-S3), the answers they take, reads (FOLD-R1).

use crate::terms::TermsModel;
use crate::terms::fold::{Frame, Lsn, Slot, may};
use crate::terms::mutant::Mutant;
use crate::terms::state::{Outcome, State};

impl TermsModel {
    /// FOLD-S3: every send is a new attempt, routed by a term the client has heard of.
    pub(crate) fn send(&self, state: &mut State, request: usize, route: Lsn) -> bool {
        let end = state.end();
        let started = matches!(
            state.log.get(usize::from(route) - 1),
            Some(Frame::TermStarted { .. })
        );
        let of = &mut state.requests[request];
        let left = of.attempts < self.scenario.attempts[request];
        if !left || of.outcome != Outcome::Open || !started {
            return false;
        }
        if of.attempts == 0 {
            of.since = end;
        }
        of.routes[usize::from(of.attempts)] = route;
        of.attempts += 1;
        true
    }

    /// A success, of whichever attempt, from a replica that has folded it (LOG-I9); or it is lost, by this
    /// step not being taken.
    pub(crate) fn hear_done(&self, state: &mut State, request: usize, from: usize) -> bool {
        let replica = &state.replicas[from];
        let folded = self.folded(state, from);
        let cut = |frame: &Frame| matches!(frame, Frame::Change { request: of, .. } if usize::from(*of) == request);
        let done = match self.is(Mutant::AnsweredAtCut) {
            true => replica.owns.is_some() && state.log.iter().any(cut),
            false => folded.slots[request] == Slot::Done,
        };
        self.take_outcome(state, request, Outcome::Done, done)
    }

    /// A refusal that a replica has folded in its slot.
    pub(crate) fn hear_refused(&self, state: &mut State, request: usize, from: usize) -> bool {
        let refused = self.folded(state, from).slots[request] == Slot::Refused;
        let taken = self.take_outcome(state, request, Outcome::NotDone, refused);
        if taken {
            self.judge_refusal(state, request);
        }
        taken
    }

    /// FOLD-G4: "not applied" for the first attempt, whose frame was folded as void; the client gives up.
    /// That the attempt was the last one sent is what makes it an outcome.
    pub(crate) fn hear_void(&self, state: &mut State, request: usize, from: usize) -> bool {
        let replica = &state.replicas[from];
        let first = |frame: &Frame| matches!(frame, Frame::Change { request: of, attempt: 1, .. } if usize::from(*of) == request);
        let folded = state.log[..usize::from(replica.applied)].iter().zip(1..);
        let mut void =
            folded.filter(|(frame, lsn)| first(frame) && replica.took & (1_u32 << lsn) == 0);
        let uncut = self.is(Mutant::VoidBeforeFold) && replica.flying.iter().any(first);
        let told = void.next().is_some() || uncut;
        let last = state.requests[request].attempts == 1;
        self.take_outcome(state, request, Outcome::NotDone, told && last)
    }

    pub(crate) fn take_outcome(
        &self,
        state: &mut State,
        request: usize,
        outcome: Outcome,
        told: bool,
    ) -> bool {
        let of = &mut state.requests[request];
        let open = of.outcome == Outcome::Open && of.attempts > 0;
        if told && open {
            of.outcome = outcome;
        }
        told && open
    }

    /// A refusal is a read: its reason must have been true at some time since the request was made.
    pub(crate) fn judge_refusal(&self, state: &mut State, request: usize) {
        let since = state.requests[request].since;
        let gone = |at: Lsn| {
            let folded = self.truth(&state.log[..usize::from(at)]).0;
            folded.session_gone && self.needs_session(request as u8)
                || !may(request as u8, folded.exists)
        };
        state.stale |= !(since..=state.end()).any(gone);
    }

    pub(crate) fn begin_read(&self, state: &mut State) -> bool {
        let Some(left) = state.budget.reads.checked_sub(1) else {
            return false;
        };
        if state.reading.is_some() {
            return false;
        }
        state.budget.reads = left;
        state.reading = Some(state.end());
        true
    }

    /// FOLD-R1: at a version L ≥ an end taken after the read's arrival, by any replica.
    pub(crate) fn answer_read(&self, state: &mut State, by: usize) -> bool {
        let Some(arrival) = state.reading else {
            return false;
        };
        if state.replicas[by].applied < arrival && !self.is(Mutant::ReadWithoutEnd) {
            return false;
        }
        let read = self.folded(state, by).exists;
        let was = |at: Lsn| self.truth(&state.log[..usize::from(at)]).0.exists == read;
        state.stale |= !(arrival..=state.end()).any(was);
        state.reading = None;
        true
    }
}
