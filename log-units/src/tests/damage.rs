//! What disks and owners do to a unit's log: damage, lies, failed syncs, no room.

use std::time::Duration;

use dfs_env::sim::{SimDisk, SimWorld};
use dfs_rpc::roles::LogUnit;
use dfs_wire::{Code, Tag, v1};

use super::rig::{Appender, NODE, Rig, find, one_lane, run};

/// Ten frames of two records, cut one by one and stamped; none of them in memory.
async fn ten_cut_frames(world: &SimWorld) -> (Rig, Appender) {
    let (rig, mut appender) = one_lane(world, |config| config.cache_bytes = 0).await;
    rig.fake.cut(&[appender.end()]);
    for _ in 0..10 {
        appender.append(2, 5000).await;
        appender.durable().await;
        rig.fake.cut(&[appender.end()]);
    }
    rig.fake.until(|known| known.stamped_through == 11).await;
    (rig, appender)
}

/// Flips a bit in the middle of the stored bytes of a frame.
async fn damage_frame(disk: &SimDisk, bytes: &[u8]) {
    let (file, at) = find(disk, &bytes[bytes.len() / 2..]).await;
    disk.flip_bit(&file, at, 3);
}

#[test]
fn a_flipped_bit_is_corrupt_and_never_served() {
    run(1, |world| async move {
        let (rig, appender) = ten_cut_frames(&world).await;
        damage_frame(&rig.log_disk(), appender.frames[5].bytes()).await;
        let answered = rig.scan(1, 21).await.expect("a beginning");
        assert_eq!(answered.count(), 9, "everything before the damage");
        let refusal = answered.refusal.expect("the damage");
        assert_eq!((refusal.code(), refusal.get().lsn), (Code::Corrupt, 10));
        let bad = v1::LaneRange {
            lane: 1,
            first_idx: 9,
            end_idx: 11,
        };
        assert_eq!(
            rig.scan(10, 11).await.expect_err("refused").code(),
            Code::Corrupt
        ); // LOG-U7
        assert_eq!(rig.status().await.bad_ranges, [bad]);
        assert_eq!(
            rig.scan(12, 21).await.expect("what lies behind").count(),
            10
        );
    });
}

#[test]
fn a_damaged_middle_is_said_at_restart_and_what_lies_behind_does_not_count() {
    run(2, |world| async move {
        let (mut rig, mut appender) = ten_cut_frames(&world).await;
        appender.append(2, 5000).await;
        appender.durable().await;
        rig.world.crash(NODE);
        damage_frame(&rig.log_disk(), appender.frames[5].bytes()).await;
        rig.restart_with(|config| config.cache_bytes = 0).await;
        let hello = rig.fake.known.lock().hello.clone().expect("a Hello");
        let bad = v1::LaneRange {
            lane: 1,
            first_idx: 9,
            end_idx: 11,
        };
        assert_eq!(hello.bad_ranges, [bad]);
        let ends: Vec<u64> = hello.ends.iter().map(|end| end.end_idx).collect();
        assert_eq!(ends, [9]); // LOG-D1: nothing above the damage, which lies below the cut
        assert!(hello.stamped_through < 6);
        let answered = rig.scan(1, 21).await.expect("a beginning");
        assert_eq!(
            (answered.count(), answered.code()),
            (9, Some(Code::Corrupt))
        );
        assert_eq!(
            rig.scan(12, 21).await.expect("what lies behind").count(),
            10
        );
    });
}

/// What the sequencer has forgotten is not kept waiting for.
#[test]
fn old_damage_does_not_hold_stamps_back() {
    run(12, |world| async move {
        let (mut rig, appender) = ten_cut_frames(&world).await;
        rig.fake.known.lock().forgotten = 11;
        rig.world.crash(NODE);
        damage_frame(&rig.log_disk(), appender.frames[5].bytes()).await;
        rig.restart().await;
        rig.fake.until(|known| known.stamped_through == 11).await;
    });
}

#[test]
fn a_lost_end_is_missed_at_base_and_corrupt_until_it_is_sent_again() {
    run(3, |world| async move {
        let (mut rig, mut appender) = ten_cut_frames(&world).await;
        rig.world.crash(NODE);
        for frame in &appender.frames[9..] {
            damage_frame(&rig.log_disk(), frame.bytes()).await;
        }
        rig.restart_with(|config| config.cache_bytes = 0).await;
        let answered = rig.scan(1, 21).await.expect("a beginning");
        assert_eq!(
            (answered.count(), answered.code()),
            (17, Some(Code::Corrupt))
        );
        let bad = v1::LaneRange {
            lane: 1,
            first_idx: 17,
            end_idx: 21,
        };
        assert_eq!(rig.status().await.bad_ranges, [bad]);
        appender.connect(&rig.role).await;
        appender.send(&appender.frames[9..]).await;
        appender.durable().await;
        assert_eq!(rig.scan(1, 21).await.expect("all").count(), 21);
        assert_eq!(rig.status().await.bad_ranges, []);
        rig.fake.until(|known| known.stamped_through == 11).await;
    });
}

