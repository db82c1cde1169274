//! A log with a range that nobody answers for: who asks is told at once, and everything goes on when it is back.
use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_log::ClusterLog;
use dfs_log::testing::{FakeCluster, Fault};
use dfs_rpc::roles::Materializer;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, v1};
use tokio::sync::watch;

use super::super::{MaterializerConfig, MaterializerRole, Store};
use super::{CLUSTER, Client, Node, create, materializer, mkdir, request, settings, tick};
use crate::view::MemoryView;

/// A materializer with an empty store, on a log of its own incarnation.
async fn start(
    world: &SimWorld,
    cluster: &Arc<FakeCluster>,
    members: &watch::Receiver<Arc<v1::Members>>,
    incarnation: u64,
) -> Node {
    let owner = v1::Owner {
        node_id: 1,
        incarnation,
    };
    let env = world.node(&format!("node {incarnation}"));
    let config = MaterializerConfig {
        owner,
        rank: 0,
        cluster_id: CLUSTER.into(),
        store: Store::Given(Arc::new(MemoryView::new())),
        settings: settings(),
        members: members.clone(),
        units: None,
        snapshots: super::SnapshotPolicy::default(),
        retention: Default::default(),
        suspect: None,
    };
    let log = ClusterLog::open(env.clone(), cluster.connector(), owner);
    let role = MaterializerRole::start(env.clone(), config, log)
        .await
        .unwrap();
    Node { env, role }
}

/// The first answer to a question that is asked again and again, as a client asks.
async fn refused(env: &Env, client: &mut Client, code: Code) -> dfs_wire::Refusal {
    let begun = env.now();
    loop {
        let asked = match client.stat("/d/f", None).await {
            Ok(_) => panic!("served"),
            Err(refusal) => refusal,
        };
        if asked.code() == code && asked.to_string().contains("LSN") {
            let took = env.now() - begun;
            assert!(took < Duration::from_secs(3), "{took:?}");
            return asked;
        }
        assert_eq!(asked.code(), Code::Unavailable, "{asked}");
        tick(env).await;
    }
}

#[test]
fn what_is_lost_and_who_is_away_is_said_at_once_and_cured_by_itself() {
    SimWorld::run(7, |world| async move {
        let cluster = FakeCluster::new(world.node("units"), 1, 1, 1);
        let (sender, members) = watch::channel(Arc::<v1::Members>::default());
        let set = |incarnation| {
            sender.send_replace(Arc::new(v1::Members {
                members: vec![materializer(1, incarnation)],
                ..Default::default()
            }));
        };
        set(1);
        let first = start(&world, &cluster, &members, 1).await;
        first.is("primary").await;
        let mut client = first.client().await;
        client.open_session(1).await;
        client.mutate(0, 1, mkdir("/d")).await.unwrap();
        client.mutate(0, 2, create("/d/f", b"x")).await.unwrap();
        first.role.stop().await;
        for (fault, code, said) in [
            (Fault::Damaged, Code::Lost, "unit 10"),
            (Fault::Blank, Code::Lost, "no stamps"),
            (Fault::Down, Code::Unavailable, "unit 10: it is down"),
        ] {
            cluster.set_fault(0, 0, fault);
            let incarnation = 2 + fault as u64;
            set(incarnation);
            let node = start(&world, &cluster, &members, incarnation).await;
            let mut client = node.client().await;
            let refusal = refused(&node.env, &mut client, code).await;
            let text = refusal.to_string();
            assert!(text.contains(said) && text.contains("LSN 1"), "{text}");
            assert_eq!(refusal.is_retryable(), code == Code::Unavailable);
            assert_eq!(node.role.lost().is_some(), code == Code::Lost);
            let status = node.role.status().await.unwrap();
            assert_eq!(status.halted, text, "status shows it");
            let open = v1::OpenSession {
                client_nonce: vec![9; 16].into(),
            };
            let opened = client.ask(request(Op::OpenSession(open))).await;
            assert_eq!(
                opened.unwrap_err().to_string(),
                text,
                "writers are told too"
            );
            cluster.set_fault(0, 0, Fault::None);
            node.is("primary").await;
            assert_eq!(node.role.lost(), None);
            assert_eq!(node.role.status().await.unwrap().halted, "");
            node.client().await.stat("/d/f", None).await.unwrap();
            node.role.stop().await;
        }
    });
}
