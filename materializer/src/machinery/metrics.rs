//! What a materializer counts, and what it tells of itself in figures.
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::metrics::Kind::{Counter, Gauge, Histogram};
use dfs_rpc::metrics::{Calls, Figure, Metric, Sample, Samples, Spread, Tally, place_of};
use dfs_wire::v1::request::Op as Asked;
use dfs_wire::v1::view::View as Wanted;
use dfs_wire::{Code, v1};
use tokio::time::Instant;

use super::config::{ARRIVALS_MAX, COMMANDS_MAX, IN_FLIGHT_MAX, QUEUE_FULL, REQUESTS_MAX};
use super::hub::Hub;
use super::role::MaterializerRole;

const KINDS: &[&str] = &[
    "other",
    "stat",
    "list",
    "resolve",
    "groups",
    "digest",
    "settings",
    "setting_history",
    "open_session",
    "keep_session",
    "close_session",
    "place",
    "take_snapshot",
    "make_directory",
    "commit",
    "make_symlink",
    "remove",
    "rename",
    "set_attr",
    "append",
    "truncate",
    "copy",
    "link",
    "set_settings",
    "set_xattr",
    "set_acl",
];
const CONSISTENCIES: [&str; 4] = ["linearizable", "at_least", "bounded", "past"];
const ROLES: [&str; 3] = ["primary", "replica", "catching up"];

#[derive(Debug)]
pub(crate) struct Metrics {
    calls: Calls,
    /// By consistency.
    reads: [Spread; CONSISTENCIES.len()],
    fold_records: Spread,
    fold_commits: Spread,
    frames: Tally,
    void_frames: Tally,
    pub(crate) bytes: Tally,
    digests_checked: Tally,
    digests_differ: Tally,
    /// Levels that only the shard loop knows.
    pub(crate) queued: Tally,
    pub(crate) in_flight: Tally,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            calls: Calls::of(KINDS),
            reads: std::array::from_fn(|_| Spread::durations()),
            fold_records: Spread::sizes(),
            fold_commits: Spread::durations(),
            frames: Tally::default(),
            void_frames: Tally::default(),
            bytes: Tally::default(),
            digests_checked: Tally::default(),
            digests_differ: Tally::default(),
            queued: Tally::default(),
            in_flight: Tally::default(),
        }
    }
}

/// What a request is counted as, from its arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    kind: usize,
    consistency: Option<usize>,
    since: Instant,
}

impl Counted {
    pub(crate) fn of(request: &v1::Request, since: Instant) -> Counted {
        let kind = request
            .op
            .as_ref()
            .map_or(const { place_of(KINDS, "other") }, kind_of);
        let view = match &request.op {
            Some(Asked::Stat(read)) => Some(read.view),
            Some(Asked::List(read)) => Some(read.view),
            Some(Asked::Resolve(read)) => Some(read.view),
            Some(Asked::Settings(read)) => Some(read.view),
            Some(Asked::SettingHistory(read)) => Some(read.view),
            _ => None,
        };
        Counted {
            kind,
            consistency: view.map(|view| consistency(view.unwrap_or_default())),
            since,
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        KINDS.get(self.kind).copied().unwrap_or("other")
    }
}

fn consistency(view: v1::View) -> usize {
    match view.view {
        None | Some(Wanted::Linearizable(_)) => 0,
        Some(Wanted::AtLeastLsn(_)) => 1,
        Some(Wanted::BoundedUs(_)) => 2,
        Some(Wanted::AtLsn(_) | Wanted::AtTimeUs(_) | Wanted::AgoUs(_)) => 3,
    }
}

fn kind_of(asked: &Asked) -> usize {
    use v1::mutate::Op;
    match asked {
        Asked::Stat(_) => const { place_of(KINDS, "stat") },
        Asked::List(_) => const { place_of(KINDS, "list") },
        Asked::Resolve(_) => const { place_of(KINDS, "resolve") },
        Asked::Groups(_) => const { place_of(KINDS, "groups") },
        Asked::Digest(_) => const { place_of(KINDS, "digest") },
        Asked::Settings(_) => const { place_of(KINDS, "settings") },
        Asked::SettingHistory(_) => const { place_of(KINDS, "setting_history") },
        Asked::OpenSession(_) => const { place_of(KINDS, "open_session") },
        Asked::KeepSession(_) => const { place_of(KINDS, "keep_session") },
        Asked::CloseSession(_) => const { place_of(KINDS, "close_session") },
        Asked::Place(_) => const { place_of(KINDS, "place") },
        Asked::TakeSnapshot(_) => const { place_of(KINDS, "take_snapshot") },
        Asked::Mutate(mutate) => match &mutate.op {
            Some(Op::MakeDirectory(_)) => const { place_of(KINDS, "make_directory") },
            Some(Op::Commit(_)) => const { place_of(KINDS, "commit") },
            Some(Op::MakeSymlink(_)) => const { place_of(KINDS, "make_symlink") },
            Some(Op::Remove(_)) => const { place_of(KINDS, "remove") },
            Some(Op::Rename(_)) => const { place_of(KINDS, "rename") },
            Some(Op::SetAttr(_)) => const { place_of(KINDS, "set_attr") },
            Some(Op::Append(_)) => const { place_of(KINDS, "append") },
            Some(Op::Truncate(_)) => const { place_of(KINDS, "truncate") },
            Some(Op::Copy(_)) => const { place_of(KINDS, "copy") },
            Some(Op::Link(_)) => const { place_of(KINDS, "link") },
            Some(Op::SetSettings(_)) => const { place_of(KINDS, "set_settings") },
            Some(Op::SetXattr(_)) => const { place_of(KINDS, "set_xattr") },
            Some(Op::SetAcl(_)) => const { place_of(KINDS, "set_acl") },
            _ => const { place_of(KINDS, "other") },
        },
        #[allow(
            unreachable_patterns,
            reason = "a kind that is new is counted as other"
        )]
        _ => const { place_of(KINDS, "other") },
    }
}

