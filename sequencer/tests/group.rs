//! A group of three voters: one leads, any one may go, and nothing that was told is lost or doubled.
mod world;

use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Sequencer;
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Code, v1};
use futures::StreamExt;
use std::time::Duration;
use world::mesh::{Mesh, VOTERS, config, directory};
use world::{Process, end, next_cut, refused_as, registration, subscribe, try_start_in};

const LINEARIZABLE: v1::EndRequest = v1::EndRequest { linearizable: true };

async fn next_lsn(mesh: &Mesh, voter: u64) -> u64 {
    let (_, role) = mesh.role(voter);
    role.end(LINEARIZABLE).await.expect("it leads").next_lsn
}

/// Frames of one record each become durable on the only unit, and are cut.
async fn load(mesh: &Mesh, voter: u64, process: &Process, to: u64) {
    let from = mesh.base_of(voter).await.lanes[0].length;
    let unit = process.unit(0, vec![]).await;
    let (_, mut events) = subscribe(&mesh.role(voter).1).await;
    for idx in from + 1..=to {
        unit.durable(vec![end(1, idx)], idx - 1).await;
        next_cut(&mut events).await;
    }
}

fn other(than: u64) -> u64 {
    VOTERS
        .into_iter()
        .find(|voter| *voter != than)
        .expect("three")
}

#[test]
fn one_leads_and_the_others_say_who() {
    SimWorld::run(1, |world| async move {
        let mesh = Mesh::start(&world).await;
        let env = world.node("judge");
        let leader = mesh.leader(&env).await;
        let process = mesh.join(&env, leader, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, follower) = mesh.role(other(leader));
        let refused = follower.register(registration(2, 1, &[])).await;
        let refusal = refused
            .as_ref()
            .expect_err("it does not lead")
            .get()
            .clone();
        assert_eq!(refusal.primary, world::mesh::node(leader));
        refused_as(refused, Code::Unavailable);
        let status = follower.status().await.expect("always");
        assert_eq!((status.role.as_str(), status.leader), ("follower", leader));
        assert_eq!(status.leader_address, world::mesh::node(leader));
        // Cuts are heard from any voter.
        mesh.caught_up(&env, other(leader), 1).await;
        let (_, mut events) = subscribe(&follower).await;
        unit.durable(vec![end(1, 5)], 0).await;
        assert_eq!(next_cut(&mut events).await.first_lsn, 1);
        assert_eq!(next_lsn(&mesh, leader).await, 6);
        refused_as(follower.end(LINEARIZABLE).await, Code::Unavailable);
    });
}

