//! The model of the shared log's protocol (client/log/LOG.md), for stateright.
//!
//! | file | what of LOG.md |
//! |---|---|
//! | `log/content.rs` | frames and chains (§1) |
//! | `log/state.rs` | what Raft holds (§2), the leader's memory, units, a reader |
//! | `log/appender.rs` | A1–A4, and an owner that is doubled |
//! | `log/unit.rs` | U1, U2, U4, U6, Hello and Durable |
//! | `log/sequencer.rs` | D1–D4, `apply(Cut)`, MoveLane, elections |
//! | `log/reader.rs` | R1 |
//! | `log/fault.rs` | what goes wrong (§6) |
//! | `log/property.rs` | the invariants (§5) |
//! | `log/scenario.rs`, `log/mutant.rs` | how much of each; rules left out |

use stateright::{Model, Property};

use crate::log::mutant::Mutant;
use crate::log::scenario::{LANES, Scenario, UNITS};
use crate::log::state::{Disk, State};

pub mod content;
pub mod mutant;
pub mod scenario;
pub mod state;

mod appender;
mod fault;
mod property;
mod reader;
mod sequencer;
mod unit;

/// A bounded world under LOG.md's rules, or under all but one of them.
#[derive(Clone, Debug)]
pub struct LogModel {
    pub scenario: Scenario,
    pub mutant: Option<Mutant>,
}

/// One step of one participant. Units are numbered as they stand in the state before the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Stage { unit: usize, lane: usize },
    StageCloned { unit: usize, lane: usize },
    Fsync { unit: usize },
    Report { unit: usize },
    Deliver { unit: usize },
    Hear { unit: usize },
    Fetch { unit: usize, from: usize },
    SetAside { unit: usize },
    Read { unit: usize },
    Propose,
    Commit,
    CommitLate { index: usize },
    DropLate { index: usize },
    MoveLane { lane: usize },
    Resend { lane: usize, from: u8 },
    ResendEarly { lane: usize },
    CloneOwner { lane: usize },
    Failover,
    PowerFailure,
    Crash { unit: usize },
    LoseDisk { unit: usize },
    Register { unit: usize },
    Damage { unit: usize, lane: usize },
}

impl LogModel {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(crate) fn quorum(&self) -> usize {
        match self.is(Mutant::QuorumOfOne) {
            true => 1,
            false => scenario::QUORUM,
        }
    }

    /// Whether the clone is a fault of the scenario, not the mutant itself.
    pub(crate) fn doubles_owners(&self) -> bool {
        self.scenario.budget.clones > 0 && !self.is(Mutant::OwnerReused)
    }

    pub(crate) fn payloads(&self) -> u8 {
        let lanes = self.scenario.lanes.iter();
        lanes.map(|(_, content)| content.len()).sum()
    }

    /// Every payload has its LSN.
    pub(crate) fn is_finished(&self, state: &State) -> bool {
        state.end() == self.payloads()
    }

    fn take(&self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Stage { unit, lane } => self.stage(state, unit, lane, false),
            Action::StageCloned { unit, lane } => self.stage(state, unit, lane, true),
            Action::Fsync { unit } => self.fsync(state, unit),
            Action::Report { unit } => self.report(state, unit),
            Action::Deliver { unit } => self.deliver(state, unit),
            Action::Hear { unit } => self.hear(state, unit),
            Action::Fetch { unit, from } => self.fetch(state, unit, from),
            Action::SetAside { unit } => self.set_aside(state, unit),
            Action::Read { unit } => self.read(state, unit),
            Action::Propose => self.propose(state),
            Action::Commit => self.commit_own(state),
            Action::CommitLate { index } => self.commit_late(state, index),
            Action::DropLate { index } => self.drop_late(state, index),
            Action::MoveLane { lane } => self.move_lane(state, lane),
            Action::Resend { lane, from } => self.resend(state, lane, from),
            Action::ResendEarly { lane } => self.resend_early(state, lane),
            Action::CloneOwner { lane } => self.clone_owner(state, lane),
            Action::Failover => self.failover(state),
            Action::PowerFailure => self.power_failure(state),
            Action::Crash { unit } => self.crash(state, unit),
            Action::LoseDisk { unit } => self.lose_disk(state, unit),
            Action::Register { unit } => self.register(state, unit),
            Action::Damage { unit, lane } => self.damage(state, unit, lane),
        }
    }

    /// The same state with everything forgotten that can never matter again, and with units that are
    /// on the same stripes in ascending order: their numbers mean nothing.
    fn canonical(&self, state: &mut State) {
        for unit in 0..UNITS {
            for lane in 0..LANES {
                let known = state.units[unit].known.ends[lane];
                state.units[unit].known.ends[lane] = self.worth_knowing(state, lane, known);
            }
        }
        if !self.is(Mutant::MaxMergeMissing) {
            for index in 0..state.late.len() {
                if state.late[index].is_some_and(|late| self.is_spent(state, &late)) {
                    state.late[index] = None;
                }
            }
        }
        state.late.sort_unstable();
        let signature = |unit: usize| {
            let stripes = self.scenario.stripes.iter();
            stripes.fold(0_u8, |all, mask| all << 1 | (mask >> unit & 1))
        };
        for unit in (1..UNITS).rev() {
            for earlier in 0..unit {
                let swaps = signature(earlier) == signature(unit)
                    && state.units[earlier] > state.units[unit];
                if swaps {
                    state.units.swap(earlier, unit);
                }
            }
        }
    }
}

impl Model for LogModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::at_start(&self.scenario)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend([
            Action::Propose,
            Action::Commit,
            Action::Failover,
            Action::PowerFailure,
        ]);
        for index in 0..state.late.len() {
            actions.extend([Action::CommitLate { index }, Action::DropLate { index }]);
        }
        let born = |lane: &usize| state.lanes[*lane].phase != state::Phase::Unborn;
        let lanes: Vec<usize> = (0..LANES).filter(born).collect();
        for lane in lanes.iter().copied() {
            actions.extend([Action::MoveLane { lane }, Action::ResendEarly { lane }]);
            actions.push(Action::CloneOwner { lane });
            let lengths = 0..=state.lanes[lane].cut.len();
            actions.extend(lengths.map(|from| Action::Resend { lane, from }));
        }
        let present = |unit: &usize| !matches!(state.units[*unit].disk, Disk::Absent | Disk::Dead);
        for unit in (0..UNITS).filter(present) {
            for lane in lanes.iter().copied() {
                actions.extend([
                    Action::Stage { unit, lane },
                    Action::StageCloned { unit, lane },
                ]);
                actions.push(Action::Damage { unit, lane });
            }
            actions.extend([Action::Fsync { unit }, Action::Report { unit }]);
            actions.extend([Action::Deliver { unit }, Action::Hear { unit }]);
            actions.extend([Action::SetAside { unit }, Action::Read { unit }]);
            actions.extend([Action::Crash { unit }, Action::LoseDisk { unit }]);
            actions.push(Action::Register { unit });
            actions.extend((0..UNITS).map(|from| Action::Fetch { unit, from }));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        if !self.take(&mut next, action) {
            return None;
        }
        self.canonical(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }
}
