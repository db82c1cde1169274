//! Who belongs to the group: added, caught up, promoted, demoted, removed; what must not be is refused.
mod world;

use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Sequencer;
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::time::Duration;
use world::mesh::{Mesh, VOTERS, node};
use world::{Process, end, next_cut, refused_as, subscribe};

async fn ask(mesh: &Mesh, voter: u64, op: Op) -> Result<Answer, Refusal> {
    let (_, role) = mesh.role(voter);
    let answer = role.administer(v1::AdminRequest { op: Some(op) }).await?;
    Ok(answer.answer.expect("of a known kind"))
}

fn add(id: u64) -> Op {
    let address = node(id);
    Op::AddLearner(v1::AddLearner { id, address })
}

fn promote(id: u64) -> Op {
    Op::Promote(v1::Promote { id })
}

fn demote(id: u64) -> Op {
    Op::Demote(v1::Demote { id, force: false })
}

fn remove(id: u64, force: bool) -> Op {
    Op::RemoveVoter(v1::RemoveVoter { id, force })
}

async fn caught_up(mesh: &Mesh, leader: u64, id: u64, within: Duration) -> v1::CaughtUp {
    let within_us = within.as_micros() as u64;
    let asked = Op::CaughtUp(v1::CaughtUpRequest { id, within_us });
    match ask(mesh, leader, asked).await {
        Ok(Answer::CaughtUp(caught_up)) => caught_up,
        other => panic!("{other:?}"),
    }
}

async fn group(mesh: &Mesh, voter: u64) -> v1::GroupStatus {
    let asked = Op::GroupStatus(v1::GroupStatusRequest {});
    match ask(mesh, voter, asked).await {
        Ok(Answer::GroupStatus(status)) => status,
        other => panic!("{other:?}"),
    }
}

async fn voters(mesh: &Mesh, leader: u64) -> BTreeSet<u64> {
    let status = group(mesh, leader).await;
    let voters = status.group.iter().filter(|member| member.is_voter);
    voters.map(|member| member.id).collect()
}

/// Started empty, added, waited for, promoted.
async fn grow(mesh: &Mesh, leader: u64, dir: &str) -> u64 {
    let (id, _) = mesh.start_joiner(leader, dir).await;
    ask(mesh, leader, add(id)).await.expect("it has a seat");
    let caught_up = caught_up(mesh, leader, id, Duration::from_secs(20)).await;
    assert!(caught_up.caught_up, "{caught_up:?}");
    ask(mesh, leader, promote(id))
        .await
        .expect("it has caught up");
    id
}

/// A cluster with one lane, as its only process.
async fn begin(mesh: &Mesh, env: &Env, leader: u64) -> Process {
    let process = mesh.join(env, leader, 1, &[11]).await;
    process.unit(0, vec![]).await;
    process.open_lane(1).await.expect("the unit lives");
    process
}

/// Frames of one record each become durable on the only unit, and are cut.
async fn load(mesh: &Mesh, leader: u64, process: &Process, to: u64) {
    let from = mesh.base_of(leader).await.lanes[0].length;
    let unit = process.unit(0, vec![]).await;
    let (_, mut events) = subscribe(&mesh.role(leader).1).await;
    for idx in from + 1..=to {
        unit.durable(vec![end(1, idx)], idx - 1).await;
        next_cut(&mut events).await;
    }
}

/// A group of one, with a process that writes.
async fn alone(world: &SimWorld) -> (Env, Mesh, Process) {
    let (env, mesh) = (world.node("judge"), Mesh::empty(world));
    mesh.start_alone().await;
    mesh.leader_of(&env, &[1]).await;
    let process = begin(&mesh, &env, 1).await;
    (env, mesh, process)
}

#[test]
fn a_group_of_one_grows_to_three_and_survives_its_first_voter() {
    for seed in 0..10 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh, process) = alone(&world).await;
            // More than a snapshot holds back: those that join begin with one.
            load(&mesh, 1, &process, 200).await;
            let two = grow(&mesh, 1, "two").await;
            let three = grow(&mesh, 1, "three").await;
            assert_eq!((two, three), (2, 3));
            assert_eq!(voters(&mesh, 1).await, BTreeSet::from([1, 2, 3]));
            assert!(mesh.snapshots() >= 2, "{}", mesh.snapshots());
            load(&mesh, 1, &process, 230).await;
            mesh.power_loss(1);
            let leader = mesh.leader_of(&env, &[two, three]).await;
            let process = mesh.join(&env, leader, 1, &[11]).await;
            load(&mesh, leader, &process, 240).await;
            // What its configuration says of a group of one was true once.
            mesh.start_alone().await;
            mesh.caught_up(&env, 1, 241).await;
            assert_eq!(voters(&mesh, leader).await.len(), 3);
        });
    }
}

