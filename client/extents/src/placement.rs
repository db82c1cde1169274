//! What the placer said, kept: open groups for writers, members and addresses for readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use prost::Message;
use tokio::time::Instant;

use crate::placer::Placer;

/// Open groups are asked for anew after this long: a better one may have been opened since.
const OPEN_FOR: Duration = Duration::from_secs(10);
/// Groups kept: 4,096 groups are petabytes; beyond that the oldest ids are asked for again.
const GROUPS_MAX: usize = 4096;

/// A group with the units that hold it.
#[derive(Clone, Debug)]
pub(crate) struct Holders {
    pub(crate) group: v1::Group,
    pub(crate) units: Vec<v1::UnitRef>,
}

pub(crate) struct PlacementCache {
    env: Env,
    placer: Arc<dyn Placer>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By encoded redundancy.
    open: BTreeMap<Vec<u8>, Open>,
    /// Of the placer, when `open` was filled.
    epoch: u64,
    groups: BTreeMap<u64, Holders>,
    turn: usize,
}

struct Open {
    groups: Vec<u64>,
    since: Instant,
}

impl PlacementCache {
    pub(crate) fn new(env: Env, placer: Arc<dyn Placer>) -> PlacementCache {
        PlacementCache {
            env,
            placer,
            state: Mutex::default(),
        }
    }

    /// An open group, none of `failed`; they rotate when there are several.
    pub(crate) async fn open(
        &self,
        redundancy: Option<&v1::Redundancy>,
        failed: &[u64],
    ) -> Result<Holders, Refusal> {
        let key = redundancy.map(Message::encode_to_vec).unwrap_or_default();
        if failed.is_empty()
            && let Some(holders) = self.known_open(&key)
        {
            return Ok(holders);
        }
        let epoch = self.placer.epoch();
        let answer = self
            .placer
            .place(redundancy.cloned(), failed.to_vec())
            .await?;
        let open: Vec<u64> = answer.groups.iter().map(|group| group.group).collect();
        let holders = {
            let mut state = self.state.lock();
            state.learn(answer);
            state.enter(self.placer.epoch());
            state.turn = state.turn.wrapping_add(1);
            let holders = state.one_of(&open);
            // Asked before a change of settings that others have heard of meanwhile: good for this once.
            if epoch == state.epoch {
                let since = self.env.now();
                let groups = open;
                state.open.insert(key, Open { groups, since });
            }
            holders
        };
        holders.ok_or_else(|| {
            let why = "no group is open for this redundancy";
            Refusal::new(Code::Unavailable, "placing an extent", why)
        })
    }

    fn known_open(&self, key: &[u8]) -> Option<Holders> {
        let now = self.env.now();
        let mut state = self.state.lock();
        state.turn = state.turn.wrapping_add(1);
        state.enter(self.placer.epoch());
        let open = state.open.get(key)?;
        if now.duration_since(open.since) > OPEN_FOR {
            return None;
        }
        state.one_of(&open.groups)
    }

    /// This group failed a writer: not offered again from here.
    pub(crate) fn forget_open(&self, group: u64) {
        let mut state = self.state.lock();
        for open in state.open.values_mut() {
            open.groups.retain(|known| *known != group);
        }
    }

    /// The units of a group; `refresh`: what was kept did not serve, ask again.
    pub(crate) async fn holders(&self, group: u64, refresh: bool) -> Result<Holders, Refusal> {
        if !refresh && let Some(holders) = self.state.lock().groups.get(&group) {
            return Ok(holders.clone());
        }
        let answer = self.placer.groups(vec![group]).await?;
        let mut state = self.state.lock();
        state.learn(answer);
        let known = state.groups.get(&group).cloned();
        known.ok_or_else(|| {
            let why = "the block map does not know this group";
            Refusal::new(Code::NotFound, format!("group {group}"), why)
        })
    }
}

impl State {
    /// What was open for the settings of another epoch need not be what they ask for now.
    fn enter(&mut self, epoch: u64) {
        if self.epoch < epoch {
            self.open.clear();
            self.epoch = epoch;
        }
    }

    /// By turns.
    fn one_of(&self, open: &[u64]) -> Option<Holders> {
        let turn = self.turn.checked_rem(open.len())?;
        self.groups.get(open.get(turn)?).cloned()
    }

    fn learn(&mut self, answer: v1::Placement) {
        let units: BTreeMap<u64, v1::UnitRef> = answer
            .units
            .into_iter()
            .map(|unit| (unit.unit_id, unit))
            .collect();
        for group in answer.groups {
            let held = group
                .unit_ids
                .iter()
                .filter_map(|id| units.get(id).cloned())
                .collect();
            self.groups
                .insert(group.group, Holders { group, units: held });
        }
        while self.groups.len() > GROUPS_MAX {
            self.groups.pop_first();
        }
    }
}

#[cfg(test)]
mod tests;
