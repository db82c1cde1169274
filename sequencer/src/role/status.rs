//! SequencerStatus: what this voter sees.
use super::SequencerRole;
use dfs_wire::v1;
use openraft::async_runtime::WatchReceiver;

/// A unit that is behind the cut and has said nothing of the lane for this long stays out of it.
const LAG_QUIET_US: u64 = 1_000_000;

impl SequencerRole {
    pub(super) fn describe(&self) -> v1::SequencerStatusAnswer {
        let role = self.view().role_name();
        let metrics = self.group.metrics();
        let metrics = metrics.borrow_watched();
        let now_us = self.board.now_us();
        self.board.with(|seen| v1::SequencerStatusAnswer {
            cluster_id: seen.order.cluster_id.clone().into(),
            node_id: self.config.voter,
            role: role.into(),
            term: metrics.current_term,
            leader: metrics.current_leader.unwrap_or(0),
            raft_last_index: metrics.last_log_index.unwrap_or(0),
            raft_applied_index: metrics.last_applied.map_or(0, |id| id.index),
            next_lsn: seen.order.next_lsn,
            cut_seq: seen.order.cut_seq,
            log_time_us: seen.order.log_time_us,
            cuts_held: seen.order.cuts.len() as u64,
            lanes: seen.order.lane_states(),
            stripes: seen.order.stripe_states(),
            members: Some(seen.members()),
            leader_address: self.leader_address(),
            voter_addresses: self.voter_addresses(),
            voters_index: self.voters_index(),
            halted: seen
                .went_back
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            history: Some(seen.order.history_answer()),
            lagging: seen.holdings.lagging(&seen.order, now_us, LAG_QUIET_US),
        })
    }
}
