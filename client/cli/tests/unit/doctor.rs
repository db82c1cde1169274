//! Findings from made-up answers.
#![allow(clippy::unwrap_used, reason = "tests")]
use super::{Finding, Verdict, examine, local};
use crate::status::Seen;
use crate::tellers::Told;
use dfs_env::Env;
use dfs_fs::{Refusal, Status};
use dfs_wire::v1::figure::Value;
use dfs_wire::{Code, v1};

fn seen() -> Seen {
    let primary = v1::MaterializerStatusAnswer {
        role: "primary".into(),
        ..Default::default()
    };
    let unit = v1::UnitRef {
        unit_id: 1,
        live: true,
        ..Default::default()
    };
    let told = Status {
        sequencer: v1::SequencerStatusAnswer {
            role: "leader".into(),
            ..Default::default()
        },
        units: vec![(unit, Ok(v1::UnitStatusAnswer::default()))],
        materializers: vec![(v1::Member::default(), Ok(primary))],
    };
    Seen {
        told,
        group: v1::GroupStatus::default(),
    }
}

fn level(name: &str, level: f64) -> v1::Figure {
    v1::Figure {
        name: name.into(),
        value: Some(Value::Level(level)),
        ..Default::default()
    }
}

/// A unit whose fsyncs take `ms` on average.
fn fsyncs(unit: u64, ms: f64) -> v1::Figure {
    let label = v1::FigureLabel {
        name: "unit".into(),
        value: unit.to_string(),
    };
    let spread = v1::FigureSpread {
        bounds: vec![0.001, 1.0],
        counts: vec![0, 100],
        count: 100,
        sum: ms / 10.0,
    };
    v1::Figure {
        name: "dfs_unit_fsync_seconds".into(),
        labels: vec![label],
        value: Some(Value::Spread(spread)),
    }
}

fn told(address: &str, figures: Vec<v1::Figure>) -> Told {
    let env = Env::real();
    Told {
        address: address.into(),
        answer: Ok(v1::FiguresAnswer {
            version: "1".into(),
            wall_us: 1_000_000_000,
            figures,
            ..Default::default()
        }),
        at: env.now(),
        took_us: 1_000,
        here_us: 1_000_000_000,
    }
}

fn verdict(findings: &[Finding], check: &str, of: &str) -> Verdict {
    let mut all = findings.iter();
    let found = all.find(|finding| (finding.check, finding.of.as_str()) == (check, of));
    found
        .unwrap_or_else(|| panic!("{check} {of}: {findings:?}"))
        .verdict
}

#[test]
fn a_slow_disk_is_named_and_the_others_are_not() {
    let all = [
        told("a:1", vec![fsyncs(1, 1.0)]),
        told("b:1", vec![fsyncs(2, 12.0)]),
        told("c:1", vec![fsyncs(3, 1.5)]),
        told("d:1", vec![fsyncs(4, 300.0)]),
        told("e:1", vec![fsyncs(5, 1.0)]),
    ];
    let findings = examine(&seen(), &all, "1");
    let of = |unit: &str| verdict(&findings, "disk", unit);
    assert_eq!((of("unit/1"), of("unit/3")), (Verdict::Ok, Verdict::Ok));
    assert_eq!((of("unit/2"), of("unit/4")), (Verdict::Warn, Verdict::Bad));
    assert_eq!(findings[0].of, "unit/4", "the worst is told first");
    assert!(findings[0].act.contains("unit/4"), "{}", findings[0].act);
}

#[test]
fn clocks_versions_and_ways_are_looked_at() {
    let mut late = told("late:1", Vec::new());
    late.here_us -= 2_000_000;
    let mut older = told("older:1", Vec::new());
    older.answer.as_mut().unwrap().version = "0".into();
    let mut silent = told("silent:1", Vec::new());
    silent.answer = Err(Refusal::new(Code::Unavailable, "it", "nothing answers"));
    // It may be that far off by the way there and back alone.
    let mut slow = told("slow:1", Vec::new());
    (slow.here_us, slow.took_us) = (slow.here_us - 2_000_000, 4_000_000);
    let findings = examine(&seen(), &[late, older, silent, slow], "1");
    assert_eq!(verdict(&findings, "clock", "late:1"), Verdict::Warn);
    assert_eq!(verdict(&findings, "clock", "older:1"), Verdict::Ok);
    assert_eq!(verdict(&findings, "clock", "slow:1"), Verdict::Ok);
    assert_eq!(verdict(&findings, "reach", "slow:1"), Verdict::Bad);
    assert_eq!(verdict(&findings, "version", "cluster"), Verdict::Warn);
    assert_eq!(verdict(&findings, "reach", "silent:1"), Verdict::Bad);
    assert_eq!(verdict(&findings, "reach", "late:1"), Verdict::Ok);
    assert_eq!(verdict(&findings, "health", "cluster"), Verdict::Ok);
}

#[test]
fn limits_memory_and_space_are_looked_at() {
    let figures = vec![
        level("dfs_node_open_files", 900.0),
        level("dfs_node_open_files_max", 1_000.0),
        level("dfs_node_resident_bytes", 1e9),
        level("dfs_node_memory_total_bytes", 100e9),
        level("dfs_node_memory_available_bytes", 5e9),
        level("dfs_node_disk_total_bytes", 100e9),
        level("dfs_node_disk_available_bytes", 50e9),
    ];
    let findings = examine(&seen(), &[told("a:1", figures)], "1");
    let of = |check: &str| verdict(&findings, check, "a:1");
    assert_eq!((of("limits"), of("memory")), (Verdict::Bad, Verdict::Warn));
    assert_eq!(of("space"), Verdict::Ok);
    assert!(
        findings
            .iter()
            .all(|it| (it.verdict == Verdict::Ok) == it.act.is_empty())
    );
}

#[test]
fn a_machine_is_looked_at_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let findings = local::examine(&Env::real(), dir.path()).unwrap();
    let mut checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    checks.sort_unstable();
    assert_eq!(checks, ["clock", "disk", "limits", "memory", "space"]);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is left"
    );
    assert!(local::examine(&Env::real(), &dir.path().join("none")).is_err());
}
