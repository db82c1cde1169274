//! What a person sees of a cluster, and what a script reads off exit codes.
use crate::system::{Ended, System};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Begins a command that goes on, waits for its first line, interrupts it.
fn interrupted(system: &System, words: &[&str]) -> (String, Ended) {
    let mut command = system.command(words);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it is there");
    let ended = child.wait_with_output().expect("it ends");
    (first, Ended::of(ended))
}

#[test]
fn a_script_reads_health_off_the_exit_code() {
    let system = System::up();
    let text = system.ok(["status"]);
    assert!(text.starts_with("health        healthy\n"), "{text}");
    assert!(text.contains("\ncapacity      log "), "{text}");
    let told = json(&system.ok(["status", "-o", "json"]));
    assert_eq!(told["health"], "healthy", "{told}");
    assert_eq!(told["problems"].as_array().map(Vec::len), Some(0), "{told}");
    assert_eq!(system.ok(["status", "-o", "name"]), "healthy\n");

    let looks = system.ok(["status", "--watch", "0.1", "-n", "2", "-o", "jsonl"]);
    let looks: Vec<Value> = looks.lines().map(json).collect();
    assert_eq!(looks.len(), 2);
    assert!(looks.iter().all(|look| look["kind"] == "Status"));
    let (first, ended) = interrupted(&system, &["status", "--watch"]);
    assert_eq!(first, "health        healthy");
    assert_eq!((ended.code, ended.stderr.as_str()), (130, ""));

    system.ok(["dev", "down"]);
    let words = ["status", "-o", "json", "--timeout", "300ms"];
    let ended = system.run(words);
    assert_eq!(ended.code, 6, "{}", ended.stderr);
    let told = json(&String::from_utf8(ended.stdout).expect("text"));
    assert_eq!(told["health"], "unavailable", "{told}");
    // A cluster that has gone is looked for again.
    let words = ["status", "--watch", "0.1", "-n", "2", "--timeout", "300ms"];
    let ended = system.run(words);
    let text = String::from_utf8(ended.stdout).expect("text");
    assert_eq!(ended.code, 6, "{}", ended.stderr);
    assert_eq!(text.matches("health        unavailable\n").count(), 2);
    system.refused(2, ["status", "-n", "2"]);
    system.refused(2, ["status", "--watch", "0"]);
}

#[test]
fn what_members_do_and_lack_is_told_without_a_port_of_metrics() {
    let system = System::up();
    system.ok(["mkdir", "/d"]);
    let once = system.ok(["top", "-n", "1", "--every", "0.2"]);
    for name in ["sequencer/1", "unit/1", "materializer/1", "REQ/S", "leader"] {
        assert!(once.contains(name), "{name}: {once}");
    }
    let words = ["top", "-n", "2", "--every", "0.1", "--sort", "p99", "-o"];
    let lines = system.ok(words.into_iter().chain(["jsonl"]));
    let tops: Vec<Value> = lines.lines().map(json).collect();
    assert_eq!(tops.len(), 2);
    let members = tops[0]["members"].as_array().expect("a list");
    assert_eq!(members.len(), 3, "{members:#?}");
    let (first, ended) = interrupted(&system, &["top", "--every", "0.1"]);
    assert!(first.starts_with("MEMBER"), "{first}");
    assert_eq!((ended.code, ended.stderr.as_str()), (130, ""));

    // What this machine lacks, and how busy it is, is no business of this test.
    let told = json(&String::from_utf8(system.run(["doctor", "-o", "json"]).stdout).expect("text"));
    let findings = told["items"].as_array().expect("a list");
    let verdict = |check: &str| {
        let mut all = findings.iter().filter(|it| it["check"] == check);
        all.next().map(|it| it["verdict"].clone())
    };
    for check in ["version", "clock"] {
        assert_eq!(verdict(check), Some("ok".into()), "{check}: {told}");
    }
    for check in [
        "health", "reach", "disk", "lag", "limits", "memory", "space",
    ] {
        assert!(verdict(check).is_some(), "{check}: {told}");
    }
    let local = system.run(["doctor", "--local", ".", "-o", "name"]).stdout;
    assert!(String::from_utf8_lossy(&local).contains(" disk ."));
    system.refused(3, ["doctor", "--local", "none"]);
    system.ok(["dev", "down"]);
    system.refused(6, ["doctor", "--timeout", "300ms"]);
    system.refused(6, ["top", "-n", "1", "--timeout", "300ms"]);
}
