//! What the loop does of itself, at every turn: deadlines, leases, replicas, groups, its own lane.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dfs_wire::{Refusal, v1};
use futures::FutureExt;
use tokio::time::Instant;

use super::config::{SHARD, STALL};
use super::open::view_failed;
use super::ops::{Arrival, By, OpId, Work};
use super::placing::{self, Units};
use super::sessions::{Due, Now};
use super::shard::{Gives, Office, Shard};
use crate::plan::{Retention, Ticket, next_floor};
use crate::state;

/// A unit that restarts is away for less; its groups need not be closed for that.
const BROKEN_MAX: Duration = Duration::from_secs(3);
/// Groups are looked at when Members change, and this often.
const GROUPS_EVERY: Duration = Duration::from_secs(1);
/// Between the end of a term and giving up on its records.
const ORPHANS_MAX: Duration = Duration::from_secs(1);
/// Retention is counted in minutes and days.
const FLOOR_EVERY: Duration = Duration::from_secs(1);
/// FOLD-C2: beyond this somebody should look at a clock.
const CLOCKS_APART_MAX_US: u64 = 300_000_000;
/// FOLD-C1: an idle log with sessions to expire is ticked no more often.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// What is on its way, so that it is not begun twice; and since when things are as they are.
pub(crate) struct Upkeep {
    pub(crate) claiming: bool,
    pub(crate) probing: bool,
    /// The plan of a group that is about to be open.
    pub(crate) opening: Option<Ticket>,
    changing_replicas: bool,
    closing: Vec<u64>,
    broken_since: BTreeMap<u64, Instant>,
    groups_seen: Option<(Arc<v1::Members>, Instant)>,
    pub(crate) tick: Option<OpId>,
    ticked: Option<Instant>,
    moving_floor: bool,
    floor_seen: Option<Instant>,
    told_of_clocks: bool,
    last_turn: Instant,
}

impl Upkeep {
    pub(crate) fn new(now: Instant) -> Upkeep {
        Upkeep {
            claiming: false,
            probing: false,
            opening: None,
            changing_replicas: false,
            closing: Vec::new(),
            broken_since: BTreeMap::new(),
            groups_seen: None,
            tick: None,
            ticked: None,
            moving_floor: false,
            floor_seen: None,
            told_of_clocks: false,
            last_turn: now,
        }
    }

    pub(crate) fn landed(&mut self, ticket: Ticket) {
        if self.opening == Some(ticket) {
            self.opening = None;
        }
    }

    pub(crate) fn finished(&mut self, work: &Work) {
        match work {
            Work::AddReplica(_) | Work::RemoveReplica(_) => self.changing_replicas = false,
            Work::MoveFloor(_) => self.moving_floor = false,
            Work::CloseGroup(group) => self.closing.retain(|closing| closing != group),
            _ => {}
        }
    }

    /// The term is over.
    pub(crate) fn leave(&mut self) {
        let (claiming, probing) = (self.claiming, self.probing);
        *self = Upkeep {
            claiming,
            probing,
            ..Upkeep::new(self.last_turn)
        };
    }
}

impl Shard {
    pub(crate) fn turn(&mut self) -> Result<(), Refusal> {
        let now = self.hub.env.now();
        self.expire_ops(now);
        self.held = false; // the window may open a little after the fold
        let stalled = now.saturating_duration_since(self.upkeep.last_turn) > STALL;
        // While the log stands still the window fills, and renewals wait behind it: nobody's silence.
        let stalled = stalled || self.log_stands_still(now);
        self.upkeep.last_turn = now;
        if self
            .orphans
            .as_ref()
            .is_some_and(|orphans| now - orphans.since > ORPHANS_MAX)
        {
            self.give_up_orphans();
        }
        if let Some(why) = self.lane_failure() {
            self.lose_lane(&why);
        }
        match &self.office {
            Office::Replica => self.consider_claim()?,
            Office::Candidate(..) => {}
            Office::Primary(_) if self.is_stopping() => {}
            // Nobody's silence either: renewals wait for the verdict.
            Office::Primary(_) if self.is_in_doubt() => self.restart_leases(now),
            Office::Primary(_) => {
                self.suspect_own_lane(now)?;
                self.tend_sessions(now, stalled);
                self.tend_replicas()?;
                self.tend_groups(now)?;
                self.tend_floor(now)?;
                self.tend_snapshots(now)?;
            }
        }
        if self.has_caught_up() {
            self.judge_digests()?;
            self.tell_digest()?;
        }
        self.stand();
        Ok(())
    }

