//! Sequencers that join, leave, and lose their disks, while others may crash.
use crate::alarms;
use crate::cluster::{Cluster, address};
use dfs_env::Env;
use dfs_rpc::roles::Connector;
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, v1};
use std::sync::Arc;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(20);
const CATCH_UP_WITHIN_US: u64 = 1_000_000;
/// Entries are agreed on meanwhile by the two that are left.
const ONE_AWAY: Duration = Duration::from_millis(400);
/// Longer than an election.
const LEADER_AWAY: Duration = Duration::from_millis(1_500);

/// Of a cluster with one sequencer, two more join; of three, one joins and another leaves.
pub(super) async fn exchange(cluster: &Cluster, env: &Env) {
    let connector = cluster.outsider(env, "admin");
    if cluster.sequencers.len() == 1 {
        while let Some(name) = cluster.join_another() {
            admit(cluster, env, &connector, name).await;
        }
        return;
    }
    let Some(name) = cluster.join_another() else {
        return;
    };
    let joined = admit(cluster, env, &connector, name).await;
    let voters = voters(&connector, env).await;
    let old: Vec<u64> = voters.into_iter().filter(|id| *id != joined).collect();
    let world = cluster.network.world();
    remove(&connector, env, old[world.below(old.len() as u64) as usize]).await;
}

/// One of three loses its disk and the leader its power, so that one is left that remembers; a forgetful
/// voter has lost its journal and does not know it.
pub(super) async fn wipe(cluster: &Cluster, env: &Env, forgetful: bool) {
    alarms::expect(&["is known with another directory"]);
    let leader = cluster.leader().await;
    let mut others = cluster
        .sequencers
        .iter()
        .copied()
        .filter(|name| *name != leader);
    let (Some(wiped), Some(away)) = (others.next(), others.next()) else {
        return;
    };
    let old = id_of(cluster, env, wiped).await;
    cluster
        .network
        .note(env, "wipe", wiped, &[u8::from(forgetful)]);
    cluster.network.cut_off(away, None);
    env.sleep(ONE_AWAY).await;
    cluster.power_loss(env, wiped);
    cluster.power_loss(env, leader);
    empty(cluster, wiped, forgetful).await;
    cluster.network.heal(away);
    cluster.start(wiped);
    env.sleep(LEADER_AWAY).await;
    cluster.start(leader);
    if forgetful {
        return;
    }
    // What is left of it is kept out: as another one it is taken.
    let connector = cluster.outsider(env, "admin");
    env.sleep(LEADER_AWAY).await;
    cluster.crash(env, wiped);
    empty(cluster, wiped, false).await;
    cluster.start_joining(wiped);
    admit(cluster, env, &connector, wiped).await;
    remove(&connector, env, old).await;
}

/// `forgetful`: but for the file that says whose it is.
async fn empty(cluster: &Cluster, name: &str, forgetful: bool) {
    let disk = cluster.network.world().disk(name, "d/sequencer-1");
    for file in disk.files() {
        let kept = forgetful && file.name == "IDENTITY";
        if !kept && let Err(e) = disk.open_disk().remove(&file.name).await {
            alarms::raise(format!("{} cannot be removed: {e}", file.name));
        }
    }
}

/// Seated, added, caught up, promoted; its id.
async fn admit(
    cluster: &Cluster,
    env: &Env,
    connector: &Arc<dyn Connector>,
    name: &'static str,
) -> u64 {
    let id = id_of(cluster, env, name).await;
    let address = address(name);
    ask(
        connector,
        env,
        Op::AddLearner(v1::AddLearner { id, address }),
    )
    .await;
    loop {
        let within_us = CATCH_UP_WITHIN_US;
        let asked = Op::CaughtUp(v1::CaughtUpRequest { id, within_us });
        if let Some(Answer::CaughtUp(there)) = ask(connector, env, asked).await
            && there.caught_up
        {
            break;
        }
    }
    ask(connector, env, Op::Promote(v1::Promote { id })).await;
    cluster.network.note(env, "voter", name, &id.to_le_bytes());
    id
}

async fn remove(connector: &Arc<dyn Connector>, env: &Env, id: u64) {
    let force = false;
    ask(
        connector,
        env,
        Op::RemoveVoter(v1::RemoveVoter { id, force }),
    )
    .await;
}

/// As it says itself, without the network.
async fn id_of(cluster: &Cluster, env: &Env, name: &str) -> u64 {
    loop {
        if let Some(id) = cluster.voter_id(name).await {
            return id;
        }
        env.sleep(LOOK_EVERY).await;
    }
}

async fn voters(connector: &Arc<dyn Connector>, env: &Env) -> Vec<u64> {
    let asked = Op::GroupStatus(v1::GroupStatusRequest {});
    let status = match ask(connector, env, asked).await {
        Some(Answer::GroupStatus(status)) => status,
        _ => v1::GroupStatus::default(),
    };
    let voters = status.group.into_iter().filter(|member| member.is_voter);
    voters.map(|member| member.id).collect()
}

/// Until it is done, perhaps by an attempt whose answer was lost: then there is no answer.
pub(crate) async fn ask(connector: &Arc<dyn Connector>, env: &Env, op: Op) -> Option<Answer> {
    loop {
        let request = v1::AdminRequest {
            op: Some(op.clone()),
        };
        let asked = async { connector.sequencer().await?.administer(request).await };
        match asked.await {
            Ok(answer) => return answer.answer,
            Err(refusal) if [Code::Exists, Code::NotFound].contains(&refusal.code()) => {
                return None;
            }
            // Also one that needs those that are down to be up again.
            Err(_) => env.sleep(LOOK_EVERY).await,
        }
    }
}
