//! Full disks, failed syncs, entries that are too large.

use std::sync::Arc;

use dfs_env::sim::SimWorld;

use super::{DIR, Machine, entry, options};
use crate::{AppendError, CommitError, KIND_MAX, OpenError, Options, Position, open};

#[test]
fn a_full_disk_keeps_everything_staged() {
    SimWorld::run(1, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        machine.platter().set_capacity(600 << 10);
        let (mut appended, mut committed) = (Vec::new(), Position(0));
        let full = loop {
            let entry = entry(1, vec![appended.len() as u8; 3000]);
            appended.push((opened.writer.append(entry.clone()).expect("append"), entry));
            match opened.writer.commit().await {
                Ok(end) => committed = end,
                Err(full) => break full,
            }
        };
        assert!(matches!(full, CommitError::Full), "{full}");
        assert!(opened.writer.staged_bytes() > 3000);
        assert_eq!(opened.writer.room().await.expect("room").in_spare, 0);
        assert_eq!(opened.writer.end(), committed);
        assert!(
            matches!(opened.writer.commit().await, Err(CommitError::Full)),
            "still"
        );
        machine.platter().set_capacity(10 << 20);
        opened.writer.commit().await.expect("space is back");
        for (at, entry) in appended {
            assert_eq!(opened.reader.read(at).await.expect("durable"), entry);
        }
    });
}

#[test]
fn space_that_is_kept_free_is_not_taken() {
    SimWorld::run(2, |world| async move {
        let machine = Machine::start(&world);
        machine.platter().set_capacity(1 << 20);
        let kept = Options {
            keep_free_bytes: 900 << 10,
            ..options(None)
        };
        let mut opened = machine.open(&kept).await.expect("an open may use it");
        let mut filled = opened.writer.commit().await;
        while filled.is_ok() {
            opened
                .writer
                .append(entry(1, vec![0; 4000]))
                .expect("append");
            filled = opened.writer.commit().await;
        }
        assert!(matches!(filled, Err(CommitError::Full)));
        opened.writer.set_keep_free_bytes(0);
        opened.writer.commit().await.expect("privileged");
    });
}

#[test]
fn an_open_on_a_full_disk_says_so_and_uses_a_spare() {
    SimWorld::run(3, |world| async move {
        let machine = Machine::start(&world);
        machine.platter().set_capacity(10_000);
        assert!(matches!(
            machine.open(&options(None)).await,
            Err(OpenError::Full)
        ));
        machine.platter().set_capacity(10 << 20);
        let mut opened = machine.open(&options(None)).await.expect("open");
        let at = opened.writer.append(entry(1, "kept")).expect("append");
        opened.writer.commit().await.expect("commit");
        machine.env.sleep(std::time::Duration::from_secs(1)).await; // the spare is made
        world.crash(super::NODE);
        let machine = Machine::start(&world);
        machine.platter().set_capacity(0);
        let opened = machine
            .open(&options(None))
            .await
            .expect("the spare needs no space");
        assert_eq!(
            opened.reader.read(at).await.expect("read"),
            entry(1, "kept")
        );
    });
}

#[test]
fn a_failed_sync_poisons_for_good() {
    SimWorld::run(4, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        machine.env.sleep(std::time::Duration::from_secs(1)).await;
        opened.writer.append(entry(1, "x")).expect("append");
        machine.platter().fail_next_sync();
        for _ in 0..3 {
            let failed = opened.writer.commit().await;
            assert!(
                matches!(failed, Err(CommitError::Poisoned(_))),
                "{failed:?}"
            );
        }
        assert!(matches!(
            opened.writer.idle().await,
            Err(CommitError::Poisoned(_))
        ));
        assert!(matches!(
            opened.writer.trim(Position(0)).await,
            Err(CommitError::Poisoned(_))
        ));
    });
}

#[test]
fn entries_are_bounded() {
    SimWorld::run(5, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        let max = options(None).entry_bytes_max();
        let refused = opened.writer.append(entry(1, vec![0; max + 1]));
        assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
        let refused = opened.writer.append(entry(KIND_MAX + 1, ""));
        assert!(matches!(refused, Err(AppendError::ReservedKind(_))));
        let at = opened
            .writer
            .append(entry(KIND_MAX, vec![7; max]))
            .expect("the largest");
        opened.writer.commit().await.expect("commit");
        assert_eq!(opened.reader.read(at).await.expect("read").bytes.len(), max);
    });
}

/// Entries of every size up to the largest fit into segments of the default size, too.
#[test]
fn defaults_hold_the_largest_entries() {
    SimWorld::run(6, |world| async move {
        let machine = Machine::start(&world);
        let disk = Arc::clone(&machine.disk);
        let mut opened = open(&machine.env, disk, DIR, Options::default())
            .await
            .expect("open");
        let max = Options::default().entry_bytes_max();
        assert_eq!(max, 4 << 20);
        for _ in 0..5 {
            opened
                .writer
                .append(entry(1, vec![1; (1 << 20) - 100]))
                .expect("append");
            opened
                .writer
                .append(entry(2, vec![2; max]))
                .expect("append");
        }
        opened.writer.commit().await.expect("commit");
    });
}
