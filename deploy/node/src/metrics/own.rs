//! The process's own figures: memory, time, disks.
use dfs_rpc::metrics::Kind::{Counter, Gauge};
use dfs_rpc::metrics::{Figure, Metric, Sample, Samples};
use dfs_rpc::trace::ring;
use rustix::fs::statvfs;
use std::path::Path;
use std::time::Duration;

const NODE: &[&str] = &["node"];

const fn of(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Gauge,
        labels,
        help,
    }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric::of(name, Counter, NODE, help)
}

#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    of("dfs_node_info", &["node", "version", "roles"], "Always 1; what runs here."),
    of("dfs_node_uptime_seconds", NODE, "Since the process has served."),
    of("dfs_node_resident_bytes", NODE, "Memory of the process that is in RAM."),
    of("dfs_node_memory_total_bytes", NODE, "Memory of the machine."),
    of("dfs_node_memory_available_bytes", NODE, "Of that, what could still be used."),
    of("dfs_node_open_files", NODE, "Files and connections that the process has open."),
    of("dfs_node_open_files_max", NODE, "How many it may have open."),
    of("dfs_node_disk_total_bytes", NODE, "Of the disk of the data directory."),
    of("dfs_node_disk_available_bytes", NODE, "Free on it."),
    counter("dfs_node_spans_left_out_total", "Spans of sampled requests that were not kept, because too many were."),
    counter("dfs_node_spans_dropped_total", "Spans that the collector of traces did not get."),
];

/// What a process is, for its samples.
pub(crate) struct Own<'a> {
    pub(crate) node_id: u64,
    pub(crate) roles: &'a str,
    pub(crate) dir: &'a Path,
    pub(crate) uptime: Duration,
}

pub(crate) fn own_samples(own: &Own<'_>) -> Vec<Sample> {
    let mut samples = Samples::of("node", own.node_id);
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("roles", own.roles)];
    samples.add("dfs_node_info", &labels, Figure::Level(1.0));
    let uptime = Figure::Level(own.uptime.as_secs_f64());
    samples.add("dfs_node_uptime_seconds", &[], uptime);
    samples.count("dfs_node_spans_left_out_total", ring::left_out());
    samples.count("dfs_node_spans_dropped_total", crate::traces::dropped());
    if let Some(bytes) = resident_bytes() {
        samples.level("dfs_node_resident_bytes", bytes);
    }
    for (name, figure) in [
        ("dfs_node_memory_total_bytes", memory_bytes("MemTotal:")),
        (
            "dfs_node_memory_available_bytes",
            memory_bytes("MemAvailable:"),
        ),
        ("dfs_node_open_files", open_files()),
        ("dfs_node_open_files_max", open_files_max()),
    ] {
        if let Some(figure) = figure {
            samples.level(name, figure);
        }
    }
    if let Ok(space) = statvfs(own.dir) {
        let blocks = |count: u64| count.saturating_mul(space.f_frsize);
        samples.level("dfs_node_disk_total_bytes", blocks(space.f_blocks));
        samples.level("dfs_node_disk_available_bytes", blocks(space.f_bavail));
    }
    samples.all
}

/// The second word of statm counts pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// A line of meminfo counts KiB.
fn memory_bytes(line: &str) -> Option<u64> {
    let told = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|told| told.strip_prefix(line))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(open.count() as u64)
}

/// Without a bound it is what the kernel allows at all.
fn open_files_max() -> Option<u64> {
    let bound = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    bound.or(Some(1 << 30))
}
