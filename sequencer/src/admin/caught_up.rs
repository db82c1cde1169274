//! CaughtUp: whether a member has applied what the leader had committed when this was asked.
use super::voter;
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use std::time::Duration;

/// Whoever has more patience asks again.
const WITHIN_MAX: Duration = Duration::from_secs(30);

impl SequencerRole {
    pub(super) async fn is_caught_up(
        &self,
        asked: v1::CaughtUpRequest,
    ) -> Result<v1::CaughtUp, Refusal> {
        let (id, what) = (asked.id, voter(asked.id));
        self.leading(&what, |_| Ok(()))?;
        if !self.known().addresses.contains_key(&id) {
            let why = "there is no such member of the group";
            return Err(Refusal::new(Code::NotFound, what, why));
        }
        let committed_index = self.committed_index();
        let answer = |applied_index| v1::CaughtUp {
            caught_up: applied_index >= committed_index,
            applied_index,
            committed_index,
        };
        if id == self.config().voter {
            return Ok(answer(committed_index));
        }
        let mut applied = self.standing().applied();
        let so_far = |of: &std::collections::BTreeMap<u64, u64>| of.get(&id).copied().unwrap_or(0);
        let there = applied.wait_for(|of| so_far(of) >= committed_index);
        let within = Duration::from_micros(asked.within_us).min(WITHIN_MAX);
        let in_time = self.env().timeout(within, there).await;
        drop(in_time);
        let applied_index = so_far(&self.standing().applied().borrow());
        self.leading(&what, |_| Ok(answer(applied_index)))
    }
}
