//! Each process: whether it is reached, its limits, its memory, its disks.
use super::{Finding, Verdict};
use crate::figures;
use crate::rates::Book;
use crate::tellers::Told;

/// Longer than that, and every request waits for the network.
const ROUND_TRIP_WARN_US: f64 = 50e3;
const ROUND_TRIP_BAD_US: f64 = 1e6;
/// A commit of a healthy disk takes a few ms …
const FSYNC_WARN_S: f64 = 0.030;
/// … and with this no write is done in less than half a second.
const FSYNC_BAD_S: f64 = 0.250;
/// A disk that takes so many times as long as the others' is named, even where it is not slow.
const FSYNC_UNEVEN: f64 = 5.0;
/// Below that nobody notices.
const FSYNC_UNEVEN_FROM_S: f64 = 0.010;
/// A connection for each client and member, and the files of the stores.
const FILES_WARN: f64 = 4_096.0;
/// Of the machine's, still usable.
const MEMORY_WARN: f64 = 0.10;
const MEMORY_BAD: f64 = 0.03;
const SPACE_WARN: f64 = 0.15;
const SPACE_BAD: f64 = 0.05;

pub(super) fn findings(told: &Told) -> Vec<Finding> {
    let answer = match &told.answer {
        Ok(answer) => answer,
        Err(refusal) => {
            let act = format!(
                "start its process at {} again, or open the way to its port",
                told.address
            );
            let seen = format!("no answer: {}", refusal.get().why);
            return vec![Finding::new(
                "reach",
                &told.address,
                Verdict::Bad,
                seen,
                act,
            )];
        }
    };
    let book = Book::of(answer);
    let verdict = Verdict::above(told.took_us as f64, ROUND_TRIP_WARN_US, ROUND_TRIP_BAD_US);
    let seen = format!(
        "answers in {:.1} ms as {}",
        told.took_us as f64 / 1e3,
        answer.roles.join(", ")
    );
    let act = "look at the network, and at the load of that machine";
    let reach = Finding::new("reach", &told.address, verdict, seen, act);
    let mut findings = vec![reach];
    findings.extend(limits(&told.address, &book));
    findings.extend(memory(&told.address, &book));
    findings.extend(space(&told.address, &book));
    findings
}

fn limits(of: &str, book: &Book) -> Option<Finding> {
    let open = book.one("dfs_node_open_files", &[])?;
    let most = book.one("dfs_node_open_files_max", &[])?;
    let full = Verdict::above(open / most.max(1.0), 0.7, 0.9);
    let verdict = full.max(Verdict::below(most, FILES_WARN, 0.0));
    let seen = format!("{open} files open of {most}");
    let act = "raise the limit: LimitNOFILE=65536 in its unit file, or ulimit -n";
    Some(Finding::new("limits", of, verdict, seen, act))
}

fn memory(of: &str, book: &Book) -> Option<Finding> {
    let total = book.one("dfs_node_memory_total_bytes", &[])?;
    let available = book.one("dfs_node_memory_available_bytes", &[])?;
    let own = book.one("dfs_node_resident_bytes", &[])?;
    let verdict = Verdict::below(available / total.max(1.0), MEMORY_WARN, MEMORY_BAD);
    let seen = format!(
        "{} of its own; {} of {} of the machine usable",
        figures::bytes(own as u64),
        figures::bytes(available as u64),
        figures::bytes(total as u64)
    );
    let act = "stop what else runs there, or give the machine more";
    Some(Finding::new("memory", of, verdict, seen, act))
}

/// Of the data directory; a unit's own disk is told beside it where it is another.
fn space(of: &str, book: &Book) -> Vec<Finding> {
    let mut disks = Vec::new();
    let figure = |name: &str, labels: &[(&str, &str)]| book.one(name, labels);
    let node = figure("dfs_node_disk_total_bytes", &[]);
    let free = figure("dfs_node_disk_available_bytes", &[]);
    if let (Some(total), Some(free)) = (node, free) {
        disks.push((of.to_string(), total, free, false));
    }
    for unit in book.values_of("dfs_unit_disk_total_bytes", "unit") {
        let own = [("unit", unit.as_str())];
        let total = figure("dfs_unit_disk_total_bytes", &own);
        let free = figure("dfs_unit_disk_available_bytes", &own);
        let full = figure("dfs_unit_full", &own) == Some(1.0);
        if let (Some(total), Some(free)) = (total, free)
            && (full || Some(total) != node)
        {
            disks.push((format!("unit/{unit}"), total, free, full));
        }
    }
    let found = disks.into_iter().map(|(of, total, free, full)| {
        let verdict = match full {
            true => Verdict::Bad,
            false => Verdict::below(free / total.max(1.0), SPACE_WARN, SPACE_BAD),
        };
        let seen = format!("{} free of {}", figures::bytes(free as u64), figures::bytes(total as u64));
        let act = "make room (dfsctl df, dfsctl rm -r), or start another log unit: dfsctl serve unit --config FILE";
        Finding::new("space", of, verdict, seen, act)
    });
    found.collect()
}

/// What members measure of their fsyncs; one that is slower than the others is named.
pub(super) fn disks(told: &[Told]) -> Vec<Finding> {
    let mut means: Vec<(String, f64, f64, f64)> = Vec::new();
    for answer in told.iter().filter_map(|told| told.answer.as_ref().ok()) {
        let book = Book::of(answer);
        for (word, label, name) in [
            ("sequencer", "voter", "dfs_sequencer_fsync_seconds"),
            ("unit", "unit", "dfs_unit_fsync_seconds"),
        ] {
            for id in book.values_of(name, label) {
                let spread = book.histogram(name, &[(label, &id)]);
                if let (Some(mean), Some(p99)) = (spread.mean(), spread.quantile(0.99)) {
                    means.push((format!("{word}/{id}"), mean, p99, spread.count()));
                }
            }
        }
    }
    let mut all: Vec<f64> = means.iter().map(|mean| mean.1).collect();
    all.sort_by(f64::total_cmp);
    let usual = all.get(all.len() / 2).copied().unwrap_or(0.0);
    let found = means.into_iter().map(|(of, mean, p99, count)| {
        let slow = Verdict::above(mean, FSYNC_WARN_S, FSYNC_BAD_S);
        let uneven = mean >= FSYNC_UNEVEN_FROM_S && mean >= usual * FSYNC_UNEVEN;
        let verdict = if uneven { slow.max(Verdict::Warn) } else { slow };
        let beside = if uneven { format!(", the others {:.1} ms", usual * 1e3) } else { String::new() };
        let seen = format!(
            "fsync {:.1} ms on average, 99 % below {:.1} ms, of {count}{beside}",
            mean * 1e3,
            p99 * 1e3
        );
        let act = format!("its disk is slow: look at it there (dfsctl doctor --local DIR), or move {of} to another");
        Finding::new("disk", of, verdict, seen, act)
    });
    found.collect()
}
