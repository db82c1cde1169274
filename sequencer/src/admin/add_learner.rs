//! AddLearner: it is sent everything from now on, and counts for nothing.
use super::voter;
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use openraft::{BasicNode, ChangeMembers};
use std::collections::BTreeMap;

/// Voters and learners: more make every cut slower, and no failure less likely.
const MEMBERS_MAX: usize = 9;

impl SequencerRole {
    pub(super) async fn add_learner(
        &self,
        asked: v1::AddLearner,
    ) -> Result<v1::LearnerAdded, Refusal> {
        let (id, address) = (asked.id, asked.address);
        let what = voter(id);
        self.seat_itself().await?;
        let known = self.settled(&what)?;
        let seat = self.leading(&what, |seen| Ok(seen.order.seats.get(&id).cloned()))?;
        let refused = |code, why: &str| Err(Refusal::new(code, what.clone(), why));
        match seat {
            None => {
                let why = "no sequencer was given that id";
                let advice = "Start one with `join = true` in its configuration: it asks for an id";
                return Err(Refusal::new(Code::NotFound, what.clone(), why).advice(advice));
            }
            Some(seat) if seat.is_empty() => {
                let why = "it was removed for good";
                let advice = "Empty its directory and start it again: it gets a new id";
                return Err(Refusal::new(Code::State, what.clone(), why).advice(advice));
            }
            Some(_) => {}
        }
        if known.addresses.contains_key(&id) {
            return refused(Code::Exists, "it belongs to the group already");
        }
        let mut members = known.addresses.iter();
        let same = members.find(|(_, at)| **at == address).map(|(id, _)| *id);
        if let Some(same) = same.filter(|same| known.live.contains(same)) {
            let why = format!("{} answers at {address}", voter(same));
            return refused(Code::Conflict, &why);
        }
        if address.is_empty() || known.addresses.len() >= MEMBERS_MAX {
            let why = format!("it has no address, or the group has {MEMBERS_MAX} members");
            return refused(Code::Invalid, &why);
        }
        let node = BTreeMap::from([(id, BasicNode::new(address))]);
        let change = ChangeMembers::AddNodes(node);
        let index = self.change(&what, &known, change).await?;
        Ok(v1::LearnerAdded { id, index })
    }
}
