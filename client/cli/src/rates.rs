//! Two answers of a process, and what went on between them: rates, latencies, queues of each of its roles. Pure.
mod read;

use dfs_wire::v1;
pub(crate) use read::Book;
use read::Histogram;
use std::collections::BTreeMap;

/// A role and what it did in between.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) state: String,
    /// Per second.
    pub(crate) requests: f64,
    /// Of them, by kind, the most frequent first.
    pub(crate) kinds: Vec<(String, f64)>,
    /// Per second, of those that were refused.
    pub(crate) refused: f64,
    /// Per second: made durable, read for others, or folded.
    pub(crate) bytes: Option<f64>,
    /// Seconds; `None` while nothing was asked.
    pub(crate) p99: Option<f64>,
    /// Seconds, on average.
    pub(crate) fsync: Option<f64>,
    /// Of the fullest queue, from 0 to 1.
    pub(crate) queue: f64,
    pub(crate) lag: Option<f64>,
    /// Of the whole process.
    pub(crate) memory: Option<f64>,
}

/// How a role's figures are called, and what tells one of its kind from another.
struct Role {
    word: &'static str,
    label: &'static str,
    fsync: &'static str,
    bytes: &'static [&'static str],
}

const ROLES: [Role; 3] = [
    Role {
        word: "sequencer",
        label: "voter",
        fsync: "dfs_sequencer_fsync_seconds",
        bytes: &[],
    },
    Role {
        word: "unit",
        label: "unit",
        fsync: "dfs_unit_fsync_seconds",
        bytes: &[
            "dfs_unit_appended_bytes_total",
            "dfs_unit_stored_bytes_total",
            "dfs_unit_loaded_bytes_total",
        ],
    },
    Role {
        word: "materializer",
        label: "node",
        fsync: "dfs_materializer_fold_commit_seconds",
        bytes: &["dfs_materializer_folded_bytes_total"],
    },
];

/// A row for each role of the process; `seconds` lie between the two answers.
pub(crate) fn rows(before: &v1::FiguresAnswer, now: &v1::FiguresAnswer, seconds: f64) -> Vec<Row> {
    let (before, now) = (Book::of(before), Book::of(now));
    let seconds = seconds.max(1e-3);
    let of_role = |role: &'static Role| {
        let total = format!("dfs_{}_requests_total", role.word);
        let ids = now.values_of(&total, role.label);
        let pair = (before.clone(), now.clone());
        ids.into_iter()
            .map(move |id| row(role, &id, (&pair.0, &pair.1), seconds))
            .collect::<Vec<_>>()
    };
    ROLES.iter().flat_map(of_role).collect()
}

fn row(role: &Role, id: &str, (before, now): (&Book, &Book), seconds: f64) -> Row {
    let own = [(role.label, id)];
    let word = role.word;
    // A counter that has gone back belongs to a role that was opened anew.
    let grown = |name: &str, labels: &[(&str, &str)]| {
        let (was, is) = (before.sum(name, labels), now.sum(name, labels));
        (if is < was { is } else { is - was }) / seconds
    };
    let spread = |name: &str| {
        now.histogram(name, &own)
            .less(&before.histogram(name, &own))
    };
    let total = format!("dfs_{word}_requests_total");
    let mut kinds = Vec::new();
    for kind in now.values_of(&total, "kind") {
        let rate = grown(&total, &[own[0], ("kind", &kind)]);
        if rate > 0.0 {
            kinds.push((kind, rate));
        }
    }
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    let requests = grown(&total, &own);
    let bytes = role.bytes.iter().map(|name| grown(name, &own));
    Row {
        name: format!("{word}/{id}"),
        state: now.state(&format!("dfs_{word}_role"), own[0]),
        requests,
        kinds,
        refused: (requests - grown(&total, &[own[0], ("outcome", "ok")])).max(0.0),
        bytes: (!role.bytes.is_empty()).then(|| bytes.sum()),
        p99: spread(&format!("dfs_{word}_request_seconds")).quantile(0.99),
        fsync: spread(role.fsync).mean(),
        queue: fullest(now, word, own[0]),
        lag: (word == "unit").then(|| now.sum("dfs_unit_records_behind", &own)),
        memory: now.one("dfs_node_resident_bytes", &[]),
    }
}

fn fullest(now: &Book, word: &str, own: (&str, &str)) -> f64 {
    let (depth, bound) = (
        format!("dfs_{word}_queue_depth"),
        format!("dfs_{word}_queue_bound"),
    );
    let queues = now.values_of(&depth, "queue").into_iter();
    let shares = queues.filter_map(|queue| {
        let labels = [own, ("queue", queue.as_str())];
        Some(now.one(&depth, &labels)? / now.one(&bound, &labels)?.max(1.0))
    });
    shares.fold(0.0, f64::max)
}

/// What no process knows of itself: how far behind the others it is.
pub(crate) fn lags(rows: &mut [Row], answers: &[&v1::FiguresAnswer]) {
    let books: Vec<Book> = answers.iter().map(|answer| Book::of(answer)).collect();
    let by_id = |name: &str, label: &str| -> BTreeMap<String, f64> {
        let told = books.iter().flat_map(|book| {
            let ids = book.values_of(name, label).into_iter();
            ids.filter_map(|id| Some((id.clone(), book.one(name, &[(label, &id)])?)))
        });
        told.collect()
    };
    let ends = by_id("dfs_sequencer_next_lsn", "voter");
    let end = ends.values().copied().fold(0.0, f64::max) - 1.0;
    let applied = by_id("dfs_materializer_applied_lsn", "node");
    let indexes = by_id("dfs_sequencer_last_index", "voter");
    let last = indexes.values().copied().fold(0.0, f64::max);
    for row in rows {
        match row.name.split_once('/') {
            Some(("materializer", id)) => {
                row.lag = applied.get(id).map(|at| (end - at).max(0.0));
            }
            Some(("sequencer", id)) => row.lag = indexes.get(id).map(|at| last - at),
            _ => {}
        }
    }
}

impl Histogram {
    /// Between two bounds it is taken to be even.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        if self.count <= 0.0 {
            return None;
        }
        let (wanted, mut low, mut below) = (self.count * q, 0.0, 0.0);
        for (bound, up_to) in &self.buckets {
            if *up_to >= wanted {
                let within = (up_to - below).max(f64::MIN_POSITIVE);
                return Some(low + (bound - low) * (wanted - below) / within);
            }
            (low, below) = (*bound, *up_to);
        }
        Some(low)
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

#[cfg(test)]
#[path = "../tests/unit/rates.rs"]
mod tests;
