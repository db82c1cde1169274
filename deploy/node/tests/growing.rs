//! One sequencer becomes three, five and three again, in processes of their own, while records are written.
#![allow(clippy::unwrap_used, reason = "tests")]

mod records;

use dfs_env::Env;
use dfs_log::{Appender, ClusterLog, SharedLog};
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::process::Node;
use dfs_rpc::roles::Connector;
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, Refusal, v1};
use records::{append_one, assert_each_once, read};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn config(dir: &Path, role: RoleName, sequencers: &[String], join: bool) -> NodeConfig {
    let text = format!(
        "dir = {dir:?}\nlisten = \"127.0.0.1:0\"\nunits = 3\njoin = {join}\nsequencers = {sequencers:?}"
    );
    let mut config: NodeConfig = toml::from_str(&text).unwrap();
    config.roles = vec![role];
    config
}

/// Asks whoever leads, as long as the refusal says that this can help.
async fn ask(env: &Env, connector: &dyn Connector, op: Op) -> Result<Answer, Refusal> {
    for _ in 0..200 {
        let request = v1::AdminRequest {
            op: Some(op.clone()),
        };
        let asked = async { connector.sequencer().await?.administer(request).await };
        match asked.await {
            Ok(answer) => return Ok(answer.answer.unwrap()),
            Err(refusal) if !refusal.is_retryable() => return Err(refusal),
            Err(_) => env.sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("refused for four seconds: {op:?}");
}

async fn group(env: &Env, connector: &dyn Connector) -> v1::GroupStatus {
    let asked = Op::GroupStatus(v1::GroupStatusRequest {});
    match ask(env, connector, asked).await {
        Ok(Answer::GroupStatus(status)) => status,
        other => panic!("{other:?}"),
    }
}

/// Started empty, added, caught up, promoted; its id.
async fn add(env: &Env, connector: &dyn Connector, node: &Node) -> u64 {
    let address = node.address().to_string();
    let joined = node.connector();
    let own = dfs_rpc::leading::Dial::dial(&*joined, &address)
        .await
        .unwrap();
    let asked = v1::AdminRequest {
        op: Some(Op::GroupStatus(v1::GroupStatusRequest {})),
    };
    let Some(Answer::GroupStatus(status)) = own.administer(asked).await.unwrap().answer else {
        panic!("it does not say who it is");
    };
    let id = status.voter;
    let add = Op::AddLearner(v1::AddLearner { id, address });
    ask(env, connector, add).await.unwrap();
    let within_us = 20_000_000;
    let asked = Op::CaughtUp(v1::CaughtUpRequest { id, within_us });
    let Ok(Answer::CaughtUp(there)) = ask(env, connector, asked).await else {
        panic!("it cannot be asked");
    };
    assert!(there.caught_up, "{there:?}");
    ask(env, connector, Op::Promote(v1::Promote { id }))
        .await
        .unwrap();
    id
}

/// One record after the other until it is told to stop; where each lies.
async fn write(appender: Appender, stop: Arc<AtomicBool>) -> Vec<u64> {
    let mut lsns = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = lsns.len() as u64;
        lsns.push(append_one(&appender, number).await);
    }
    lsns
}

/// E13, F81: 1 → 3 → 5 → 3, the first ones leave, nobody who writes meets an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_and_exchanges_its_sequencers_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::real();
    let at = |name: &str| dir.path().join(name);
    let first = Node::start(&env, config(&at("s1"), RoleName::Sequencer, &[], false))
        .await
        .unwrap();
    let known = [first.address().to_string()];
    let unit = Node::start(&env, config(&at("u"), RoleName::Unit, &known, false))
        .await
        .unwrap();
    let log = ClusterLog::open(env.group("log"), unit.connector(), unit.roles().owner);
    let appender = log.appender(unit.roles().owner).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = env.spawn("writer", write(appender, stop.clone()));
    let connector = unit.connector();
    let mut nodes = BTreeMap::from([(1, first)]);
    for name in ["s2", "s3", "s4", "s5"] {
        let config = config(&at(name), RoleName::Sequencer, &known, true);
        let node = Node::start(&env, config).await.unwrap();
        let id = add(&env, &*connector, &node).await;
        nodes.insert(id, node);
    }
    let status = group(&env, &*connector).await;
    assert_eq!(
        status.group.iter().filter(|member| member.is_voter).count(),
        5
    );
    // The founder, which leads, and the second one leave; their processes end.
    for id in [1, 2] {
        let remove = Op::RemoveVoter(v1::RemoveVoter { id, force: false });
        ask(&env, &*connector, remove.clone()).await.unwrap();
        let again = ask(&env, &*connector, remove).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound);
        nodes.remove(&id).unwrap().stop().await;
    }
    // A joined one is started anew as it was configured: it knows its seat.
    nodes.remove(&4).unwrap().stop().await;
    let again = config(&at("s4"), RoleName::Sequencer, &known, true);
    let status = group(&env, &*connector).await;
    let reached: Vec<_> = status
        .group
        .iter()
        .map(|member| member.address.clone())
        .collect();
    let again = NodeConfig {
        sequencers: reached,
        ..again
    };
    // Its port is another now: it is not reached where the group knows it, and the group does without.
    nodes.insert(4, Node::start(&env, again).await.unwrap());
    stop.store(true, Ordering::SeqCst);
    let lsns = writing.await.unwrap();
    assert!(lsns.len() > 20, "{}", lsns.len());
    let records = read(&*log, *lsns.last().unwrap()).await;
    assert_each_once(&records, &lsns);
    let status = group(&env, &*connector).await;
    assert_eq!(
        status.group.iter().filter(|member| member.is_voter).count(),
        3
    );
    for node in nodes.into_values() {
        node.stop().await;
    }
    unit.stop().await;
}
