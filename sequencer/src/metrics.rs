//! What a voter counts, and what it tells of itself in figures.
use crate::board::Seen;
use crate::raft::journal::WRITES_QUEUED;
use crate::role::{CALLERS_QUEUED, SequencerRole};
use dfs_rpc::metrics::Kind::{Counter, Gauge, Histogram};
use dfs_rpc::metrics::{Calls, Figure, Metric, Sample, Samples, place_of};
use dfs_wire::v1;

/// Places of the kinds in [`KINDS`].
pub(crate) const REGISTER: usize = place_of(KINDS, "register");
pub(crate) const KEEP_ALIVE: usize = place_of(KINDS, "keep_alive");
pub(crate) const OPEN_LANE: usize = place_of(KINDS, "open_lane");
pub(crate) const MOVE_LANE: usize = place_of(KINDS, "move_lane");
pub(crate) const UNIT: usize = place_of(KINDS, "unit");
pub(crate) const SUBSCRIBE: usize = place_of(KINDS, "subscribe");
pub(crate) const END: usize = place_of(KINDS, "end");
pub(crate) const ADMINISTER: usize = place_of(KINDS, "administer");
pub(crate) const CHANGE_HISTORY: usize = place_of(KINDS, "change_history");
pub(crate) const KINDS: &[&str] = &[
    "register",
    "keep_alive",
    "open_lane",
    "move_lane",
    "unit",
    "subscribe",
    "end",
    "administer",
    "change_history",
];

/// All that a voter can be, as `role` of `dfs_sequencer_role`.
const ROLES: [&str; 6] = [
    "leader",
    "follower",
    "candidate",
    "learner",
    "removed",
    "stopped",
];

pub(crate) fn calls() -> Calls {
    Calls::of(KINDS)
}

const VOTER: &[&str] = &["voter"];

/// Every figure of a voter.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::of("dfs_sequencer_requests_total", Counter, &["voter", "kind", "outcome"], "Requests by kind and outcome; a stream counts when it is opened."),
    Metric::of("dfs_sequencer_request_seconds", Histogram, &["voter", "kind"], "From request to answer; of a stream, to its opening."),
    Metric::of("dfs_sequencer_fsync_seconds", Histogram, VOTER, "Batches of the journal with their fdatasync: how many, how long."),
    Metric::of("dfs_sequencer_role", Gauge, &["voter", "role"], "1 for what it is now: leader, follower, candidate, learner, removed, stopped."),
    Metric::of("dfs_sequencer_term", Gauge, VOTER, "Raft's term."),
    Metric::of("dfs_sequencer_elections_total", Counter, VOTER, "Elections since the cluster was made, as far as this voter knows: each begins a term; absent until it knows of one."),
    Metric::of("dfs_sequencer_leader", Gauge, VOTER, "The voter that leads, as far as this one knows; 0: none."),
    Metric::of("dfs_sequencer_last_index", Gauge, VOTER, "The last entry of its journal."),
    Metric::of("dfs_sequencer_committed_index", Gauge, VOTER, "The last entry that most voters have."),
    Metric::of("dfs_sequencer_applied_index", Gauge, VOTER, "The last entry applied."),
    Metric::of("dfs_sequencer_purged_index", Gauge, VOTER, "The last entry that is only in a snapshot."),
    Metric::of("dfs_sequencer_follower_lag_entries", Gauge, &["voter", "follower"], "Entries that another voter does not have yet; told by the leader."),
    Metric::of("dfs_sequencer_queue_depth", Gauge, &["voter", "queue"], "What waits: callers of End, writes to the journal."),
    Metric::of("dfs_sequencer_queue_bound", Gauge, &["voter", "queue"], "How much of it may wait; past it, askers do."),
    Metric::of("dfs_sequencer_cuts_total", Counter, VOTER, "Cuts since the cluster was made."),
    Metric::of("dfs_sequencer_cuts_held", Gauge, VOTER, "Cuts that somebody may still ask for."),
    Metric::of("dfs_sequencer_next_lsn", Gauge, VOTER, "The first LSN that no record has yet."),
    Metric::of("dfs_sequencer_log_time_seconds", Gauge, VOTER, "Log time of the last cut, since 1970."),
    Metric::of("dfs_sequencer_voters", Gauge, &["voter", "state"], "Voters of the group: live, silent; told by the leader."),
    Metric::of("dfs_sequencer_stripes_open", Gauge, VOTER, "Stripes on which lanes are opened."),
    Metric::of("dfs_sequencer_stripes_short", Gauge, VOTER, "Open stripes over units of which one is away: fewer copies than wanted; told by the leader."),
    Metric::of("dfs_sequencer_stripes_weak", Gauge, VOTER, "Open stripes with fewer live units than an append needs: their lanes wait; told by the leader."),
    Metric::of("dfs_sequencer_runs_waiting", Gauge, VOTER, "Runs of closed stripes that wait for their units to come back."),
    Metric::of("dfs_sequencer_lanes_open", Gauge, VOTER, "Lanes that take records."),
    Metric::of("dfs_sequencer_halted", Gauge, VOTER, "1: the log was found to have gone back, and a person must look."),
    Metric::of("dfs_sequencer_members_gone", Gauge, VOTER, "Members that are silent and not removed; told by the leader."),
    Metric::of("dfs_sequencer_member_gone", Gauge, &["voter", "node"], "1: that member, which is not removed, is silent; told by the leader."),
    Metric::of("dfs_sequencer_units", Gauge, &["voter", "state"], "Log units that have not left for good: live, gone; told by the leader."),
    Metric::of("dfs_sequencer_replica_lag_records", Gauge, &["voter", "node"], "Records that a materializer has not folded yet, by its last beat; told by the leader."),
    Metric::of("dfs_sequencer_replica_lag_seconds", Gauge, &["voter", "node"], "Log time since the first cut that it has not folded whole, as far as cuts are held; told by the leader."),
];

