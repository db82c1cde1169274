//! The cluster's client when units and the sequencer fail: nothing is lost, doubled or read wrongly.
#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use bytes::Bytes;
use dfs_env::Env;
use dfs_log::testing::{FakeCluster, Fault};
use dfs_log::{ClusterLog, Committed, Draft, Event, Follow, Follower, FrameAt, SharedLog};
use dfs_wire::{Code, Refusal};
use futures::FutureExt;
use futures::future::join_all;
use std::sync::Arc;
use world::{ONE, World, numbered};

const OWN: Follow = Follow {
    tags: Vec::new(),
    own: true,
};
const ALL: Follow = Follow {
    tags: Vec::new(),
    own: false,
};

impl World {
    async fn append(&mut self, count: u64) -> Vec<Committed> {
        let tickets = self.send(count).await;
        join_all(tickets)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect()
    }

    /// Everything appended so far, each once and in order.
    async fn expect_all(&self, log: &ClusterLog, what: Follow) {
        let mut follower = log.follow(1, what).await.unwrap();
        let frames = read(&mut follower, self.appended).await.unwrap();
        let records: Vec<Bytes> = frames
            .iter()
            .flat_map(|at| at.frame.records().unwrap())
            .collect();
        assert_eq!(records, self.expected());
    }
}

