//! The suite of SharedLog, on the log in memory and on the cluster's client over units in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_log::testing::{FakeCluster, Rig, run};
use dfs_log::{ClusterLog, MemoryLog, SharedLog};
use dfs_wire::v1::Owner;

const OWNER_ONE: Owner = Owner {
    node_id: 1,
    incarnation: 100,
};
const OWNER_OTHER: Owner = Owner {
    node_id: 2,
    incarnation: 200,
};

fn rig(one: Arc<dyn SharedLog>, other: Arc<dyn SharedLog>) -> Rig {
    Rig {
        one,
        other,
        owner_one: OWNER_ONE,
        owner_other: OWNER_OTHER,
    }
}

async fn cluster(stripes: u64, r: u64, w: u32) {
    let env = Env::real();
    let cluster = FakeCluster::new(env.clone(), stripes, r, w);
    let one = ClusterLog::open(env.group("one"), cluster.connector(), OWNER_ONE);
    let other = ClusterLog::open(env.group("other"), cluster.connector(), OWNER_OTHER);
    run(&rig(one, other)).await;
}

#[tokio::test(start_paused = true)]
async fn memory_log() {
    let log = MemoryLog::new(Env::real());
    run(&rig(log.clone(), log)).await;
}

#[tokio::test(start_paused = true)]
async fn one_stripe_of_one_unit() {
    cluster(1, 1, 1).await;
}

#[tokio::test(start_paused = true)]
async fn two_stripes_of_three_units() {
    cluster(2, 3, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stripes_on_two_threads() {
    cluster(2, 3, 2).await;
}

/// Everything holds while all lanes are sealed again and again.
#[tokio::test(start_paused = true)]
async fn two_stripes_whose_lanes_move() {
    let env = Env::real();
    let cluster = FakeCluster::new(env.clone(), 2, 3, 2);
    let one = ClusterLog::open(env.group("one"), cluster.connector(), OWNER_ONE);
    let other = ClusterLog::open(env.group("other"), cluster.connector(), OWNER_OTHER);
    let seals = env.group("seals");
    let (own, sealed) = (seals.clone(), cluster.clone());
    seals.spawn("seals", async move {
        for n in 0_u64.. {
            own.sleep(Duration::from_micros(500 + n * 777 % 5000)).await;
            sealed.seal_lanes();
        }
    });
    run(&rig(one, other)).await;
    seals.stop().await;
}
