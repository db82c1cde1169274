//! The front of the log is let go of: files are released, nothing else is lost, and whoever was away goes on behind it.

use std::time::Duration;

use dfs_env::sim::SimWorld;
use dfs_wire::Code;

use super::fake::Known;
use super::rig::{Appender, NODE, Rig, find, known_lane, one_lane, run};
use super::trio::{Trio, UNITS, small};
use crate::unit::trim::RELEASES_ALL;

async fn seconds(seconds: u64) {
    dfs_env::current().sleep(Duration::from_secs(seconds)).await;
}

/// One lane, 1 + 2 × 60 records in as many cuts, about 1.7 MB, stamped.
async fn much(world: &SimWorld) -> (Rig, Appender) {
    let (rig, mut appender) = one_lane(world, small).await;
    rig.fake.cut(&[appender.end()]);
    for _ in 0..60 {
        appender.append(2, 14_000).await;
        appender.durable().await;
        rig.fake.cut(&[appender.end()]);
    }
    seconds(2).await;
    (rig, appender)
}

#[test]
fn what_is_trimmed_is_released_and_refused_and_the_rest_stays() {
    run(1, |world| async move {
        let (mut rig, mut appender) = much(&world).await;
        let before = rig.status().await.log_bytes;
        rig.fake.trim(101);
        seconds(2).await;
        for restarted in [false, true] {
            if restarted {
                world.power_loss(NODE);
                rig.restart_with(small).await;
                let hello = rig.fake.known.lock().hello.clone().expect("a Hello");
                assert!(hello.bad_ranges.is_empty(), "{hello:?}");
                assert_eq!(hello.last_stamp.map(|stamp| stamp.lsn), Some(121)); // LOG-U9
            }
            let after = rig.status().await.log_bytes;
            assert!(after < before / 2, "{after} of {before} bytes are left");
            let refused = rig.scan(100, 121).await.expect_err("it is trimmed");
            assert_eq!((refused.code(), refused.get().lsn), (Code::Trimmed, 101));
            let answered = rig.scan(101, 121).await.expect("it is there");
            assert_eq!(
                (answered.count(), answered.progress),
                (22, 121),
                "a frame is whole"
            );
        }
        appender.connect(&rig.role).await;
        appender.append(3, 100).await;
        appender.durable().await;
        rig.fake.cut(&[appender.end()]);
        assert_eq!(rig.scan(120, 124).await.expect("scan").progress, 124);
    });
}

/// An idle lane is not lost with its last record, and one that has ended is forgotten with it.
#[test]
fn lanes_that_hold_nothing_any_more() {
    run(2, |world| async move {
        let (mut rig, mut one) = much(&world).await;
        rig.fake.open_lane(2);
        rig.fake.seal(1);
        let mut two = Appender::new(2);
        two.connect(&rig.role).await;
        known_lane(&rig, &mut two).await;
        rig.fake.cut(&[two.end()]);
        seconds(2).await;
        rig.fake.trim(123);
        seconds(2).await;
        for _ in 0..2 {
            world.power_loss(NODE);
            rig.restart_with(small).await;
            let hello = rig.fake.known.lock().hello.clone().expect("a Hello");
            let told: Vec<_> = hello
                .ends
                .iter()
                .map(|end| (end.lane, end.end_idx))
                .collect();
            assert_eq!((told, hello.bad_ranges), (vec![(2, 1)], vec![]));
        }
        one.connect(&rig.role).await;
        one.append(1, 10).await;
        assert!(one.credit().await.expect("credit").unknown_lane);
        two.connect(&rig.role).await;
        two.append(1, 10).await;
        two.durable().await;
        rig.fake.cut(&[two.end()]);
        assert_eq!(rig.scan(123, 123).await.expect("scan").count(), 1);
    });
}

/// LOG-U1: what others have released is not missed; what they have is fetched.
#[test]
fn a_unit_that_was_away_goes_on_behind_the_trim() {
    for (trim_lsn, lost) in [(60, false), (300, false), (300, true), (401, false)] {
        run(3, |world| async move {
            let mut trio = Trio::new(&world, small).await;
            trio.make(200, 5000);
            for at in 0..25 {
                trio.give_and_cut(&UNITS, at..at + 1).await;
            }
            seconds(2).await;
            trio.stop(3, lost);
            for at in 25..200 {
                trio.give_and_cut(&[1, 2], at..at + 1).await;
            }
            seconds(2).await;
            trio.fake.trim(trim_lsn);
            seconds(2).await;
            trio.start(3).await;
            for unit in UNITS {
                trio.whole(unit).await.expect("it is whole");
            }
            trio.make(1, 5000);
            trio.give_and_cut(&[2, 3], 200..201).await;
            trio.whole(3).await.expect("it takes part again");
        });
    }
}

