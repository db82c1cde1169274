//! The first hour: start, put, remove, look back, restore by reference, stop, start again.
use crate::system::{System, assert_equal_trees, lsn};
use std::os::unix::fs::{PermissionsExt, symlink};

/// A tree with everything that is easily lost: empty directories, links, modes, odd names.
fn photos(system: &System) {
    for i in 0..40 {
        system.write(&format!("photos/{}/{i}.txt", i % 3), format!("photo {i}"));
    }
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    let large = system.write("photos/large.bin", large);
    std::fs::set_permissions(large, PermissionsExt::from_mode(0o600)).expect("set");
    std::fs::create_dir(system.path("photos/empty")).expect("made");
    symlink("large.bin", system.path("photos/link")).expect("made");
    system.write("photos/a@b:c d\n", "odd");
}

#[test]
fn what_was_put_is_got_removed_and_still_readable() {
    let system = System::up();
    photos(&system);
    let put = system.ok(["put", "photos", "/demo/photos"]);
    assert!(
        put.starts_with("put /demo/photos  43 files 2.9 MiB in "),
        "{put}"
    );
    system.ok(["get", "/demo/photos", "back"]);
    assert_equal_trees(&system.path("photos"), &system.path("back"));

    let again = system.ok(["put", "photos", "/demo/photos"]);
    assert!(again.contains("  0 files 0 B in "), "{again}");

    let removed = system.ok(["rm", "-r", "-y", "/demo/photos"]);
    let before = lsn(&removed) - 1;
    assert_eq!(system.run(["ls", "/demo/photos"]).code, 3);
    let then = system.ok(["ls".into(), format!("/demo/photos@{before}")]);
    assert_eq!(then, "0/\n1/\n2/\na@b:c d\\n\nempty/\nlarge.bin\nlink@\n");
    system.ok([
        "get".into(),
        format!("/demo/photos@{before}"),
        "earlier".into(),
    ]);
    assert_equal_trees(&system.path("photos"), &system.path("earlier"));

    let from = format!("/demo/photos@{before}");
    system.ok(["cp", &from, "/demo/photos"]);
    let sums = system.ok(["checksum", &from, "/demo/photos", "-o", "jsonl"]);
    let sums: Vec<serde_json::Value> = sums
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(sums[0]["crc32c"], sums[1]["crc32c"]);
    assert_eq!(sums[0]["files"], 42);
}

#[test]
fn a_stop_loses_nothing_and_the_digest_stays() {
    let system = System::up();
    system.write("f", "one");
    system.ok(["put", "f", "/f"]);
    system.write("f", "two and more");
    let second = lsn(&system.ok(["put", "f", "/f"]));
    let digest = system.ok(["verify", "digest"]);
    let at = lsn(&digest).to_string();
    system.ok(["dev", "down"]);
    assert_eq!(system.run(["ls", "/", "--timeout", "1s"]).code, 6);

    system.ok(["dev", "up", "--port", "0"]);
    assert_eq!(system.ok(["cat", "/f"]), "two and more");
    assert_eq!(
        system.ok(["cat".into(), format!("/f@{}", second - 1)]),
        "one"
    );
    let refolded = system.ok(["verify", "digest", "--at", &at]);
    assert_eq!(
        refolded.split_whitespace().next(),
        digest.split_whitespace().next()
    );
    system.ok(["verify", "digest", "--refold"]);
}

#[test]
fn a_second_start_says_where_it_runs() {
    let system = System::up();
    let first = system.ok(["dev", "up", "-o", "json"]);
    let again = system.ok(["dev", "up", "-o", "json"]);
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(parse(&first)["address"], parse(&again)["address"]);
    let address = parse(&again)["address"].as_str().expect("text").to_string();

    let units = system.refused(11, ["dev", "up", "--units", "3"]);
    assert!(units.contains("made with 1"), "{units}");
    let port = address.rsplit_once(':').expect("host:port").1;
    let taken = system.refused(4, ["dev", "up", "--dir", "other", "--port", port]);
    assert!(taken.contains(&address), "{taken}");

    system.refused(11, ["dev", "reset", "--name", "dev"]);
    system.ok(["dev", "down"]);
    system.refused(2, ["dev", "reset", "--name", "prod"]);
    system.ok(["dev", "reset", "--name", "dev"]);
    assert!(!system.path("dev").exists());
}

