//! What one of three units lacks or holds damaged comes back from the others, and nothing else does.

use std::time::Duration;

use dfs_env::sim::SimWorld;
use dfs_rpc::roles::LogUnit;
use dfs_wire::v1;
use dfs_wire::v1::fetch_request::Wanted;
use futures::StreamExt;

use super::rig::{find, run};
use super::trio::{Trio, UNITS, small};
use crate::unit::trail::TRUSTS_PEERS;

const SECTOR: u64 = 512;

/// Frames on all three, cut one by one and stamped.
async fn forty_frames(world: &SimWorld) -> Trio {
    let mut trio = Trio::new(world, small).await;
    for at in 0..40 {
        trio.make(1, 700);
        trio.give_and_cut(&UNITS, at..at + 1).await;
    }
    dfs_env::current().sleep(Duration::from_secs(2)).await; // stamps and marks
    trio
}

#[test]
fn a_unit_gives_what_is_cut_and_nothing_else() {
    run(1, |world| async move {
        let mut trio = Trio::new(&world, small).await;
        trio.make(10, 700);
        trio.give_and_cut(&[1, 2], 0..8).await;
        trio.give(1, 8..10).await;
        let frames = |first_idx, end_idx, heads_only| v1::FetchRequest {
            unit_id: 1,
            wanted: Some(Wanted::Frames(v1::FetchFrames {
                lane: 1,
                first_idx,
                end_idx,
                heads_only,
            })),
        };
        let asked = trio.role(1).fetch(frames(4, 100, false)).await;
        let answers: Vec<_> = asked.expect("a stream").collect().await;
        let batch = answers[0].as_ref().expect("frames");
        let sent: Vec<_> = trio.frames[2..8]
            .iter()
            .map(|f| f.bytes().clone())
            .collect();
        assert_eq!(batch.frames, sent);
        assert!(answers[1].is_err(), "what is not cut is not given"); // LOG-U4
        let asked = trio.role(1).fetch(frames(0, 4, true)).await;
        let answers: Vec<_> = asked.expect("a stream").collect().await;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].as_ref().expect("heads").heads.len(), 2);
    });
}

/// LOG-U1: nobody sends again what was cut while it was away, and the sequencer has forgotten the cuts.
#[test]
fn a_unit_that_was_away_catches_up_and_counts_again() {
    run(2, |world| async move {
        let mut trio = Trio::new(&world, |config| {
            small(config);
            (config.segment_bytes_min, config.segment_bytes_max) = (1 << 20, 4 << 20);
        })
        .await;
        trio.make(500, 700);
        trio.give_and_cut(&UNITS, 0..100).await;
        trio.stop(3, false);
        trio.make(200, 30_000); // 12 MB that no cut divides: heads are followed first
        let cut = trio.frames.len();
        trio.fake.known.lock().cuts_at_once = false;
        trio.give(1, 100..cut).await;
        trio.give(2, 100..cut).await;
        let last = trio.frames[cut - 1].clone();
        trio.fake.cut(&[(1, last.end_idx(), last.chain_after())]);
        let forgotten = trio.fake.known.lock().cuts.len();
        trio.fake.known.lock().forgotten = forgotten;
        trio.start(3).await;
        trio.whole(3).await.expect("repaired");
        let status = trio.status(3).await;
        assert!(status.fetched_bytes > 12_000_000, "{status:?}");
        assert_eq!((status.lanes_behind, status.bytes_to_fetch), (0, 0));
        trio.stop(3, true);
        trio.start(3).await;
        trio.whole(3).await.expect("whole");
        let fetched = trio.status(3).await.fetched_bytes;
        assert_eq!(fetched, 0, "what was fetched stays");
        trio.stop(1, false);
        trio.fake.known.lock().held.remove(&1);
        trio.fake.known.lock().cuts_at_once = true;
        trio.make(10, 700);
        trio.give_and_cut(&[2, 3], cut..cut + 10).await; // still W
        trio.whole(3).await.expect("whole");
    });
}

/// LOG-U7: any sector of one copy, zeroed or flipped; met at a read, and at the next open.
#[test]
fn every_damaged_sector_is_repaired() {
    let sectors = run(3, |world| async move {
        let trio = forty_frames(&world).await;
        let files = trio.disk(3).files().into_iter();
        files
            .map(|file| (file.name, file.len / SECTOR))
            .collect::<Vec<_>>()
    });
    let mut mended = 0;
    for (file, count) in sectors {
        if !file.contains("segment") {
            continue;
        }
        for sector in (0..count.min(400)).step_by(3) {
            let file = file.clone();
            mended += run(3, |world| async move {
                one_sector(&world, &file, sector, sector.is_multiple_of(2)).await
            });
        }
    }
    assert!(mended > 50, "only {mended} frames were mended");
}