const QUEUE: (&str, &str) = ("dfs_sequencer_queue_depth", "dfs_sequencer_queue_bound");

impl SequencerRole {
    /// Term, vote, leader, and how far everybody is: what `/raft` shows.
    pub fn group_status(&self) -> v1::GroupStatus {
        self.view().describe()
    }

    /// All its figures as they are now.
    pub fn samples(&self) -> Vec<Sample> {
        let status = self.group_status();
        let (journal, calls, ends) = self.counts();
        let mut samples = Samples::of("voter", status.voter);
        let (total, seconds) = (
            "dfs_sequencer_requests_total",
            "dfs_sequencer_request_seconds",
        );
        calls.sample(total, seconds, &mut samples);
        let syncs = Figure::Spread(journal.syncs.read());
        samples.add("dfs_sequencer_fsync_seconds", &[], syncs);
        samples.queue(QUEUE, "end_callers", (ends, CALLERS_QUEUED));
        samples.queue(QUEUE, "journal_writes", (journal.queued(), WRITES_QUEUED));
        group(&status, &mut samples);
        let leads = status.role == "leader";
        self.shared_board()
            .with(|seen| order(seen, leads, &mut samples));
        samples.all
    }
}

fn group(status: &v1::GroupStatus, samples: &mut Samples) {
    for role in ROLES {
        let is = f64::from(u8::from(role == status.role));
        samples.add("dfs_sequencer_role", &[("role", role)], Figure::Level(is));
    }
    samples.level("dfs_sequencer_term", status.term);
    // A new voter learns of all of them at once: no counter may be seen to grow by that.
    if status.term > 0 {
        samples.count("dfs_sequencer_elections_total", status.term);
    }
    samples.level("dfs_sequencer_leader", status.leader);
    samples.level("dfs_sequencer_last_index", status.last_index);
    samples.level("dfs_sequencer_committed_index", status.committed_index);
    samples.level("dfs_sequencer_applied_index", status.applied_index);
    samples.level("dfs_sequencer_purged_index", status.purged_index);
    if status.role != "leader" {
        return;
    }
    let voters = || status.group.iter().filter(|member| member.is_voter);
    let live = voters().filter(|m| m.live || m.id == status.voter).count();
    for (state, voters) in [("live", live), ("silent", voters().count() - live)] {
        let voters = Figure::Level(voters as f64);
        samples.add("dfs_sequencer_voters", &[("state", state)], voters);
    }
    for member in status.group.iter().filter(|m| m.id != status.voter) {
        let lag = status.last_index.saturating_sub(member.matched_index);
        let follower = member.id.to_string();
        let labels = [("follower", follower.as_str())];
        let lag = Figure::Level(lag as f64);
        samples.add("dfs_sequencer_follower_lag_entries", &labels, lag);
    }
}

