//! What a unit counts, and what it tells of itself in figures.
use crate::UnitRole;
use crate::log::ledger::STAGED_BYTES_MAX;
use dfs_rpc::metrics::Kind::{Counter, Gauge, Histogram};
use dfs_rpc::metrics::{Calls, Figure, Metric, Sample, Samples, Spread, Tally, place_of};

/// Places of the kinds in [`KINDS`].
pub(crate) const APPEND: usize = place_of(KINDS, "append");
pub(crate) const SCAN: usize = place_of(KINDS, "scan");
pub(crate) const STORE: usize = place_of(KINDS, "store");
pub(crate) const LOAD: usize = place_of(KINDS, "load");
pub(crate) const FETCH: usize = place_of(KINDS, "fetch");
const KINDS: &[&str] = &["append", "scan", "store", "load", "fetch"];

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) calls: Calls,
    pub(crate) frames: Tally,
    pub(crate) records: Tally,
    pub(crate) bytes: Tally,
    pub(crate) log_syncs: Spread,
    /// Frames asked for that memory had, and that it had not.
    pub(crate) cache_hits: Tally,
    pub(crate) cache_misses: Tally,
    pub(crate) bytes_to_fetch: Tally,
    pub(crate) fetched_bytes: Tally,
    pub(crate) mended_frames: Tally,
    pub(crate) scrubbed_bytes: Tally,
    pub(crate) scrub_rounds: Tally,
    pub(crate) scrub_found: Tally,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            calls: Calls::of(KINDS),
            frames: Tally::default(),
            records: Tally::default(),
            bytes: Tally::default(),
            log_syncs: Spread::durations(),
            cache_hits: Tally::default(),
            cache_misses: Tally::default(),
            bytes_to_fetch: Tally::default(),
            fetched_bytes: Tally::default(),
            mended_frames: Tally::default(),
            scrubbed_bytes: Tally::default(),
            scrub_rounds: Tally::default(),
            scrub_found: Tally::default(),
        }
    }
}

const UNIT: &[&str] = &["unit"];

/// Every figure of a unit.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::of("dfs_unit_requests_total", Counter, &["unit", "kind", "outcome"], "Requests by kind and outcome; a stream counts when it is opened."),
    Metric::of("dfs_unit_request_seconds", Histogram, &["unit", "kind"], "From request to answer; of a stream, to its opening."),
    Metric::of("dfs_unit_appended_frames_total", Counter, UNIT, "Frames made durable."),
    Metric::of("dfs_unit_appended_records_total", Counter, UNIT, "Records made durable."),
    Metric::of("dfs_unit_appended_bytes_total", Counter, UNIT, "Bytes of frames made durable."),
    Metric::of("dfs_unit_fsync_seconds", Histogram, &["unit", "of"], "Commits of the log with their fdatasync, and fdatasyncs of extents: how many, how long."),
    Metric::of("dfs_unit_queue_depth", Gauge, &["unit", "queue"], "What waits: orders to the log's writer; bytes received and not durable, against which appenders get credit."),
    Metric::of("dfs_unit_queue_bound", Gauge, &["unit", "queue"], "How much of it may wait; past it, askers do."),
    Metric::of("dfs_unit_credit_bytes", Gauge, UNIT, "What appenders may still send before something is durable: the bound of staged_bytes less its depth."),
    Metric::of("dfs_unit_cache_hits_total", Counter, UNIT, "Frames that were read from memory."),
    Metric::of("dfs_unit_cache_misses_total", Counter, UNIT, "Frames that were read back from the disk."),
    Metric::of("dfs_unit_stored_bytes_total", Counter, UNIT, "Bytes of extents made durable."),
    Metric::of("dfs_unit_loaded_bytes_total", Counter, UNIT, "Bytes of extents read for somebody."),
    Metric::of("dfs_unit_log_bytes", Gauge, UNIT, "Log that is kept."),
    Metric::of("dfs_unit_extents", Gauge, UNIT, "Extents of files that are kept."),
    Metric::of("dfs_unit_extent_bytes", Gauge, UNIT, "Their bytes."),
    Metric::of("dfs_unit_full", Gauge, UNIT, "1: the disk counts as full, and nothing is taken."),
    Metric::of("dfs_unit_heard_cut", Gauge, UNIT, "The newest cut it has heard of."),
    Metric::of("dfs_unit_stamped_cut", Gauge, UNIT, "The newest cut of which everything held is stamped."),
    Metric::of("dfs_unit_lanes_behind", Gauge, UNIT, "Lanes of which less is held than was cut."),
    Metric::of("dfs_unit_records_behind", Gauge, UNIT, "Records that are missing in them."),
    Metric::of("dfs_unit_fetch_left_bytes", Gauge, UNIT, "What the fetch under way has still to bring from peers."),
    Metric::of("dfs_unit_fetched_bytes_total", Counter, UNIT, "Fetched from peers."),
    Metric::of("dfs_unit_mended_frames_total", Counter, UNIT, "Damaged frames that a peer's took the place of."),
    Metric::of("dfs_unit_scrubbed_bytes_total", Counter, UNIT, "Log read in the background to find damage."),
    Metric::of("dfs_unit_scrub_rounds_total", Counter, UNIT, "Whole rounds of it."),
    Metric::of("dfs_unit_scrub_found_total", Counter, UNIT, "Frames found damaged by it."),
    Metric::of("dfs_unit_bad_ranges", Gauge, UNIT, "Ranges of lanes that are damaged here now."),
    Metric::of("dfs_unit_damaged_extents", Gauge, UNIT, "Extents that were acknowledged and cannot be read whole here."),
    Metric::of("dfs_unit_damage_nameless", Gauge, UNIT, "Damaged places whose extents cannot be named."),
    Metric::of("dfs_unit_disk_total_bytes", Gauge, UNIT, "Of the disk of the log."),
    Metric::of("dfs_unit_disk_available_bytes", Gauge, UNIT, "Free on it."),
];