async fn one_sector(world: &SimWorld, file: &str, sector: u64, restarts: bool) -> u64 {
    let mut trio = forty_frames(world).await;
    let disk = trio.disk(3);
    if restarts {
        trio.stop(3, sector.is_multiple_of(4));
    }
    match sector % 3 {
        0 => disk.zero_sector(file, sector),
        _ => disk.flip_bit(file, sector * SECTOR + sector % SECTOR, 3),
    }
    if restarts {
        trio.start(3).await;
    }
    let what = format!("{file}, sector {sector}");
    for _ in 0..2 {
        let whole = trio.whole(3).await;
        whole.unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
    }
    let mended = trio.status(3).await.mended_frames;
    trio.stop(3, false);
    trio.start(3).await;
    let whole = trio.whole(3).await;
    whole.unwrap_or_else(|wrong| panic!("{what}, opened again: {wrong}"));
    mended
}

async fn damage(trio: &Trio, unit: u64, frame: usize) {
    let bytes = trio.frames[frame].bytes();
    dfs_env::current().sleep(Duration::from_millis(100)).await; // a round of the disk
    let (file, at) = find(&trio.disk(unit), &bytes[bytes.len() / 2..]).await;
    trio.disk(unit).flip_bit(&file, at, 3);
}

/// LOG-D1: what lies behind the damage counts again once it is repaired, and that is said.
#[test]
fn a_lossy_lane_counts_again_when_it_is_whole() {
    run(4, |world| async move {
        let mut trio = forty_frames(&world).await;
        trio.stop(3, false);
        damage(&trio, 3, 20).await;
        trio.start(3).await;
        let hello = trio.fake.known.lock().hello_of[&3].clone();
        assert!(!hello.bad_ranges.is_empty());
        trio.fake.until(|known| known.whole.contains(&(3, 1))).await;
        assert_eq!(trio.status(3).await.bad_ranges, []);
        trio.stop(3, false);
        trio.start(3).await;
        let hello = trio.fake.known.lock().hello_of[&3].clone();
        assert_eq!(hello.bad_ranges, [], "the repair is found again");
    });
}

/// LOG.md §6: whoever asks it is told at once, and again when it is mended.
#[test]
fn a_unit_that_finds_damage_in_a_closed_stripe_is_no_location_until_it_is_mended() {
    run(7, |world| async move {
        let trio = forty_frames(&world).await;
        trio.fake.close_stripe();
        trio.fake.until(|known| known.holders.len() == 3).await;
        damage(&trio, 3, 7).await;
        trio.cut_off(1);
        trio.cut_off(2);
        assert_eq!(trio.reads_right(3).await, Ok(false));
        trio.fake.until(|known| known.torn.contains(&3)).await;
        assert!(!trio.fake.known.lock().holders.contains(&3));
        // Also in a conversation that began after it was told.
        trio.fake.known.lock().torn.clear();
        trio.fake.hang_up();
        trio.fake.until(|known| known.torn.contains(&3)).await;
        assert_eq!(trio.fake.known.lock().holders, [1, 2].into());
        trio.reconnect(1);
        trio.fake.until(|known| known.holders.len() == 3).await;
        assert_eq!(trio.status(3).await.bad_ranges, []);
    });
}

/// LOG-U4: what a peer gives is held against the cut before it is written.
#[test]
fn a_peer_that_gives_other_bytes_is_passed_over() {
    run(5, |world| async move {
        let mut trio = forty_frames(&world).await;
        trio.make(10, 700);
        trio.give_and_cut(&[1, 2], 40..50).await;
        damage(&trio, 3, 7).await;
        trio.forge(1);
        trio.forge(2);
        assert_eq!(trio.reads_right(3).await, Ok(false));
        dfs_env::current().sleep(Duration::from_secs(5)).await;
        let status = trio.status(3).await;
        assert_eq!((status.mended_frames, status.lanes_behind), (0, 1));
        trio.reconnect(2);
        trio.whole(3).await.expect("repaired");
    });
}

