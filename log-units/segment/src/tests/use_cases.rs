//! The ordinary life of a stream: append, commit, read, scan, release, open again.

use std::time::Duration;

use dfs_env::sim::SimWorld;

use super::{Machine, entry, options, scan_all};
use crate::{Position, ReadError, Scanned};

#[test]
fn one_commit_is_one_sync() {
    SimWorld::run(1, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        machine.env.sleep(Duration::from_secs(1)).await; // the spare is made
        let before = machine.platter().syncs();
        for _ in 0..10 {
            opened
                .writer
                .append(entry(1, vec![1; 1000]))
                .expect("append");
        }
        opened.writer.commit().await.expect("commit");
        opened.writer.idle().await.expect("idle");
        opened.writer.commit().await.expect("nothing to do");
        assert_eq!(machine.platter().syncs(), before + 1);
    });
}

#[test]
fn the_four_answers_differ() {
    SimWorld::run(2, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        let first = opened.writer.append(entry(3, "first")).expect("append");
        assert!(matches!(
            opened.reader.read(first).await,
            Err(ReadError::NotYet { .. })
        ));
        let end = opened.writer.commit().await.expect("commit");
        assert_eq!(
            opened.reader.read(first).await.expect("read"),
            entry(3, "first")
        );
        assert_eq!(opened.reader.end(), end);
        let between = opened.reader.read(Position(first.0 + 8)).await;
        assert!(matches!(between, Err(ReadError::Corrupt { .. })));
        for _ in 0..100 {
            opened
                .writer
                .append(entry(1, vec![5; 3000]))
                .expect("append");
        }
        let end = opened.writer.commit().await.expect("commit");
        let start = opened.writer.trim(end).await.expect("trim");
        assert!(start > first && start <= end && start == opened.reader.start());
        assert!(matches!(
            opened.reader.read(first).await,
            Err(ReadError::Trimmed { .. })
        ));
    });
}

/// The Raft journal's life: much is appended, the front is released, files are used again.
#[test]
fn released_files_are_used_again() {
    SimWorld::run(3, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        let mut kept = Vec::new();
        for round in 0..200u32 {
            let bytes: Vec<u8> = (0..5000).map(|i: u32| (i * round) as u8).collect();
            kept.push((
                opened
                    .writer
                    .append(entry(1, bytes.clone()))
                    .expect("append"),
                bytes,
            ));
            let end = opened.writer.commit().await.expect("commit");
            opened.writer.idle().await.expect("idle");
            let start = opened
                .writer
                .trim(Position(end.0.saturating_sub(100_000)))
                .await
                .expect("trim");
            kept.retain(|(at, _)| *at >= start);
        }
        let files = machine.platter().files();
        assert!(files.len() <= 6, "{files:?}");
        world.power_loss(super::NODE);
        let machine = Machine::start(&world);
        let opened = machine.open(&options(None)).await.expect("open");
        let expected: Vec<Scanned> = kept
            .into_iter()
            .map(|(at, bytes)| Scanned::Entry(at, entry(1, bytes)))
            .collect();
        assert_eq!(scan_all(&opened).await, expected);
        assert_eq!(opened.report.tail_cut_at, None);
        assert!(machine.platter().files().len() <= 6);
    });
}

#[test]
fn a_scan_goes_on_with_what_is_appended() {
    SimWorld::run(4, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        let mut scan = opened.reader.scan(Position(0));
        assert_eq!(scan.next().await.expect("scan"), None);
        for round in 0..100u8 {
            let at = opened
                .writer
                .append(entry(round, vec![round; 2000]))
                .expect("append");
            opened.writer.commit().await.expect("commit");
            opened.writer.idle().await.expect("idle");
            let expected = Scanned::Entry(at, entry(round, vec![round; 2000]));
            assert_eq!(scan.next().await.expect("scan"), Some(expected.clone()));
            assert_eq!(scan.next().await.expect("scan"), None);
            let mut from_here = opened.reader.scan(at);
            assert_eq!(from_here.next().await.expect("scan"), Some(expected));
        }
    });
}

#[test]
fn many_opens_do_not_pile_up_files() {
    SimWorld::run(5, |world| async move {
        for round in 0..20u8 {
            let machine = Machine::start(&world);
            let mut opened = machine.open(&options(None)).await.expect("open");
            let scanned = scan_all(&opened).await;
            assert_eq!(scanned.len(), usize::from(round));
            opened.writer.append(entry(1, vec![round])).expect("append");
            opened.writer.commit().await.expect("commit");
            assert!(machine.platter().used() < 20 * (16 << 10) + (400 << 10));
            world.power_loss(super::NODE);
        }
    });
}
