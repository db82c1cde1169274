//! Lanes that move and are sealed, stripes that are closed: the role with stand-ins for units and processes.
mod world;

use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Answers;
use dfs_rpc::roles::Sequencer;
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Code, v1};
use std::time::Duration;
use world::{Process, end, next_cut, next_event, refused_as, start, subscribe};

const MS: fn(u64) -> Duration = Duration::from_millis;

async fn next_sealed(events: &mut Answers<v1::LogEvent>) -> v1::LaneSealed {
    loop {
        if let Event::LaneSealed(sealed) = next_event(events).await {
            return sealed;
        }
    }
}

fn units(opened: &v1::LaneOpened) -> Vec<u64> {
    opened.units.iter().map(|unit| unit.unit_id).collect()
}

/// LOG-A4
#[test]
fn a_lane_moves_to_units_that_its_owner_does_not_complain_of() {
    SimWorld::run(1, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11, 12]).await;
        let one = process.unit(0, vec![]).await;
        let other = process.unit(1, vec![]).await;
        let opened = process.open_lane(1).await.expect("two live");
        assert_eq!(units(&opened), [1]);
        let (_, mut events) = subscribe(&role).await;
        one.durable(vec![end(1, 4)], 0).await;
        assert_eq!(next_cut(&mut events).await.first_lsn, 1);
        refused_as(process.move_lane(1, &[1, 2]).await, Code::NotYet);
        refused_as(process.move_lane(9, &[]).await, Code::NotFound);
        let moved = process.move_lane(1, &[1]).await.expect("the other lives");
        assert_eq!(moved.final_length, 4);
        let successor = moved.successor.clone().expect("opened with it");
        assert_eq!((successor.lane, units(&successor)), (2, vec![2]));
        let sealed = next_sealed(&mut events).await;
        assert_eq!((sealed.lane, sealed.final_length), (1, 4));
        // The answer was lost: asked again it is the same, wherever the lane would go now.
        let again = process.move_lane(1, &[2]).await.expect("it has moved");
        assert_eq!(again.successor.map(|lane| lane.lane), Some(2));
        // LOG-I6: what the old unit says of the old lane is not cut any more.
        one.durable(vec![end(1, 9)], 0).await;
        other.durable(vec![end(2, 3)], 0).await;
        let cut = next_cut(&mut events).await;
        assert_eq!((cut.first_lsn, cut.lanes.len()), (5, 1));
        assert_eq!((cut.lanes[0].lane, cut.lanes[0].to_idx), (2, 3));
        let base = subscribe(&role).await.0;
        let lane = |at: usize| (base.lanes[at].sealed, base.lanes[at].successor);
        assert_eq!([lane(0), lane(1)], [(true, 2), (false, 0)]);
    });
}

/// LOG-D6
#[test]
fn a_stripe_that_lost_its_quorum_is_closed_within_a_second_or_so() {
    SimWorld::run(2, |world| async move {
        let (env, role) = start(&world, 3, 2).await;
        let process = Process::join(&env, &role, 1, &[11, 12, 13, 14, 15, 16]).await;
        let mut hellos = Vec::new();
        for position in 0..6 {
            hellos.push(process.unit(position, vec![]).await);
        }
        let opened = process.open_lane(1).await.expect("six live");
        assert_eq!(units(&opened), [1, 2, 3]);
        process.live(MS(2000)).await;
        let (_, mut events) = subscribe(&role).await;
        hellos[0].durable(vec![end(1, 4)], 0).await;
        hellos[1].durable(vec![end(1, 4)], 0).await;
        assert_eq!(next_cut(&mut events).await.first_lsn, 1);
        hellos.drain(1..3);
        let lost = env.now();
        let sealed = async {
            let sealed = next_sealed(&mut events).await;
            (sealed, env.now())
        };
        let (_, (sealed, at)) = futures::future::join(process.live(MS(1000)), sealed).await;
        assert_eq!((sealed.lane, sealed.final_length), (1, 4));
        assert!((MS(500)..MS(800)).contains(&(at - lost)), "{:?}", at - lost);
        let Event::StripeClosed(closed) = next_event(&mut events).await else {
            panic!("it is closed with its lanes")
        };
        assert_eq!((closed.stripe, closed.last_lsn), (1, 4));
        let moved = process.move_lane(1, &[]).await.expect("three live");
        let successor = moved.successor.expect("opened with it");
        assert_eq!((successor.stripe, units(&successor)), (2, vec![4, 5, 6]));
    });
}

/// LOG-D5: the timer begins with the leadership, and ends only for whoever beats.
#[test]
fn lanes_of_a_process_that_is_gone_are_sealed_after_ten_seconds() {
    SimWorld::run(3, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let unit = Process::join(&env, &role, 1, &[11]).await;
        let _hello = unit.unit(0, vec![]).await;
        let idle = Process::join(&env, &role, 2, &[]).await;
        let gone = Process::join(&env, &role, 3, &[]).await;
        idle.open_lane(1).await.expect("a unit lives");
        gone.open_lane(2).await.expect("a unit lives");
        let (_, mut events) = subscribe(&role).await;
        let left = env.now();
        let owner = gone.owner;
        drop(gone);
        let lives = futures::future::join(unit.live(MS(12_000)), idle.live(MS(12_000)));
        let sealed = async {
            let sealed = next_sealed(&mut events).await;
            (sealed, env.now())
        };
        let (_, (sealed, at)) = futures::future::join(lives, sealed).await;
        assert_eq!(sealed.lane, 2);
        assert!((MS(10_000)..MS(10_300)).contains(&(at - left)));
        let base = subscribe(&role).await.0;
        assert!(!base.lanes[0].sealed && base.lanes[1].sealed);
        // It was only paused: its lane has a successor.
        let request = v1::MoveLaneRequest {
            lane: 2,
            owner: Some(owner),
            ..v1::MoveLaneRequest::default()
        };
        let moved = role.move_lane(request).await.expect("a unit lives");
        assert_eq!(moved.successor.map(|lane| lane.lane), Some(3));
    });
}