fn order(seen: &Seen, leads: bool, samples: &mut Samples) {
    let order = &seen.order;
    samples.count("dfs_sequencer_cuts_total", order.cut_seq);
    samples.level("dfs_sequencer_cuts_held", order.cuts.len() as u64);
    samples.level("dfs_sequencer_next_lsn", order.next_lsn);
    let log_time = Figure::Level(order.log_time_us as f64 / 1e6);
    samples.add("dfs_sequencer_log_time_seconds", &[], log_time);
    let open = order.lanes.values().filter(|lane| !lane.sealed).count();
    samples.level("dfs_sequencer_lanes_open", open as u64);
    let open = order.stripes.values().filter(|stripe| !stripe.closed);
    samples.level("dfs_sequencer_stripes_open", open.count() as u64);
    let waiting = order.waiting_runs() as u64;
    samples.level("dfs_sequencer_runs_waiting", waiting);
    let halted = u64::from(seen.went_back.is_some());
    samples.level("dfs_sequencer_halted", halted);
    if !leads {
        return;
    }
    stripes(seen, samples);
    let members = seen.members();
    silent(&members.members, samples);
    let known = || {
        members
            .units
            .iter()
            .filter(|unit| unit.state() != v1::UnitState::Dead)
    };
    let live = known().filter(|unit| unit.live).count();
    for (state, units) in [("live", live), ("gone", known().count() - live)] {
        let units = Figure::Level(units as f64);
        samples.add("dfs_sequencer_units", &[("state", state)], units);
    }
    let materializers = members.members.iter().filter(|m| {
        let folds = m.roles.iter().any(|role| role == "materializer");
        folds && !m.removed
    });
    for member in materializers {
        replica(seen, member, samples);
    }
}

fn silent(members: &[v1::Member], samples: &mut Samples) {
    let (mut all, members) = (0, members.iter().filter(|member| !member.removed));
    for member in members {
        all += u64::from(member.gone);
        let node = member.node_id.to_string();
        let gone = Figure::Level(f64::from(u8::from(member.gone)));
        samples.add("dfs_sequencer_member_gone", &[("node", &node)], gone);
    }
    samples.level("dfs_sequencer_members_gone", all);
}

/// Open ones: closed stripes are copied by themselves, or wait as runs.
fn stripes(seen: &Seen, samples: &mut Samples) {
    let (sight, mut short, mut weak) = (seen.sight(), 0, 0);
    for stripe in seen.order.stripes.values().filter(|stripe| !stripe.closed) {
        let live = stripe.units.iter().filter(|unit| sight.is_there(**unit));
        let live = live.count();
        short += u64::from(live < stripe.units.len());
        weak += u64::from(live < stripe.write_quorum as usize);
    }
    samples.level("dfs_sequencer_stripes_short", short);
    samples.level("dfs_sequencer_stripes_weak", weak);
}

fn replica(seen: &Seen, member: &v1::Member, samples: &mut Samples) {
    let order = &seen.order;
    let behind = (order.next_lsn.saturating_sub(1)).saturating_sub(member.applied_lsn);
    let missing = order.cuts.iter().find(|cut| {
        let records: u64 = cut.lanes.iter().map(|l| l.to_idx - l.from_idx).sum();
        cut.first_lsn + records > member.applied_lsn + 1
    });
    let since = missing.filter(|_| behind > 0).map(|cut| cut.log_time_us);
    let seconds = since.map_or(0, |us| order.log_time_us.saturating_sub(us)) as f64 / 1e6;
    let node = member.node_id.to_string();
    let labels = [("node", node.as_str())];
    let records = Figure::Level(behind as f64);
    samples.add("dfs_sequencer_replica_lag_records", &labels, records);
    let seconds = Figure::Level(seconds);
    samples.add("dfs_sequencer_replica_lag_seconds", &labels, seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, samples: &Samples) -> Vec<Sample> {
        let all = samples.all.iter().filter(|sample| sample.name == name);
        all.cloned().collect()
    }

    #[test]
    fn a_voter_that_knows_of_no_election_counts_none() {
        let elections = |term| {
            let mut samples = Samples::of("voter", 4);
            let status = v1::GroupStatus {
                term,
                ..Default::default()
            };
            group(&status, &mut samples);
            told("dfs_sequencer_elections_total", &samples).len()
        };
        assert_eq!((elections(0), elections(57)), (0, 1));
    }

    #[test]
    fn members_that_are_silent_are_told_by_name_unless_removed() {
        let member = |node_id, gone, removed| v1::Member {
            node_id,
            gone,
            removed,
            ..Default::default()
        };
        let members = [
            member(4, false, false),
            member(5, true, false),
            member(6, true, true),
        ];
        let mut samples = Samples::of("voter", 1);
        silent(&members, &mut samples);
        let named = told("dfs_sequencer_member_gone", &samples);
        assert_eq!(named.len(), 2);
        for (sample, (node, gone)) in named.iter().zip([("4", 0.0), ("5", 1.0)]) {
            assert_eq!(sample.labels[1], ("node", node.to_string()));
            assert!(matches!(sample.figure, Figure::Level(level) if level == gone));
        }
        let all = told("dfs_sequencer_members_gone", &samples);
        assert!(matches!(all[0].figure, Figure::Level(1.0)));
    }
}
