//! Promote: a learner that has caught up becomes a voter, through joint consensus.
use super::quorum::majority;
use super::{Known, voter};
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use openraft::ChangeMembers;
use std::collections::BTreeSet;

/// Entries that a learner may lack: one message brings them, so nobody waits for it.
const LAG_MAX: u64 = 64;

impl SequencerRole {
    pub(super) async fn promote(&self, id: u64) -> Result<v1::Promoted, Refusal> {
        let what = voter(id);
        let known = self.settled(&what)?;
        let lag = self.lag(id);
        if let Some((code, why)) = objection(&known, id, lag) {
            return Err(Refusal::new(code, what, why));
        }
        let change = ChangeMembers::AddVoterIds(BTreeSet::from([id]));
        self.change(&what, &known, change).await?;
        Ok(v1::Promoted { id })
    }

    /// Entries that are committed and that it has not applied.
    fn lag(&self, id: u64) -> u64 {
        let applied = self.standing().applied().borrow().get(&id).copied();
        self.committed_index().saturating_sub(applied.unwrap_or(0))
    }
}

fn objection(known: &Known, id: u64, lag: u64) -> Option<(Code, String)> {
    if known.voters.contains(&id) {
        return Some((Code::Exists, "it is a voter already".into()));
    }
    if !known.addresses.contains_key(&id) {
        let why = "it does not belong to the group: add it first";
        return Some((Code::NotFound, why.into()));
    }
    if !known.live.contains(&id) {
        return Some((Code::Unavailable, "it does not answer".into()));
    }
    if lag > LAG_MAX {
        let why = format!("it is {lag} entries behind; it may be at most {LAG_MAX}");
        return Some((Code::NotYet, why));
    }
    let there = known.voters.intersection(&known.live).count() + 1;
    let needed = majority(known.voters.len() + 1);
    (there < needed).then(|| {
        let why = format!("{there} voters would answer, and {needed} would be needed");
        (Code::State, why)
    })
}
