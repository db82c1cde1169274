//! What a replica does: it folds, campaigns, and plans while it owns the term (FOLD-T2, FOLD-P1 to P4).

use crate::terms::TermsModel;
use crate::terms::fold::{Folded, Frame, Lsn, Slot, may};
use crate::terms::mutant::{Mutant, Refusals};
use crate::terms::state::{Outcome, Replica, State, Waiting};

impl TermsModel {
    pub(crate) fn folded(&self, state: &State, by: usize) -> Folded {
        let replica = &state.replicas[by];
        self.fold(&state.log[..usize::from(replica.applied)], replica.took)
    }

    /// Frames of its own term that it has not folded, in order: cut or not, they are in flight.
    fn in_flight(&self, state: &State, by: usize) -> Vec<Frame> {
        let replica = &state.replicas[by];
        let cut = state.log[usize::from(replica.applied)..].iter();
        let own = |frame: &&Frame| match frame {
            Frame::Change { term, .. } | Frame::Refused { term, .. } => replica.owns == Some(*term),
            Frame::TermStarted { .. } | Frame::SessionExpired => false,
        };
        let old_too = self.is(Mutant::OverlayOfOldTerm);
        let flying = replica.flying.iter().filter(|frame| old_too || own(frame));
        cut.filter(own).chain(flying).copied().collect()
    }

    /// The next frame in flight of a lane is cut. Lane 2 is the one that a dead process has left.
    pub(crate) fn cut(&self, state: &mut State, lane: usize) -> bool {
        let flying = match state.replicas.get_mut(lane) {
            Some(replica) => &mut replica.flying,
            None => &mut state.orphans,
        };
        if flying.is_empty() {
            return false;
        }
        let frame = flying.remove(0);
        state.log.push(frame);
        if self.is(Mutant::PlansBeforeOwnTerm) && lane < state.replicas.len() {
            let (truth, _) = self.truth(&state.log);
            let started = matches!(frame, Frame::TermStarted { .. }) && truth.term == state.end();
            if started {
                state.replicas[lane].owns = Some(state.end());
            }
        }
        true
    }

    /// One frame is folded: void or not, by CONTROL at exactly the LSN before it (FOLD-G3).
    pub(crate) fn fold_next(&self, state: &mut State, by: usize) -> bool {
        let lsn = state.replicas[by].applied + 1;
        let Some(frame) = state.log.get(usize::from(lsn) - 1).copied() else {
            return false;
        };
        let control = match (self.is(Mutant::ControlFromLater), frame) {
            (true, Frame::Change { .. }) => self.truth(&state.log).0,
            _ => self.folded(state, by),
        };
        let takes = self.holds(&control, frame);
        let replica = &mut state.replicas[by];
        replica.applied = lsn;
        replica.took |= u32::from(takes) << lsn;
        if let Frame::TermStarted { prev, owner } = frame {
            let mine = owner == (by as u8, replica.incarnation);
            self.see_term(state, by, mine.then_some((prev, lsn)), takes);
        }
        true
    }

    /// FOLD-T2: whoever folds its own TermStarted owns the term; whoever folds another's has lost it.
    fn see_term(&self, state: &mut State, by: usize, mine: Option<(Lsn, Lsn)>, takes: bool) {
        let current = self.folded(state, by).term;
        let replica = &mut state.replicas[by];
        let new = mine.map(|(prev, lsn)| self.term_of(prev, lsn));
        let by_number = self.is(Mutant::TermsByNumber) && new == Some(current);
        if new.is_some() && (takes || by_number) {
            // A term of its own that follows another of its own begins with an empty memory too.
            lose_term(replica);
            replica.owns = new;
        } else if takes && replica.owns != Some(current) {
            lose_term(replica);
        }
    }

    /// FOLD-T3: whoever believes the owner gone campaigns; it may be wrong. What it has folded says which
    /// term it means to follow.
    pub(crate) fn campaign(&self, state: &mut State, by: usize) -> bool {
        let Some(left) = state.budget.campaigns.checked_sub(1) else {
            return false;
        };
        let prev = self.folded(state, by).term;
        let replica = &mut state.replicas[by];
        let under_way = |frame: &Frame| matches!(frame, Frame::TermStarted { .. });
        if replica.flying.iter().any(under_way) {
            return false;
        }
        let owner = (by as u8, replica.incarnation);
        replica.flying.push(Frame::TermStarted { prev, owner });
        state.budget.campaigns = left;
        true
    }

    /// A process dies. What it had folded is on its disk; its frames in flight may be cut or not.
    pub(crate) fn restart(&self, state: &mut State, by: usize) -> bool {
        let Some(left) = state.budget.restarts.checked_sub(1) else {
            return false;
        };
        state.budget.restarts = left;
        let replica = &mut state.replicas[by];
        state.orphans.append(&mut replica.flying);
        replica.incarnation += 1;
        lose_term(replica);
        true
    }