impl Metrics {
    /// A batch went to the store: its records, its frames, and how many of those were void.
    pub(crate) fn committed(&self, took: Duration, records: u64, frames: (usize, usize)) {
        self.fold_commits.took(took);
        self.fold_records.note(records);
        self.frames.add(frames.0 as u64);
        self.void_frames.add(frames.1 as u64);
    }

    /// A replica's digest with the own state.
    pub(crate) fn compared(&self, equal: bool) {
        self.digests_checked.add(1);
        self.digests_differ.add(u64::from(!equal));
    }

    pub(crate) fn answered(&self, env: &Env, counted: Counted, body: Option<&v1::answer::Body>) {
        let took = env.now().saturating_duration_since(counted.since);
        let refused = match body {
            Some(v1::answer::Body::Refusal(refusal)) => {
                Some(Code::try_from(refusal.code).unwrap_or(Code::Unspecified))
            }
            _ => None,
        };
        self.calls.ended(counted.kind, took, refused);
        if let Some(consistency) = counted.consistency {
            self.reads[consistency].took(took);
        }
    }
}

const NODE: &[&str] = &["node"];

/// Every figure of a materializer.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::of("dfs_materializer_requests_total", Counter, &["node", "kind", "outcome"], "Requests by kind and outcome."),
    Metric::of("dfs_materializer_request_seconds", Histogram, &["node", "kind"], "From arrival to answer."),
    Metric::of("dfs_materializer_read_seconds", Histogram, &["node", "consistency"], "The same of reads by consistency: linearizable, at_least, bounded, past."),
    Metric::of("dfs_materializer_role", Gauge, &["node", "role"], "1 for what it is now: primary, replica, catching up."),
    Metric::of("dfs_materializer_term", Gauge, NODE, "The term of the shard: the LSN of its TermStarted."),
    Metric::of("dfs_materializer_applied_lsn", Gauge, NODE, "The last LSN folded and published."),
    Metric::of("dfs_materializer_durable_lsn", Gauge, NODE, "The last LSN whose fold is on disk."),
    Metric::of("dfs_materializer_floor_lsn", Gauge, NODE, "The oldest LSN that can be read; 0: all can."),
    Metric::of("dfs_materializer_agreed_lsn", Gauge, NODE, "The last LSN at which all replicas told the same digest."),
    Metric::of("dfs_materializer_log_time_seconds", Gauge, NODE, "Log time of the last record folded, since 1970."),
    Metric::of("dfs_materializer_halted", Gauge, NODE, "1: it has stopped folding."),
    Metric::of("dfs_materializer_doubted", Gauge, NODE, "1: its state differs from another replica's; nothing is answered from it."),
    Metric::of("dfs_materializer_fold_batch_records", Histogram, NODE, "Records of a batch that is committed to the store at once."),
    Metric::of("dfs_materializer_fold_commit_seconds", Histogram, NODE, "Commits of such batches: how many, how long."),
    Metric::of("dfs_materializer_folded_frames_total", Counter, NODE, "Frames folded, void ones included."),
    Metric::of("dfs_materializer_void_frames_total", Counter, NODE, "Frames whose guard failed: without effect."),
    Metric::of("dfs_materializer_folded_bytes_total", Counter, NODE, "Bytes of frames folded."),
    Metric::of("dfs_materializer_digests_checked_total", Counter, NODE, "Digests of replicas in the log that were compared with the own state."),
    Metric::of("dfs_materializer_digests_differ_total", Counter, NODE, "Of those, how many were another."),
    Metric::of("dfs_materializer_queue_depth", Gauge, &["node", "queue"], "What waits: unanswered requests, batches on their way to the loop, orders of its helpers, requests not planned, records not folded."),
    Metric::of("dfs_materializer_queue_bound", Gauge, &["node", "queue"], "How much of it may wait; past it, askers do."),
    Metric::of("dfs_materializer_sessions", Gauge, NODE, "Open sessions of clients."),
    Metric::of("dfs_materializer_entries", Gauge, NODE, "Entries of the namespace now."),
    Metric::of("dfs_materializer_groups", Gauge, NODE, "Groups of the block map."),
    Metric::of("dfs_materializer_groups_short", Gauge, NODE, "Groups that hold extents of what stands now and have fewer units left, by Members, than their redundancy asks for."),
    Metric::of("dfs_materializer_snapshot_bytes", Gauge, NODE, "Of the newest snapshot of its state."),
];

