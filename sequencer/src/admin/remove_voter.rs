//! RemoveVoter: out of the group for good (Q9). First without a vote, then without a word.
use super::voter;
use crate::order::command::{Kind, UnseatVoter};
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use openraft::ChangeMembers;
use std::collections::BTreeSet;
use std::time::Duration;

/// Whoever uses the cluster asks its leader every 100 ms, or every 500 ms where there is one sequencer,
/// whether there are others: by then they all know those that stay.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

impl SequencerRole {
    /// Each step is done once; asked again, it goes on where it ended.
    pub(super) async fn remove_voter(
        &self,
        asked: v1::RemoveVoter,
    ) -> Result<v1::VoterRemoved, Refusal> {
        let (id, what) = (asked.id, voter(asked.id));
        let mut known = self.settled(&what)?;
        let seat = self.leading(&what, |seen| Ok(seen.order.seats.get(&id).cloned()))?;
        if !known.addresses.contains_key(&id) && seat.as_ref().is_none_or(Vec::is_empty) {
            let why = match seat {
                None => "there is no such member of the group",
                Some(_) => "it was removed already",
            };
            return Err(Refusal::new(Code::NotFound, what, why));
        }
        if known.voters.contains(&id) {
            self.env().sleep(HEARD_WITHIN).await;
            known = self.settled(&what)?;
        }
        if known.voters.contains(&id) {
            self.leave(&known, id, asked.force).await?;
            known = self.settled(&what)?;
        }
        if known.addresses.contains_key(&id) {
            let change = ChangeMembers::RemoveNodes(BTreeSet::from([id]));
            self.change(&what, &known, change).await?;
        }
        let unseat = Kind::UnseatVoter(UnseatVoter { voter: id });
        self.propose(&what, unseat).await?;
        Ok(v1::VoterRemoved { id })
    }
}