    /// FOLD-P4, FOLD-S3: a request arrives, perhaps late, perhaps again.
    pub(crate) fn arrive(&self, state: &mut State, request: usize, attempt: u8, at: usize) -> bool {
        let (of, end) = (state.requests[request], state.end());
        let (folded, in_flight) = (self.folded(state, at), self.in_flight(state, at));
        let replica = &mut state.replicas[at];
        let (Some(term), None) = (replica.owns, replica.waiting) else {
            return false;
        };
        let sent = attempt <= of.attempts;
        let routed = sent && of.routes[usize::from(attempt) - 1] == term;
        let repeated = replica.seen[request] >= attempt && !self.is(Mutant::AttemptsForgotten);
        if !sent || !(routed || self.is(Mutant::AnyTermTaken)) || repeated {
            return false;
        }
        let before = replica.seen[request];
        replica.seen[request] = before.max(attempt);
        let same = |frame: &Frame| matches!(frame, Frame::Change { request: of, .. } | Frame::Refused { request: of, .. } if usize::from(*of) == request);
        let attaches = in_flight.iter().any(same) && !self.is(Mutant::RetryPlannedTwice);
        let answered = folded.slots[request] != Slot::Empty && !self.is(Mutant::SlotNotLookedUp);
        if attaches || answered {
            return replica.seen[request] != before;
        }
        replica.waiting = Some(Waiting {
            request: request as u8,
            attempt,
            end,
        });
        true
    }

    /// The request that waits is planned, or refused. `lost`: the answer does not arrive.
    pub(crate) fn decide(&self, state: &mut State, at: usize, lost: bool) -> bool {
        let replica = &state.replicas[at];
        let (Some(waiting), Some(term)) = (replica.waiting, replica.owns) else {
            return false;
        };
        let foreign = |frame: &Frame| matches!(frame, Frame::Change { request, .. } if self.needs_session(*request));
        if self.in_flight(state, at).iter().any(foreign) && !self.is(Mutant::OverlayOverForeign) {
            return false; // FOLD-P1: the key is locked until that frame is folded.
        }
        let (folded, overlay) = (self.folded(state, at), self.overlay(state, at));
        let request = waiting.request;
        let gone = self.needs_session(request) && folded.session_gone;
        if gone || !may(request, overlay.exists) {
            return self.refuse(state, at, waiting, gone, lost);
        }
        let attempt = waiting.attempt;
        let replica = &mut state.replicas[at];
        replica.flying.push(Frame::Change {
            request,
            attempt,
            term,
        });
        replica.waiting = None;
        !lost
    }

    /// What is folded, and over it the own frames in flight as if they were.
    fn overlay(&self, state: &State, at: usize) -> Folded {
        let mut view = self.folded(state, at);
        let in_flight = self.in_flight(state, at);
        for frame in in_flight
            .iter()
            .filter(|frame| matches!(frame, Frame::Change { .. }))
        {
            self.take_effect(&mut view, *frame, 0);
        }
        view
    }

    /// FOLD-P3: answered when the frames it relied on are folded, and the end of after its arrival.
    fn refuse(
        &self,
        state: &mut State,
        at: usize,
        waiting: Waiting,
        gone: bool,
        lost: bool,
    ) -> bool {
        let Waiting {
            request,
            attempt,
            end,
        } = waiting;
        let settled = self.in_flight(state, at).is_empty();
        let replica = &mut state.replicas[at];
        let fresh = replica.applied >= end || self.is(Mutant::RefusalWithoutEnd);
        if !settled || !fresh {
            return false;
        }
        replica.waiting = None;
        let recorded = attempt > 1 && !gone && self.refusals == Refusals::Recorded;
        if let (true, Some(term)) = (recorded, replica.owns) {
            replica.flying.push(Frame::Refused { request, term });
            return !lost;
        }
        if lost {
            return true;
        }
        // FOLD-S1: the slot went with the session, so an earlier attempt may have had its success.
        let outcome = match gone && attempt > 1 && !self.is(Mutant::SessionGoneRefuses) {
            true => Outcome::Unknown,
            false => Outcome::NotDone,
        };
        let request = usize::from(request);
        let last = state.requests[request].attempts == attempt;
        let counts = last || self.is(Mutant::AnyRefusalCounts);
        let taken = self.take_outcome(state, request, outcome, counts);
        if taken && outcome == Outcome::NotDone {
            self.judge_refusal(state, request);
        }
        true
    }
}

fn lose_term(replica: &mut Replica) {
    replica.owns = None;
    replica.waiting = None;
    replica.seen = Default::default();
}
