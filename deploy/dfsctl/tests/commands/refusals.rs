//! Wrong input: one error of three lines, the right exit code, and nothing changed.
use crate::system::{System, lsn};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

#[test]
fn bad_addresses_and_moments_are_usage() {
    let system = System::up();
    for bad in [
        "x",
        "a:b:c:/x",
        "/x@",
        "/x@yesterday",
        "/x@0",
        "/a/../b",
        "nowhere:tree:/x",
    ] {
        let code = if bad.starts_with("nowhere") { 3 } else { 2 };
        system.refused(code, ["ls", bad]);
    }
    system.refused(3, ["ls", "nowhere:/x"]);
    system.refused(2, ["mkdir", "/new@5"]);
    system.refused(2, ["--at", "-1h", "mkdir", "/new"]);
    assert_eq!(system.run(["ls", "--at", "yesterday"]).code, 2);
    assert_eq!(system.run(["frobnicate"]).code, 2);
}

#[test]
fn what_is_missing_there_or_of_another_kind() {
    let system = System::up();
    system.write("f", "x");
    system.ok(["mkdir", "/d"]);
    let put = lsn(&system.ok(["put", "f", "/d/f"]));
    system.ok(["put", "f", "/d/g"]);
    for words in [
        vec!["cat", "/none"],
        vec!["ls", "/none"],
        vec!["rm", "/none"],
        vec!["mv", "/none", "/x"],
        vec!["get", "/none", "x"],
        vec!["put", "none", "/x"],
    ] {
        system.refused(3, words);
    }
    for words in [
        vec!["mkdir", "/d"],
        vec!["rm", "/d"],
        vec!["put", "f", "/d"],
        vec!["get", "/d/f", "dev"],
        vec!["mv", "/d", "/d/e"],
        vec!["cp", "/d", "/d/e"],
        vec!["mv", "-n", "/d/f", "/d/g"],
        vec!["cat", "/d"],
        vec!["mkdir", "/d/f/x"],
        vec!["put", "--if-lsn", "0", "f", "/d/f"],
        vec!["put", "--no-replace", "f", "/d/f"],
        vec!["append", "--if-size", "7", "f", "/d/f"],
    ] {
        system.refused(4, words);
    }
    let put = put.to_string();
    system.ok(["put", "--if-lsn", &put, "f", "/d/f"]);
    system.refused(4, ["put", "--if-lsn", &put, "f", "/d/f"]);
}

#[test]
fn names_and_paths_at_their_bounds() {
    let system = System::up();
    let name = |n: usize| format!("/{}", "n".repeat(n));
    system.ok(["mkdir", &name(255)]);
    system.refused(2, ["mkdir", &name(256)]);
    let deep = "/deeper".repeat(40);
    system.ok(["mkdir", "-p", &deep]);
    assert_eq!(system.ok(["ls", &deep]), "");
    system.refused(2, ["mkdir", "-p", &"/d".repeat(2500)]);
}