#[test]
fn three_units_keep_everything_three_times() {
    let system = System::new();
    system.ok(["dev", "up", "--port", "0", "--units", "3"]);
    system.write("f", vec![7; 100_000]);
    system.ok(["put", "f", "/f"]);
    let status = system.ok(["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["problems"], serde_json::json!([]));
    assert_eq!(status["stripes"][0]["write_quorum"], 2);
    let units = status["units"].as_array().expect("a list");
    assert_eq!(units.len(), 3);
    for unit in units {
        assert_eq!(unit["status"]["extents"], 1, "{unit}");
    }
    system.ok(["checksum", "--read", "/f"]);
}

#[test]
fn three_materializers_hold_one_tree() {
    let system = System::new();
    system.ok(["dev", "up", "--port", "0", "--materializers", "3"]);
    let materializers = || {
        let status = system.ok(["status", "-o", "json"]);
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        assert_eq!(status["problems"], serde_json::json!([]));
        let listed = status["materializers"].as_array().expect("a list").clone();
        listed.into_iter().map(|it| it["status"].clone()).collect()
    };
    let of_role = |all: &[serde_json::Value], role: &str| {
        let those = all.iter().filter(|it| it["role"] == role);
        those.count()
    };
    let all: Vec<serde_json::Value> = materializers();
    let (primaries, replicas) = (of_role(&all, "primary"), of_role(&all, "replica"));
    assert_eq!((primaries, replicas), (1, 2), "{all:#?}");
    system.write("f", "one");
    system.ok(["put", "f", "/f"]);
    let other = system.refused(11, ["dev", "up", "--materializers", "2"]);
    assert!(other.contains("made with 3"), "{other}");

    system.ok(["dev", "down"]);
    let again = system.ok(["dev", "up", "--port", "0"]);
    assert!(again.contains("materializers 3"), "{again}");
    assert_eq!(system.ok(["cat", "/f"]), "one");
    let all: Vec<serde_json::Value> = materializers();
    assert_eq!((all.len(), of_role(&all, "primary")), (3, 1), "{all:#?}");
}

#[test]
fn small_verbs_do_what_their_names_say() {
    let system = System::up();
    system.ok(["mkdir", "-p", "/a/b/c"]);
    system.write(
        "lines",
        (1..=30).map(|i| format!("{i}\n")).collect::<String>(),
    );
    system.ok(["put", "lines", "/a/"]);
    assert_eq!(system.ok(["head", "-n", "2", "/a/lines"]), "1\n2\n");
    assert_eq!(system.ok(["tail", "-n", "2", "/a/lines"]), "29\n30\n");
    assert_eq!(system.ok(["head", "-c", "3", "/a/lines"]), "1\n2");
    assert_eq!(system.ok(["tail", "-c", "3", "/a/lines"]), "30\n");
    system.write("more", "31\n");
    system.ok(["append", "more", "/a/lines"]);
    assert_eq!(system.ok(["tail", "-n", "1", "/a/lines"]), "31\n");
    system.ok(["truncate", "-s", "4", "/a/lines"]);
    assert_eq!(system.ok(["cat", "/a/lines"]), "1\n2\n");
    system.ok(["mv", "/a/lines", "/a/b/"]);
    system.ok(["chmod", "u=rw,go=", "/a/b/lines"]);
    assert!(
        system
            .ok(["ls", "-l", "/a/b/lines"])
            .contains("-rw------- ")
    );
    system.ok(["cp", "/a/b/lines", "/a/copy"]);
    assert!(
        system.ok(["du", "/a"]).contains(" 8 "),
        "the copy counts in full"
    );
    let tree = system.ok(["tree", "/a"]);
    assert_eq!(tree, "/a\n├── b/\n│   ├── c/\n│   └── lines\n└── copy\n");
    assert_eq!(system.run(["test", "-d", "/a"]).code, 0);
    assert_eq!(system.run(["test", "-f", "/a"]).code, 1);
    assert_eq!(system.run(["test", "-e", "/a/lines"]).code, 1);
    system.ok(["rm", "-f", "/a/none", "/a/copy"]);
    assert_eq!(
        system.ok(["ls", "-R", "/a"]),
        "/a:\nb/\n/a/b:\nc/\nlines\n/a/b/c:\n"
    );
}

#[test]
fn every_change_is_a_record() {
    let system = System::up();
    let made = lsn(&system.ok(["mkdir", "/records"]));
    let shown = system.ok(["log".to_string(), "show".into(), made.to_string()]);
    assert!(shown.contains("Made directory \"records\" in 1"), "{shown}");
    assert!(shown.contains("actor  tester"), "{shown}");
    let tail = system.ok(["log", "tail", "--from", &made.to_string(), "-o", "jsonl"]);
    let first = tail.lines().next().expect("a record");
    let first: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(first["record_lsn"], made);
    assert_eq!(first["mutations"][0]["kind"], "Made");
    assert_eq!(system.run(["log", "show", "99999"]).code, 3);
}
