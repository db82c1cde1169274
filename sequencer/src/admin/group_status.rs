//! GroupStatus: term, vote, leader, members and how far each of them is.
use super::Known;
use crate::board::{Board, Seen};
use crate::raft::standing::Standing;
use crate::raft::{Group, LogId};
use dfs_wire::v1;
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What this voter sees, for as long as somebody watches.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) group: Group,
    pub(super) board: Arc<Board>,
    pub(super) standing: Arc<Standing>,
}

impl View {
    pub(crate) fn leads(&self) -> bool {
        self.board.with(|seen| seen.leads)
    }

    pub(crate) fn role_name(&self) -> &'static str {
        let metrics = self.group.metrics();
        let metrics = metrics.borrow_watched();
        match metrics.state {
            _ if metrics.running_state.is_err() => "stopped",
            _ if self.standing.is_removed() => "removed",
            ServerState::Leader if self.leads() => "leader",
            // It cannot assert its leadership: perhaps there is another by now.
            ServerState::Leader => "candidate",
            ServerState::Follower => "follower",
            ServerState::Candidate => "candidate",
            ServerState::Learner => "learner",
            ServerState::Shutdown => "stopped",
        }
    }

    pub(crate) fn describe(&self) -> v1::GroupStatus {
        let role = self.role_name();
        let known = Known::of(&self.group);
        let mut applied = self.standing.applied().borrow().clone();
        let metrics = self.group.metrics();
        let metrics = metrics.borrow_watched();
        let index = |at: Option<LogId>| at.map_or(0, |at| at.index);
        applied.insert(metrics.id, index(metrics.last_applied));
        let leads = role == "leader";
        let committed = index(metrics.cluster_committed).max(index(metrics.local_committed));
        self.board.with(|seen| v1::GroupStatus {
            cluster_id: seen.order.cluster_id.clone().into(),
            voter: metrics.id,
            role: role.into(),
            term: metrics.current_term,
            vote_term: metrics.vote.leader_id.term,
            voted_for: metrics.vote.leader_id.node_id,
            leader: metrics.current_leader.unwrap_or(0),
            last_index: metrics.last_log_index.unwrap_or(0),
            committed_index: committed,
            applied_index: index(metrics.last_applied),
            snapshot_index: index(metrics.snapshot),
            purged_index: index(metrics.purged),
            joint: known.joint,
            group: known.members(seen, leads, metrics.current_leader, &applied),
            next_lsn: seen.order.next_lsn,
            members: Some(seen.members()),
        })
    }
}

impl Known {
    fn members(
        &self,
        seen: &Seen,
        told: bool,
        leader: Option<u64>,
        applied: &BTreeMap<u64, u64>,
    ) -> Vec<v1::GroupMember> {
        let far = |of: &BTreeMap<u64, u64>, id: &u64| match told {
            true => of.get(id).copied().unwrap_or(0),
            false => 0,
        };
        let member = |(id, address): (&u64, &String)| v1::GroupMember {
            id: *id,
            address: address.clone(),
            is_voter: self.voters.contains(id),
            leads: leader == Some(*id),
            live: told && self.live.contains(id),
            matched_index: far(&self.matched, id),
            applied_index: far(applied, id),
            node_id: node_at(seen, address),
        };
        self.addresses.iter().map(member).collect()
    }
}

fn node_at(seen: &Seen, address: &str) -> u64 {
    let mut members = seen.order.members.iter().rev();
    let found = members.find(|(_, member)| member.address == address);
    found.map_or(0, |(id, _)| *id)
}
