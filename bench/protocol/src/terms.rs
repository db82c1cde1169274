//! The model of terms, guards and slots of one shard (materializer/FOLD.md), for stateright.
//!
//! | file | what of FOLD.md |
//! |---|---|
//! | `terms/fold.rs` | frames and guards (G1–G5), terms (T1), effects |
//! | `terms/replica.rs` | campaigns (T2, T3), planning (P1–P4), attempts seen (S3), restarts |
//! | `terms/client.rs` | attempts and answers (S1, S3), reads (R1) |
//! | `terms/state.rs` | the log, two replicas, their frames in flight, clients |
//! | `terms/property.rs` | what must hold |
//! | `terms/scenario.rs`, `terms/mutant.rs` | how much of each; rules left out |
//!
//! The log below is taken for what the model of the log says it is: one order, frames of one lane in theirs.
//! A pause is a replica that takes no step for a while; an answer that is lost is a step not taken.

use stateright::{Model, Property};

use crate::terms::fold::{Frame, Lsn};
use crate::terms::mutant::{Mutant, Refusals};
use crate::terms::scenario::{ATTEMPTS, REQUESTS, Scenario};
use crate::terms::state::{REPLICAS, State};

pub mod fold;
pub mod mutant;
pub mod scenario;
pub mod state;

mod client;
mod property;
mod replica;

/// Longer logs come only from mutants that plan without end.
const LOG_MAX: usize = 12;

/// A bounded world under FOLD.md's rules for one shard, or under all but one of them.
#[derive(Clone, Debug)]
pub struct TermsModel {
    pub scenario: Scenario,
    pub mutant: Option<Mutant>,
    pub refusals: Refusals,
}

/// One step of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Send {
        request: usize,
        route: Lsn,
    },
    Arrive {
        request: usize,
        attempt: u8,
        at: usize,
    },
    Decide {
        at: usize,
        lost: bool,
    },
    Cut {
        lane: usize,
    },
    Fold {
        by: usize,
    },
    HearDone {
        request: usize,
        from: usize,
    },
    HearRefused {
        request: usize,
        from: usize,
    },
    HearVoid {
        request: usize,
        from: usize,
    },
    Campaign {
        by: usize,
    },
    Restart {
        by: usize,
    },
    ExpireSession,
    BeginRead,
    AnswerRead {
        by: usize,
    },
}

impl TermsModel {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// FOLD-S1, by the primary of another shard: nothing here holds it back.
    fn expire_session(&self, state: &mut State) -> bool {
        let Some(left) = state.budget.expiries.checked_sub(1) else {
            return false;
        };
        state.budget.expiries = left;
        state.log.push(Frame::SessionExpired);
        true
    }

    fn take(&self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Send { request, route } => self.send(state, request, route),
            Action::Arrive {
                request,
                attempt,
                at,
            } => self.arrive(state, request, attempt, at),
            Action::Decide { at, lost } => self.decide(state, at, lost),
            Action::Cut { lane } => self.cut(state, lane),
            Action::Fold { by } => self.fold_next(state, by),
            Action::HearDone { request, from } => self.hear_done(state, request, from),
            Action::HearRefused { request, from } => self.hear_refused(state, request, from),
            Action::HearVoid { request, from } => self.hear_void(state, request, from),
            Action::Campaign { by } => self.campaign(state, by),
            Action::Restart { by } => self.restart(state, by),
            Action::ExpireSession => self.expire_session(state),
            Action::BeginRead => self.begin_read(state),
            Action::AnswerRead { by } => self.answer_read(state, by),
        }
    }
}

impl Model for TermsModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::at_start(&self.scenario)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend((0..=REPLICAS).map(|lane| Action::Cut { lane }));
        actions.extend([Action::ExpireSession, Action::BeginRead]);
        for request in 0..REQUESTS {
            actions.extend((1..=state.end()).map(|route| Action::Send { request, route }));
            for at in 0..REPLICAS {
                let attempts = 1..=ATTEMPTS as u8;
                actions.extend(attempts.map(|attempt| Action::Arrive {
                    request,
                    attempt,
                    at,
                }));
                actions.push(Action::HearDone { request, from: at });
                actions.push(Action::HearRefused { request, from: at });
                actions.push(Action::HearVoid { request, from: at });
            }
        }
        for by in 0..REPLICAS {
            actions.extend([true, false].map(|lost| Action::Decide { at: by, lost }));
            actions.extend([
                Action::Fold { by },
                Action::Campaign { by },
                Action::Restart { by },
            ]);
            actions.push(Action::AnswerRead { by });
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.take(&mut next, action).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.log.len() <= LOG_MAX
    }
}
