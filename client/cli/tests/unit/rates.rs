//! Rates between two answers.
#![allow(clippy::unwrap_used, reason = "tests")]
use super::{Row, lags, rows};
use dfs_wire::v1;
use dfs_wire::v1::figure::Value;

fn figure(name: &str, labels: &[(&str, &str)], value: Value) -> v1::Figure {
    let label = |(name, value): &(&str, &str)| v1::FigureLabel {
        name: (*name).into(),
        value: (*value).into(),
    };
    v1::Figure {
        name: name.into(),
        labels: labels.iter().map(label).collect(),
        value: Some(value),
    }
}

fn spread(counts: [u64; 2], count: u64, sum: f64) -> Value {
    Value::Spread(v1::FigureSpread {
        bounds: vec![0.001, 0.01],
        counts: counts.into(),
        count,
        sum,
    })
}

/// A unit that has done `n` appends of 100 bytes, one in ten of them refused.
fn unit(n: u64) -> v1::FiguresAnswer {
    let total = "dfs_unit_requests_total";
    let by = |kind, outcome| [("unit", "3"), ("kind", kind), ("outcome", outcome)];
    let own = [("unit", "3")];
    let queue = [("unit", "3"), ("queue", "orders")];
    let seconds = [("unit", "3"), ("kind", "append")];
    v1::FiguresAnswer {
        figures: vec![
            figure(total, &by("append", "ok"), Value::Count(n - n / 10)),
            figure(total, &by("append", "busy"), Value::Count(n / 10)),
            figure(total, &by("scan", "ok"), Value::Count(5)),
            figure("dfs_unit_appended_bytes_total", &own, Value::Count(n * 100)),
            figure(
                "dfs_unit_request_seconds",
                &seconds,
                spread([n / 2, n], n, 0.0),
            ),
            figure(
                "dfs_unit_fsync_seconds",
                &own,
                spread([n, n], n, n as f64 * 0.002),
            ),
            figure("dfs_unit_queue_depth", &queue, Value::Level(16.0)),
            figure("dfs_unit_queue_bound", &queue, Value::Level(64.0)),
            figure("dfs_unit_records_behind", &own, Value::Level(7.0)),
            figure(
                "dfs_node_resident_bytes",
                &[("node", "1")],
                Value::Level(1e6),
            ),
        ],
        ..Default::default()
    }
}

fn only(before: u64, now: u64) -> Row {
    let [row] = rows(&unit(before), &unit(now), 2.0).try_into().unwrap();
    row
}

#[test]
fn what_has_grown_is_a_rate() {
    let row = only(100, 300);
    assert_eq!(
        (row.name.as_str(), row.requests, row.refused),
        ("unit/3", 100.0, 10.0)
    );
    assert_eq!(row.kinds, [("append".to_string(), 100.0)]);
    assert_eq!(
        (row.bytes, row.queue, row.lag),
        (Some(10_000.0), 0.25, Some(7.0))
    );
    assert_eq!(row.memory, Some(1e6));
    assert!((row.fsync.unwrap() - 0.002).abs() < 1e-9, "{row:?}");
    // Half of them took up to 1 ms, the others up to 10: 98 % of the way through the second bucket.
    let p99 = row.p99.unwrap();
    assert!((p99 - (0.001 + 0.009 * 0.98)).abs() < 1e-9, "{p99}");
}

#[test]
fn where_nothing_was_asked_there_is_no_latency() {
    let row = only(100, 100);
    assert_eq!((row.requests, row.p99, row.fsync), (0.0, None, None));
}

#[test]
fn a_role_that_was_opened_anew_counts_from_nothing() {
    assert_eq!(only(300, 20).requests, 12.5); // 20 appends, and the scans stay
}

#[test]
fn lag_is_against_whoever_is_furthest() {
    let level = |name: &str, label: &str, id: &str, level: f64| v1::FiguresAnswer {
        figures: vec![figure(name, &[(label, id)], Value::Level(level))],
        ..Default::default()
    };
    let answers = [
        level("dfs_sequencer_next_lsn", "voter", "1", 101.0),
        level("dfs_sequencer_last_index", "voter", "1", 50.0),
        level("dfs_sequencer_last_index", "voter", "2", 44.0),
        level("dfs_materializer_applied_lsn", "node", "4", 90.0),
    ];
    let named = |name: &str| Row {
        name: name.into(),
        ..Row::default()
    };
    let mut rows = ["sequencer/1", "sequencer/2", "materializer/4"].map(named);
    lags(&mut rows, &answers.each_ref());
    assert_eq!(rows.map(|row| row.lag), [Some(0.0), Some(6.0), Some(10.0)]);
}
