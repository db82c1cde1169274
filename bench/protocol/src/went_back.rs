//! The model of a sequencer's journal that goes back (LOG-U9), beyond what the log tolerates.
//!
//! A leader that lost its newest cut must not give its LSN away again to somebody who saw the first.

use stateright::{Model, Property};

use crate::log::content::Content;

const UNITS: usize = 3;
const QUORUM: usize = 2;
/// Cuts ever made, of one record each: enough to fill up a place that was lost, and one more.
const CUTS_MAX: u8 = 3;

#[derive(Clone, Copy, Debug)]
pub struct WentBack {
    /// How many units have synced a cut's stamp before a reader sees it. LOG.md asks for none.
    pub stamped_before_read: usize,
    /// LOG-U9 left out: a leader cuts without looking at the stamps that units tell of.
    pub leader_trusts_itself: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Raft's order, by payload.
    pub log: Content,
    pub cuts: u8,
    pub losses: u8,
    /// What each unit was told, and how much of it is synced.
    pub told: [Content; UNITS],
    pub synced: [u8; UNITS],
    /// Who has said Hello to the present leader.
    pub heard: [bool; UNITS],
    pub leader_stopped: bool,
    pub reader: Content,
    /// It has reconnected, and asked for the end, since the last leader died.
    pub reader_connected: bool,
    pub reader_stopped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Hello(usize),
    Cut,
    Tell(usize),
    Sync(usize),
    Connect,
    Read,
    LoseNewestCut,
}

impl WentBack {
    fn hello(&self, state: &mut State, unit: usize) -> bool {
        let behind = state.log.len() < state.synced[unit];
        state.leader_stopped |= behind && !self.leader_trusts_itself;
        !std::mem::replace(&mut state.heard[unit], true)
    }

    fn cut(&self, state: &mut State) -> bool {
        let heard = state.heard.iter().filter(|heard| **heard).count();
        if state.leader_stopped || heard < QUORUM || state.cuts == CUTS_MAX {
            return false;
        }
        state.log = state.log.and(state.cuts);
        state.cuts += 1;
        true
    }

    fn tell(&self, state: &mut State, unit: usize) -> bool {
        let told = &mut state.told[unit];
        let next = state.log.prefix(told.len() + 1);
        let hears = next.len() > told.len() && next.starts_with(*told);
        if hears {
            *told = next;
        }
        hears
    }

    fn sync(&self, state: &mut State, unit: usize) -> bool {
        let before = std::mem::replace(&mut state.synced[unit], state.told[unit].len());
        before != state.synced[unit]
    }

    /// A linearizable End: what is applied beyond it stops the reader.
    fn connect(&self, state: &mut State) -> bool {
        state.reader_stopped |= state.reader.len() > state.log.len();
        !std::mem::replace(&mut state.reader_connected, true)
    }

    fn read(&self, state: &mut State) -> bool {
        let lsn = state.reader.len();
        let Some(payload) = state.log.at(lsn).filter(|_| state.reader_connected) else {
            return false;
        };
        let stamped = state.synced.iter().filter(|synced| **synced > lsn).count();
        let reads = !state.reader_stopped && stamped >= self.stamped_before_read;
        if reads {
            state.reader = state.reader.and(payload);
        }
        reads
    }

    fn lose_newest_cut(&self, state: &mut State) -> bool {
        if state.losses == 1 || state.log.is_empty() {
            return false;
        }
        state.losses += 1;
        state.log = state.log.prefix(state.log.len() - 1);
        state.heard = [false; UNITS];
        state.leader_stopped = false;
        state.reader_connected = false;
        true
    }
}

impl Model for WentBack {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        for unit in 0..UNITS {
            actions.extend([Action::Hello(unit), Action::Tell(unit), Action::Sync(unit)]);
        }
        let rest = [
            Action::Cut,
            Action::Connect,
            Action::Read,
            Action::LoseNewestCut,
        ];
        actions.extend(rest);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let taken = match action {
            Action::Hello(unit) => self.hello(&mut next, unit),
            Action::Cut => self.cut(&mut next),
            Action::Tell(unit) => self.tell(&mut next, unit),
            Action::Sync(unit) => self.sync(&mut next, unit),
            Action::Connect => self.connect(&mut next),
            Action::Read => self.read(&mut next),
            Action::LoseNewestCut => self.lose_newest_cut(&mut next),
        };
        taken.then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what a reader applies is one history",
                |_, state: &State| {
                    // Behind a shortened log it waits, or has stopped; it must not be led elsewhere.
                    state.reader.agrees_with(state.log)
                },
            ),
            Property::sometimes("a reader stops", |_, state: &State| state.reader_stopped),
            Property::sometimes("a reader has applied all", |_, state: &State| {
                state.reader.len() == CUTS_MAX
            }),
        ]
    }
}
