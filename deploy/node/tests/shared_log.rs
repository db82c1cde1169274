//! The suite of SharedLog over the real sequencer and units: in process, and over TCP.
#![allow(clippy::unwrap_used, reason = "tests")]

use dfs_env::Env;
use dfs_log::ClusterLog;
use dfs_log::testing::{Rig, run};
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::process::Node;
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::roles::Connector;
use dfs_rpc::serve::SharedRoles;
use dfs_wire::v1::{Owner, RegisterRequest};

async fn suite(units: u32) {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::real();
    let text = format!(
        "dir = {:?}\nlisten = \"127.0.0.1:0\"\nunits = {units}",
        dir.path()
    );
    let mut config: NodeConfig = toml::from_str(&text).unwrap();
    config.roles = vec![RoleName::Sequencer, RoleName::Unit];
    let node = Node::start(&env, config).await.unwrap();
    let (roles, address) = (node.roles(), node.address().to_string());
    let owner_one = roles.owner;
    // Lanes are opened for registered processes only.
    let request = RegisterRequest {
        node_nonce: vec![7; 16].into(),
        incarnation: env.random_u64(),
        ..RegisterRequest::default()
    };
    let sequencer = node.connector().sequencer().await.unwrap();
    let node_id = sequencer.register(request.clone()).await.unwrap().node_id;
    let owner_other = Owner {
        node_id,
        incarnation: request.incarnation,
    };
    let one = ClusterLog::open(env.group("one"), node.connector(), owner_one);
    let far = NodeConnector::new(env.group("far"), SharedRoles::default(), vec![address]);
    far.identify(
        roles.cluster_id.clone(),
        owner_other.node_id,
        owner_other.incarnation,
        "client",
    );
    let other = ClusterLog::open(env.group("other"), far, owner_other);
    run(&Rig {
        one,
        other,
        owner_one,
        owner_other,
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unit() {
    suite(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_units() {
    suite(3).await;
}