#[test]
fn names_that_are_not_text_work() {
    let system = System::up();
    let local = system.path("odd");
    std::fs::create_dir(&local).expect("made");
    std::fs::write(local.join(OsStr::from_bytes(b"\xff\xfe")), "bytes").expect("written");
    system.ok(["put", "odd", "/odd"]);
    let address = OsStr::from_bytes(b"/odd/\xff\xfe");
    assert_eq!(system.ok([OsStr::new("cat"), address]), "bytes");
    assert_eq!(system.ok(["ls", "/odd"]), "\\xff\\xfe\n");
    let names = system.run(["ls", "-o", "name", "/odd"]).stdout;
    assert_eq!(names, b"/odd/\xff\xfe\n");
    let json = system.ok(["ls", "-o", "json", "/odd"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["items"][0]["name_hex"], "fffe");
    system.ok([OsStr::new("rm"), address]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let system = System::up();
    system.write("f", "x");
    system.ok(["put", "f", "/f"]);
    let before = system.ok(["verify", "digest"]);
    for words in [
        vec!["mkdir", "/d"],
        vec!["put", "f", "/g"],
        vec!["rm", "/f"],
        vec!["mv", "/f", "/g"],
        vec!["cp", "/f", "/g"],
        vec!["append", "f", "/f"],
        vec!["truncate", "-s", "0", "/f"],
        vec!["chmod", "600", "/f"],
    ] {
        let said = system.ok(words.iter().chain(["--dry-run"].iter()));
        assert!(said.starts_with("would have "), "{said}");
    }
    let digest = |text: &str| text.split_whitespace().next().map(str::to_string);
    assert_eq!(digest(&system.ok(["verify", "digest"])), digest(&before));
}

#[test]
fn a_large_removal_asks_and_a_batch_returns_the_worst() {
    let system = System::up();
    for i in 0..1001 {
        system.write(&format!("many/{i}"), "");
    }
    system.ok(["put", "many", "/many"]);
    let asked = system.refused(2, ["rm", "-r", "/many"]);
    assert!(asked.contains("more than 1,000 entries"), "{asked}");
    let batch = system.run(["rm", "-r", "-y", "/none", "/many"]);
    assert_eq!(batch.code, 3);
    assert!(String::from_utf8_lossy(&batch.stdout).starts_with("removed /many"));
}

#[test]
fn nobody_at_the_address_is_unavailable() {
    let system = System::new();
    let refused = system.refused(
        6,
        ["--sequencers", "127.0.0.1:1", "--timeout", "2s", "ls", "/"],
    );
    assert!(refused.contains("127.0.0.1:1"), "{refused}");
    system.refused(3, ["-p", "none", "ls", "/"]);
}

#[test]
fn a_configuration_that_is_no_file_is_usage() {
    let system = System::new();
    std::fs::create_dir(system.path("config.toml")).expect("made");
    let refused = system.refused(2, ["ls", "/"]);
    assert!(refused.contains("Set DFSCTL_CONFIG="), "{refused}");
}

/// The log and the past are let go of; whoever asks for what was there is told from where on there is something.
#[test]
fn what_is_trimmed_names_the_oldest_there_is() {
    let system = System::new();
    system.ok(["dev", "up", "--port", "0", "--retention", "2"]);
    let first = lsn(&system.ok(["mkdir", "/first"]));
    let at = format!("/@{first}");
    let told = |words: &[&str]| {
        let told = system.refused(12, words);
        let (_, behind) = told
            .split_once("the oldest that can be read is lsn ")
            .expect(&told);
        let (oldest, time) = behind.split_once(", of 20").expect(&told);
        assert!(time.contains('T') && time.contains('Z'), "{told}");
        oldest.parse::<u64>().expect("a number")
    };
    // Retention is by log time, which goes on with every record.
    let mut records = 0;
    while system.run(["ls", &at]).code == 0 {
        records += 1;
        assert!(records < 1000, "never trimmed");
        system.ok(["mkdir", &format!("/d{records}")]);
    }
    assert!(told(&["ls", &at]) > first);
    assert!(told(&["stat", &format!("/first@{first}")]) > first);
    assert!(told(&["cp", &format!("/first@{first}"), "/again"]) > first);
    let status = system.ok(["status"]);
    assert!(status.contains("readable from lsn "), "{status}");

    system.ok(["log", "show", "1"]);
    let kept = lsn(&system.ok(["log", "snapshot"]));
    system.ok(["mkdir", "/last"]);
    system.ok(["log", "snapshot"]);
    let mut records = 0;
    while system.run(["log", "show", "1"]).code == 0 {
        records += 1;
        assert!(records < 1000, "never trimmed");
    }
    for words in [vec!["log", "show", "1"], vec!["log", "tail", "--from", "1"]] {
        assert!(told(&words) <= kept);
    }
    let status: serde_json::Value =
        serde_json::from_str(&system.ok(["status", "-o", "json"])).expect("JSON");
    let history = &status["history"];
    assert!(
        history["first_lsn"].as_u64().expect("a number") > 1,
        "{history}"
    );
    assert_eq!(history["pins"][0]["name"], "shard-0");
    assert_eq!(history["snapshots"].as_array().expect("a list").len(), 2);
    assert!(history["log_bytes"].as_u64().expect("a number") > 0);
    system.ok(["ls", "/first"]);
}
