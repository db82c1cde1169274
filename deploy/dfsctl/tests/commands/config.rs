//! `dfsctl config`, and what `serve` says of a configuration that it cannot use.
use crate::system::System;

/// The reference beside the one of processes is what the program says.
#[test]
fn the_reference_of_settings_is_the_table() {
    let reference = include_str!("../../../config/settings.txt");
    assert_eq!(System::new().ok(["config", "settings"]), reference);
}

#[test]
fn a_wrong_configuration_is_refused_at_start_and_all_its_mistakes_are_listed() {
    let system = System::new();
    let text = "dir = \"d\"\nunits = 0\nrankk = 1\n";
    system.write("bad.toml", text);
    system.write("good.toml", "dir = \"d\"\n");
    let said = system.refused(2, ["serve", "--config", "bad.toml"]);
    let first = "bad.toml:2:9: units = 0: allowed is a whole number, 1 to 64 (slots) (and 1 more)";
    assert!(said.contains(first), "{said}");
    system.refused(3, ["serve", "--config", "none.toml"]);
    assert!(!system.path("d").exists(), "nothing was begun");

    let listed = system.run(["config", "validate", "good.toml", "bad.toml"]);
    assert_eq!(listed.code, 2, "{}", listed.stderr);
    let expected = "bad.toml:2:9: units = 0: allowed is a whole number, 1 to 64 (slots)\n\
                    bad.toml:3:1: rankk: no such key; `rank` is one\n";
    assert_eq!(String::from_utf8(listed.stdout).expect("text"), expected);
    assert_eq!(system.ok(["config", "validate", "good.toml"]), "");
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let system = System::new();
    system.write("node.toml", "dir = \"d\"\n");
    let mut serve = system.command(["serve", "--config", "node.toml"]);
    let ended = serve.env("DFS_RETENTION__SECONDS", "soon").output();
    let said = String::from_utf8(ended.expect("it runs").stderr).expect("text");
    let expected = "DFS_RETENTION__SECONDS: retention.seconds = soon: allowed is a whole number";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn what_is_in_force_says_where_it_comes_from() {
    let system = System::new();
    system.write("a.toml", "dir = \"d\"\nunits = 3\n");
    system.write("b.toml", "dir = \"d\"\n[retention]\nseconds = 60\n");
    let mut view = system.command(["config", "view", "a.toml", "--set", "rank=2"]);
    let shown = view.env("DFS_RACK", "r1").output().expect("it runs").stdout;
    let shown = String::from_utf8(shown).expect("text");
    for (line, from) in [
        ("units = 3", "a.toml:2:9"),
        ("rank = 2", "--set rank"),
        ("rack = \"r1\"", "DFS_RACK"),
        ("voters = 1", "default"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        let found = found.unwrap_or_else(|| panic!("{line} is not in {shown}"));
        assert!(found.ends_with(&format!("# {from}")), "{found}");
    }
    let differs = |words: &[&str]| {
        let listed = system.ok(["config", "diff", "-o", "name"].iter().chain(words));
        listed.lines().map(str::to_string).collect::<Vec<_>>()
    };
    let keys = [
        "units",
        "cluster.log_replicas",
        "cluster.log_write_quorum",
        "cluster.file_copies",
        "retention.seconds",
    ];
    assert_eq!(differs(&["a.toml", "b.toml"]), keys);
    assert_eq!(differs(&["b.toml"]), ["dir", "retention.seconds"]);
    let all = system.ok(["config", "view", "--defaults"]);
    system.write("all.toml", &all);
    assert_eq!(differs(&["all.toml"]), Vec::<String>::new());
}

/// What one process sets, the next one uses; what belongs to a process is none of it.
#[test]
fn settings_of_the_cluster_are_changed_while_it_runs() {
    let system = System::up();
    let set = system.ok(["config", "set", "name_bytes_max", "32", "replication", "3"]);
    assert!(set.starts_with("set name_bytes_max = 32 bytes, replication = 3 copies  lsn "));
    let said = system.refused(2, ["mkdir", "/a-name-of-more-than-thirty-two-bytes"]);
    assert!(
        said.contains("at most 32 are taken (setting name_bytes_max)"),
        "{said}"
    );
    let refused = [
        (
            2,
            vec!["replication", "8"],
            "8 is not allowed: a whole number, 1 to 7 (copies)",
        ),
        (
            2,
            vec!["replicaton", "2"],
            "the settings are shard_replicas, replication,",
        ),
        (
            2,
            vec!["snapshots.every_records", "5"],
            "Write [snapshots] every_records = ...",
        ),
        (
            2,
            vec!["cluster.file_copies", "2"],
            "dfsctl config set replication VALUE",
        ),
        (
            4,
            vec!["--if-lsn", "0", "replication", "2"],
            "it was changed at LSN",
        ),
    ];
    for (code, words, expected) in refused {
        let said = system.refused(code, [&["config", "set"][..], &words].concat());
        assert!(said.contains(expected), "{said}");
    }
    let got = system.ok(["config", "get", "replication", "-o", "json"]);
    assert!(
        got.contains("\"value\": 3") && got.contains("\"least\": 1"),
        "{got}"
    );
    let before = system.ok(["config", "get", "replication", "--at", "1", "-o", "json"]);
    assert!(before.contains("\"value\": 1"), "{before}");
    system.ok(["config", "unset", "name_bytes_max"]);
    system.ok(["mkdir", "/a-name-of-more-than-thirty-two-bytes"]);
    let history = system.ok(["config", "history", "name_bytes_max"]);
    assert_eq!(history.lines().count(), 3, "{history}");
    system.write("node.toml", "dir = \"d\"\n[cluster]\nreplication = 2\n");
    let wrong = system.run(["config", "validate", "node.toml"]);
    let wrong = String::from_utf8(wrong.stdout).expect("text");
    assert!(
        wrong.contains("`replication` is a setting of the cluster"),
        "{wrong}"
    );
}
