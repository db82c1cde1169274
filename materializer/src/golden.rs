//! Bytes that are kept and read for ever: records, guards, values, keys, and the digest of a fixed story.
//!
//! `tests/golden/v1/` is append-only: a line that stands there is never changed, for logs and replicas hold such bytes.
mod attributes;

use crate::alone::{Alone, inline, owner, path};
use crate::state::{keys, linked, rows, values};
use bytes::Bytes;
use dfs_wire::v1;
use dfs_wire::v1::guard::Guard;
use dfs_wire::v1::mutate::Op;
use dfs_wire::v1::mutation::Kind;
use prost::Message;
use std::fmt::{Debug, Write};

const RECORDS: &str = include_str!("../tests/golden/v1/records.txt");
const GUARDS: &str = include_str!("../tests/golden/v1/guards.txt");
const VALUES: &str = include_str!("../tests/golden/v1/values.txt");
const KEYS: &str = include_str!("../tests/golden/v1/keys.txt");
const DIGESTS: &str = include_str!("../tests/golden/v1/digests.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Bytes {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// Every sample has its line, and the line its bytes.
fn check(golden: &str, samples: &[(&str, Vec<u8>)]) {
    let missing: Vec<String> = samples
        .iter()
        .map(|(name, bytes)| format!("{name} {}", hex(bytes)))
        .filter(|line| !golden.lines().any(|golden| golden == line))
        .collect();
    assert!(
        missing.is_empty(),
        "not in tests/golden/v1:\n{}",
        missing.join("\n")
    );
    assert_eq!(
        golden.lines().count(),
        samples.len(),
        "a line has no sample"
    );
}

/// The same, and the bytes still read as the sample.
fn check_messages<M: Message + Default + PartialEq + Debug>(golden: &str, samples: &[(&str, M)]) {
    let encoded: Vec<_> = samples
        .iter()
        .map(|(name, sample)| (*name, sample.encode_to_vec()))
        .collect();
    check(golden, &encoded);
    for (name, sample) in samples {
        let line = golden
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        assert_eq!(&M::decode(unhex(line.unwrap())).unwrap(), sample);
    }
}

fn extent() -> v1::ExtentRef {
    v1::ExtentRef {
        extent: Some(v1::ExtentId {
            session: 2,
            counter: 300,
        }),
        group: 5,
        generation: 1,
        stored_length: 1000,
        crc32c: 0x0102_0304,
        skip: 10,
        length: 900,
    }
}

fn content() -> v1::Content {
    v1::Content {
        size: 900,
        crc32c: 7,
        inline: Bytes::new(),
        extents: vec![extent()],
    }
}

fn attr() -> v1::Attr {
    v1::Attr {
        mode: 0o644,
        uid: 1000,
        gid: 100,
        mtime_ns: -1,
    }
}

fn group() -> v1::Group {
    v1::Group {
        group: 5,
        generation: 1,
        redundancy: Some(v1::Redundancy {
            rule: Some(v1::redundancy::Rule::Replicated(3)),
        }),
        unit_ids: vec![1, 2, 3],
        closed: true,
        under_replicated: true,
    }
}

fn cluster() -> v1::ClusterCreated {
    v1::ClusterCreated {
        cluster_id: Bytes::from_static(b"id"),
        settings: Some(v1::Settings {
            replicas: 2,
            redundancy: group().redundancy,
            inline_bytes_max: 16384,
            retention_us: 1,
            lease_us: 30_000_000,
            ..v1::Settings::default()
        }),
        shards: vec![v1::ShardRange {
            shard: 0,
            first_key: Bytes::from_static(b"k"),
        }],
        replicas: vec![1, 2],
        owner: Some(owner(1)),
    }
}

/// Fields that came later.
fn control_with_more() -> Vec<(&'static str, Kind)> {
    let taken = v1::DigestTaken {
        shard: 0,
        node_id: 2,
        lsn: 4096,
        digest: 1,
        build: "0.1.0".to_owned(),
        begun_lsn: 0,
    };
    let begun = v1::DigestTaken {
        begun_lsn: 300,
        ..taken.clone()
    };
    let created = with_digest_every();
    let changed = |value| {
        Kind::SettingChanged(v1::SettingChanged {
            setting: v1::Setting::Replication as u32,
            value,
        })
    };
    vec![
        ("setting_changed", changed(Some(0))),
        ("setting_back_to_its_default", changed(None)),
        ("digest_taken_by_a_build", Kind::DigestTaken(taken)),
        ("digest_taken_after_a_snapshot", Kind::DigestTaken(begun)),
        (
            "cluster_created_with_digest_every",
            Kind::ClusterCreated(created),
        ),
    ]
}

fn with_digest_every() -> v1::ClusterCreated {
    let created = cluster();
    let settings = created.settings.map(|settings| v1::Settings {
        digest_every: 64,
        ..settings
    });
    v1::ClusterCreated {
        settings,
        ..created
    }
}

fn name() -> Bytes {
    Bytes::from_static(b"n\xff")
}

fn namespace() -> Vec<(&'static str, Kind)> {
    let (tree, parent, inode) = (1, 2, 3);
    let directory = v1::Kind::Directory as i32;
    vec![
        (
            "made",
            Kind::Made(v1::Made {
                tree,
                parent,
                name: name(),
                inode,
                kind: v1::Kind::Symlink as i32,
                attr: Some(attr()),
                content: Some(content()),
                link_target: Bytes::from_static(b"to"),
            }),
        ),
        (
            "removed",
            Kind::Removed(v1::Removed {
                tree,
                parent,
                name: name(),
                inode,
                kind: directory,
            }),
        ),
        (
            "moved",
            Kind::Moved(v1::Moved {
                tree,
                from_parent: 2,
                from_name: name(),
                to_parent: 4,
                to_name: Bytes::from_static(b"m"),
                inode,
                kind: directory,
            }),
        ),
    ]
}

fn link() -> v1::Linked {
    v1::Linked {
        tree: 1,
        from_parent: 2,
        from_name: name(),
        to_parent: 4,
        to_name: Bytes::from_static(b"m"),
        inode: 3,
        kind: v1::Kind::File as i32,
    }
}

fn namespace_rest() -> Vec<(&'static str, Kind)> {
    let (tree, parent, inode) = (1, 2, 3);
    vec![
        (
            "content_set",
            Kind::ContentSet(v1::ContentSet {
                tree,
                parent,
                name: name(),
                inode,
                content: Some(v1::Content {
                    extents: Vec::new(),
                    ..inline(b"bytes")
                }),
            }),
        ),
        ("linked", Kind::Linked(link())),
        (
            "attr_set",
            Kind::AttrSet(v1::AttrSet {
                tree,
                parent,
                name: name(),
                inode,
                mode: Some(0),
                uid: Some(1),
                gid: Some(2),
                mtime_ns: Some(-3),
            }),
        ),
        (
            "parent_touched",
            Kind::ParentTouched(v1::ParentTouched {
                tree,
                inode,
                mtime_ns: 9,
                children: -1,
            }),
        ),
    ]
}

fn control() -> Vec<(&'static str, Kind)> {
    let (shard, node_id, session) = (0, 2, 7);
    vec![
        ("cluster_created", Kind::ClusterCreated(cluster())),
        (
            "term_started",
            Kind::TermStarted(v1::TermStarted {
                shard,
                prev_term: 4,
                owner: Some(owner(2)),
            }),
        ),
        (
            "replica_added",
            Kind::ReplicaAdded(v1::ReplicaAdded { shard, node_id }),
        ),
        (
            "replica_removed",
            Kind::ReplicaRemoved(v1::ReplicaRemoved { shard, node_id }),
        ),
        (
            "session_opened",
            Kind::SessionOpened(v1::SessionOpened {
                session,
                actor: "who".to_owned(),
                client_nonce: Bytes::from_static(&[9; 16]),
            }),
        ),
        (
            "session_expired",
            Kind::SessionExpired(v1::SessionExpired { session }),
        ),
        ("tick", Kind::Tick(v1::Tick {})),
        (
            "group_opened",
            Kind::GroupOpened(v1::GroupOpened {
                group: Some(group()),
            }),
        ),
        (
            "group_closed",
            Kind::GroupClosed(v1::GroupClosed { group: 5 }),
        ),
        (
            "digest_taken",
            Kind::DigestTaken(v1::DigestTaken {
                shard,
                node_id,
                lsn: 4096,
                digest: 1,
                build: String::new(),
                begun_lsn: 0,
            }),
        ),
        ("snapshot_taken", Kind::SnapshotTaken(snapshot_taken())),
        (
            "floor_moved",
            Kind::FloorMoved(v1::FloorMoved { floor_lsn: 300 }),
        ),
    ]
}

fn snapshot_taken() -> v1::SnapshotTaken {
    let extent = v1::ExtentRef {
        extent: Some(v1::ExtentId {
            session: 7,
            counter: 1,
        }),
        group: 5,
        generation: 1,
        stored_length: 100,
        crc32c: 9,
        skip: 0,
        length: 100,
    };
    let location = v1::SnapshotLocation {
        list: vec![extent],
        list_bytes: 100,
        groups: vec![group()],
    };
    v1::SnapshotTaken {
        shard: 0,
        lsn: 4096,
        digest: 1,
        extents: vec![extent, extent],
        location: Some(location),
        bytes: 150,
    }
}

fn done(outcome: v1::slot_result::Outcome) -> v1::SlotDone {
    let result = Some(v1::SlotResult {
        outcome: Some(outcome),
    });
    v1::SlotDone {
        session: 7,
        shard: 0,
        slot: 63,
        seq: 8,
        attempt: 2,
        result,
    }
}

#[test]
fn every_kind_of_record_is_what_it_always_was() {
    let refusal = v1::Refusal {
        code: v1::RefusalCode::Exists as i32,
        what: "w".to_owned(),
        why: "y".to_owned(),
        advice: "a".to_owned(),
        retryable: true,
        not_done: true,
        primary: "p".to_owned(),
        lsn: 6,
        log_time_us: 0,
    };
    let outcomes = [
        (
            "done",
            v1::slot_result::Outcome::Done(v1::Done {
                inode: 3,
                entries: 4,
            }),
        ),
        ("refused", v1::slot_result::Outcome::Refusal(refusal)),
    ];
    let namespace = namespace().into_iter().chain(namespace_rest());
    let mutations = control()
        .into_iter()
        .chain(control_with_more())
        .chain(attributes::records())
        .chain(namespace)
        .map(|(name, kind)| {
            let mutations = vec![v1::Mutation { kind: Some(kind) }];
            (
                name,
                v1::Record {
                    mutations,
                    actor: "who".to_owned(),
                    slot: None,
                },
            )
        });
    let slots = outcomes.map(|(name, outcome)| {
        (
            name,
            v1::Record {
                slot: Some(done(outcome)),
                ..v1::Record::default()
            },
        )
    });
    let samples: Vec<_> = mutations.chain(slots).collect();
    check_messages(RECORDS, &samples);
}

#[test]
fn every_guard_is_what_it_always_was() {
    let samples = [
        ("term", Guard::Term(v1::TermGuard { shard: 0, term: 9 })),
        (
            "replica",
            Guard::Replica(v1::ReplicaGuard {
                shard: 0,
                node_id: 2,
            }),
        ),
        ("session", Guard::Session(7)),
        (
            "group",
            Guard::Group(v1::GroupGuard {
                group: 5,
                generation: 1,
            }),
        ),
        ("readable", Guard::ReadableLsn(8)),
    ];
    let samples = samples.map(|(name, guard)| {
        (
            name,
            v1::Guards {
                guards: vec![v1::Guard { guard: Some(guard) }],
            },
        )
    });
    check_messages(GUARDS, &samples);
}

type Sample = (&'static str, Vec<u8>);

fn values_of_the_namespace() -> Vec<Sample> {
    let entry = values::EntryValue {
        inode: 3,
        kind: v1::Kind::File as i32,
        attr: Some(attr()),
        content: Some(content()),
        link_target: Bytes::from_static(b"to"),
        chunked_extents: 65,
        ..values::EntryValue::default()
    };
    let own = values::EntryValue {
        links: 2,
        ..entry.clone()
    };
    let directory = values::DirectoryValue {
        mtime_ns: -5,
        children: 6,
    };
    let chunk = values::ChunkValue {
        extents: vec![extent()],
    };
    let place = values::PlaceValue {
        parent: 2,
        name: name(),
        detached: true,
    };
    let hold = values::HoldValue {
        group: 5,
        generation: 1,
        stored_length: 1000,
        made: 8,
        released: 9,
    };
    vec![
        ("entry", entry.encode_to_vec()),
        ("entry_linked", linked::name(&entry).encode_to_vec()),
        ("own_linked", own.encode_to_vec()),
        ("directory", directory.encode_to_vec()),
        ("chunk", chunk.encode_to_vec()),
        ("place", place.encode_to_vec()),
        ("hold", hold.encode_to_vec()),
    ]
}

fn agreed(lsn: u64, digest: u64) -> values::AgreedValue {
    values::AgreedValue { lsn, digest }
}

fn values_of_control() -> Vec<Sample> {
    let owner = Some(owner(2));
    let term = values::TermValue { term: 4, owner };
    let order = values::OrderValue { term: 4, frames: 5 };
    let session = values::SessionValue {
        actor: "who".to_owned(),
        client_nonce: Bytes::from_static(&[9; 16]),
        opened_lsn: 3,
        opened_log_time_us: 4,
    };
    let outcome = v1::slot_result::Outcome::Done(v1::Done {
        inode: 3,
        entries: 4,
    });
    let slot = values::SlotValue {
        seq: 8,
        attempt: 2,
        lsn: 5,
        log_time_us: 6,
        result: done(outcome).result,
    };
    let digest = values::DigestValue {
        lsn: 4096,
        digest: 1,
    };
    let counts = values::CountsValue {
        largest_id: 9,
        entries: 8,
    };
    vec![
        ("term", term.encode_to_vec()),
        ("order", order.encode_to_vec()),
        ("session", session.encode_to_vec()),
        ("nonce", values::NonceValue { session: 7 }.encode_to_vec()),
        ("slot", slot.encode_to_vec()),
        ("digest", digest.encode_to_vec()),
        ("agreed", agreed(4096, 0).encode_to_vec()),
        ("agreed_on", agreed(4096, 1).encode_to_vec()),
        ("counts", counts.encode_to_vec()),
        ("floor", values::FloorValue { lsn: 300 }.encode_to_vec()),
        ("cluster", cluster().encode_to_vec()),
        ("group", group().encode_to_vec()),
        ("setting", setting(Some(0)).encode_to_vec()),
        ("setting_unset", setting(None).encode_to_vec()),
    ]
}

fn setting(value: Option<u64>) -> values::SettingValue {
    let actor = "who".to_owned();
    values::SettingValue { value, actor }
}

/// FOLD-X4: the digest hashes these bytes.
#[test]
fn every_value_and_row_is_what_it_always_was() {
    let row = rows::encode(8, 9, b"value");
    let rows = [
        ("row", row.to_vec()),
        ("superseded", rows::superseded(&row, 10).to_vec()),
    ];
    let samples: Vec<Sample> = values_of_the_namespace()
        .into_iter()
        .chain(values_of_control())
        .chain(attributes::values())
        .chain(rows)
        .collect();
    check(VALUES, &samples);
}

#[test]
fn every_key_is_what_it_always_was() {
    let head = keys::entry(1, 2, &name());
    let id = v1::ExtentId {
        session: 2,
        counter: 300,
    };
    let samples = [
        ("entry", head.clone()),
        ("own", keys::own(1, 3)),
        ("chunk", keys::chunk(1, 3, 64)),
        ("history", keys::history(&head, 8)),
        ("control", keys::control(keys::letter::TERM, &[0])),
        ("nonce", keys::nonce(&[9; 2])),
        ("slot", keys::slot(7, 0, 63)),
        ("hold", keys::hold(&id, 1, 3)),
        ("setting", crate::state::setting_key(2)),
    ];
    check(KEYS, &samples);
}

/// One of everything that a fold does: any change of any effect shows here.
#[test]
fn the_digest_of_a_fixed_story_is_what_it_always_was() {
    let mut alone = Alone::new();
    let put = |at: &str, content| {
        let (path, content) = (path(at), Some(content));
        let mode = v1::CommitMode::Replace as i32;
        Op::Commit(v1::Commit {
            path,
            content,
            mode,
            ..v1::Commit::default()
        })
    };
    let many: Vec<_> = (0..70).map(|counter| alone.extent(counter, 10)).collect();
    let many = v1::Content {
        size: 700,
        extents: many,
        ..v1::Content::default()
    };
    let make = v1::MakeDirectory {
        path: path("a/b"),
        parents: true,
        ..Default::default()
    };
    let story = [
        Op::MakeDirectory(make),
        put("a/b/f", inline(b"one")),
        put("a/b/f", many),
        Op::Truncate(v1::Truncate {
            path: path("a/b/f"),
            size: 25,
        }),
        Op::Rename(v1::Rename {
            from: path("a/b"),
            to: path("c"),
            no_replace: false,
        }),
        Op::SetAttr(v1::SetAttr {
            path: path("c"),
            mtime_ns: Some(1),
            ..Default::default()
        }),
        Op::Remove(v1::Remove {
            path: path("c"),
            recursive: true,
        }),
        Op::Remove(v1::Remove {
            path: path("a"),
            recursive: false,
        }),
    ];
    for step in story {
        alone.act(step).unwrap();
    }
    let digest = alone.snapshot().stamp.digest;
    check(DIGESTS, &[("story", digest.to_be_bytes().to_vec())]);
}
