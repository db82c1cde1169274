//! Demote: a voter becomes a learner, through joint consensus, if the others can go on without it.
use super::{Known, quorum, voter};
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use openraft::ChangeMembers;
use std::collections::BTreeSet;

impl SequencerRole {
    pub(super) async fn demote(&self, asked: v1::Demote) -> Result<v1::Demoted, Refusal> {
        let (id, what) = (asked.id, voter(asked.id));
        let known = self.settled(&what)?;
        if !known.voters.contains(&id) {
            let why = "it is no voter of the group";
            return Err(Refusal::new(Code::NotFound, what, why));
        }
        self.leave(&known, id, asked.force).await?;
        Ok(v1::Demoted { id })
    }

    /// Takes a voter's vote away.
    pub(super) async fn leave(&self, known: &Known, id: u64, force: bool) -> Result<(), Refusal> {
        let what = voter(id);
        if let Some(why) = quorum::objection(&known.voters, &known.live, id, force) {
            let advice = match known.voters.len() {
                1 => "Stop the cluster instead",
                2 => "Add another sequencer first, or say --force",
                _ => "Start the voters that do not answer, or remove those",
            };
            return Err(Refusal::new(Code::State, what, why).advice(advice));
        }
        if id == self.config().voter {
            self.move_leadership(0).await?;
            let why = "it led, and has handed that over";
            return Err(Refusal::new(Code::Moved, what, why).primary(self.leader_address()));
        }
        let change = ChangeMembers::RemoveVoters(BTreeSet::from([id]));
        self.change(&what, known, change).await.map(drop)
    }
}