/// LOG.md §6: an election, and nothing else. LOG-I5, LOG-D4.
#[test]
fn leaders_that_die_one_after_another_lose_and_double_nothing() {
    for seed in 0..25 {
        let told = SimWorld::run(seed, power_losses);
        assert!(told.len() > 10, "seed {seed}: only {} cuts", told.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_cuts_in_a_group() {
    for seed in 100..104 {
        let told = SimWorld::run(seed, power_losses);
        assert_eq!(told, SimWorld::run(seed, power_losses), "seed {seed}");
    }
}

/// Every leader works for a while and loses its power; it is back some time later.
async fn power_losses(world: SimWorld) -> Vec<v1::Cut> {
    let (seed, env) = (world.seed(), world.node("judge"));
    for voter in VOTERS {
        let disk = world.disk(&world::mesh::node(voter), directory(voter));
        disk.set_sync_us(50, 5_000);
    }
    let mesh = Mesh::start(&world).await;
    let mut told = Vec::<v1::Cut>::new();
    let mut durable_idx = 0;
    for round in 0..6 {
        let leader = mesh.leader(&env).await;
        let process = mesh.join(&env, leader, 1, &[11]).await;
        let (base, mut events) = subscribe(&mesh.role(leader).1).await;
        for cut in &told {
            let kept = base.cuts.iter().find(|kept| kept.cut_seq == cut.cut_seq);
            assert_eq!(kept, Some(cut), "seed {seed}");
        }
        let known = base.lanes.first().map_or(0, |lane| lane.length);
        let above = (known + 1..=durable_idx).map(|idx| end(1, idx)).collect();
        let unit = process.unit(0, above).await;
        if round == 0 {
            process.open_lane(1).await.expect("the unit lives");
        }
        told = base.cuts.clone();
        let power = env.sleep(Duration::from_micros(world.below(60_000)));
        let load = async {
            loop {
                durable_idx += 1;
                unit.durable(vec![end(1, durable_idx)], 0).await;
                // One that is deposed sends its listeners away.
                let Some(Ok(event)) = events.next().await else {
                    return;
                };
                if let Some(Event::Cut(cut)) = event.event {
                    told.push(cut);
                }
            }
        };
        tokio::select! { biased; () = power => {}, () = load => {} }
        mesh.power_loss(leader);
        env.sleep(Duration::from_micros(world.below(1_000_000)))
            .await;
        mesh.start_voter(leader).await;
    }
    told
}

async fn elected_within(world: &SimWorld, mesh: &Mesh, env: &Env) -> Duration {
    let leader = mesh.leader(env).await;
    mesh.power_loss(leader);
    let died = env.now();
    let left: Vec<u64> = VOTERS
        .into_iter()
        .filter(|voter| *voter != leader)
        .collect();
    mesh.leader_of(env, &left).await;
    let gap = env.now() - died;
    mesh.start_voter(leader).await;
    env.sleep(Duration::from_micros(500_000 + world.below(100_000)))
        .await;
    gap
}

/// LOG.md §6: heartbeats every 50 ms, elections of 150 to 300 ms after the lease.
#[test]
fn a_leader_that_dies_is_replaced_in_well_below_a_second() {
    let mut gaps = Vec::new();
    for seed in 0..20 {
        gaps.extend(SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let mut gaps = Vec::new();
            for _ in 0..5 {
                gaps.push(elected_within(&world, &mesh, &env).await);
            }
            gaps
        }));
    }
    gaps.sort_unstable();
    let (median, most) = (gaps[gaps.len() / 2], gaps[gaps.len() * 99 / 100]);
    assert!(median < Duration::from_millis(600), "{median:?}");
    assert!(most < Duration::from_millis(950), "{most:?} of {gaps:?}");
}

/// E6: whoever is left with the old leader is not told what is not true any more.
#[test]
fn a_leader_that_is_cut_off_confirms_nothing_and_follows_when_it_is_back() {
    for seed in 0..20 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let old = mesh.leader(&env).await;
            let process = mesh.join(&env, old, 1, &[11]).await;
            process.unit(0, vec![]).await;
            process.open_lane(1).await.expect("the unit lives");
            load(&mesh, old, &process, 3).await;
            let (_, mut events) = subscribe(&mesh.role(old).1).await;
            mesh.cut_off(old);
            refused_as(mesh.role(old).1.end(LINEARIZABLE).await, Code::Unavailable);
            let left: Vec<u64> = VOTERS.into_iter().filter(|voter| *voter != old).collect();
            let new = mesh.leader_of(&env, &left).await;
            assert_eq!(next_lsn(&mesh, new).await, 4);
            let process = mesh.join(&env, new, 1, &[11]).await;
            load(&mesh, new, &process, 9).await;
            refused_as(mesh.role(old).1.end(LINEARIZABLE).await, Code::Unavailable);
            // Its listeners are sent away.
            assert!(events.next().await.expect("a refusal").is_err());
            assert!(!mesh.role(old).1.leads());
            mesh.heal();
            mesh.caught_up(&env, old, 10).await;
            assert_eq!(
                mesh.leader(&env).await,
                new,
                "it came back and took leadership"
            );
            let bases = (mesh.base_of(old).await, mesh.base_of(new).await);
            assert_eq!(bases.0.cuts, bases.1.cuts);
        });
    }
}

#[test]
fn a_voter_that_was_away_for_long_gets_a_snapshot() {
    SimWorld::run(5, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let away = other(leader);
        mesh.power_loss(away);
        let process = mesh.join(&env, leader, 1, &[11]).await;
        process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        load(&mesh, leader, &process, 400).await;
        assert_eq!(mesh.snapshots(), 0);
        mesh.start_voter(away).await;
        mesh.caught_up(&env, away, 401).await;
        assert_eq!(mesh.snapshots(), 1);
        // It counts again: the group does without another one.
        let third = VOTERS
            .into_iter()
            .find(|v| *v != leader && *v != away)
            .expect("three");
        mesh.power_loss(third);
        load(&mesh, leader, &process, 410).await;
        mesh.caught_up(&env, away, 411).await;
    });
}

