//! Tests of the configuration: its smallest, and its table of keys, which cannot drift from the struct.
use super::keys::{KEYS, find};
use super::load::{Flag, Loaded, Sources, load};
use super::{ClusterConfig, NodeConfig, RetentionConfig, RoleName, SnapshotConfig, shown};
use std::collections::BTreeSet;
use std::path::Path;
use toml::Value;

fn loaded(text: &str) -> Loaded {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("node.toml");
    std::fs::write(&file, text).expect("written");
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    load(&sources).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_smallest_configuration_runs_everything() {
    let config = loaded("dir = '/d'").config;
    assert_eq!(config.roles, RoleName::ALL);
    assert_eq!((config.log_replicas(), config.log_write_quorum()), (1, 1));
    let three = loaded("dir = '/d'\nunits = 3").config;
    let (r, w) = (three.log_replicas(), three.log_write_quorum());
    assert_eq!((r, w, three.file_copies()), (3, 2, 3));
}

#[test]
fn a_voter_is_known_by_the_place_of_its_address() {
    let text = "dir = '/d'\nadvertise = 'b:1'\nsequencers = ['a:1', 'b:1', 'c:1']";
    let config = loaded(text).config;
    let (list, own) = config.voters("b:1").expect("it is listed");
    assert_eq!((list.len(), own), (3, vec![2]));
    assert!(config.voters("d:1").is_err());
    let config = loaded("dir = '/d'\nvoters = 3").config;
    let (list, own) = config.voters("a:1").expect("all are here");
    assert_eq!((list.len(), own), (3, vec![1, 2, 3]));
}

/// Every field of the structs. No `..`: a field that is added does not compile until it is here.
fn fields(config: &NodeConfig) -> BTreeSet<&'static str> {
    macro_rules! names {
        ($section:literal, $($field:ident),*) => {{
            $(let _ = $field;)*
            [$(concat!($section, stringify!($field))),*]
        }};
    }
    let NodeConfig {
        dir,
        listen,
        advertise,
        metrics,
        traces,
        roles,
        sequencers,
        join,
        voters,
        units,
        rack,
        rank,
        insecure,
        cluster,
        snapshots,
        retention,
    } = config;
    let ClusterConfig {
        log_replicas,
        log_write_quorum,
        file_copies,
        shard_replicas,
        digest_every,
        set_aside_from: _, // of simulations
    } = cluster;
    let SnapshotConfig {
        every_records,
        every_mib,
    } = snapshots;
    let RetentionConfig { seconds, mib } = retention;
    let mut all = BTreeSet::new();
    all.extend(names!(
        "", dir, listen, advertise, metrics, traces, roles, sequencers, join, voters, units, rack,
        rank, insecure
    ));
    all.extend(names!(
        "cluster.",
        log_replicas,
        log_write_quorum,
        file_copies,
        shard_replicas,
        digest_every
    ));
    all.extend(names!("snapshots.", every_records, every_mib));
    all.extend(names!("retention.", seconds, mib));
    all
}

#[test]
fn the_table_of_keys_names_every_field_and_nothing_else() {
    let table: BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(table, fields(&shown::smallest()));
    assert_eq!(table.len(), KEYS.len(), "a key twice");
    for key in KEYS {
        let said = [key.what, key.why, key.example];
        assert!(said.iter().all(|said| !said.is_empty()), "{}", key.name);
    }
}

/// What else a key needs to be accepted.
fn beside(key: &str) -> &'static str {
    match key {
        "roles" | "join" => "sequencers = ['a:1']",
        "sequencers" => "advertise = 'b:9010'",
        "cluster.log_write_quorum" => "units = 3",
        _ => "",
    }
}

#[test]
fn the_example_of_each_key_reaches_its_field() {
    for key in KEYS.iter().filter(|key| key.name != "dir") {
        let example: toml::Table = format!("it = {}", key.example).parse().expect("TOML");
        let example = example.get("it").cloned();
        let text = format!(
            "dir = '/d'\n{}\n{} = {}",
            beside(key.name),
            key.name,
            key.example
        );
        let loaded = loaded(&text);
        assert_eq!((key.get)(&loaded.config), example, "{}", key.name);
        let before = (key.get)(&shown::smallest());
        assert_ne!(before, example, "{}: the example is the default", key.name);
    }
}

#[test]
fn all_defaults_written_out_are_the_defaults() {
    let text = shown::defaults();
    let smallest = shown::smallest();
    assert!(shown::differences(&loaded(&text), &loaded("dir = '/var/lib/dfs'")).is_empty());
    for key in KEYS {
        let Some(value) = (key.get)(&smallest) else {
            continue;
        };
        let line = format!("{} = {value}", key.last());
        assert!(text.contains(&line), "{line} is not in\n{text}");
        assert!(key.kind.check(&value).is_ok(), "{}: its default", key.name);
    }
}

#[test]
fn the_reference_beside_the_examples_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/reference.toml");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, shown::defaults()).expect("written");
    }
    let kept = std::fs::read_to_string(&path).expect("it is there");
    assert_eq!(
        kept,
        shown::defaults(),
        "REWRITE=1 cargo test -p dfs-node writes it anew"
    );
}

#[test]
fn the_examples_can_be_used() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/one-host");
    let mut files = 0;
    for entry in std::fs::read_dir(path).expect("listed") {
        let file = entry.expect("read").path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let sources = Sources {
                file: Some(file),
                ..Sources::default()
            };
            load(&sources).unwrap_or_else(|error| panic!("{error}"));
            files += 1;
        }
    }
    assert!(files > 10, "{files}");
}

#[test]
fn flags_override_the_environment_and_that_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("node.toml");
    let text = "dir = '/d'\nunits = 3\nrank = 1\n[retention]\nseconds = 5\n";
    std::fs::write(&file, text).expect("written");
    let variable = |name: &str, value: &str| (name.to_string(), value.to_string());
    let sources = Sources {
        file: Some(file.clone()),
        variables: vec![
            variable("DFS_RETENTION__SECONDS", "7"),
            variable("DFS_UNITS", "4"),
            variable("DFS_ROLES", "sequencer, unit"),
            variable("DFS_SEQUENCER_SERVICE_HOST", "somebody else's"),
        ],
        flags: vec![Flag {
            typed: "--set units".into(),
            key: "units".into(),
            value: "5".into(),
        }],
    };
    let loaded = load(&sources).expect("good");
    let from = |name: &str| loaded.place(find(name).expect("a key")).to_string();
    assert_eq!(
        (loaded.config.units, from("units").as_str()),
        (5, "--set units")
    );
    assert_eq!(loaded.config.retention.seconds, Some(7));
    assert_eq!(from("retention.seconds"), "DFS_RETENTION__SECONDS");
    assert_eq!(loaded.config.roles, [RoleName::Sequencer, RoleName::Unit]);
    assert_eq!(from("rank"), format!("{}:3:8", file.display()));
    assert_eq!(from("rack"), "default");
    let shown = shown::effective(&loaded);
    assert!(shown.contains("units = 5"), "{shown}");
    assert!(shown.contains("# DFS_RETENTION__SECONDS\n"), "{shown}");
    let again: toml::Table = shown.parse().expect("what is shown is TOML");
    assert_eq!(again.get("units"), Some(&Value::Integer(5)));
}