/// LOG-U7: what is damaged on both sides of the trim is mended as far as it is kept.
#[test]
fn damage_that_the_trim_goes_through_is_mended() {
    for trim_lsn in [41, 44] {
        run(4, |world| async move {
            let mut trio = Trio::new(&world, small).await;
            trio.make(40, 700);
            for at in 0..40 {
                trio.give_and_cut(&UNITS, at..at + 1).await;
            }
            seconds(2).await;
            trio.stop(3, false);
            let disk = trio.disk(3);
            let (file, begin) = find(&disk, trio.frames[15].bytes()).await;
            let (_, end) = find(&disk, trio.frames[25].bytes()).await;
            for sector in begin / 512..end / 512 {
                disk.zero_sector(&file, sector);
            }
            trio.fake.trim(trim_lsn);
            let forgotten = trio.fake.known.lock().cuts.len();
            trio.fake.known.lock().forgotten = forgotten;
            seconds(2).await;
            trio.start(3).await;
            trio.whole(3).await.expect("it is whole");
            assert!(trio.status(3).await.mended_frames > 3);
        });
    }
}

/// LOG-U6: all of a stripe lose power before they have synced that some LSNs lie elsewhere, and the cuts that
/// said so are forgotten. Their own lanes tell, unless a record of one of them has no LSN here.
#[test]
fn what_lies_elsewhere_is_known_by_the_own_lanes() {
    for all_stamped in [true, false] {
        run(5, |world| async move {
            let mut trio = Trio::new(&world, small).await;
            trio.make(4, 700);
            for at in 0..3 {
                trio.give_and_cut(&UNITS, at..at + 1).await;
            }
            seconds(2).await;
            trio.fake.known.lock().cuts_at_once = false;
            for unit in UNITS {
                trio.give(unit, 3..4).await;
            }
            UNITS.iter().for_each(|unit| trio.stop(*unit, true));
            trio.fake.known.lock().next_lsn += 10;
            if !all_stamped {
                let last = &trio.frames[3];
                let chain = last.chain_after();
                trio.fake.cut(&[(1, last.end_idx(), chain)]); // which nobody hears
            }
            trio.fake.forget(false);
            for unit in UNITS {
                trio.start(unit).await;
            }
            trio.fake.close_stripe();
            if all_stamped {
                let all = |known: &Known| known.holders.len() == UNITS.len();
                trio.fake.until(all).await;
            } else {
                seconds(10).await;
                assert!(trio.fake.known.lock().holders.is_empty());
            }
        });
    }
}

/// Whatever happens to units, and whenever: what is not trimmed is there in the end.
fn lives(seed: u64) -> Result<(), String> {
    run(seed, |world| async move {
        let mut trio = Trio::new(&world, small).await;
        let mut made = 0;
        for _ in 0..6 {
            let frames = 1 + world.below(60) as usize;
            trio.make(frames, 6000);
            let up: Vec<u64> = UNITS.into_iter().filter(|unit| trio.is_up(*unit)).collect();
            for at in made..made + frames {
                trio.give_and_cut(&up, at..at + 1).await;
            }
            made += frames;
            seconds(2).await;
            let (begin, end) = (trio.begin_lsn(), trio.end_lsn());
            trio.fake.trim(begin + world.below(end - begin + 1));
            let pause = Duration::from_micros(world.below(1_500_000));
            dfs_env::current().sleep(pause).await;
            let unit = 1 + world.below(3);
            let down = UNITS.into_iter().find(|unit| !trio.is_up(*unit));
            match down {
                Some(down) => trio.start(down).await,
                None => trio.stop(unit, world.below(2) == 0),
            }
        }
        for unit in UNITS {
            if !trio.is_up(unit) {
                trio.start(unit).await;
            }
        }
        for unit in UNITS {
            trio.whole(unit).await?;
        }
        Ok(())
    })
}

#[test]
fn units_come_and_go_while_the_log_is_trimmed() {
    for seed in 0..40 {
        lives(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

/// The judge can fail.
#[test]
fn a_unit_that_releases_too_much_is_found_out() {
    RELEASES_ALL.set(true); // of this test's thread
    let lived = |seed: &u64| std::panic::catch_unwind(|| lives(*seed)).is_ok_and(|l| l.is_ok());
    let caught = (0..20).filter(|seed| !lived(seed)).count();
    assert!(caught > 10, "only {caught} of 20 lives were judged wrong");
}
