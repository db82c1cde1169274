//! Lanes that move: seals, closed stripes, lost quorums and full disks lose nothing and double nothing (LOG-A4).
#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::time::Duration;

use dfs_log::testing::Fault;
use dfs_log::{Draft, Event, Follow, SharedLog, Ticket};
use futures::future::join_all;
use world::{ONE, World, numbered};

/// Far more than what any of these waits needs, in paused time.
const PATIENCE: Duration = Duration::from_secs(120);
const MS: fn(u64) -> Duration = Duration::from_millis;

impl World {
    /// All of them come to lie in the log, in their order.
    async fn land(&self, tickets: Vec<Ticket>) {
        let landed = self.env.timeout(PATIENCE, join_all(tickets)).await;
        let landed = landed.expect("an answer to each");
        let lsns: Vec<u64> = landed.into_iter().map(|told| told.unwrap().lsn).collect();
        assert!(lsns.is_sorted(), "{lsns:?}");
    }

    /// Everything appended so far, each once and in order, by this process and by one that comes anew.
    async fn expect_all(&self) {
        let other = self.other_process();
        for (log, own) in [(&self.log, true), (&other, false)] {
            let tags = Vec::new();
            let mut follower = log.follow(1, Follow { tags, own }).await.unwrap();
            let (mut records, mut through) = (Vec::new(), 0);
            while through < self.appended {
                let next = self.env.timeout(PATIENCE, follower.next()).await;
                for event in next.expect("more").unwrap().events {
                    match event {
                        Event::Frame(at) => records.extend(at.frame.records().unwrap()),
                        Event::Through { lsn, .. } => through = lsn,
                    }
                }
            }
            assert_eq!(records, self.expected());
        }
    }