/// Q7: started again, neither has applied anything, and the founder's list names nobody else. Each knows
/// the directory of the other by its own journal.
#[test]
fn a_founder_and_one_that_joined_lose_power_together() {
    for seed in 0..10 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh, process) = alone(&world).await;
            load(&mesh, 1, &process, 10).await;
            let two = grow(&mesh, 1, "two").await;
            load(&mesh, 1, &process, 20).await;
            mesh.power_loss(1);
            mesh.power_loss_of("two");
            mesh.start_joiner(two, "two").await; // its directory says who it is
            mesh.start_alone().await;
            let leader = mesh.leader_of(&env, &[1, two]).await;
            mesh.caught_up(&env, leader, 21).await;
        });
    }
}

#[test]
fn from_three_to_five_and_back_while_leaders_change() {
    for seed in 0..5 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let leader = mesh.leader(&env).await;
            let process = begin(&mesh, &env, leader).await;
            load(&mesh, leader, &process, 20).await;
            assert_eq!(grow(&mesh, leader, "four").await, 4);
            assert_eq!(grow(&mesh, leader, "five").await, 5);
            load(&mesh, leader, &process, 30).await;
            // The one that leads hands over before it leaves.
            refused_as(ask(&mesh, leader, remove(leader, false)).await, Code::Moved);
            let others: Vec<u64> = (1..=5).filter(|id| *id != leader).collect();
            let next = mesh.leader_of(&env, &others).await;
            ask(&mesh, next, remove(leader, false))
                .await
                .expect("four are left");
            let another = others.iter().copied().find(|id| *id != next).expect("four");
            ask(&mesh, next, remove(another, false))
                .await
                .expect("three are left");
            let left = voters(&mesh, next).await;
            assert_eq!(left.len(), 3);
            assert!(!left.contains(&leader) && !left.contains(&another));
            let process = mesh.join(&env, next, 1, &[11]).await;
            load(&mesh, next, &process, 40).await;
            // Those that left campaign in vain, if they do at all.
            env.sleep(Duration::from_secs(3)).await;
            assert_eq!(mesh.leader_of(&env, &others).await, next);
            assert_eq!(
                group(&mesh, next).await.term,
                group(&mesh, next).await.vote_term
            );
        });
    }
}

/// F83, F84: wrong ids, duplicates, learners that are not there yet.
#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    SimWorld::run(3, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        begin(&mesh, &env, leader).await;
        let follower = VOTERS
            .into_iter()
            .find(|voter| *voter != leader)
            .expect("three");
        refused_as(ask(&mesh, follower, promote(2)).await, Code::Unavailable);
        refused_as(ask(&mesh, leader, promote(leader)).await, Code::Exists);
        refused_as(ask(&mesh, leader, promote(9)).await, Code::NotFound);
        refused_as(ask(&mesh, leader, demote(9)).await, Code::NotFound);
        refused_as(ask(&mesh, leader, remove(9, false)).await, Code::NotFound);
        refused_as(ask(&mesh, leader, add(9)).await, Code::NotFound);
        refused_as(ask(&mesh, leader, add(follower)).await, Code::Exists);
        let nobody = v1::MoveLeadership { to: 9 };
        refused_as(
            ask(&mesh, leader, Op::MoveLeadership(nobody)).await,
            Code::NotFound,
        );
        let (id, _) = mesh.start_joiner(leader, "four").await;
        assert_eq!(
            mesh.start_joiner(leader, "four").await.0,
            id,
            "its seat is its own"
        );
        refused_as(ask(&mesh, leader, promote(id)).await, Code::NotFound);
        ask(&mesh, leader, add(id)).await.expect("it has a seat");
        refused_as(ask(&mesh, leader, add(id)).await, Code::Exists);
        let learner = v1::MoveLeadership { to: id };
        refused_as(
            ask(&mesh, leader, Op::MoveLeadership(learner)).await,
            Code::State,
        );
        assert!(
            caught_up(&mesh, leader, id, Duration::from_secs(5))
                .await
                .caught_up
        );
        ask(&mesh, leader, promote(id))
            .await
            .expect("it has caught up");
        refused_as(ask(&mesh, leader, promote(id)).await, Code::Exists);
        ask(&mesh, leader, demote(id))
            .await
            .expect("three are left");
        refused_as(ask(&mesh, leader, demote(id)).await, Code::NotFound);
        ask(&mesh, leader, remove(id, false))
            .await
            .expect("a learner may go");
        refused_as(ask(&mesh, leader, remove(id, false)).await, Code::NotFound);
        refused_as(ask(&mesh, leader, add(id)).await, Code::State);
    });
}

