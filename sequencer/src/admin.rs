//! Who belongs to the group: asked of the sequencer, one operation in each file.
mod add_learner;
mod caught_up;
mod demote;
mod group_status;
mod move_leadership;
mod promote;
mod quorum;
mod remove_node;
mod remove_voter;
mod seat;
mod watch;

use crate::admin::group_status::View;
use crate::raft::{Group, LogId, Membership, Types};
use crate::role::SequencerRole;
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, Refusal, v1};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use openraft::{BasicNode, ChangeMembers, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A member of the group that has not answered for so long is not counted as there.
const LIVE_WITHIN: Duration = Duration::from_millis(600);

/// The group as the leader knows it, at one moment.
pub(crate) struct Known {
    /// Of the entry that made it so: a decision holds for this one only.
    at: Option<LogId>,
    joint: bool,
    voters: BTreeSet<u64>,
    addresses: BTreeMap<u64, String>,
    /// Members that have answered lately, this one included.
    live: BTreeSet<u64>,
    matched: BTreeMap<u64, u64>,
}

impl Known {
    fn of(group: &Group) -> Known {
        let metrics = group.metrics();
        let metrics = metrics.borrow_watched();
        let stored = &metrics.membership_config;
        let answered = metrics.heartbeat.iter().flatten();
        let live = answered.filter_map(|(id, at)| {
            let at = at.as_ref()?;
            (at.elapsed() < LIVE_WITHIN).then_some(*id)
        });
        let matched = metrics.replication.iter().flatten();
        let addresses = stored.nodes().map(|(id, node)| (*id, node.addr.clone()));
        Known {
            at: *stored.log_id(),
            joint: is_joint(stored.membership()),
            voters: stored.voter_ids().collect(),
            addresses: addresses.collect(),
            live: live.chain([metrics.id]).collect(),
            matched: matched
                .map(|(id, at)| (*id, at.map_or(0, |at| at.index)))
                .collect(),
        }
    }
}

fn voter(id: u64) -> String {
    format!("sequencer/{id}")
}

fn busy(what: &str) -> Refusal {
    Refusal::new(Code::Busy, what, "another change of the group is under way")
}

pub(crate) fn is_joint(membership: &Membership) -> bool {
    membership.get_joint_config().len() > 1
}

impl SequencerRole {
    pub(crate) async fn answer_admin(
        &self,
        request: v1::AdminRequest,
    ) -> Result<v1::AdminAnswer, Refusal> {
        let invalid = || Refusal::new(Code::Invalid, "administration", "it asks for nothing known");
        let answer = match request.op.ok_or_else(invalid)? {
            Op::GroupStatus(_) => Answer::GroupStatus(self.view().describe()),
            Op::Seat(asked) => Answer::Seated(self.seat(asked).await?),
            Op::AddLearner(asked) => Answer::LearnerAdded(self.add_learner(asked).await?),
            Op::Promote(asked) => Answer::Promoted(self.promote(asked.id).await?),
            Op::Demote(asked) => Answer::Demoted(self.demote(asked).await?),
            Op::RemoveVoter(asked) => Answer::VoterRemoved(self.remove_voter(asked).await?),
            Op::MoveLeadership(asked) => {
                Answer::LeadershipMoved(self.move_leadership(asked.to).await?)
            }
            Op::CaughtUp(asked) => Answer::CaughtUp(self.is_caught_up(asked).await?),
            Op::RemoveNode(asked) => Answer::NodeRemoved(self.remove_node(asked.node_id).await?),
        };
        Ok(v1::AdminAnswer {
            answer: Some(answer),
        })
    }

    pub(crate) fn view(&self) -> View {
        View {
            group: self.group().clone(),
            board: self.shared_board(),
            standing: self.standing(),
        }
    }

    fn known(&self) -> Known {
        Known::of(self.group())
    }

    /// The group, if this voter leads it and it is between no two lists of voters.
    fn settled(&self, what: &str) -> Result<Known, Refusal> {
        self.leading(what, |_| Ok(()))?;
        let known = self.known();
        match known.joint {
            true => Err(busy(what)),
            false => Ok(known),
        }
    }

    /// Changes the group as it was when this was decided, through joint consensus where voters change.
    /// Goes on when whoever asked has gone: half a change would be in everybody's way.
    async fn change(
        &self,
        what: &str,
        known: &Known,
        change: ChangeMembers<u64, BasicNode>,
    ) -> Result<u64, Refusal> {
        let (group, at) = (self.group().clone(), known.at);
        let changed = self
            .inside(async move {
                let only = Precondition::LastMembershipLogId {
                    last_membership_log_id: at,
                };
                // Whoever is no voter any more stays a learner: that is how it hears of it.
                Ok(group.change_membership_if(change, true, [only]).await)
            })
            .await?;
        let written = changed.map_err(|e| self.unchanged(what, e))?;
        Ok(written.log_id.index)
    }

    fn unchanged(&self, what: &str, e: RaftError<Types, ClientWriteError<Types>>) -> Refusal {
        use ChangeMembershipError as Change;
        match e {
            RaftError::APIError(ClientWriteError::PreconditionFailed(_)) => busy(what),
            RaftError::APIError(ClientWriteError::ChangeMembershipError(
                Change::InProgress(_) | Change::UncommittedLeaderLog(_),
            )) => busy(what),
            e => self.unwritten(what, e),
        }
    }
}