    fn restart_leases(&mut self, now: Instant) {
        let log_time_us = self.folder.snapshot().stamp.log_time_us;
        self.sessions.restart_leases(Now {
            own: now,
            log_time_us,
        });
    }

    fn log_stands_still(&self, now: Instant) -> bool {
        let Office::Primary(primary) = &self.office else {
            return false;
        };
        let first = primary.in_flight.front();
        first.is_some_and(|first| now.saturating_duration_since(first.since) > STALL)
    }

    /// Cuts are learnt from the fold; that a lane is lost only its tickets tell.
    fn lane_failure(&mut self) -> Option<Refusal> {
        let cut = match &mut self.office {
            Office::Replica => None,
            Office::Candidate(_, cut) => Some(cut),
            Office::Primary(primary) => primary.in_flight.front_mut().map(|first| &mut first.cut),
        };
        cut?.now_or_never()?.err()
    }

    fn submit(&mut self, work: Work) {
        let id = self.ops.add(Arrival {
            work,
            by: By::default(),
            waiter: None,
        });
        self.queue.push_back(id);
    }

    /// FOLD-S1, C1, C2.
    fn tend_sessions(&mut self, now: Instant, stalled: bool) {
        let Office::Primary(primary) = &self.office else {
            return;
        };
        let lease = Duration::from_micros(primary.settings.lease_us);
        let log_time_us = self.folder.snapshot().stamp.log_time_us;
        let now = Now {
            own: now,
            log_time_us,
        };
        if stalled {
            self.sessions.restart_leases(now);
        }
        let ticked = self.upkeep.ticked;
        let mut may_tick = ticked.is_none_or(|ticked| now.own - ticked >= TICK_EVERY);
        for due in self.sessions.due(now, lease) {
            match due {
                Due::Expire(session) => {
                    self.sessions.set_ending(session, true);
                    self.submit(Work::Expire(session));
                }
                Due::Tick if may_tick => {
                    may_tick = false;
                    self.upkeep.ticked = Some(now.own);
                    self.tick(Arrival {
                        work: Work::Tick,
                        by: By::default(),
                        waiter: None,
                    });
                }
                Due::Tick => {}
            }
        }
    }

    /// FOLD-B3, C2: what retention no longer asks for is let go of, by log time and by the own clock.
    fn tend_floor(&mut self, now: Instant) -> Result<(), Refusal> {
        let Office::Primary(primary) = &self.office else {
            return Ok(());
        };
        let seen = self.upkeep.floor_seen;
        let is_time = seen.is_none_or(|seen| now - seen >= FLOOR_EVERY);
        if self.upkeep.moving_floor || !is_time {
            return Ok(());
        }
        self.upkeep.floor_seen = Some(now);
        let retention = Retention {
            time_us: primary.settings.retention_us,
            bytes: primary.settings.retention_bytes,
        };
        let folded = self.folder.snapshot();
        let (log_us, own_us) = (folded.stamp.log_time_us, self.hub.env.wall_us());
        if log_us > own_us.saturating_add(CLOCKS_APART_MAX_US) && !self.upkeep.told_of_clocks {
            self.upkeep.told_of_clocks = true;
            let ahead_s = (log_us - own_us) / 1_000_000;
            tracing::error!(
                ahead_s,
                "move the floor: log time is far ahead of the own clock"
            );
        }
        if let Some(lsn) = next_floor(folded, retention, log_us.min(own_us))? {
            self.upkeep.moving_floor = true;
            self.submit(Work::MoveFloor(lsn));
        }
        Ok(())
    }

    /// FOLD-T0: who has left the cluster for good leaves the set; then every registered materializer
    /// comes in, up to the setting, or those above it leave.
    fn tend_replicas(&mut self) -> Result<(), Refusal> {
        let Office::Primary(primary) = &self.office else {
            return Ok(());
        };
        if self.upkeep.changing_replicas {
            return Ok(());
        }
        let wanted = primary.settings.replicas as usize;
        let replicas = state::replicas(self.folder.snapshot(), SHARD).map_err(view_failed)?;
        let members = self.hub.members();
        if let Some(work) = next_change(&replicas, wanted, self.hub.owner.node_id, &members) {
            self.upkeep.changing_replicas = true;
            self.submit(work);
        }
        Ok(())
    }

