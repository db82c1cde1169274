//! MoveLeadership: another voter leads from now on, without anybody having to notice a loss.
use super::voter;
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    pub(super) async fn move_leadership(&self, to: u64) -> Result<v1::LeadershipMoved, Refusal> {
        let from = self.config().voter;
        let what = match to {
            0 => "leadership".to_owned(),
            to => voter(to),
        };
        let known = self.settled(&what)?;
        if to == from {
            return Ok(v1::LeadershipMoved { from, to });
        }
        if to != 0 && !known.voters.contains(&to) {
            let (code, why) = match known.addresses.contains_key(&to) {
                true => (Code::State, "it is a learner: promote it first"),
                false => (Code::NotFound, "there is no such voter"),
            };
            return Err(Refusal::new(code, what, why));
        }
        if to != 0 && !known.live.contains(&to) {
            return Err(Refusal::new(Code::Unavailable, what, "it does not answer"));
        }
        if known.voters.len() < 2 {
            let why = "there is no other voter";
            return Err(Refusal::new(Code::State, what, why));
        }
        self.hand_over_to(to).await;
        if self.leads() {
            return Err(Refusal::new(
                Code::Unavailable,
                what,
                "nobody took it in time",
            ));
        }
        let to = self.leader().unwrap_or(to);
        Ok(v1::LeadershipMoved { from, to })
    }
}
