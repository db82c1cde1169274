//! A unit is drained under load and removed: the role with stand-ins for units and processes (LOG.md §6).
mod world;

use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Sequencer;
use dfs_wire::v1::UnitState;
use dfs_wire::v1::log_event::Event;
use dfs_wire::v1::unit_order::Order;
use dfs_wire::{Code, v1};
use futures::StreamExt;
use std::time::Duration;
use world::{Process, Unit, end, next_cut, next_event, refused_as, start, subscribe};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn drain(unit_id: u64) -> v1::DrainUnitRequest {
    v1::DrainUnitRequest {
        unit_id,
        undo: false,
    }
}

fn remove(unit_id: u64, lost: bool) -> v1::RemoveUnitRequest {
    v1::RemoveUnitRequest { unit_id, lost }
}

async fn says_whole(unit: &Unit, stripe: u64) {
    let durable = v1::Durable {
        whole_stripes: vec![stripe],
        ..v1::Durable::default()
    };
    assert!(unit.report(durable).await);
}

/// A beat that says so of every unit of the process.
fn beat(process: &Process, extents: u64) -> v1::Beat {
    let space = |(unit_id, _): &(u64, bytes::Bytes)| v1::UnitSpace {
        unit_id: *unit_id,
        extents,
        ..v1::UnitSpace::default()
    };
    v1::Beat {
        units: process.units.iter().map(space).collect(),
        wall_us: 1,
        ..v1::Beat::default()
    }
}

async fn live(process: &Process, time: Duration, extents: u64) {
    let until = process.env.now() + time;
    while process.env.now() < until {
        assert!(process.beat_with(beat(process, extents)).await);
        process.env.sleep(MS(50)).await;
    }
}

async fn asked_to_copy(unit: &mut Unit) -> v1::StripeChanged {
    loop {
        let order = unit.orders.next().await.expect("it goes on").expect("ok");
        if let Some(Order::StripeChanged(changed)) = order.order
            && changed
                .stripe
                .iter()
                .any(|stripe| !stripe.copies.is_empty())
        {
            return changed;
        }
    }
}

#[test]
fn a_unit_is_drained_while_its_lane_is_written_to_and_then_removed() {
    SimWorld::run(1, |world| async move {
        let (env, role) = start(&world, 3, 2).await;
        let process = Process::join(&env, &role, 1, &[11, 12, 13, 14, 15, 16]).await;
        let mut units = Vec::new();
        for position in 0..6 {
            units.push(process.unit(position, vec![]).await);
        }
        process.open_lane(1).await.expect("six live");
        live(&process, MS(1500), 7).await;
        let (_, mut events) = subscribe(&role).await;
        units[0].durable(vec![end(1, 4)], 0).await;
        units[1].durable(vec![end(1, 4)], 0).await;
        assert_eq!(next_cut(&mut events).await.first_lsn, 1);
        refused_as(role.remove_unit(remove(1, false)).await, Code::State);
        refused_as(role.remove_unit(remove(1, true)).await, Code::State);
        let begun = role.drain_unit(drain(1)).await.expect("five others");
        let state = (begun.state(), begun.open_stripes, begun.drained);
        assert_eq!(state, (UnitState::Draining, 1, false));
        live(&process, MS(500), 7).await;
        let moved = process.move_lane(1, &[]).await.expect("it was closed");
        assert_eq!(moved.final_length, 4);
        let closed = loop {
            if let Event::StripeClosed(closed) = next_event(&mut events).await {
                break closed;
            }
        };
        assert_eq!((closed.stripe, closed.last_lsn), (1, 4));
        for unit in [0, 1, 2] {
            says_whole(&units[unit], 1).await;
        }
        live(&process, MS(500), 7).await;
        let told = role.drain_unit(drain(1)).await.expect("it goes on");
        let left = (told.open_stripes, told.stripes_to_copy, told.drained);
        assert_eq!((left, told.records_to_copy), ((0, 1, false), 4));
        refused_as(role.remove_unit(remove(1, false)).await, Code::State);
        let changed = asked_to_copy(&mut units[3]).await;
        let stripe = changed.stripe.expect("which one");
        assert_eq!((stripe.stripe, stripe.copies[0].unit_id), (1, 4));
        assert_eq!((changed.lanes.len(), changed.lanes[0].length), (1, 4));
        says_whole(&units[3], 1).await;
        live(&process, MS(500), 7).await;
        let told = role.drain_unit(drain(1)).await.expect("it goes on");
        assert!(told.drained, "{told:?}");
        let base = subscribe(&role).await.0;
        assert_eq!(base.stripes[0].locations, [1, 2, 3, 4]);
        // Extents are not moved yet.
        let refused = role.remove_unit(remove(1, false)).await;
        let why = refused.expect_err("it holds extents").to_string();
        assert!(why.contains("7 extents"), "{why}");
        live(&process, MS(100), 0).await;
        role.remove_unit(remove(1, false)).await.expect("drained");
        role.remove_unit(remove(1, false))
            .await
            .expect("asked again");
        drop(units.remove(0));
        let hello = process.try_unit(0, vec![]).await;
        refused_as(hello.map(|_| ()), Code::Mismatch);
        let again = Process::join(&env, &role, 1, &[11, 12, 13, 14, 15, 16]).await;
        assert_eq!(again.units[0].0, 1, "its directory is known");
        let hello = again.try_unit(0, vec![]).await;
        refused_as(hello.map(|_| ()), Code::Mismatch);
    });
}

#[test]
fn a_drain_that_could_not_end_is_refused_and_one_may_be_undone() {
    SimWorld::run(2, |world| async move {
        let (env, role) = start(&world, 3, 2).await;
        let process = Process::join(&env, &role, 1, &[11, 12, 13]).await;
        let mut units = Vec::new();
        for position in 0..3 {
            units.push(process.unit(position, vec![]).await);
        }
        refused_as(role.drain_unit(drain(1)).await, Code::State);
        refused_as(role.drain_unit(drain(9)).await, Code::NotFound);
        let other = Process::join(&env, &role, 2, &[21]).await;
        let told = role.drain_unit(drain(1)).await.expect("three others");
        assert_eq!(told.state(), UnitState::Draining);
        assert!(told.drained, "nothing was ever written");
        let undo = v1::DrainUnitRequest {
            unit_id: 1,
            undo: true,
        };
        let told = role.drain_unit(undo).await.expect("it stays");
        assert_eq!(told.state(), UnitState::Active);
        // One that never came is lost; one that is there is not.
        refused_as(role.remove_unit(remove(1, true)).await, Code::State);
        let lost = other.units[0].0;
        role.remove_unit(remove(lost, true))
            .await
            .expect("not there");
        let base = role.status().await.expect("it leads");
        let members = base.members.expect("members");
        let unit = members.units.iter().find(|unit| unit.unit_id == lost);
        assert_eq!(unit.map(|unit| unit.state()), Some(UnitState::Dead));
    });
}