const QUEUE: (&str, &str) = ("dfs_unit_queue_depth", "dfs_unit_queue_bound");

impl UnitRole {
    /// All its figures as they are now.
    pub async fn samples(&self) -> Vec<Sample> {
        let (ledger, extents, queue) = self.counts();
        let (metrics, unit) = (&ledger.metrics, ledger.config.unit_id);
        let mut samples = Samples::of("unit", unit);
        let (total, seconds) = ("dfs_unit_requests_total", "dfs_unit_request_seconds");
        metrics.calls.sample(total, seconds, &mut samples);
        for (of, spread) in [("log", &metrics.log_syncs), ("extents", &*extents.syncs)] {
            let figure = Figure::Spread(spread.read());
            samples.add("dfs_unit_fsync_seconds", &[("of", of)], figure);
        }
        samples.queue(QUEUE, "orders", queue);
        let staged = STAGED_BYTES_MAX - ledger.room.available_permits().min(STAGED_BYTES_MAX);
        samples.queue(QUEUE, "staged_bytes", (staged, STAGED_BYTES_MAX));
        let credit = STAGED_BYTES_MAX - staged;
        samples.level("dfs_unit_credit_bytes", credit as u64);
        for (name, tally) in [
            ("dfs_unit_appended_bytes_total", &metrics.bytes),
            ("dfs_unit_cache_hits_total", &metrics.cache_hits),
            ("dfs_unit_cache_misses_total", &metrics.cache_misses),
            ("dfs_unit_stored_bytes_total", &*extents.stored_bytes),
            ("dfs_unit_loaded_bytes_total", &*extents.loaded_bytes),
        ] {
            samples.count(name, tally.get());
        }
        if let Ok(status) = self.described().await {
            describe(&status, &mut samples);
        }
        samples.all
    }
}

fn describe(status: &dfs_wire::v1::UnitStatusAnswer, samples: &mut Samples) {
    for (name, count) in [
        ("dfs_unit_appended_frames_total", status.appended_frames),
        ("dfs_unit_appended_records_total", status.appended_records),
        ("dfs_unit_fetched_bytes_total", status.fetched_bytes),
        ("dfs_unit_mended_frames_total", status.mended_frames),
        ("dfs_unit_scrubbed_bytes_total", status.scrubbed_bytes),
        ("dfs_unit_scrub_rounds_total", status.scrub_rounds),
        ("dfs_unit_scrub_found_total", status.scrub_found),
    ] {
        samples.count(name, count);
    }
    for (name, level) in [
        ("dfs_unit_log_bytes", status.log_bytes),
        ("dfs_unit_extents", status.extents),
        ("dfs_unit_extent_bytes", status.extent_bytes),
        ("dfs_unit_full", u64::from(status.full)),
        ("dfs_unit_heard_cut", status.heard_cut_seq),
        ("dfs_unit_stamped_cut", status.stamped_through),
        ("dfs_unit_lanes_behind", status.lanes_behind),
        ("dfs_unit_records_behind", status.records_behind),
        ("dfs_unit_fetch_left_bytes", status.bytes_to_fetch),
        ("dfs_unit_bad_ranges", status.bad_ranges.len() as u64),
        ("dfs_unit_damaged_extents", status.damaged_extents),
        ("dfs_unit_damage_nameless", status.nameless_damage),
        ("dfs_unit_disk_total_bytes", status.total_bytes),
        ("dfs_unit_disk_available_bytes", status.available_bytes),
    ] {
        samples.level(name, level);
    }
}
