//! Benchmarks: short ones, that they come to their end and leave nothing.
use crate::system::System;
use serde_json::Value;

#[test]
fn only_what_is_asked_for_is_measured() {
    let system = System::new();
    let words = "bench quick --dir . --units 1 --length 20ms --only creates,lists -o json";
    let found = system.ok(words.split(' '));
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let names = found["figures"].as_array().expect("figures").iter();
    let names: Vec<_> = names.map(|figure| figure["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            Some("create empty"),
            Some("create 4 KiB"),
            Some("list 100 entries")
        ]
    );
    let refused = system.run("bench quick --only everything".split(' '));
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("use one of appends, creates"),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_table_of_fsyncs_has_four_placings_of_each_number_in_flight() {
    let system = System::new();
    let words = "bench fsyncs --dir . --memory . --rounds 1 --length 20ms --out rows.json";
    let lines = system.ok(words.split(' '));
    assert_eq!(lines.lines().count(), 12, "{lines}");
    let kept = std::fs::read(system.path("rows.json")).expect("kept");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    assert_eq!(kept["rows"][0]["journal_in_memory"], false);
    assert_eq!(kept["rows"][1]["journal_in_memory"], true);
    let left = std::fs::read_dir(system.path(".")).expect("listed");
    let left = left.filter(|entry| {
        let name = entry.as_ref().expect("entry").file_name();
        name.to_string_lossy().starts_with(".dfsctl-bench")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn watched_and_alone_are_measured_in_pairs() {
    let system = System::new();
    let words = "bench telemetry --dir . --rounds 2 --length 20ms --trace-ratio 1 -o json";
    let found = system.ok(words.split(' '));
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let rows = found["rows"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str()).collect();
    assert_eq!(names, [Some("create empty"), Some("stat")]);
    assert!(
        rows.iter().all(|row| row["ratio"].as_f64() > Some(0.0)),
        "{found}"
    );
    assert_eq!(
        system
            .run("bench telemetry --trace-ratio 2".split(' '))
            .code,
        2
    );
}
