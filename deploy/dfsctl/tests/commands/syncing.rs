//! A sync that is killed in the middle: run again it moves what is missing, and nothing twice.
use crate::system::{System, assert_equal_trees};
use std::process::Stdio;

const FILES: usize = 3000;

fn there(system: &System) -> usize {
    let found = system.run(["find", "/t", "--type", "f", "-o", "name"]);
    String::from_utf8_lossy(&found.stdout).lines().count()
}

fn synced(printed: &str) -> serde_json::Value {
    serde_json::from_str(printed).expect("JSON")
}

#[test]
fn what_a_killed_sync_has_moved_is_not_moved_again() {
    let system = System::up();
    for i in 0..FILES {
        system.write(&format!("t/{}/{i}", i % 7), format!("file {i}"));
    }
    let mut first = system.command(["sync", "t", "/t"]);
    let mut first = first.stderr(Stdio::null()).spawn().expect("it runs");
    while there(&system) == 0 {
        std::thread::yield_now();
    }
    first.kill().expect("killed");
    first.wait().expect("it ends");
    // What was sent before may still come to be.
    let mut before = there(&system);
    loop {
        let now = there(&system);
        if now == before {
            break;
        }
        before = now;
    }
    assert!(before < FILES, "it was killed in the middle: {before}");
    let second = synced(&system.ok(["sync", "t", "/t", "-o", "json"]));
    assert_eq!(second["files"], FILES - before, "{second}");
    assert_eq!(second["skipped_files"], before, "{second}");
    let third = synced(&system.ok(["sync", "t", "/t", "-o", "json"]));
    assert_eq!((&third["files"], &third["bytes"]), (&0.into(), &0.into()));
    system.ok(["get", "/t", "back"]);
    assert_equal_trees(&system.path("t"), &system.path("back"));
}