async fn read(follower: &mut Follower, last: u64) -> Result<Vec<FrameAt>, Refusal> {
    let mut frames = Vec::new();
    loop {
        for event in follower.next().await?.events {
            match event {
                Event::Frame(at) => frames.push(at),
                Event::Through { lsn, .. } if lsn >= last => return Ok(frames),
                Event::Through { .. } => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn own_frames_are_folded_without_a_read() {
    let mut world = World::new(1, 3, 2).await;
    let mut follower = world.log.follow(1, OWN).await.unwrap();
    for _ in 0..10 {
        let last = world.append(5).await[4].lsn;
        let batch = follower
            .next()
            .now_or_never()
            .expect("delivered before the ticket")
            .unwrap();
        assert!(matches!(batch.events.last(), Some(Event::Through { lsn, .. }) if *lsn == last));
    }
    assert_eq!(world.cluster.scans(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_was_away_gets_what_it_missed() {
    let mut world = World::new(1, 3, 2).await;
    world.append(20).await;
    world.cluster.set_fault(0, 2, Fault::Down);
    let before = world.cluster.stored_records(0, 2);
    world.append(200).await;
    assert_eq!(world.cluster.stored_records(0, 2), before);
    world.cluster.set_fault(0, 2, Fault::None);
    while world.cluster.stored_records(0, 2) < 220 {
        world.env.sleep(std::time::Duration::from_millis(10)).await;
    }
    world.expect_all(&world.log, OWN).await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_stalls_holds_back_nobody() {
    let mut world = World::new(1, 3, 2).await;
    world.cluster.set_fault(0, 0, Fault::Stalled);
    world.append(500).await;
    assert_eq!(world.cluster.stored_records(0, 0), 0);
    let other = world.other_process();
    world.expect_all(&other, ALL).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_everybody_waits_and_nothing_is_lost() {
    let mut world = World::new(1, 3, 2).await;
    world.append(3).await;
    world.cluster.set_fault(0, 0, Fault::Down);
    world.cluster.set_fault(0, 1, Fault::Stalled);
    let tickets = world.send(100).await;
    let waiting = join_all(tickets);
    tokio::pin!(waiting);
    let minute = std::time::Duration::from_secs(60);
    assert!(world.env.timeout(minute, &mut waiting).await.is_err());
    world.cluster.set_fault(0, 1, Fault::None);
    assert!(waiting.await.iter().all(Result::is_ok));
    world.expect_all(&world.log, OWN).await;
}

#[tokio::test(start_paused = true)]
async fn cuts_missed_while_the_sequencer_was_away_are_told_by_base() {
    let mut world = World::new(1, 3, 2).await;
    world.append(10).await;
    world.cluster.set_sequencer_down(true);
    let tickets = world.send(50).await;
    world.env.sleep(std::time::Duration::from_secs(5)).await;
    world.cluster.set_sequencer_down(false);
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.await.unwrap().lsn, 11 + n as u64);
    }
    world.expect_all(&world.log, OWN).await;
}

#[tokio::test(start_paused = true)]
async fn cuts_that_nobody_remembers_are_found_by_the_units_stamps() {
    let mut world = World::new(1, 3, 2).await;
    let mut follower = world.log.follow(1, OWN).await.unwrap();
    world.append(10).await;
    world.cluster.set_sequencer_down(true);
    let tickets = world.send(50).await;
    world.env.sleep(std::time::Duration::from_secs(5)).await;
    world.cluster.forget_cuts();
    world.cluster.set_sequencer_down(false);
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.await.unwrap().lsn, 11 + n as u64, "LOG-A6, LOG-R1");
    }
    world.append(10).await;
    let frames = read(&mut follower, 70).await.unwrap();
    assert_eq!(
        frames
            .iter()
            .map(|at| u64::from(at.frame.header.count))
            .sum::<u64>(),
        70
    );
    world.expect_all(&world.log, OWN).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_cuts_that_falls_silent_is_opened_anew() {
    let mut world = World::new(1, 3, 2).await;
    let other = world.other_process();
    let mut follower = other.follow(1, ALL).await.unwrap();
    world.append(10).await;
    read(&mut follower, 10).await.unwrap();
    world.cluster.silence_subscriptions();
    world.append(10).await;
    assert_eq!(other.end(true).await.unwrap().next_lsn, 21);
    read(&mut follower, 20).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_privileged_frames_and_resumes_by_itself() {
    let mut world = World::new(1, 1, 1).await;
    world.append(1).await;
    world.cluster.set_fault(0, 0, Fault::Full);
    let privileged = Draft {
        privileged: true,
        ..numbered(1)
    };
    world.appended += 1;
    world
        .appender
        .append(privileged)
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(!world.appender.room().is_enough(), "FOLD-P0");
    let tickets = world.send(10).await;
    let waiting = join_all(tickets);
    tokio::pin!(waiting);
    let second = std::time::Duration::from_secs(1);
    assert!(world.env.timeout(second, &mut waiting).await.is_err());
    world.cluster.set_fault(0, 0, Fault::None);
    assert!(waiting.await.iter().all(Result::is_ok));
    assert!(world.appender.room().is_enough());
    world.expect_all(&world.log, OWN).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_lane_does_not_starve_a_unit_that_refused() {
    let ms = std::time::Duration::from_millis;
    let mut world = World::new(1, 3, 2).await;
    world.cluster.set_fault(0, 2, Fault::Full);
    for _ in 0..400 {
        world.append(1).await;
        world.env.sleep(ms(1)).await; // shorter than the unit is left alone
    }
    assert_eq!(world.cluster.stored_records(0, 2), 0);
    world.cluster.set_fault(0, 2, Fault::None);
    for _ in 0..400 {
        world.append(1).await;
        world.env.sleep(ms(1)).await;
    }
    assert!(world.cluster.stored_records(0, 2) > 500);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_copy_is_read_from_another_unit() {
    let mut world = World::new(1, 3, 3).await;
    world.append(300).await;
    world.cluster.set_fault(0, 0, Fault::Damaged);
    world.cluster.set_fault(0, 1, Fault::Down);
    for _ in 0..5 {
        world.expect_all(&world.other_process(), ALL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_every_copy_is_damaged_the_answer_is_lost() {
    let mut world = World::new(1, 1, 1).await;
    world.append(30).await;
    let mut follower = world.log.follow(1, OWN).await.unwrap();
    world.cluster.set_fault(0, 0, Fault::Damaged);
    let refusal = read(&mut follower, 30).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.get().lsn), (Code::Lost, 1));
    assert_eq!(
        follower.next().await.unwrap_err().code(),
        Code::Lost,
        "it is final"
    );
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_swallows_a_frame_is_caught() {
    let mut world = World::new(1, 1, 1).await;
    world.append(30).await;
    world.cluster.set_fault(0, 0, Fault::Swallowing);
    let mut past = world.log.follow(1, OWN).await.unwrap();
    assert_eq!(
        read(&mut past, 30).await.unwrap_err().code(),
        Code::Corrupt,
        "LOG-R2"
    );
    let mut live = world.other_process().follow(31, ALL).await.unwrap();
    world.append(1).await;
    assert_eq!(
        read(&mut live, 31).await.unwrap_err().code(),
        Code::Corrupt,
        "LOG-R2"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_goes_on_when_its_unit_falls_silent() {
    let mut world = World::new(1, 3, 2).await;
    let other = world.other_process();
    let mut follower = other.follow(1, ALL).await.unwrap();
    for round in 0..9 {
        world.cluster.set_fault(0, round % 3, Fault::Stalled);
        let last = world.append(20).await[19].lsn;
        read(&mut follower, last).await.unwrap();
        world.cluster.set_fault(0, round % 3, Fault::None);
    }
    world.expect_all(&other, ALL).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_lags_reads_from_units_what_it_missed() {
    let mut world = World::new(1, 1, 1).await;
    let mut follower = world.log.follow(1, OWN).await.unwrap();
    for _ in 0..5000 {
        world.append(1).await;
    }
    let frames = read(&mut follower, 5000).await.unwrap();
    assert_eq!(frames.len(), 5000);
    assert!(world.cluster.scans() > 0, "the queue of cuts is bounded");
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_disagrees_ends_the_lane() {
    let mut world = World::new(1, 1, 1).await;
    world.append(3).await;
    world.cluster.lie_about_chains();
    let ticket = world.send(1).await.remove(0);
    assert_eq!(
        ticket.await.unwrap_err().code(),
        Code::Corrupt,
        "LOG-I1, LOG-I4"
    );
    assert!(world.appender.append(numbered(9)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn many_questions_for_the_end_are_one_call() {
    let world = World::new(1, 1, 1).await;
    world.log.end(true).await.unwrap();
    let before = world.cluster.end_calls();
    join_all((0..1000).map(|_| world.log.end(true))).await;
    assert!(world.cluster.end_calls() - before <= 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_when_the_appender_goes_is_brought_to_its_end() {
    let mut world = World::new(1, 3, 2).await;
    world.cluster.hold_cuts(true);
    let tickets = world.send(100).await;
    let World {
        env,
        cluster,
        log,
        appender,
        appended,
    } = world;
    drop(appender);
    cluster.hold_cuts(false);
    assert!(join_all(tickets).await.iter().all(Result::is_ok));
    let appender = log.appender(ONE).await.unwrap();
    World {
        env,
        cluster,
        log: log.clone(),
        appender,
        appended,
    }
    .expect_all(&log, OWN)
    .await;
}

/// Records that nobody will ever cut keep nothing of a process that is no more.
#[tokio::test(start_paused = true)]
async fn a_process_that_ends_with_uncut_records_is_let_go_of() {
    let env = Env::real();
    let cluster = FakeCluster::new(env.clone(), 1, 3, 2);
    let (process, connector) = (env.group("one"), cluster.connector());
    let held = Arc::downgrade(&connector);
    let log = ClusterLog::open(process.clone(), connector, ONE);
    let appender = log.appender(ONE).await.unwrap();
    (0..3).for_each(|unit| cluster.set_fault(0, unit, Fault::Down));
    let ticket = appender.append(numbered(0)).await.unwrap();
    process.stop().await;
    drop((log, appender, ticket));
    assert_eq!(held.strong_count(), 0);
}
