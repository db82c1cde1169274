//! What every view must do; both stores pass it.
use super::{Keyspace, Layer, Layered, LsmView, MemoryView, Read, Stamp, View, ViewError, dump};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::BTreeMap;
use std::path::Path;

fn stamp(lsn: u64) -> Stamp {
    Stamp {
        lsn,
        log_time_us: lsn * 10,
        cut_seq: lsn,
        digest: lsn * 7,
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn layer(writes: &[(Keyspace, &str, Option<&str>)]) -> Layer {
    let mut layer = Layer::default();
    for (space, key, value) in writes {
        layer.set(*space, key.as_bytes(), value.map(bytes));
    }
    layer
}

fn keys(read: &dyn Read, space: Keyspace, from: &str, to: &str) -> Vec<String> {
    let rows = read.scan(space, from.as_bytes(), to.as_bytes());
    rows.map(|row| String::from_utf8(row.unwrap().0.to_vec()).unwrap())
        .collect()
}

fn an_empty_store_stands_at_nothing(view: &dyn View) {
    let snapshot = view.snapshot();
    assert_eq!(snapshot.stamp, Stamp::default());
    assert_eq!(snapshot.get(Keyspace::Head, b"a").unwrap(), None);
    assert!(dump(&snapshot).is_empty());
}

fn a_batch_is_seen_whole_with_its_stamp(view: &dyn View) {
    let head = Keyspace::Head;
    view.commit(
        layer(&[(head, "a", Some("1")), (Keyspace::Slots, "s", Some("2"))]),
        stamp(5),
    )
    .unwrap();
    let snapshot = view.snapshot();
    assert_eq!(snapshot.stamp, stamp(5));
    assert_eq!(snapshot.get(head, b"a").unwrap(), Some(bytes("1")));
    assert_eq!(
        snapshot.get(Keyspace::Slots, b"s").unwrap(),
        Some(bytes("2"))
    );
    assert_eq!(snapshot.get(Keyspace::History, b"a").unwrap(), None);
}

fn a_snapshot_stays_as_it_is(view: &dyn View) {
    let head = Keyspace::Head;
    let before = view.snapshot();
    let held = dump(&before);
    view.commit(
        layer(&[(head, "a", None), (head, "b", Some("3"))]),
        stamp(6),
    )
    .unwrap();
    assert_eq!((before.stamp, dump(&before)), (stamp(5), held));
    let after = view.snapshot();
    assert_eq!(
        (after.stamp, after.get(head, b"a").unwrap()),
        (stamp(6), None)
    );
}

fn scans_are_in_order_and_half_open(view: &dyn View) {
    let blocks = Keyspace::Blocks;
    let writes = ["a", "ab", "b", "c"].map(|key| (blocks, key, Some("x")));
    view.commit(layer(&writes), stamp(7)).unwrap();
    let snapshot = view.snapshot();
    assert_eq!(keys(&snapshot, blocks, "a", "c"), ["a", "ab", "b"]);
    assert!(
        keys(&snapshot, blocks, "c", "a").is_empty()
            && keys(&snapshot, blocks, "b", "b").is_empty()
    );
    let last = |from: &str, to: &str| {
        snapshot
            .last(blocks, from.as_bytes(), to.as_bytes())
            .unwrap()
            .map(|(key, _)| key)
    };
    assert_eq!(last("a", "b"), Some(bytes("ab")));
    assert_eq!((last("d", "e"), last("c", "a")), (None, None));
    view.persist().unwrap();
}

fn what_is_forgotten_is_gone_from_then_on(view: &dyn View) {
    let rows = [
        (Keyspace::History, "a", Some("1")),
        (Keyspace::History, "b", Some("2")),
    ];
    view.commit(layer(&rows), stamp(9)).unwrap();
    let before = view.snapshot();
    view.forget(vec![
        (Keyspace::History, bytes("a")),
        (Keyspace::History, bytes("none")),
    ])
    .unwrap();
    let after = view.snapshot();
    assert_eq!(keys(&before, Keyspace::History, "", "z").len(), 2);
    assert_eq!(keys(&after, Keyspace::History, "", "z"), ["b"]);
    assert_eq!(after.stamp, before.stamp);
    view.forget(vec![(Keyspace::History, bytes("b"))]).unwrap();
}

fn what_is_loaded_is_nothing_until_its_end(view: &dyn View) {
    let head = Keyspace::Head;
    view.commit(layer(&[(head, "old", Some("1"))]), stamp(90))
        .unwrap();
    let before = view.snapshot();
    view.begin_load().unwrap();
    view.load(vec![(head, bytes("new"), bytes("2"))]).unwrap();
    view.load(vec![(Keyspace::Blocks, bytes("b"), bytes("3"))])
        .unwrap();
    assert_eq!(view.snapshot().stamp, Stamp::default());
    view.end_load(stamp(95)).unwrap();
    let after = view.snapshot();
    assert_eq!(after.stamp, stamp(95));
    assert_eq!(after.get(head, b"old").unwrap(), None);
    assert_eq!(after.get(head, b"new").unwrap(), Some(bytes("2")));
    assert_eq!(keys(&after, Keyspace::Blocks, "", "z"), ["b"]);
    assert_eq!(before.get(head, b"old").unwrap(), Some(bytes("1")));
    view.commit(layer(&[(head, "new", None)]), stamp(7))
        .unwrap();
    assert_eq!(view.snapshot().get(head, b"new").unwrap(), None);
}

fn suite(view: &dyn View) {
    an_empty_store_stands_at_nothing(view);
    a_batch_is_seen_whole_with_its_stamp(view);
    a_snapshot_stays_as_it_is(view);
    scans_are_in_order_and_half_open(view);
    what_is_forgotten_is_gone_from_then_on(view);
    what_is_loaded_is_nothing_until_its_end(view);
}

#[test]
fn memory_keeps_the_contract() {
    suite(&MemoryView::new());
}

#[test]
fn fjall_keeps_the_contract_and_what_it_persisted() {
    let directory = tempfile::tempdir().unwrap();
    let view = LsmView::open(directory.path()).unwrap();
    suite(&view);
    let held = dump(&view.snapshot());
    drop(view);
    let again = LsmView::open(directory.path()).unwrap();
    assert_eq!(
        (again.snapshot().stamp, dump(&again.snapshot())),
        (stamp(7), held)
    );
}

/// A store that lost a part of a batch, as if its journal had ended too early.
fn write_beside(path: &Path, space: &str, value: &[u8]) {
    let database = fjall::Database::builder(path)
        .worker_threads(2)
        .open()
        .unwrap();
    let keyspace = database
        .keyspace(space, fjall::KeyspaceCreateOptions::default)
        .unwrap();
    keyspace.insert(super::STAMP_KEY, value).unwrap();
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

#[test]
fn a_load_that_did_not_end_is_noticed_at_open() {
    let directory = tempfile::tempdir().unwrap();
    let view = LsmView::open(directory.path()).unwrap();
    view.commit(Layer::default(), stamp(9)).unwrap();
    view.begin_load().unwrap();
    view.load(vec![(Keyspace::Control, bytes("k"), bytes("v"))])
        .unwrap();
    drop(view);
    let opened = LsmView::open(directory.path());
    assert!(matches!(opened, Err(ViewError::Disagree(_))));
}

#[test]
fn keyspaces_that_disagree_are_noticed_at_open() {
    let directory = tempfile::tempdir().unwrap();
    let view = LsmView::open(directory.path()).unwrap();
    view.commit(Layer::default(), stamp(9)).unwrap();
    drop(view);
    write_beside(directory.path(), "slots", &stamp(8).encode());
    let opened = LsmView::open(directory.path()).map(drop);
    assert!(matches!(&opened, Err(ViewError::Disagree(what)) if what.contains("slots at 8")));
    write_beside(directory.path(), "slots", b"\x02 of another format");
    let opened = LsmView::open(directory.path()).map(drop);
    assert!(matches!(&opened, Err(error @ ViewError::Format(_)) if error.wants_refold()));
}

/// A store that lost a file is rebuilt; one whose directory cannot be made is no reason to delete anything.
#[test]
fn a_broken_store_is_told_from_a_broken_disk() {
    let directory = tempfile::tempdir().unwrap();
    let view = LsmView::open(directory.path()).unwrap();
    view.commit(Layer::default(), stamp(9)).unwrap();
    drop(view);
    let keyspaces = std::fs::read_dir(directory.path().join("keyspaces")).unwrap();
    let one = keyspaces.map(|entry| entry.unwrap().path()).max().unwrap();
    std::fs::remove_dir_all(one).unwrap();
    let opened = LsmView::open(directory.path()).map(drop);
    assert!(
        matches!(&opened, Err(error) if error.wants_refold()),
        "{opened:?}"
    );
    let file = directory.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let opened = LsmView::open(&file.join("below")).map(drop);
    assert!(matches!(&opened, Err(ViewError::Failed(_))), "{opened:?}");
}

#[test]
fn a_stamp_is_what_it_always_was() {
    let encoded = stamp(3).encode();
    assert_eq!(&encoded[..10], b"\x01\x03\0\0\0\0\0\0\0\x1e");
    assert_eq!(
        (encoded.len(), Stamp::decode(&encoded)),
        (super::STAMP_BYTES, Some(stamp(3)))
    );
    assert_eq!(Stamp::decode(&encoded[..32]), None);
}

/// Keys, and what is written there.
type Writes = Vec<(u8, Option<u8>)>;

fn writes() -> impl Strategy<Value = Writes> {
    vec(
        (0u8..12, prop_oneof![Just(None), any::<u8>().prop_map(Some)]),
        0..20,
    )
}

/// A layer over a state reads as the state would with the layer written.
#[test]
fn a_layer_reads_as_if_it_were_written() {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let judged = |(under, over): (Writes, Writes)| {
        let space = Keyspace::Head;
        let fill = |writes: &[(u8, Option<u8>)]| {
            let mut layer = Layer::default();
            for (key, value) in writes {
                layer.set(space, &[*key], value.map(|value| Bytes::from(vec![value])));
            }
            layer
        };
        let view = MemoryView::new();
        view.commit(fill(&under), stamp(1)).unwrap();
        let (state, over_layer) = (view.snapshot(), fill(&over));
        let layered = Layered {
            over: &over_layer,
            under: &state,
        };
        let mut wanted = BTreeMap::new();
        for (key, value) in under.iter().chain(&over) {
            wanted.insert(*key, *value);
        }
        wanted.retain(|_, value| value.is_some());
        for (from, to) in [(0, 12), (3, 9), (5, 5), (9, 3)] {
            let rows: Vec<u8> = layered
                .scan(space, &[from], &[to])
                .map(|row| row.unwrap().0[0])
                .collect();
            let inside: Vec<u8> = wanted
                .keys()
                .copied()
                .filter(|key| (from..to).contains(key))
                .collect();
            let last = layered
                .last(space, &[from], &[to])
                .unwrap()
                .map(|(key, _)| key[0]);
            proptest::prop_assert_eq!(last, inside.last().copied());
            proptest::prop_assert_eq!(rows, inside);
        }
        for key in 0..12 {
            let found = layered.get(space, &[key]).unwrap().map(|value| value[0]);
            proptest::prop_assert_eq!(found, wanted.get(&key).copied().flatten());
        }
        Ok::<(), TestCaseError>(())
    };
    runner.run(&(writes(), writes()), judged).unwrap();
}