    fn stripe(&self) -> u64 {
        self.cluster.stripe_of(self.appender.lane())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stripe_that_is_closed_while_records_are_in_flight() {
    let mut world = World::new(2, 3, 2).await;
    let tickets = world.send(50).await;
    world.land(tickets).await;
    world.cluster.hold_cuts(true);
    let mut tickets = world.send(50).await;
    world.env.sleep(MS(20)).await;
    world.cluster.close_stripe(0);
    tickets.extend(world.send(50).await);
    world.env.sleep(MS(20)).await;
    assert_eq!((world.appender.lane(), world.stripe()), (2, 1));
    world.cluster.hold_cuts(false);
    world.land(tickets).await;
    assert_eq!(world.appender.in_flight().records, 0);
    // LOG-R1, R2: the closed stripe is read up to its last LSN, the other from there on.
    world.expect_all().await;
}

/// D6 in a cluster of six units, as the appender and its readers see it.
#[tokio::test(start_paused = true)]
async fn two_of_three_units_are_lost_while_records_are_written() {
    let mut world = World::new(2, 3, 2).await;
    let tickets = world.send(100).await;
    world.land(tickets).await;
    world.cluster.set_fault(0, 1, Fault::Down);
    world.cluster.set_fault(0, 2, Fault::Down);
    let lost = world.env.now();
    let tickets = world.send(100).await;
    world.land(tickets).await;
    let gap = world.env.now() - lost;
    assert!((MS(500)..MS(700)).contains(&gap), "{gap:?}");
    assert_eq!(world.stripe(), 1);
    world.expect_all().await;
    world.cluster.set_fault(0, 1, Fault::None);
    world.cluster.set_fault(0, 2, Fault::None);
    let tickets = world.send(100).await;
    world.land(tickets).await;
    world.expect_all().await;
}

#[tokio::test(start_paused = true)]
async fn full_disks_move_the_lane_to_units_with_room() {
    let mut world = World::new(2, 3, 2).await;
    let tickets = world.send(10).await;
    world.land(tickets).await;
    world.cluster.set_fault(0, 0, Fault::Full);
    let tickets = world.send(10).await;
    world.land(tickets).await;
    assert_eq!(world.stripe(), 0, "W of three have room");
    world.cluster.set_fault(0, 1, Fault::Full);
    let tickets = world.send(10).await;
    world.land(tickets).await;
    assert_eq!(world.stripe(), 1);
    assert!(world.appender.room().is_enough(), "FOLD-P0");
    world.expect_all().await;
}

/// Nothing is in flight: whoever asks for room before it appends must see some again.
#[tokio::test(start_paused = true)]
async fn an_idle_lane_on_full_disks_moves_too() {
    let mut world = World::new(2, 3, 2).await;
    world.cluster.set_fault(0, 0, Fault::Full);
    world.cluster.set_fault(0, 1, Fault::Full);
    let privileged = Draft {
        privileged: true,
        ..numbered(0)
    };
    world.appended += 1;
    let ticket = world.appender.append(privileged).await.unwrap();
    world.land(vec![ticket]).await;
    world.env.sleep(MS(100)).await; // who is full is left at once
    assert!(world.appender.room().is_enough() && world.stripe() == 1);
    world.expect_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_stays_away_costs_no_copies_for_ever() {
    let mut world = World::new(2, 3, 2).await;
    world.cluster.set_fault(0, 2, Fault::Down);
    for _ in 0..50 {
        let tickets = world.send(1).await;
        world.land(tickets).await;
        world.env.sleep(MS(100)).await;
    }
    assert_eq!(world.stripe(), 0, "it may be a restart");
    for _ in 0..80 {
        let tickets = world.send(1).await;
        world.land(tickets).await;
        world.env.sleep(MS(100)).await;
    }
    assert_eq!(world.stripe(), 1);
    world.expect_all().await;
}

#[tokio::test(start_paused = true)]
async fn without_other_units_the_lane_stays_and_goes_on_where_it_is() {
    let mut world = World::new(1, 3, 2).await;
    world.cluster.set_fault(0, 1, Fault::Down);
    world.cluster.set_fault(0, 2, Fault::Down);
    let tickets = world.send(10).await;
    world.env.sleep(Duration::from_secs(60)).await;
    world.cluster.set_fault(0, 2, Fault::None);
    world.land(tickets).await;
    assert_eq!(world.appender.lane(), 1);
    world.expect_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_was_left_before_its_cuts_were_heard() {
    let mut world = World::new(2, 3, 2).await;
    let mut tickets = world.send(10).await;
    world.cluster.set_sequencer_down(true);
    tickets.extend(world.send(10).await);
    world.env.sleep(MS(50)).await;
    world.cluster.forget_cuts();
    world.cluster.seal_lanes();
    tickets.extend(world.send(10).await);
    world.cluster.set_sequencer_down(false);
    world.land(tickets).await;
    world.expect_all().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_when_the_appender_goes_moves_as_well() {
    let mut world = World::new(2, 3, 2).await;
    world.cluster.set_fault(0, 0, Fault::Down);
    world.cluster.set_fault(0, 1, Fault::Down);
    let tickets = world.send(100).await;
    let spare = world.log.appender(ONE).await.unwrap();
    let trail = world.appender.trail().clone();
    drop(std::mem::replace(&mut world.appender, spare));
    world.land(tickets).await;
    assert_eq!(trail.nth(1, 7), Some(7));
    assert_eq!(
        trail.nth(3, 7),
        Some(7),
        "nothing of the first lane was cut"
    );
    world.expect_all().await;
}

/// The mutation that LOG.md names: it must be seen.
#[tokio::test(start_paused = true)]
async fn sending_again_before_the_seal_applies_is_seen() {
    let mut world = World::new(2, 3, 2).await;
    world.cluster.move_before_the_seal();
    world.cluster.hold_cuts(true);
    let tickets = world.send(10).await;
    world.env.sleep(MS(50)).await;
    world.cluster.set_fault(0, 1, Fault::Down);
    world.cluster.set_fault(0, 2, Fault::Down);
    let lost = world.send(1).await;
    world.env.sleep(Duration::from_secs(2)).await;
    assert_eq!(world.stripe(), 1);
    world.cluster.hold_cuts(false);
    let answered = join_all(tickets.into_iter().chain(lost));
    let _some_are_lost = world.env.timeout(PATIENCE, answered).await;
    assert_eq!(
        world.log.end(true).await.unwrap().next_lsn,
        22,
        "ten of them twice"
    );
    assert_eq!(world.log.heard().unwrap().0, 1, "LOG-I6: no further");
}
