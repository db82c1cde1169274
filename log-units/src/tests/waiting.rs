//! Units of a closed stripe that come back when its cuts are forgotten: what was set aside for them tells (LOG-U6).

use std::time::Duration;

use dfs_env::sim::SimWorld;

use super::rig::run;
use super::trio::{Trio, UNITS, small};

const FRAMES: usize = 12;

/// Two units have all frames and heard no cut of the last half of them, one has the first half of both; the
/// third unit, which had the rest too, never comes back. Nor do the cuts.
async fn returned(world: &SimWorld, sets_aside: bool) -> Trio {
    let mut trio = Trio::new(world, small).await;
    trio.make(FRAMES, 700);
    for at in 0..FRAMES / 2 {
        trio.give_and_cut(&UNITS, at..at + 1).await;
    }
    trio.fake.known.lock().cuts_at_once = false;
    for unit in [1, 3] {
        trio.give(unit, FRAMES / 2..FRAMES).await;
    }
    UNITS.into_iter().for_each(|unit| trio.stop(unit, true));
    for frame in &trio.frames[FRAMES / 2..] {
        trio.fake.cut(&[(1, frame.end_idx(), frame.chain_after())]);
    }
    trio.fake.close_stripe();
    trio.fake.forget(sets_aside);
    for unit in [1, 2] {
        trio.start(unit).await;
    }
    trio
}

#[test]
fn units_that_come_back_stamp_what_was_set_aside_for_them() {
    for seed in 0..5 {
        run(seed, |world| async move {
            let mut trio = returned(&world, true).await;
            for unit in [1, 2] {
                trio.whole(unit)
                    .await
                    .expect("what was set aside tells all");
            }
            let both = |holders: &std::collections::BTreeSet<u64>| {
                [1, 2].iter().all(|unit| holders.contains(unit))
            };
            trio.fake.until(|known| both(&known.holders)).await;
            // Stamped here by now: nobody has to say it again.
            trio.fake.known.lock().waiting = None;
            for unit in [1, 2] {
                trio.stop(unit, true);
                trio.start(unit).await;
                trio.cut_off(unit);
                assert_eq!(trio.reads_right(unit).await, Ok(true), "unit {unit}");
            }
        });
    }
}

/// What the test before this one stands on: otherwise nobody could tell them.
#[test]
fn without_it_they_could_not() {
    run(1, |world| async move {
        let trio = returned(&world, false).await;
        dfs_env::current().sleep(Duration::from_secs(20)).await;
        for unit in [1, 2] {
            assert_eq!(trio.reads_right(unit).await, Ok(false), "unit {unit}");
        }
    });
}
