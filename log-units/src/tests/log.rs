//! Append, cut and scan, as long as nothing breaks.

use std::time::Duration;

use dfs_rpc::roles::LogUnit;
use dfs_wire::{Code, Tag, v1};
use futures::StreamExt;

use super::fake::UNIT;
use super::rig::{Answered, Appender, Rig, known_lane, one_lane, question, run};

#[test]
fn what_is_cut_is_scanned_and_nothing_else() {
    run(1, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        let cut_end = appender.end();
        appender.append(5, 100).await;
        appender.durable().await;
        rig.fake.cut(&[cut_end]);
        let answered = rig.scan(1, 1).await.expect("scan");
        assert_eq!((answered.count(), answered.progress), (1, 1));
        // LOG-U4, N3: five more records are durable, and nobody sees them before they are cut.
        let mut tail = rig.role.scan(question(1, 0)).await.expect("scan");
        let mut seen = Answered::default();
        seen.take(tail.next().await.expect("a batch").expect("no refusal"));
        assert_eq!((seen.count(), seen.progress), (1, 1));
        assert!(futures::poll!(tail.next()).is_pending());
        rig.fake.cut(&[appender.end()]);
        seen.take(tail.next().await.expect("a batch").expect("no refusal"));
        assert_eq!((seen.count(), seen.progress), (6, 6));
        assert_eq!(seen.frames[1].1.bytes(), appender.frames[1].bytes());
    });
}

#[test]
fn a_lane_nobody_told_of_is_tried_again() {
    run(2, |world| async move {
        let rig = Rig::new(&world).await;
        rig.fake.until(|known| known.hellos > 0).await;
        let mut appender = Appender::new(44);
        appender.connect(&rig.role).await;
        appender.append(1, 10).await;
        assert!(appender.credit().await.expect("credit").unknown_lane);
        rig.fake.open_lane(44);
        known_lane(&rig, &mut appender).await;
    });
}

#[test]
fn a_gap_is_named_a_double_is_fine_and_other_bytes_are_refused() {
    run(3, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        let second = appender.make(3, 10, Tag::shard(0));
        let third = appender.make(1, 10, Tag::shard(0));
        appender.send(std::slice::from_ref(&third)).await;
        let credit = appender.credit().await.expect("credit");
        assert!(credit.gap && credit.staged_idx == 1, "{credit:?}"); // LOG-U1
        appender.send(&[second, third]).await;
        appender.durable().await;
        appender.send(&appender.frames).await;
        let credit = appender.credit().await.expect("credit");
        assert_eq!((credit.staged_idx, credit.gap), (5, false));
        let mut other = Appender::new(1);
        other.connect(&rig.role).await;
        other.append(2, 10).await; // LOG-I1
        assert_eq!(other.credit().await.expect("credit").staged_idx, 5);
        assert_eq!(
            other.credit().await.expect_err("refused").code(),
            Code::Conflict
        );
        assert_eq!(rig.status().await.appended_frames, 3);
    });
}

#[test]
fn frames_that_arrive_damaged_or_misplaced_are_refused() {
    run(4, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        let frame = appender.make(1, 10, Tag::shard(0));
        let mut bytes = frame.bytes().to_vec();
        bytes[70] ^= 1;
        for (lane, first_idx, frame, code) in [
            (1, 1, bytes.into(), Code::Corrupt),
            (2, 1, frame.bytes().clone(), Code::Invalid),
            (1, 0, frame.bytes().clone(), Code::Invalid),
        ] {
            let frames = vec![frame];
            let request = v1::AppendRequest {
                unit_id: UNIT,
                lane,
                first_idx,
                frames,
                traces: Vec::new(),
            };
            let requests = futures::stream::iter([request]).boxed();
            let mut credits = rig.role.append(requests).await.expect("a stream");
            let refusal = credits
                .next()
                .await
                .expect("an answer")
                .expect_err("refused");
            assert_eq!(refusal.code(), code);
        }
    });
}

#[test]
fn a_sealed_lane_takes_nothing_beyond_its_length() {
    run(5, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        rig.fake.cut(&[appender.end()]);
        rig.fake.seal(1);
        rig.scan(1, 1).await.expect("scan");
        appender.append(1, 10).await;
        appender.credit().await.expect("a last credit");
        assert_eq!(
            appender.credit().await.expect_err("refused").code(),
            Code::State
        );
    });
}

#[test]
fn a_scan_filters_by_tag_and_lane_and_counts_what_it_skips() {
    run(6, |world| async move {
        let (rig, mut one) = one_lane(&world, |_| {}).await;
        rig.fake.open_lane(2);
        let mut two = Appender::new(2);
        two.connect(&rig.role).await;
        known_lane(&rig, &mut two).await;
        for round in 0..20u64 {
            let frame = one.make(3, 20, Tag::shard(round % 4));
            one.send(&[frame]).await;
            two.append(2, 20).await;
            one.durable().await;
            two.durable().await;
            rig.fake.cut(&[one.end(), two.end()]);
        }
        let last_lsn = 2 + 20 * 5;
        let all = rig.scan(1, last_lsn).await.expect("scan");
        assert_eq!(
            (all.frames.len(), all.count(), all.skips.len()),
            (42, last_lsn, 0)
        );
        let mut asked = question(1, last_lsn);
        asked.tags = vec![Tag::shard(3).0];
        let some = rig.scan_with(asked.clone()).await.expect("scan");
        assert_eq!((some.frames.len(), some.count()), (5, last_lsn)); // LOG-R2
        assert!(
            some.frames
                .iter()
                .all(|(_, frame)| frame.header.tags == [Tag::shard(3)])
        );
        asked.except_lanes = vec![1];
        let none = rig.scan_with(asked).await.expect("scan");
        assert_eq!((none.frames.len(), none.count()), (0, last_lsn));
        let mut asked = question(1, last_lsn);
        asked.except_lanes = vec![2];
        let mine = rig.scan_with(asked).await.expect("scan");
        assert_eq!((mine.frames.len(), mine.count()), (21, last_lsn));
    });
}