const QUEUE: (&str, &str) = (
    "dfs_materializer_queue_depth",
    "dfs_materializer_queue_bound",
);

impl MaterializerRole {
    /// All its figures as they are now.
    pub fn samples(&self) -> Vec<Sample> {
        self.hub().samples()
    }
}

impl Hub {
    fn samples(&self) -> Vec<Sample> {
        let metrics = &self.metrics;
        let mut samples = Samples::of("node", self.owner.node_id);
        let (total, seconds) = (
            "dfs_materializer_requests_total",
            "dfs_materializer_request_seconds",
        );
        metrics.calls.sample(total, seconds, &mut samples);
        for (consistency, spread) in CONSISTENCIES.iter().zip(&metrics.reads) {
            let labels = [("consistency", *consistency)];
            let read = Figure::Spread(spread.read());
            samples.add("dfs_materializer_read_seconds", &labels, read);
        }
        let records = Figure::Spread(metrics.fold_records.read());
        samples.add("dfs_materializer_fold_batch_records", &[], records);
        let commits = Figure::Spread(metrics.fold_commits.read());
        samples.add("dfs_materializer_fold_commit_seconds", &[], commits);
        for (name, tally) in [
            ("dfs_materializer_folded_frames_total", &metrics.frames),
            ("dfs_materializer_void_frames_total", &metrics.void_frames),
            ("dfs_materializer_folded_bytes_total", &metrics.bytes),
            (
                "dfs_materializer_digests_checked_total",
                &metrics.digests_checked,
            ),
            (
                "dfs_materializer_digests_differ_total",
                &metrics.digests_differ,
            ),
        ] {
            samples.count(name, tally.get());
        }
        self.queues(&mut samples);
        if let Ok(status) = self.status() {
            describe(&status, &mut samples);
        }
        samples.all
    }

    fn queues(&self, samples: &mut Samples) {
        let unanswered = REQUESTS_MAX - self.room.available_permits().min(REQUESTS_MAX);
        let arrivals = ARRIVALS_MAX - self.arrivals.capacity();
        let commands = COMMANDS_MAX - self.commands.capacity();
        let (queued, in_flight) = (self.metrics.queued.get(), self.metrics.in_flight.get());
        for (queue, depth, bound) in [
            ("unanswered", unanswered, REQUESTS_MAX),
            ("arrivals", arrivals, ARRIVALS_MAX),
            ("commands", commands, COMMANDS_MAX),
            ("unplanned", queued as usize, QUEUE_FULL),
            ("in_flight", in_flight as usize, IN_FLIGHT_MAX),
        ] {
            samples.queue(QUEUE, queue, (depth, bound));
        }
    }
}

fn describe(status: &v1::MaterializerStatusAnswer, samples: &mut Samples) {
    for role in ROLES {
        let is = f64::from(u8::from(role == status.role));
        samples.add(
            "dfs_materializer_role",
            &[("role", role)],
            Figure::Level(is),
        );
    }
    let log_time = Figure::Level(status.log_time_us as f64 / 1e6);
    samples.add("dfs_materializer_log_time_seconds", &[], log_time);
    for (name, level) in [
        ("dfs_materializer_term", status.term),
        ("dfs_materializer_applied_lsn", status.applied_lsn),
        ("dfs_materializer_durable_lsn", status.durable_lsn),
        ("dfs_materializer_floor_lsn", status.floor_lsn),
        ("dfs_materializer_agreed_lsn", status.agreed_lsn),
        (
            "dfs_materializer_halted",
            u64::from(!status.halted.is_empty()),
        ),
        (
            "dfs_materializer_doubted",
            u64::from(!status.doubt.is_empty()),
        ),
        ("dfs_materializer_sessions", status.sessions),
        ("dfs_materializer_entries", status.entries),
        ("dfs_materializer_groups", status.groups.len() as u64),
        (
            "dfs_materializer_groups_short",
            status.short_groups.len() as u64,
        ),
        ("dfs_materializer_snapshot_bytes", status.snapshot_bytes),
    ] {
        samples.level(name, level);
    }
}