/// F83: a majority of those that are left must be there.
#[test]
fn a_removal_that_would_stop_the_group_is_refused() {
    SimWorld::run(4, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let others: Vec<u64> = VOTERS.into_iter().filter(|id| *id != leader).collect();
        mesh.power_loss(others[0]);
        env.sleep(Duration::from_secs(1)).await;
        refused_as(
            ask(&mesh, leader, remove(others[1], true)).await,
            Code::State,
        );
        assert_eq!(voters(&mesh, leader).await.len(), 3);
        ask(&mesh, leader, remove(others[0], false))
            .await
            .expect("it is dead");
        refused_as(
            ask(&mesh, leader, remove(others[1], false)).await,
            Code::State,
        );
        ask(&mesh, leader, remove(others[1], true))
            .await
            .expect("it was said twice");
        refused_as(ask(&mesh, leader, remove(leader, true)).await, Code::State);
        begin(&mesh, &env, leader).await;
    });
}

/// F85: not by a timer.
#[test]
fn a_learner_that_hears_nothing_has_not_caught_up() {
    SimWorld::run(5, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let process = begin(&mesh, &env, leader).await;
        load(&mesh, leader, &process, 100).await;
        let (id, _) = mesh.start_joiner(leader, "four").await;
        mesh.cut_off(id);
        ask(&mesh, leader, add(id)).await.expect("it has a seat");
        let behind = caught_up(&mesh, leader, id, Duration::from_secs(5)).await;
        assert!(
            !behind.caught_up && behind.committed_index > 100,
            "{behind:?}"
        );
        let refused = ask(&mesh, leader, promote(id)).await;
        assert!(refused.is_err_and(|refusal| refusal.is_retryable()));
        mesh.heal();
        let there = caught_up(&mesh, leader, id, Duration::from_secs(5)).await;
        assert!(there.caught_up && there.applied_index >= behind.committed_index);
    });
}

/// LOG.md §6: it has forgotten its votes, so it comes back as another.
#[test]
fn a_voter_whose_directory_was_emptied_comes_back_with_a_new_id() {
    SimWorld::run(6, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let process = begin(&mesh, &env, leader).await;
        load(&mesh, leader, &process, 100).await;
        let wiped = VOTERS
            .into_iter()
            .find(|voter| *voter != leader)
            .expect("three");
        mesh.power_loss(wiped);
        env.sleep(Duration::from_secs(1)).await;
        let id = grow(&mesh, leader, "emptied").await;
        assert_eq!(id, 4);
        ask(&mesh, leader, remove(wiped, false))
            .await
            .expect("three are left");
        let mut expected = BTreeSet::from(VOTERS);
        expected.remove(&wiped);
        expected.insert(id);
        assert_eq!(voters(&mesh, leader).await, expected);
        // What is left of the old one is not listened to, and says so.
        let old = mesh.start_voter(wiped).await;
        let mut role = String::new();
        for _ in 0..600 {
            role = old.status().await.expect("always").role;
            if role == "removed" {
                break;
            }
            env.sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(role, "removed");
        assert_eq!(mesh.leader(&env).await, leader);
    });
}

/// A change of voters that stands half way when its leader dies is ended by the next one.
#[test]
fn leaders_that_die_amid_changes_leave_no_joint_group() {
    for seed in 0..30 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let leader = mesh.leader(&env).await;
            begin(&mesh, &env, leader).await;
            let (id, _) = mesh.start_joiner(leader, "four").await;
            ask(&mesh, leader, add(id)).await.expect("it has a seat");
            assert!(
                caught_up(&mesh, leader, id, Duration::from_secs(5))
                    .await
                    .caught_up
            );
            let power = env.sleep(Duration::from_micros(world.below(20_000)));
            tokio::select! {
                biased;
                () = power => {}
                _ = ask(&mesh, leader, promote(id)) => {}
            }
            mesh.power_loss(leader);
            let left: Vec<u64> = (1..=4).filter(|voter| *voter != leader).collect();
            let next = mesh.leader_of(&env, &left).await;
            for _ in 0..400 {
                if !group(&mesh, next).await.joint {
                    break;
                }
                env.sleep(Duration::from_millis(10)).await;
            }
            let status = group(&mesh, next).await;
            assert!(!status.joint, "seed {seed}: {status:?}");
            mesh.start_voter(leader).await;
        });
    }
}

