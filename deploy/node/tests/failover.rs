//! Three sequencers over TCP: the leader is killed, writes go on.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "a process to be killed has a runtime of its own, which no env knows"
)]

mod records;

use dfs_env::Env;
use dfs_log::{Appender, ClusterLog, SharedLog};
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::process::Node;
use dfs_rpc::roles::Connector;
use dfs_wire::v1::SequencerStatusAnswer;
use records::{append_one, assert_each_once, read};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

fn config(dir: &Path, listen: &str, role: RoleName, sequencers: &[String]) -> NodeConfig {
    let text =
        format!("dir = {dir:?}\nlisten = {listen:?}\nunits = 3\nsequencers = {sequencers:?}");
    let mut config: NodeConfig = toml::from_str(&text).unwrap();
    config.roles = vec![role];
    config
}

/// Addresses that nobody uses now.
fn free_addresses(count: usize) -> Vec<String> {
    let held: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let addresses = held.iter().map(|one| one.local_addr().unwrap().to_string());
    addresses.collect()
}

async fn status(node: &Node) -> SequencerStatusAnswer {
    let sequencer = node.connector().sequencer().await.unwrap();
    sequencer.status().await.unwrap()
}

/// One record after the other, each until it is committed; the numbers that were.
async fn append(appender: &Appender, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut lsns = Vec::new();
    for number in numbers {
        lsns.push(append_one(appender, number).await);
    }
    lsns
}

/// A node with threads of its own: when they end, nothing is left of it, as after `kill -9`.
struct Process {
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Process {
    async fn start(config: NodeConfig) -> Process {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let (started, up) = oneshot::channel();
        let running = runtime.spawn(async move {
            let env = Env::real();
            let node = loop {
                match Node::start(&env, config.clone()).await {
                    Ok(node) => break node,
                    // What was killed before lets go of the port and the directory a moment later.
                    Err(_) => env.sleep(Duration::from_millis(20)).await,
                }
            };
            started.send(()).unwrap();
            let _ = stopped.await;
            node.stop().await;
        });
        up.await.unwrap();
        Process {
            runtime,
            stop,
            running,
        }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        self.runtime.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_the_leading_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let addresses = free_addresses(3);
    let env = Env::real();
    let start = |voter: u64| {
        let address = &addresses[voter as usize - 1];
        let dir = dir.path().join(format!("s{voter}"));
        Process::start(config(&dir, address, RoleName::Sequencer, &addresses))
    };
    // A node is registered only when there is a leader.
    let (one, two, three) = futures::join!(start(1), start(2), start(3));
    let mut processes = BTreeMap::from([(1, one), (2, two), (3, three)]);
    let at = dir.path().join("u");
    let config = config(&at, "127.0.0.1:0", RoleName::Unit, &addresses);
    let unit = Node::start(&env, config).await.unwrap();
    let log = ClusterLog::open(env.group("log"), unit.connector(), unit.roles().owner);
    let appender = log.appender(unit.roles().owner).await.unwrap();
    let mut lsns = Vec::new();
    for round in 0..3 {
        lsns.extend(append(&appender, round * 100..round * 100 + 50).await);
        let leader = status(&unit).await.node_id;
        let killed = processes.remove(&leader).unwrap();
        let killing = async {
            env.sleep(Duration::from_millis(20)).await;
            killed.kill();
        };
        let appending = append(&appender, round * 100 + 50..round * 100 + 100);
        let ((), more) = futures::join!(killing, appending);
        lsns.extend(more);
        let now = status(&unit).await;
        assert!(now.role == "leader" && now.node_id != leader, "{now:?}");
        processes.insert(leader, start(leader).await);
    }
    assert!(lsns.is_sorted());
    let records = read(&*log, *lsns.last().unwrap()).await;
    assert_eq!(lsns.len(), 300);
    assert_each_once(&records, &lsns);
    for process in processes.into_values() {
        process.stop().await;
    }
    unit.stop().await;
}

/// As `dfsctl dev up --sequencers 3`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_sequencers_in_one_process_are_one_cluster_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::real();
    for round in 0..3 {
        let text = format!(
            "dir = {:?}\nlisten = \"127.0.0.1:0\"\nvoters = 3\nroles = ['sequencer', 'unit']",
            dir.path()
        );
        let config: NodeConfig = toml::from_str(&text).unwrap();
        let node = Node::start(&env, config).await.unwrap();
        let log = ClusterLog::open(env.group("log"), node.connector(), node.roles().owner);
        let appender = log.appender(node.roles().owner).await.unwrap();
        append(&appender, round * 10..round * 10 + 10).await;
        let end = log.end(true).await.unwrap();
        assert_eq!(end.next_lsn, round * 10 + 11);
        assert_eq!(status(&node).await.role, "leader");
        for slot in 1..=3 {
            assert!(dir.path().join(format!("sequencer-{slot}")).is_dir());
        }
        node.stop().await;
    }
}
