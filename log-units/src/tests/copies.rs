//! A closed stripe is copied by a unit that is none of its own, and whoever holds all of it says so (LOG.md §6).

use std::time::Duration;

use dfs_env::sim::SimWorld;

use super::rig::run;
use super::trio::{Trio, UNITS, small};

const COPIER: u64 = 4;

/// Frames on all three, and a fourth unit that has heard of them.
async fn written(world: &SimWorld, frames: usize) -> Trio {
    let mut trio = Trio::new(world, small).await;
    trio.start(COPIER).await;
    trio.make(frames, 700);
    for at in 0..frames {
        trio.give_and_cut(&UNITS, at..at + 1).await;
    }
    trio
}

async fn sleep(time: Duration) {
    dfs_env::current().sleep(time).await;
}

#[test]
fn a_unit_that_was_asked_copies_a_closed_stripe_and_keeps_it() {
    run(1, |world| async move {
        let mut trio = written(&world, 30).await;
        trio.fake.close_stripe();
        trio.fake.until(|known| known.holders.len() == 3).await;
        trio.fake.ask_to_copy(COPIER);
        trio.fake
            .until(|known| known.holders.contains(&COPIER))
            .await;
        assert_eq!(trio.reads_right(COPIER).await, Ok(true));
        let status = trio.status(COPIER).await;
        assert_eq!((status.lanes_behind, status.bad_ranges.len()), (0, 0));
        assert!(status.fetched_bytes > 30 * 1_400, "{status:?}");
        UNITS.into_iter().for_each(|unit| trio.cut_off(unit));
        trio.stop(COPIER, true);
        trio.start(COPIER).await;
        trio.fake
            .until(|known| known.holders.contains(&COPIER))
            .await;
        assert_eq!(trio.reads_right(COPIER).await, Ok(true));
        assert_eq!(trio.status(COPIER).await.fetched_bytes, 0);
        // It gives to others what it has copied.
        trio.stop(1, false);
        let disk = trio.disk(1);
        for file in disk.files() {
            let opened = disk.open_disk();
            opened.remove(&file.name).await.expect("it is there");
        }
        trio.start(1).await;
        trio.reconnect(COPIER);
        trio.whole(1).await.expect("copied back");
        trio.fake.until(|known| known.holders.contains(&1)).await;
    });
}

/// What is only in memory, or lacks a part, is not said to be whole.
#[test]
fn a_unit_that_lacks_a_part_of_a_closed_stripe_says_nothing_of_it() {
    run(2, |world| async move {
        let mut trio = written(&world, 10).await;
        trio.stop(3, false);
        trio.make(10, 700);
        trio.give_and_cut(&[1, 2], 10..20).await;
        trio.fake.close_stripe();
        trio.fake.ask_to_copy(COPIER);
        trio.fake.until(|known| known.holders.len() == 3).await;
        trio.cut_off(1);
        trio.cut_off(2);
        trio.cut_off(COPIER);
        trio.start(3).await;
        sleep(Duration::from_secs(20)).await;
        assert!(!trio.fake.known.lock().holders.contains(&3));
        trio.reconnect(2);
        trio.fake.until(|known| known.holders.contains(&3)).await;
        trio.stop(3, true);
        trio.cut_off(2);
        trio.start(3).await;
        assert_eq!(trio.reads_right(3).await, Ok(true), "it was durable");
    });
}