#[test]
fn stamps_that_were_lost_are_not_guessed() {
    run(4, |world| async move {
        let (mut rig, _) = ten_cut_frames(&world).await;
        rig.fake.known.lock().forgotten = 11;
        rig.world.crash(NODE);
        for file in rig.log_disk().files() {
            rig.log_disk().cut(&file.name, 9000); // everything but the first batches
        }
        rig.restart_with(|config| config.cache_bytes = 0).await;
        let refusal = rig.scan(12, 21).await.expect_err("refused");
        assert!(
            matches!(refusal.code(), Code::Absent | Code::Corrupt),
            "{refusal:?}"
        );
    });
}

#[test]
fn other_bytes_than_were_cut_are_set_aside() {
    run(5, |world| async move {
        let (mut rig, mut appender) = one_lane(&world, |_| {}).await;
        rig.fake.cut(&[appender.end()]);
        let mut other = Appender::new(1);
        other.make(1, 10, Tag::shard(0));
        other.make(2, 77, Tag::shard(9));
        appender.append(2, 100).await;
        appender.durable().await;
        rig.fake.cut(&[other.end()]); // two other units hold this
        let refusal = rig.scan(2, 3).await.expect_err("refused");
        assert_eq!(refusal.code(), Code::Corrupt); // LOG-U4
        assert_eq!(rig.scan(1, 1).await.expect("what agrees").count(), 1);
        let bad = v1::LaneRange {
            lane: 1,
            first_idx: 1,
            end_idx: 3,
        };
        assert_eq!(rig.status().await.bad_ranges, [bad]);
        rig.world.power_loss(NODE);
        rig.restart().await;
        assert_eq!(
            rig.scan(2, 3).await.expect_err("refused").code(),
            Code::Corrupt
        );
        other.connect(&rig.role).await;
        other.send(&other.frames[1..]).await;
        other.durable().await;
        let answered = rig.scan(2, 3).await.expect("the bytes that were cut");
        assert_eq!(answered.frames[0].1.bytes(), other.frames[1].bytes());
        rig.world.power_loss(NODE);
        rig.restart().await;
        assert_eq!(rig.scan(1, 3).await.expect("still").count(), 3);
    });
}

#[test]
fn a_frame_that_contradicts_a_cut_is_not_taken() {
    run(6, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        rig.fake.cut(&[appender.end()]);
        let mut other = Appender::new(1);
        other.make(1, 10, Tag::shard(0));
        other.make(2, 77, Tag::shard(9));
        rig.fake.cut(&[other.end()]); // this unit lags
        let refusal = rig.scan(2, 3).await.expect_err("refused");
        assert_eq!(refusal.code(), Code::NotYet); // LOG-I15
        appender.append(2, 100).await;
        while let Ok(credit) = appender.credit().await {
            assert_eq!(credit.staged_idx, 1);
        }
    });
}

#[test]
fn a_failed_sync_ends_the_role() {
    run(7, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        let end = appender.end();
        rig.log_disk().fail_next_sync();
        appender.append(2, 100).await;
        let why = rig.role.failed().await; // LOG-U3
        assert!(why.contains("write the log"), "{why}");
        rig.fake.known.lock().cuts_at_once = true;
        assert!(
            rig.role
                .append(Box::pin(futures::stream::empty()))
                .await
                .is_err()
        );
        assert_eq!(rig.fake.known.lock().durable.last(), Some(&end));
    });
}

#[test]
fn a_full_disk_is_no_credit_and_service_comes_back() {
    run(8, |world| async move {
        let (rig, mut appender) = one_lane(&world, |config| {
            (config.segment_bytes_min, config.segment_bytes_max) = (1 << 20, 1 << 20);
        })
        .await;
        let free = rig.log_disk().used() + (70 << 20); // headroom is 64 MiB
        rig.log_disk().set_capacity(free);
        let mut full = false;
        while !full {
            appender.append(1, 200_000).await;
            let end_idx = appender.end_idx();
            let credit = appender.until(|c| c.durable_idx == end_idx || c.full).await;
            full = credit.full && credit.window_bytes == 0; // LOG-U8
        }
        rig.fake.until(|known| known.full).await;
        assert!(rig.status().await.full && !rig.role_failed());
        appender
            .send(&appender.frames[appender.frames.len() - 1..])
            .await;
        appender.until(|credit| credit.full).await;
        let held = rig.status().await.appended_frames;
        rig.log_disk().set_capacity(4 << 30);
        appender.until(|credit| !credit.full).await;
        appender.send(&appender.frames[held as usize..]).await;
        appender.durable().await;
        rig.fake.until(|known| !known.full).await;
    });
}

#[test]
fn privileged_frames_use_the_headroom() {
    run(9, |world| async move {
        let (rig, mut appender) = one_lane(&world, |config| {
            (config.segment_bytes_min, config.segment_bytes_max) = (1 << 20, 1 << 20);
        })
        .await;
        rig.log_disk()
            .set_capacity(rig.log_disk().used() + (30 << 20));
        let env = dfs_env::current();
        while !rig.status().await.full {
            appender.append(1, 300_000).await;
            env.sleep(Duration::from_millis(100)).await;
        }
        appender.rewind(rig.status().await.appended_frames as usize);
        let frame = appender.make_with(1, 100, Tag::shard(0), true);
        appender.send(&[frame]).await;
        appender.durable().await;
    });
}