/// Damage is found where nobody reads.
#[test]
fn a_scrub_finds_damage_and_it_is_repaired() {
    run(6, |world| async move {
        let mut trio = Trio::new(&world, |config| {
            small(config);
            config.scrub_every = Duration::from_secs(60);
            config.scrub_bytes_per_s = 1 << 20;
        })
        .await;
        trio.make(100, 700);
        trio.give_and_cut(&UNITS, 0..100).await;
        damage(&trio, 3, 20).await;
        damage(&trio, 3, 80).await;
        dfs_env::current().sleep(Duration::from_secs(200)).await;
        let status = trio.status(3).await;
        assert!(
            status.scrub_rounds >= 2 && status.scrub_found >= 2,
            "{status:?}"
        );
        assert_eq!(status.scrub_found, status.mended_frames);
        assert_eq!(status.bad_ranges, []);
        assert_eq!(trio.reads_right(3).await, Ok(true));
        assert_eq!(trio.status(2).await.scrub_found, 0);
    });
}

/// LOG-U9: what a cut said, no later word of the sequencer changes.
#[test]
fn a_unit_stops_when_a_stamped_part_is_said_to_be_another() {
    run(7, |world| async move {
        let trio = forty_frames(&world).await;
        {
            let mut known = trio.fake.known.lock();
            known.lanes.get_mut(&1).expect("the lane").chain_low ^= 1;
            known.forgotten = known.cuts.len();
        }
        trio.fake.hang_up();
        let why = trio.role(3).failed().await;
        assert!(why.contains("went back"), "{why}");
    });
}

/// Outages, cut-off peers, damage and forgers in any order; at the end everything is everywhere.
async fn life(world: &SimWorld, forgers: bool) -> Result<(), String> {
    let mut trio = Trio::new(world, small).await;
    let mut sent = 0;
    for _ in 0..12 {
        let unit = 1 + world.below(3);
        if UNITS.iter().all(|other| trio.is_up(*other)) {
            UNITS.iter().for_each(|unit| trio.reconnect(*unit));
            strike(world, &mut trio, unit, forgers).await?;
        }
        let frames = 1 + world.below(20) as usize;
        trio.make(frames, 100 + world.below(2000) as usize);
        let from = sent as usize;
        let up: Vec<u64> = UNITS.into_iter().filter(|unit| trio.is_up(*unit)).collect();
        // One of three may miss it.
        let misses = world.below(4) as usize;
        let gets: Vec<u64> = match up.len() {
            3 => up.into_iter().filter(|u| *u as usize != misses).collect(),
            _ => up,
        };
        for unit in &gets {
            trio.give(*unit, 0..from + frames).await;
        }
        trio.give_and_cut(&gets, from..from + frames).await;
        sent += frames as u64;
        if world.below(3) == 0 {
            let mut known = trio.fake.known.lock();
            known.forgotten = known.cuts.len();
        }
        for unit in UNITS {
            if !trio.is_up(unit) && world.below(2) == 0 {
                trio.start(unit).await;
            }
            if trio.is_up(unit) {
                trio.reads_right(unit).await?;
            }
        }
    }
    for unit in UNITS {
        match trio.is_up(unit) {
            true => trio.reconnect(unit),
            false => trio.start(unit).await,
        }
    }
    for unit in UNITS {
        trio.whole(unit).await?;
    }
    Ok(())
}

/// One thing at a time: with two of three in need, nobody would be left to help.
async fn strike(world: &SimWorld, trio: &mut Trio, unit: u64, forgers: bool) -> Result<(), String> {
    let sent = trio.frames.len() as u64;
    match world.below(6) {
        0 => {
            for other in UNITS {
                trio.whole(other).await?;
            }
            trio.stop(unit, world.below(2) == 0);
        }
        1 => trio.cut_off(unit),
        2 if forgers => trio.forge(unit),
        3 if sent > 0 => {
            for other in UNITS {
                trio.whole(other).await?;
            }
            damage(trio, unit, world.below(sent) as usize).await;
        }
        _ => {}
    }
    Ok(())
}

#[test]
fn whatever_happens_to_one_of_three_everything_comes_back() {
    for seed in 0..40 {
        let lived = run(seed, |world| async move { life(&world, true).await });
        lived.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

/// The judge can fail: a unit that writes what peers give unseen is found out.
#[test]
fn a_repair_without_the_check_of_the_chain_is_found_out() {
    TRUSTS_PEERS.set(true);
    let caught = (0..20).filter(|seed| {
        let lived = std::panic::catch_unwind(|| {
            run(*seed, |world| async move { life(&world, true).await })
        });
        lived.is_err() || lived.is_ok_and(|lived| lived.is_err())
    });
    let caught = caught.count();
    TRUSTS_PEERS.set(false);
    assert!(caught > 3, "only {caught} of 20 lives were judged wrong");
}
