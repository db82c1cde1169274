//! The role with stand-ins for units and processes: conversations, cuts, liveness, lanes, end.
mod world;

use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Sequencer;
use dfs_sequencer::SequencerConfig;
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Code, v1};
use futures::StreamExt;
use std::time::Duration;
use world::{
    NODE, Process, end, linear_end, next_cut, next_event, refused_as, registration, start,
    subscribe, until_done,
};

#[test]
fn reports_become_cuts_that_units_and_subscribers_hear() {
    SimWorld::run(1, |world| async move {
        let (env, role) = start(&world, 3, 2).await;
        let process = Process::join(&env, &role, 1, &[11, 12, 13]).await;
        let mut units = Vec::new();
        for position in 0..3 {
            units.push(process.unit(position, vec![]).await);
        }
        let (base, mut events) = subscribe(&role).await;
        assert_eq!(
            (base.next_lsn, base.generation, base.cluster_id.len()),
            (1, 1, 16)
        );
        let opened = process.open_lane(1).await.expect("three units live");
        assert_eq!(
            (opened.lane, opened.units.len(), opened.write_quorum),
            (1, 3, 2)
        );
        assert!(
            opened
                .units
                .iter()
                .all(|unit| unit.live && unit.address == "host-1:9010")
        );
        assert!(matches!(
            next_event(&mut events).await,
            Event::StripeOpened(_)
        ));
        let Event::LaneOpened(told) = next_event(&mut events).await else {
            panic!("no lane")
        };
        assert_eq!((told.lane, told.raft_index), (1, opened.raft_index));
        assert_eq!(
            (told.chain_high, told.chain_low),
            (opened.chain_high, opened.chain_low)
        );
        units[0].durable(vec![end(1, 2), end(1, 6)], 0).await;
        units[2].durable(vec![end(1, 2)], 0).await;
        let cut = next_cut(&mut events).await;
        assert_eq!((cut.cut_seq, cut.first_lsn, cut.lanes[0].to_idx), (1, 1, 2));
        units[1].durable(vec![end(1, 6)], 0).await;
        let cut = next_cut(&mut events).await;
        assert_eq!(
            (cut.first_lsn, cut.lanes[0].from_idx, cut.lanes[0].to_idx),
            (3, 2, 6)
        );
        assert_eq!((cut.lanes[0].chain_high, cut.lanes[0].chain_low), (1, 6));
        let answer = linear_end(&env, &role).await;
        assert_eq!((answer.next_lsn, answer.log_time_us), (7, cut.log_time_us));
        assert!(answer.now_us >= answer.log_time_us);
        let mut cuts = Vec::new();
        while cuts.len() < 2 {
            let order = units[1]
                .orders
                .next()
                .await
                .expect("open")
                .expect("not refused");
            if let Some(v1::unit_order::Order::Cut(cut)) = order.order {
                cuts.push(cut);
            }
        }
        assert_eq!(cuts[1], cut);
        role.stop().await;
    });
}

#[test]
fn one_cut_costs_one_fsync_and_an_idle_log_none() {
    SimWorld::run(2, |world| async move {
        let env = world.node(NODE);
        let config = SequencerConfig::single("", 1, 1);
        let role = world::try_start_with(&env, config)
            .await
            .expect("it starts");
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        let disk = world.disk(NODE, world::DIR);
        let before = disk.syncs();
        for idx in 1..=100 {
            unit.durable(vec![end(1, idx)], 0).await;
            assert_eq!(next_cut(&mut events).await.first_lsn, idx);
        }
        assert_eq!(disk.syncs() - before, 100);
        env.sleep(Duration::from_secs(60)).await;
        assert_eq!(disk.syncs() - before, 100);
    });
}

#[test]
fn reports_that_come_while_a_cut_is_in_flight_share_the_next_one() {
    SimWorld::run(3, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        world.disk(NODE, world::DIR).set_sync_us(50_000, 50_000);
        for idx in 1..=50 {
            unit.durable(vec![end(1, idx)], 0).await;
        }
        let mut cuts = 0;
        while next_cut(&mut events).await.lanes[0].to_idx < 50 {
            cuts += 1;
        }
        assert!(cuts <= 2, "{cuts} cuts before the last");
    });
}

/// LOG-D1
#[test]
fn only_the_registered_nonce_and_incarnation_speak_for_a_unit() {
    SimWorld::run(4, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let mut process = Process::join(&env, &role, 1, &[11]).await;
        let right = process.units[0].1.clone();
        process.units[0].1 = world::nonce(99);
        refused_as(
            process.try_unit(0, vec![]).await.map(|_| ()),
            Code::Mismatch,
        );
        process.units[0].1 = right;
        process.owner.incarnation += 1;
        refused_as(
            process.try_unit(0, vec![]).await.map(|_| ()),
            Code::Mismatch,
        );
        process.owner.incarnation -= 1;
        let mut first = process.unit(0, vec![]).await;
        // A second conversation replaces the first, which ends with something to retry.
        process.unit(0, vec![]).await;
        let end = first.orders.next().await.expect("a refusal comes first");
        assert!(end.expect_err("it was replaced").is_retryable());
        // An emptied directory takes the slot: the former unit is not listened to.
        role.register(registration(1, process.owner.incarnation, &[12]))
            .await
            .expect("new unit");
        refused_as(
            process.try_unit(0, vec![]).await.map(|_| ()),
            Code::Mismatch,
        );
        let status = role.status().await.expect("always");
        let units = status.members.expect("members").units;
        let states: Vec<_> = units
            .iter()
            .map(|unit| (unit.unit_id, unit.state()))
            .collect();
        assert_eq!(
            states,
            [(1, v1::UnitState::Dead), (2, v1::UnitState::Active)]
        );
    });
}

