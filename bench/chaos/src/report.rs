//! What a run has come to, as a table and as JSON, with machine, date and command.
use crate::faults::Mark;
use crate::gaps;
use crate::history::{Act, Operation, Outcome};
use crate::judge::{Fault, Wrong};
use crate::witness::Reads;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Of the latency distribution, in the JSON.
const QUANTILES: [f64; 9] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0];
/// Faults of one run that are printed; the JSON has all.
const SHOWN: usize = 20;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) api_version: &'static str,
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) system: String,
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) passed: bool,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    #[serde(flatten)]
    pub(crate) gaps: Gaps,
    pub(crate) reads: Reads,
    pub(crate) latencies: Vec<Latency>,
    pub(crate) phases: Vec<Latency>,
    pub(crate) faults: Vec<Injected>,
    /// All processes of a role together, where nothing was done to them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) cpu_us_per_operation: BTreeMap<String, f64>,
    pub(crate) well_after_seconds: Option<f64>,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) warnings: BTreeMap<String, u64>,
    pub(crate) wrong: Vec<Fault>,
    /// Errors, ends and states that nobody asked for.
    pub(crate) unexpected: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    /// Answered with a refusal, or a read without an answer; of the clients that know everybody.
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) stale: u64,
    pub(crate) otherwise_wrong: u64,
    /// Reads by clients that know one materializer: answered, and not.
    pub(crate) pinned_reads: u64,
    pub(crate) pinned_reads_failed: u64,
}

/// Times without an acknowledgement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gaps {
    pub(crate) longest_gap_ms: f64,
    /// Over the faults, the longest after each.
    pub(crate) gap_p50_ms: f64,
    pub(crate) gap_p99_ms: f64,
    /// Where the units' counters were followed: gaps in which they rose, of so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gaps_with_fsyncs: Option<(usize, usize)>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
}

/// From the moment operations were due, µs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) name: String,
    pub(crate) operations: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
    /// (quantile, µs)
    pub(crate) distribution: Vec<(f64, u64)>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Injected {
    #[serde(flatten)]
    pub(crate) mark: Mark,
    /// The longest time without an acknowledgement until the next fault.
    pub(crate) gap_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fsyncs_meanwhile: Option<u64>,
}

impl Machine {
    /// From /proc; what cannot be read stays empty.
    pub(crate) fn here() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or(String::new(), |(_, value)| value.trim().to_string())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        Machine {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kilobytes * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_string(),
        }
    }
}

impl Latency {
    fn of<'a>(name: &str, operations: impl Iterator<Item = &'a Operation>) -> Option<Latency> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).ok()?;
        for operation in operations.filter(|operation| operation.lsn().is_some()) {
            histogram.saturating_record(operation.end_us - operation.due_us);
        }
        let at = |quantile| (quantile, histogram.value_at_quantile(quantile));
        Some(Latency {
            name: name.to_string(),
            operations: histogram.len(),
            p50_us: at(0.5).1,
            p99_us: at(0.99).1,
            max_us: histogram.max(),
            distribution: QUANTILES.into_iter().map(at).collect(),
        })
    }
}

pub(crate) fn is_pinned(operation: &Operation) -> bool {
    operation.client.starts_with("pinned")
}

/// By kind of operation, those of the clients that know everybody.
pub(crate) fn latencies(history: &[Operation]) -> Vec<Latency> {
    let usual = || history.iter().filter(|operation| !is_pinned(operation));
    let mut kinds: Vec<&str> = usual().map(|operation| operation.act.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let of_kind = |kind: &&str| {
        let those = usual().filter(|operation| operation.act.kind() == *kind);
        Latency::of(kind, those)
    };
    kinds.iter().filter_map(of_kind).collect()
}

/// By phase: the mutations that were due while it was and wait for the log only, phases of one name
/// together. Bytes wait for every unit of their group.
pub(crate) fn phases(history: &[Operation], marks: &[Mark]) -> Vec<Latency> {
    let mut names: Vec<&str> = Vec::new();
    for mark in marks {
        if !names.contains(&mark.what.as_str()) {
            names.push(&mark.what);
        }
    }
    let in_log = |operation: &&Operation| {
        operation.is_done() && !matches!(operation.act, Act::WriteLarge(_))
    };
    let of_phase = |name: &&str| {
        let due_in = |operation: &&Operation| {
            let mut phases = marks.iter().filter(|mark| mark.what == *name);
            phases.any(|mark| (mark.at_us..mark.healed_us).contains(&operation.due_us))
        };
        Latency::of(name, history.iter().filter(in_log).filter(due_in))
    };
    names.iter().filter_map(of_phase).collect()
}

/// Why operations failed, each reason with its count; numbers in them are left out.
pub(crate) fn refusals(history: &[Operation]) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for operation in history.iter().filter(|operation| !is_pinned(operation)) {
        let (Outcome::Refused(why) | Outcome::Unknown(why)) = &operation.outcome else {
            continue;
        };
        let why: String = why.chars().filter(|char| !char.is_ascii_digit()).collect();
        let why = format!("{}: {why}", operation.act.kind());
        *counted.entry(why).or_default() += 1;
    }
    counted
}