#[test]
fn an_lsn_inside_a_frame_returns_the_whole_frame() {
    run(7, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        appender.append(10, 10).await;
        appender.durable().await;
        rig.fake.cut(&[appender.end()]);
        let answered = rig.scan(5, 6).await.expect("scan");
        assert_eq!(
            (answered.frames[0].0, answered.count(), answered.progress),
            (2, 10, 6)
        );
        let mut asked = question(5, 6);
        asked.tags = vec![Tag::shard(9).0];
        let skipped = rig.scan_with(asked).await.expect("scan");
        let skip = v1::Skip {
            first_lsn: 5,
            last_lsn: 6,
            count: 2,
        };
        assert_eq!(skipped.skips, [skip]);
    });
}

#[test]
fn other_stripes_and_units_are_told_apart() {
    run(8, |world| async move {
        let (rig, _) = one_lane(&world, |_| {}).await;
        let other = v1::ScanRequest {
            stripe: 5,
            ..question(1, 1)
        };
        assert_eq!(
            rig.scan_with(other).await.expect_err("refused").code(),
            Code::NotYet
        );
        let other = v1::ScanRequest {
            unit_id: 5,
            ..question(1, 1)
        };
        assert_eq!(
            rig.scan_with(other).await.expect_err("refused").code(),
            Code::Mismatch
        );
    });
}

#[test]
fn one_sync_covers_what_arrived_while_the_last_one_ran() {
    run(9, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        let before = rig.status().await.fsyncs;
        for _ in 0..200 {
            appender.append(1, 100).await;
        }
        appender.durable().await;
        let syncs = rig.status().await.fsyncs - before;
        assert!((1..60).contains(&syncs), "{syncs} syncs for 200 frames"); // LOG-U2
    });
}

#[test]
fn stamps_are_synced_after_an_idle_second_or_with_the_next_frames() {
    run(10, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        rig.fake.cut(&[appender.end()]);
        let begun = rig.now();
        rig.fake.until(|known| known.stamped_through == 1).await; // LOG-U6
        let waited = rig.now() - begun;
        assert!(waited.as_millis() >= 900, "{waited:?}");
        appender.append(1, 10).await;
        appender.durable().await;
        rig.fake.cut(&[appender.end()]);
        rig.scan(2, 2).await.expect("heard the cut");
        let begun = rig.now();
        appender.append(1, 10).await;
        rig.fake.until(|known| known.stamped_through == 2).await;
        assert!((rig.now() - begun).as_millis() < 500);
    });
}

#[test]
fn a_stop_keeps_what_was_taken() {
    run(11, |world| async move {
        let (mut rig, mut appender) = one_lane(&world, |_| {}).await;
        for _ in 0..50 {
            appender.append(2, 5000).await;
        }
        let staged_idx = appender.end_idx();
        appender
            .until(|credit| credit.staged_idx == staged_idx)
            .await;
        rig.role.stop().await;
        rig.world.power_loss(super::rig::NODE);
        rig.restart().await;
        let hello = rig.fake.known.lock().hello.clone().expect("a Hello");
        assert_eq!(hello.ends.last().map(|end| end.end_idx), Some(staged_idx));
    });
}

#[test]
fn a_broken_conversation_begins_anew_with_hello() {
    run(12, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        rig.fake.hang_up();
        appender.append(4, 10).await;
        appender.durable().await; // units never stop taking frames
        rig.fake.until(|known| known.hellos == 2).await;
        let end = appender.end();
        rig.fake.until(|known| known.durable.contains(&end)).await;
        rig.fake.cut(&[end]);
        assert_eq!(rig.scan(1, 5).await.expect("scan").count(), 5);
    });
}

#[test]
fn at_most_so_many_ends_are_told_and_the_rest_follows_the_cut() {
    run(13, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        for _ in 0..3000 {
            appender.append(1, 1).await;
        }
        appender.durable().await;
        rig.fake.until(|known| known.durable.len() == 1024).await; // LOG-D2
        rig.fake.known.lock().cuts_at_once = true;
        rig.fake.hang_up();
        let end = appender.end();
        rig.fake.until(|known| known.durable.contains(&end)).await;
        assert_eq!(rig.scan(1, 3001).await.expect("scan").count(), 3001);
    });
}

#[test]
fn a_silent_conversation_is_opened_anew_only_while_a_cut_is_expected() {
    run(14, |world| async move {
        let (rig, mut appender) = one_lane(&world, |_| {}).await;
        rig.fake.cut(&[appender.end()]);
        dfs_env::current().sleep(Duration::from_secs(60)).await;
        assert_eq!(rig.fake.known.lock().hellos, 1); // idle is not silent
        appender.append(1, 10).await;
        rig.fake.until(|known| known.hellos == 2).await;
        dfs_env::current().sleep(Duration::from_secs(100)).await;
        let hellos = rig.fake.known.lock().hellos;
        assert!((4..8).contains(&hellos), "{hellos} Hellos"); // less and less often
    });
}
