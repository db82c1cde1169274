//! Every metric of every role, and the document that names them.
use dfs_rpc::metrics::{Kind, Metric};
use std::fmt::Write;

/// By whoever tells of them.
const TABLES: [(&str, &[Metric]); 4] = [
    ("Process", super::own::METRICS),
    ("Sequencer", dfs_sequencer::METRICS),
    ("Log unit", dfs_log_units::METRICS),
    ("Materializer", dfs_materializer::METRICS),
];

pub fn all() -> impl Iterator<Item = &'static Metric> {
    TABLES.iter().flat_map(|(_, metrics)| metrics.iter())
}

/// deploy/METRICS.md.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\n`metrics = \"127.0.0.1:9090\"` in the configuration of a process opens a port of its own: `/metrics` (Prometheus), `/healthz`\n\
         (200 while the process works), `/readyz` (200 once it serves, else 503 with the reasons), `/raft` (JSON: role, term, commit of each voter here).\n\n\
         This file is written by a test from the tables in the code; another compares the tables with what a process exports.\n\
         A histogram `X` is exported as `X_bucket`, `X_sum` and `X_count`. Counters begin at 0 when their role is opened.\n",
    );
    for (who, metrics) in TABLES {
        let _ = write!(
            text,
            "\n## {who}\n| name | kind | labels | what |\n|---|---|---|---|\n"
        );
        for metric in metrics {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels = metric.labels.join(", ");
            let _ = writeln!(
                text,
                "| {} | {kind} | {labels} | {} |",
                metric.name, metric.help
            );
        }
    }
    text
}
