//! A cluster that nothing happens to, and clients of it: for what they see of one another.
use crate::client::address;
use crate::cluster::{Cluster, SEQUENCERS};
use crate::network::Network;
use crate::trace::Trace;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_fs::{Fs, FsConfig, When};
use dfs_wire::v1;
use std::time::Duration;

const CLIENTS: [&str; 3] = ["c1", "c2", "c3"];
/// Until the first primary has made the root.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Runs on the calling thread, from a seed; each client is a process of its own.
pub fn quiet<F, Fut>(seed: u64, doing: F) -> Fut::Output
where
    F: FnOnce([Fs; CLIENTS.len()]) -> Fut,
    Fut: Future,
{
    quiet_with(seed, |_, clients| doing(clients))
}

/// The same, with a hand on the processes.
pub fn quiet_with<F, Fut>(seed: u64, doing: F) -> Fut::Output
where
    F: FnOnce(Processes, [Fs; CLIENTS.len()]) -> Fut,
    Fut: Future,
{
    SimWorld::run(seed, |world| async move {
        let env = world.node("judge");
        let network = Network::new(&world, &env, Trace::new(false));
        network.keep_steady();
        let cluster = Cluster::new(network, &SEQUENCERS[..1]);
        cluster.start_all();
        let clients = CLIENTS.map(|name| connect(&world, &cluster, name));
        let clients = futures::future::join_all(clients).await;
        let Ok(clients) = <[Fs; CLIENTS.len()]>::try_from(clients) else {
            unreachable!("as many as there are names");
        };
        doing(Processes { cluster, env }, clients).await
    })
}

/// What stands behind the clients.
pub struct Processes {
    cluster: Cluster,
    env: Env,
}

impl Processes {
    /// Of every materializer that runs.
    pub async fn statuses(&self) -> Vec<v1::MaterializerStatusAnswer> {
        let mut statuses = Vec::new();
        for name in self.cluster.materializers() {
            if let Some(role) = self.cluster.materializer(name) {
                statuses.extend(role.status().await.ok());
            }
        }
        statuses
    }

    /// It does not come back.
    pub async fn crash_primary(&self) {
        let primary = self.cluster.primary().await;
        self.cluster.crash(&self.env, primary);
    }

    pub async fn sleep(&self, duration: Duration) {
        self.env.sleep(duration).await;
    }
}

async fn connect(world: &SimWorld, cluster: &Cluster, name: &str) -> Fs {
    let env = world.node(name);
    loop {
        let connector = cluster.outsider(&env, name);
        if let Ok(fs) = Fs::connect(env.clone(), connector, FsConfig::default()).await {
            while !matches!(fs.find(&address(""), When::Head).await, Ok(Some(_))) {
                env.sleep(ASK_AGAIN).await;
            }
            return fs;
        }
        env.sleep(ASK_AGAIN).await;
    }
}
