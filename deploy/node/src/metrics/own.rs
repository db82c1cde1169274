//! The process's own figures: memory, time, disks.
use dfs_rpc::metrics::Kind::Gauge;
use dfs_rpc::metrics::{Figure, Metric, Sample, Samples};
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

#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    of("dfs_node_info", &["node", "version", "roles"], "Always 1; what runs here."),
    of("dfs_node_uptime_seconds", NODE, "Since the process has served."),
    of("dfs_node_resident_bytes", NODE, "Memory of the process that is in RAM."),
    of("dfs_node_disk_total_bytes", NODE, "Of the disk of the data directory."),
    of("dfs_node_disk_available_bytes", NODE, "Free on it."),
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
    if let Some(bytes) = resident_bytes() {
        samples.level("dfs_node_resident_bytes", bytes);
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
