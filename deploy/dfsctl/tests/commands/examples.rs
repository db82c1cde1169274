//! Every example that a `--help` shows stands in a transcript as it is written there, so it was run.
use crate::system::System;
use std::collections::BTreeSet;
use std::path::Path;

/// What no transcript can run, and why.
const ELSEWHERE: [(&str, &str); 52] = [
    // Follow for ever.
    ("dfsctl tail -f /demo/log.txt", "first_hour"),
    ("dfsctl log tail -f -o jsonl", "formats"),
    ("dfsctl status --watch", "seeing"),
    ("dfsctl status --watch 10 -o jsonl", "seeing"),
    ("dfsctl top", "seeing"),
    ("dfsctl top --sort p99 --every 5", "seeing"),
    ("dfsctl top -n 10 -o jsonl", "seeing"),
    // Of requests, records and files that another test makes.
    ("dfsctl why 0af7651916cd43dd8448eb211c80319c", "traces"),
    ("dfsctl why 1219", "traces"),
    ("dfsctl why /demo/a.txt -o json", "traces"),
    // Of programs that not every machine has, or that want a terminal or a home.
    ("dfsctl get /demo/a.txt - | less", "verbs: get -"),
    ("dfsctl man put | man -l -", "man"),
    ("dfsctl man --dir ~/.local/share/man/man1", "man"),
    (
        "dfsctl completions bash > ~/.local/share/bash-completion/completions/dfsctl",
        "completions",
    ),
    ("perf record -g dfsctl bench quick --only creates", "bench"),
    // Systems of their own.
    ("dfsctl dev up", "every test"),
    (
        "dfsctl dev up --units 3 --sequencers 3 --materializers 3",
        "nodes",
    ),
    (
        "dfsctl dev up --units 6 --dir /data/dfs --port 9020",
        "first_hour",
    ),
    ("dfsctl dev up --foreground", "first_hour"),
    ("dfsctl dev reset --name dev --dir /data/dfs", "first_hour"),
    ("dfsctl dev demo", "demo"),
    ("dfsctl dev demo --exit --port 0 --dir ./demo-data", "demo"),
    ("dfsctl serve --config node.toml", "one_host"),
    (
        "dfsctl serve sequencer --config node.toml --set listen=127.0.0.1:9101",
        "one_host",
    ),
    (
        "dfsctl serve unit materializer --config node.toml",
        "one_host",
    ),
    ("dfsctl serve sequencer --config joins.toml &", "nodes"),
    // Measure.
    ("dfsctl bench quick", "bench"),
    (
        "dfsctl bench quick --units 3 --dir /data --out quick.json",
        "bench",
    ),
    ("dfsctl bench fsyncs", "bench"),
    ("dfsctl bench telemetry", "bench"),
    (
        "dfsctl bench telemetry --trace-ratio 1 --rounds 15 --out telemetry.json",
        "bench",
    ),
    (
        "dfsctl bench fsyncs --dir /data --rounds 5 --out fsyncs.json",
        "bench",
    ),
    // Other hosts.
    ("dfsctl connect 10.0.0.1:9010 --name prod", "first_hour"),
    ("dfsctl node add 10.0.0.4:9010", "nodes"),
    ("dfsctl node add 10.0.0.4:9010 --learner", "nodes"),
    (
        "dfsctl sync --delete dev:/demo other:/demo",
        "sync: two profiles",
    ),
    // Files of the source tree.
    (
        "dfsctl config validate deploy/config/one-host/*.toml",
        "config",
    ),
    (
        "dfsctl config diff deploy/config/one-host/unit-1.toml deploy/config/one-host/unit-2.toml",
        "config",
    ),
    // Their exit code says how this machine is.
    ("dfsctl status", "seeing"),
    ("dfsctl status -o wide", "seeing"),
    ("dfsctl doctor", "seeing"),
    ("dfsctl doctor -o wide", "seeing"),
    ("dfsctl doctor -o json", "seeing"),
    ("dfsctl doctor --local /var/lib/dfs", "seeing"),
    // Names that a machine knows, or not.
    ("dfsctl chown alice /demo/a.txt", "verbs: numbers"),
    ("dfsctl chown -R :staff /demo/photos", "verbs: numbers"),
    // Wait for what comes to be in larger systems.
    ("dfsctl node wait sequencer/4 --for caught-up", "nodes"),
    (
        "dfsctl node wait sequencer/2 --for leader --deadline 10s",
        "nodes",
    ),
    ("dfsctl node wait unit/3 --for live", "nodes"),
    (
        "dfsctl node wait materializer/7 --for caught-up && echo it has folded everything",
        "nodes",
    ),
    ("dfsctl dev down", "every test"),
    ("dfsctl dev down; dfsctl dev reset", "first_hour"),
];

/// The verbs below these words, with the examples of each.
fn verbs(system: &System, words: &[&str], found: &mut Vec<(String, Vec<String>)>) {
    let help = system.ok(words.iter().copied().chain(["--help"]));
    let lines = |heading: &str| -> Vec<&str> {
        let below = help.lines().skip_while(|line| !line.starts_with(heading));
        below
            .skip(1)
            .take_while(|line| line.starts_with("  "))
            .collect()
    };
    let commands: Vec<_> = lines("Commands:")
        .into_iter()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .collect();
    if commands.is_empty() {
        let examples = lines("Example").into_iter();
        let examples = examples.filter(|line| line.contains("dfsctl "));
        // What follows two spaces is said of it.
        let command = |line: &str| {
            line.trim()
                .split("  ")
                .next()
                .unwrap_or_default()
                .to_string()
        };
        found.push((words.join(" "), examples.map(command).collect()));
    }
    for command in commands {
        verbs(system, &[words, &[command]].concat(), found);
    }
}

#[test]
fn every_example_of_a_help_is_run_by_a_transcript() {
    let mut found = Vec::new();
    verbs(&System::new(), &[], &mut found);
    assert!(found.len() > 50, "{found:?}");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcript");
    let mut run = BTreeSet::new();
    for file in std::fs::read_dir(dir).expect("listed") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        run.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("$ ").or(line.strip_prefix("? ")))
                .map(String::from),
        );
    }
    let elsewhere = |example: &String| ELSEWHERE.iter().any(|(listed, _)| listed == example);
    let mut missing = Vec::new();
    for (verb, examples) in &found {
        if examples.is_empty() {
            missing.push(format!("{verb}: its help has no example"));
        }
        let not_run = examples
            .iter()
            .filter(|e| !run.contains(*e) && !elsewhere(e));
        missing.extend(not_run.map(|example| format!("$ {example}")));
    }
    assert!(
        missing.is_empty(),
        "in no transcript:\n{}",
        missing.join("\n")
    );
    for (listed, _) in ELSEWHERE {
        let is_one = found
            .iter()
            .any(|(_, examples)| examples.iter().any(|e| e == listed));
        assert!(is_one, "no help says any more: {listed}");
    }
}
