//! Dashboards, rules and runbooks fit together, and with deploy/METRICS.md.
#![allow(clippy::unwrap_used, reason = "tests")]
use dfs_seeing::rules::Rule;
use dfs_seeing::{dashboards, deploy, faults, hurry, names, rules};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const RULES: &str = "alerts/dfs.rules.yml";

fn all_rules() -> Vec<Rule> {
    rules::read(&deploy().join(RULES)).unwrap()
}

fn alerts() -> BTreeSet<String> {
    let alerts = all_rules().into_iter().filter(|rule| rule.is_alert);
    alerts.map(|rule| rule.name).collect()
}

#[test]
fn every_figure_that_is_asked_for_is_documented() {
    let text = std::fs::read_to_string(deploy().join("METRICS.md")).unwrap();
    let documented = names::documented(&text);
    assert!(documented.len() > 50, "{documented:?}");
    let rules = all_rules();
    let recorded: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let panels = dashboards::read(&deploy().join("dashboards")).unwrap();
    let of_panels = panels.iter().flat_map(|panel| {
        let place = format!("{}: {}", panel.dashboard, panel.title);
        panel
            .queries
            .iter()
            .map(move |query| (place.clone(), query.clone()))
    });
    let of_rules = rules
        .iter()
        .map(|rule| (rule.name.clone(), rule.expr.clone()));
    for (place, query) in of_panels.chain(of_rules) {
        let asked = names::asked(&query);
        let is_ours = asked.is_empty() && !query.contains("up{") && !query.starts_with("vector");
        assert!(!is_ours, "{place} asks for nothing: {query}");
        for name in asked {
            let known = names::is_known(&name, &documented) || recorded.contains(name.as_str());
            assert!(known, "{place}: {name}");
        }
    }
}

#[test]
fn a_name_that_is_not_documented_is_found() {
    let text = "| dfs_a_total | counter | unit | x |\n| dfs_b_seconds | histogram | unit | x |\n";
    let documented = names::documented(text);
    let is_known = |name: &str| names::is_known(name, &documented);
    assert!(is_known("dfs_a_total") && is_known("dfs_b_seconds_bucket"));
    assert!(!is_known("dfs_b_seconds") && !is_known("dfs_a_total_sum") && !is_known("dfs_c"));
    let asked = names::asked("rate(dfs_a_total{x=\"y\"}[5m]) / on() dfs:b:c");
    assert_eq!(
        asked.into_iter().collect::<Vec<_>>(),
        ["dfs:b:c", "dfs_a_total"]
    );
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    for rule in all_rules().iter().filter(|rule| rule.is_alert) {
        let name = &rule.name;
        assert_eq!(rule.runbook, format!("deploy/runbook/{name}.md"));
        assert!(
            ["critical", "warning", "info"].contains(&rule.severity.as_str()),
            "{name}"
        );
        assert!(!rule.summary.is_empty(), "{name}");
        let text = std::fs::read_to_string(deploy().join(format!("runbook/{name}.md"))).unwrap();
        for part in ["What it means", "How to see", "What to do"] {
            let (_, rest) = text.split_once(&format!("## {part}\n")).unwrap();
            let own = rest.split("\n## ").next().unwrap();
            let commands = own.lines().filter(|line| line.starts_with("- `"));
            assert!(
                part == "What it means" || commands.count() > 0,
                "{name}: {part}"
            );
        }
        assert!(
            text.contains(&rule.expr),
            "{name}: its runbook has another condition"
        );
    }
    let files = std::fs::read_dir(deploy().join("runbook")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.map(|name| name.replace(".md", "")).collect();
    assert_eq!(names, alerts());
}

#[test]
fn every_alert_has_a_fault_that_fires_it() {
    let fired = faults::SCENARIOS.iter().flat_map(|scenario| scenario.fires);
    let fired: BTreeSet<String> = fired.map(ToString::to_string).collect();
    assert_eq!(fired, alerts());
}

#[test]
fn faults_are_chosen_by_the_alerts_that_they_fire() {
    let names = |quick, only: &[&str]| {
        let only: Vec<String> = only.iter().map(ToString::to_string).collect();
        faults::chosen(quick, &only).map(|all| all.iter().map(|it| it.name).collect::<Vec<_>>())
    };
    let lag = names(false, &["DfsReplicaLag"]).unwrap();
    assert_eq!(lag, ["a materializer stands still"]);
    assert_eq!(names(false, &[]).unwrap().len(), faults::SCENARIOS.len());
    assert_eq!(names(true, &[]).unwrap().len(), 2);
    assert_eq!(
        names(false, &["DfsNothing"]).unwrap_err(),
        "no fault fires DfsNothing"
    );
}

/// What comes before the process itself would fail first, and be tried again in place of exit 2.
#[test]
fn the_service_is_tried_for_ever_but_for_a_wrong_configuration() {
    let unit = std::fs::read_to_string(deploy().join("systemd/dfs@.service")).unwrap();
    let is_set = |line: &str| unit.lines().any(|it| it == line);
    for line in [
        "Restart=always",
        "StartLimitIntervalSec=0",
        "RestartPreventExitStatus=2",
        "StateDirectory=dfs/%i",
    ] {
        assert!(is_set(line), "{line}");
    }
    let commands = unit.lines().filter(|line| line.starts_with("Exec"));
    assert_eq!(
        commands.collect::<Vec<_>>(),
        ["ExecStart=/usr/local/bin/dfsctl serve --config /etc/dfs/%i.toml"]
    );
}

#[test]
fn panels_do_not_lie_upon_each_other() {
    let dir = deploy().join("dashboards");
    let files = std::fs::read_dir(&dir)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut uids = BTreeSet::new();
    for path in files.filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(
            uids.insert(document["uid"].as_str().unwrap().to_string()),
            "{path:?}"
        );
        let mut taken = BTreeSet::new();
        for panel in document["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{path:?}: {panel}");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{path:?}: {}", panel["title"]);
                }
            }
        }
    }
    assert_eq!(uids.len(), 5);
}

/// `None`: there is no promtool here.
fn promtool(words: &[&str], path: &Path) -> Option<String> {
    let done = match Command::new("promtool").args(words).arg(path).output() {
        Ok(done) => done,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: promtool is not installed");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let said = said + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    Some(said)
}

#[test]
fn promtool_takes_the_rules_as_they_are_and_hurried() {
    let path = deploy().join(RULES);
    promtool(&["check", "rules"], &path);
    let dir = tempfile::tempdir().unwrap();
    let hurried = dir.path().join("hurried.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&hurried, hurry::hurried(&text)).unwrap();
    promtool(&["check", "rules"], &hurried);
    let read = rules::read(&hurried).unwrap();
    assert_eq!(read.len(), all_rules().len());
    let config = deploy().join("container/prometheus.yml");
    promtool(&["check", "config", "--syntax-only"], &config);
}

#[test]
fn rules_fire_on_made_up_series_as_promtool_counts_them() {
    promtool(
        &["test", "rules"],
        &deploy().join("alerts/dfs.rules.test.yml"),
    );
}