/// LOG-D5
#[test]
fn a_member_is_gone_when_it_is_silent_when_its_stream_breaks_or_when_it_is_replaced() {
    SimWorld::run(5, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let mut watcher = Process::join(&env, &role, 1, &[]).await;
        let gone = |members: &v1::Members, node: u64| {
            members
                .members
                .iter()
                .find(|m| m.node_id == node)
                .is_none_or(|m| m.gone)
        };
        let silent = Process::join(&env, &role, 2, &[]).await;
        let began = env.now();
        loop {
            watcher.beat().await;
            let told = env
                .timeout(Duration::from_millis(90), watcher.members.next())
                .await;
            let Ok(Some(Ok(members))) = told else {
                continue;
            };
            assert!(!gone(&members, 1));
            if env.now() - began > Duration::from_millis(100) && gone(&members, 2) {
                break;
            }
        }
        let took = env.now() - began;
        assert!((500..=700).contains(&took.as_millis()), "{took:?}");
        assert!(silent.beat().await);
        let back = watcher
            .members
            .next()
            .await
            .expect("open")
            .expect("not refused");
        assert!(!gone(&back, 2));
        drop(silent);
        let broke = watcher
            .members
            .next()
            .await
            .expect("open")
            .expect("not refused");
        assert!(gone(&broke, 2));
        // The next incarnation of the watcher's own process: the former's stream is ended at its beat.
        role.register(registration(1, watcher.owner.incarnation + 1, &[]))
            .await
            .expect("again");
        watcher.beat().await;
        let ended = watcher
            .members
            .by_ref()
            .filter_map(|m| async { m.err() })
            .boxed()
            .next()
            .await;
        assert!(ended.expect("a refusal").is_retryable());
    });
}

#[test]
fn lanes_wait_for_units_and_a_retry_gets_the_same_lane() {
    SimWorld::run(6, |world| async move {
        let (env, role) = start(&world, 3, 2).await;
        let process = Process::join(&env, &role, 1, &[11, 12, 13]).await;
        let _first = process.unit(0, vec![]).await;
        let _second = process.unit(1, vec![]).await;
        refused_as(process.open_lane(1).await, Code::Unavailable);
        let third = process.unit(2, vec![]).await;
        let opened = until_done(&env, || process.open_lane(1))
            .await
            .expect("three live");
        assert_eq!(
            process.open_lane(1).await.expect("a retry").lane,
            opened.lane
        );
        let other = process.open_lane(2).await.expect("another");
        assert_eq!((other.lane, other.stripe), (opened.lane + 1, opened.stripe));
        // A lost unit does not stop a new owner while a quorum of the stripe lives.
        drop(third);
        let third_is_gone = || async {
            let members = role.status().await?.members.expect("members");
            let live = members.units.iter().filter(|unit| unit.live).count();
            (live == 2)
                .then_some(())
                .ok_or(dfs_wire::Refusal::new(Code::Busy, "", ""))
        };
        until_done(&env, third_is_gone).await.expect("it goes");
        let degraded = process.open_lane(3).await.expect("a quorum lives");
        assert_eq!(degraded.stripe, opened.stripe);
        assert_eq!(degraded.units.iter().filter(|unit| unit.live).count(), 2);
        let mut stranger = v1::Owner {
            incarnation: 1,
            ..process.owner
        };
        stranger.node_id = 77;
        let request = v1::OpenLaneRequest {
            request_id: world::nonce(4),
            owner: Some(stranger),
        };
        refused_as(role.open_lane(request).await, Code::Mismatch);
    });
}

#[test]
fn a_full_unit_takes_no_new_lane() {
    SimWorld::run(7, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let _unit = process.unit(0, vec![]).await;
        let full = |full| v1::Beat {
            units: vec![v1::UnitSpace {
                unit_id: 1,
                full,
                ..v1::UnitSpace::default()
            }],
            ..v1::Beat::default()
        };
        process.beat_with(full(true)).await;
        env.sleep(Duration::from_millis(10)).await;
        refused_as(process.open_lane(1).await, Code::NoSpace);
        process.beat_with(full(false)).await;
        env.sleep(Duration::from_millis(10)).await;
        assert_eq!(process.open_lane(1).await.expect("room again").lane, 1);
    });
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off_and_can_begin_anew() {
    SimWorld::run(8, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut slow) = subscribe(&role).await;
        let (_, mut events) = subscribe(&role).await;
        for idx in 1..=1_100 {
            unit.durable(vec![end(1, idx)], idx - 1).await;
            next_cut(&mut events).await;
        }
        let mut heard = 0;
        let refusal = loop {
            match slow.next().await.expect("a refusal comes before the end") {
                Ok(_) => heard += 1,
                Err(refusal) => break refusal,
            }
        };
        assert!(
            (1_000..1_100).contains(&heard) && refusal.is_retryable(),
            "{heard}"
        );
        assert!(slow.next().await.is_none());
        let (base, _) = subscribe(&role).await;
        assert_eq!((base.next_lsn, base.cuts.len()), (1_101, 1));
    });
}

/// LOG-I10
#[test]
fn many_ends_are_answered_and_none_is_older_than_its_asking() {
    SimWorld::run(9, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        for idx in 1..=20 {
            unit.durable(vec![end(1, idx)], 0).await;
            next_cut(&mut events).await;
            let asked = (0..50).map(|_| linear_end(&env, &role));
            let answers = futures::future::join_all(asked).await;
            assert!(answers.iter().all(|answer| answer.next_lsn == idx + 1));
        }
    });
}