/// F71
#[test]
fn leadership_goes_where_it_is_told_to_at_once() {
    for seed in 0..10 {
        SimWorld::run(seed, |world| async move {
            let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
            let from = mesh.leader(&env).await;
            env.sleep(Duration::from_millis(200)).await;
            for to in VOTERS.into_iter().filter(|voter| *voter != from) {
                let leader = mesh.leader(&env).await;
                let begun = env.now();
                let moved = Op::MoveLeadership(v1::MoveLeadership { to });
                ask(&mesh, leader, moved).await.expect("it lives");
                mesh.leader_of(&env, &[to]).await;
                let gap = env.now() - begun;
                assert!(gap < Duration::from_millis(100), "seed {seed}: {gap:?}");
                env.sleep(Duration::from_millis(200)).await;
            }
        });
    }
}

#[test]
fn a_watch_tells_of_every_change() {
    SimWorld::run(8, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let (_, role) = mesh.role(leader);
        let mut watch = role.watch_group().await.expect("it leads");
        let first = watch.next().await.expect("at once").expect("it leads");
        assert_eq!((first.leader, first.group.len()), (leader, 3));
        let (id, _) = mesh.start_joiner(leader, "four").await;
        let adding = ask(&mesh, leader, add(id));
        let heard = async {
            loop {
                let told = watch.next().await.expect("it goes on").expect("it leads");
                if told
                    .group
                    .iter()
                    .any(|member| member.id == id && member.live)
                {
                    return;
                }
            }
        };
        let (added, ()) = futures::join!(adding, heard);
        added.expect("it has a seat");
        let follower = VOTERS
            .into_iter()
            .find(|voter| *voter != leader)
            .expect("three");
        refused_as(
            mesh.role(follower).1.watch_group().await.map(drop),
            Code::Unavailable,
        );
        let next = Op::MoveLeadership(v1::MoveLeadership { to: follower });
        ask(&mesh, leader, next).await.expect("it lives");
        while let Some(Ok(_)) = watch.next().await {}
    });
}

/// A materializer leaves when another one has what it has; then it is gone for ever, and its lanes end.
#[test]
fn a_process_that_others_can_do_without_is_removed() {
    SimWorld::run(9, |world| async move {
        let (env, mesh) = (world.node("judge"), Mesh::start(&world).await);
        let leader = mesh.leader(&env).await;
        let (leader_env, role) = mesh.role(leader);
        let units = begin(&mesh, &env, leader).await;
        let _unit = units.unit(0, vec![]).await;
        let going = Process::join_as(&leader_env, &role, 2, &["materializer"]).await;
        going.open_lane(7).await.expect("the unit lives");
        let node_id = going.owner.node_id;
        let gone = Op::RemoveNode(v1::RemoveNode { node_id });
        let other = units.owner.node_id;
        let holds = Op::RemoveNode(v1::RemoveNode { node_id: other });
        refused_as(ask(&mesh, leader, holds).await, Code::State);
        let unknown = Op::RemoveNode(v1::RemoveNode { node_id: 99 });
        refused_as(ask(&mesh, leader, unknown).await, Code::NotFound);
        refused_as(ask(&mesh, leader, gone.clone()).await, Code::State);
        let heir = Process::join_as(&leader_env, &role, 3, &["materializer"]).await;
        // It has folded everything, and is no replica: it could not take over.
        assert!(heir.beat().await);
        refused_as(ask(&mesh, leader, gone.clone()).await, Code::State);
        let ready = v1::Beat {
            replica_of: vec![0],
            ready_for: vec![0],
            ..v1::Beat::default()
        };
        assert!(heir.beat_with(ready).await);
        env.sleep(Duration::from_millis(10)).await;
        ask(&mesh, leader, gone.clone())
            .await
            .expect("another one is there");
        refused_as(ask(&mesh, leader, gone).await, Code::NotFound);
        let base = mesh.base_of(leader).await;
        let mut lanes = base.lanes.iter();
        let own = lanes.find(|lane| lane.owner.is_some_and(|owner| owner.node_id == node_id));
        assert!(own.expect("its lane").sealed);
        let members = group(&mesh, leader).await.members.expect("always").members;
        let left = members.iter().find(|member| member.node_id == node_id);
        assert!(
            left.is_some_and(|member| member.removed && member.gone),
            "{left:?}"
        );
        refused_as(going.open_lane(8).await, Code::Mismatch);
        let again = role.register(world::registration(2, 5, &[])).await;
        refused_as(again, Code::State);
    });
}
