//! Which member of a group to ask first: those that failed lately last, then the least busy.

use std::collections::BTreeMap;
use std::time::Duration;

use dfs_env::Env;
use dfs_wire::v1;
use parking_lot::Mutex;
use tokio::time::Instant;

/// A unit that failed is asked last for this long: about what a restart takes.
const SUSPECT_FOR: Duration = Duration::from_secs(5);

pub(crate) struct Health {
    env: Env,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    units: BTreeMap<u64, Unit>,
    /// Turns ties between members into a rotation.
    turn: usize,
}

#[derive(Default)]
struct Unit {
    loads: usize,
    suspect_until: Option<Instant>,
}

impl Health {
    pub(crate) fn new(env: Env) -> Health {
        Health {
            env,
            state: Mutex::default(),
        }
    }

    /// The members in the order in which to ask them.
    pub(crate) fn order(&self, mut members: Vec<v1::UnitRef>) -> Vec<v1::UnitRef> {
        let now = self.env.now();
        let mut state = self.state.lock();
        state.turn = state.turn.wrapping_add(1);
        if !members.is_empty() {
            let turn = state.turn % members.len();
            members.rotate_left(turn);
        }
        members.sort_by_key(|member| {
            let unit = state.units.get(&member.unit_id);
            let suspect = unit
                .and_then(|u| u.suspect_until)
                .is_some_and(|until| until > now);
            (suspect, !member.live, unit.map_or(0, |u| u.loads))
        });
        members
    }

    /// Counts a load on this unit for as long as the answer is kept.
    pub(crate) fn begin(&self, unit_id: u64) -> Busy<'_> {
        self.state.lock().units.entry(unit_id).or_default().loads += 1;
        Busy {
            health: self,
            unit_id,
        }
    }

    pub(crate) fn failed(&self, unit_id: u64) {
        let until = self.env.now() + SUSPECT_FOR;
        let mut state = self.state.lock();
        state.units.entry(unit_id).or_default().suspect_until = Some(until);
    }
}

pub(crate) struct Busy<'a> {
    health: &'a Health,
    unit_id: u64,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.health.state.lock();
        if let Some(unit) = state.units.get_mut(&self.unit_id) {
            unit.loads = unit.loads.saturating_sub(1);
        }
    }
}