/// LOG.md §6: a voter that forgot what it promised is not the one it was.
#[test]
fn a_voter_whose_directory_was_emptied_is_kept_out() {
    SimWorld::run(6, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let process = mesh.join(&env, leader, 1, &[11]).await;
        process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        load(&mesh, leader, &process, 5).await;
        let wiped = other(leader);
        mesh.power_loss(wiped);
        let role = mesh
            .start_in("emptied", config(wiped))
            .await
            .expect("it starts");
        env.sleep(Duration::from_secs(3)).await;
        assert_eq!(role.status().await.expect("always").next_lsn, 1);
        assert_eq!(mesh.leader(&env).await, leader);
        load(&mesh, leader, &process, 9).await;
        // With its directory it is itself again.
        mesh.start_voter(wiped).await;
        mesh.caught_up(&env, wiped, 10).await;
    });
}

#[test]
fn a_directory_of_one_voter_is_not_that_of_another() {
    SimWorld::run(7, |world| async move {
        let mesh = Mesh::start(&world).await;
        let (_, role) = mesh.role(2);
        role.stop().await;
        let mut exchanged = config(2);
        exchanged.voter = 1;
        let env = world.node(&world::mesh::node(2));
        let started = try_start_in(&env, &directory(2), exchanged).await;
        refused_as(started.map(drop), Code::State);
    });
}

#[test]
fn a_leader_that_stops_hands_over() {
    for seed in 0..10 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let old = mesh.leader(&env).await;
            env.sleep(Duration::from_millis(200)).await;
            let left: Vec<u64> = VOTERS.into_iter().filter(|voter| *voter != old).collect();
            let (_, role) = mesh.role(old);
            let begun = env.now();
            let stopping = async {
                role.hand_over().await;
                role.stop().await;
            };
            let leading = mesh.leader_of(&env, &left);
            let (_, _new) = futures::join!(stopping, leading);
            let gap = env.now() - begun;
            assert!(gap < Duration::from_millis(150), "seed {seed}: {gap:?}");
        });
    }
}

/// LOG.md §6: two that know each other are not enough for a cluster of three.
#[test]
fn a_cluster_is_founded_when_all_its_founders_are_there() {
    SimWorld::run(8, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::empty(&world));
        mesh.start_voter(3).await;
        mesh.start_voter(1).await;
        env.sleep(Duration::from_secs(5)).await;
        assert!(!mesh.role(1).1.leads() && !mesh.role(3).1.leads());
        mesh.start_voter(2).await;
        mesh.leader(&env).await;
    });
}

/// LOG.md §6, Q7: what two of three agreed on is known to one of them alone, since the other lost its
/// disk; that one is down, and the third knows nothing of it. It may even have been started anew.
#[test]
fn one_that_was_emptied_and_one_that_lags_do_not_lead() {
    for seed in 0..20 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let leader = mesh.leader(&env).await;
            let lags = other(leader);
            let wiped = VOTERS.into_iter().find(|v| *v != leader && *v != lags);
            let wiped = wiped.expect("three");
            mesh.cut_off(lags);
            let process = mesh.join(&env, leader, 1, &[11]).await;
            process.unit(0, vec![]).await;
            process.open_lane(1).await.expect("the unit lives");
            load(&mesh, leader, &process, 5).await;
            mesh.power_loss(wiped);
            mesh.power_loss(leader);
            mesh.heal();
            if seed % 2 == 0 {
                mesh.power_loss(lags);
                mesh.start_voter(lags).await;
            }
            let emptied = mesh.start_in("emptied", config(wiped)).await;
            emptied.expect("it starts");
            env.sleep(Duration::from_secs(3)).await;
            for voter in [lags, wiped] {
                assert!(!mesh.role(voter).1.leads(), "seed {seed}: {voter} leads");
            }
            mesh.start_voter(leader).await;
            let leader = mesh.leader_of(&env, &[leader, lags]).await;
            assert_eq!(next_lsn(&mesh, leader).await, 6, "seed {seed}");
        });
    }
}