    /// FOLD-B0: broken groups are closed, under-replicated ones when whole ones are possible again.
    fn tend_groups(&mut self, now: Instant) -> Result<(), Refusal> {
        let members = self.hub.members();
        if let Some((seen, at)) = &self.upkeep.groups_seen
            && Arc::ptr_eq(seen, &members)
            && now - *at < GROUPS_EVERY
        {
            return Ok(());
        }
        self.upkeep.groups_seen = Some((members.clone(), now));
        let units = Units::new(&members);
        let mut groups = state::groups(self.folder.snapshot()).map_err(view_failed)?;
        groups.retain(|group| !group.closed);
        for group in &groups {
            if self.should_close(group, &groups, &units, now) {
                self.upkeep.closing.push(group.group);
                self.submit(Work::CloseGroup(group.group));
            }
        }
        let broken = |id: &u64| groups.iter().any(|group| group.group == *id);
        self.upkeep.broken_since.retain(|id, _| broken(id));
        Ok(())
    }

    fn should_close(
        &mut self,
        group: &v1::Group,
        open: &[v1::Group],
        units: &Units<'_>,
        now: Instant,
    ) -> bool {
        if self.upkeep.closing.contains(&group.group) {
            return false;
        }
        if units.is_broken(group) {
            let since = *self.upkeep.broken_since.entry(group.group).or_insert(now);
            return units.is_dead(group) || now - since >= BROKEN_MAX;
        }
        self.upkeep.broken_since.remove(&group.group);
        let Some(rule) = group.redundancy else {
            return false;
        };
        // Only once a whole group stands beside it, so that writers always have one.
        let is_better = |other: &&v1::Group| !other.under_replicated && !units.is_broken(other);
        let mut same = open.iter().filter(|other| other.redundancy == Some(rule));
        group.under_replicated && same.any(|other| is_better(&other))
    }

    /// FOLD-B0: offers open groups; opens one when there is none, and more when there are few.
    pub(crate) fn place(&mut self, id: OpId, place: &v1::Place) -> Result<(), Refusal> {
        let Office::Primary(primary) = &self.office else {
            return Ok(());
        };
        let Some(rule) = place.redundancy.or(primary.settings.redundancy) else {
            let why = "neither the request nor the cluster names a redundancy";
            self.finish(
                id,
                Err(Refusal::new(dfs_wire::Code::Invalid, "placement", why)),
            );
            return Ok(());
        };
        let members = self.hub.members();
        let units = Units::new(&members);
        let groups = state::groups(self.folder.snapshot()).map_err(view_failed)?;
        let usable = placing::offered(&groups, &rule, &units, &place.failed_groups);
        let opening = self.upkeep.opening;
        let more = opening.is_none() && placing::wants_more(&usable, &rule, &units);
        let has_whole = usable.iter().any(|group| !group.under_replicated);
        if !usable.is_empty() && (has_whole || !more) {
            if more && let Ok(group) = placing::new_group(&groups, &rule, &units) {
                self.submit(Work::OpenGroup(group));
            }
            let units = units.of(&usable);
            self.finish_now(
                id,
                super::streams::Body::Placement(v1::Placement {
                    groups: usable,
                    units,
                }),
            );
            return Ok(());
        }
        if let Some(opening) = opening {
            self.blocked.entry(opening).or_default().push(id);
            return Ok(());
        }
        match placing::new_group(&groups, &rule, &units) {
            Ok(group) => self.open_group(id, group, Gives::Again),
            Err(refusal) => {
                self.finish(id, Err(refusal));
                Ok(())
            }
        }
    }
}

/// Pure: one at a time. The primary itself stays until another has its place.
pub(crate) fn next_change(
    replicas: &[u64],
    wanted: usize,
    primary: u64,
    members: &v1::Members,
) -> Option<Work> {
    let has_left = |node: &&u64| {
        let mut all = members.members.iter();
        **node != primary && all.any(|member| member.node_id == **node && member.removed)
    };
    if let Some(node) = replicas.iter().find(has_left) {
        return Some(Work::RemoveReplica(*node));
    }
    if replicas.len() > wanted {
        let is_gone = |node: &&u64| {
            members
                .members
                .iter()
                .any(|m| m.node_id == **node && m.gone)
        };
        let mut others = replicas.iter().filter(|node| **node != primary);
        let gone = others.clone().find(is_gone);
        return gone
            .or_else(|| others.next_back())
            .map(|node| Work::RemoveReplica(*node));
    }
    let is_new = |member: &&v1::Member| {
        !member.gone
            && !member.removed
            && member.roles.iter().any(|role| role == "materializer")
            && !replicas.contains(&member.node_id)
    };
    let new = members.members.iter().find(is_new);
    let new = new.filter(|_| replicas.len() < wanted);
    new.map(|member| Work::AddReplica(member.node_id))
}