/// Every fault with the gap that followed it.
pub(crate) fn injected(
    history: &[Operation],
    marks: &[Mark],
    end_us: u64,
    fsyncs: impl Fn(u64, u64) -> Option<u64>,
) -> Vec<Injected> {
    let acknowledged = gaps::acknowledged(history);
    let injected = |(at, mark): (usize, &Mark)| {
        let until = marks.get(at + 1).map_or(end_us, |next| next.at_us);
        let gap_us = gaps::longest(&acknowledged, mark.at_us, until);
        Injected {
            mark: mark.clone(),
            gap_ms: gap_us as f64 / 1e3,
            fsyncs_meanwhile: fsyncs(mark.at_us, mark.at_us + gap_us),
        }
    };
    marks.iter().enumerate().map(injected).collect()
}

impl Counts {
    pub(crate) fn of(history: &[Operation], wrong: &[Fault]) -> Counts {
        let (pinned, usual): (Vec<&Operation>, Vec<&Operation>) =
            history.iter().partition(|operation| is_pinned(operation));
        let (failed, unknown) = gaps::unanswered(&usual);
        let (pinned_reads_failed, _) = gaps::unanswered(&pinned);
        let count = |wrongs: &[Wrong]| {
            let those = wrong.iter().filter(|fault| wrongs.contains(&fault.wrong));
            those.count() as u64
        };
        Counts {
            operations: usual.len() as u64,
            failed,
            unknown,
            lost: count(&[Wrong::Lost]),
            doubled: count(&[Wrong::Doubled]),
            stale: count(&[Wrong::Stale]),
            otherwise_wrong: count(&[Wrong::Undead, Wrong::Foreign, Wrong::Torn]),
            pinned_reads: pinned.len() as u64 - pinned_reads_failed,
            pinned_reads_failed,
        }
    }
}

impl Gaps {
    pub(crate) fn of(history: &[Operation], faults: &[Injected], end_us: u64) -> Gaps {
        let gaps_us: Vec<u64> = faults.iter().map(|one| (one.gap_ms * 1e3) as u64).collect();
        let at_ms = |quantile| gaps::at_quantile(&gaps_us, quantile) as f64 / 1e3;
        let rises: Vec<u64> = faults
            .iter()
            .filter_map(|one| one.fsyncs_meanwhile)
            .collect();
        let rose = rises.iter().filter(|rise| **rise > 0).count();
        let longest_us = gaps::longest(&gaps::acknowledged(history), 0, end_us);
        Gaps {
            longest_gap_ms: longest_us as f64 / 1e3,
            gap_p50_ms: at_ms(0.5),
            gap_p99_ms: at_ms(0.99),
            gaps_with_fsyncs: (!rises.is_empty()).then_some((rose, rises.len())),
        }
    }
}

impl Report {
    /// For a person.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let verdict = if self.passed { "passed" } else { "FAILED" };
        let _ = writeln!(
            text,
            "{} seed {}: {verdict}  ({}, {} s)",
            self.scenario, self.seed, self.system, self.seconds
        );
        let _ = writeln!(
            text,
            "operations {}  failed {}  unknown {}  lost {}  doubled {}  stale {}  otherwise wrong {}",
            self.counts.operations,
            self.counts.failed,
            self.counts.unknown,
            self.counts.lost,
            self.counts.doubled,
            self.counts.stale,
            self.counts.otherwise_wrong
        );
        let _ = writeln!(
            text,
            "faults {}  gap p50 {:.0} ms  p99 {:.0} ms  longest gap of all {:.0} ms",
            self.faults.len(),
            self.gaps.gap_p50_ms,
            self.gaps.gap_p99_ms,
            self.gaps.longest_gap_ms
        );
        let _ = writeln!(
            text,
            "reads by clients of one materializer {}, {} more without an answer",
            self.counts.pinned_reads, self.counts.pinned_reads_failed
        );
        text.push_str(&self.reads.table());
        if let Some((rose, of)) = self.gaps.gaps_with_fsyncs {
            let _ = writeln!(text, "units went on with fsyncs in {rose} of {of} gaps");
        }
        if let Some(seconds) = self.well_after_seconds {
            let _ = writeln!(text, "all well {seconds:.1} s after the load ended");
        }
        for latency in self.latencies.iter().chain(&self.phases) {
            let ms = |us: u64| us as f64 / 1e3;
            let (p50, p99, max) = (ms(latency.p50_us), ms(latency.p99_us), ms(latency.max_us));
            let _ = writeln!(
                text,
                "{:40} {:>8}  p50 {p50:>8.1} ms  p99 {p99:>8.1} ms  max {max:>8.1} ms",
                latency.name, latency.operations
            );
        }
        for (role, us) in &self.cpu_us_per_operation {
            let _ = writeln!(text, "CPU of {role:33} {us:>8.0} µs for each operation");
        }
        for (why, count) in &self.refusals {
            let _ = writeln!(text, "refused {count} times: {why}");
        }
        for fault in self.wrong.iter().take(SHOWN) {
            let _ = writeln!(text, "WRONG {:?}: {}", fault.wrong, fault.what);
        }
        for unexpected in self.unexpected.iter().take(SHOWN) {
            let _ = writeln!(text, "UNEXPECTED {unexpected}");
        }
        text
    }
}
