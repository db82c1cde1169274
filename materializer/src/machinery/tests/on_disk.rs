//! The role on its store on disk, with real time and threads.
use super::*;
use std::path::Path;

async fn start(log: &Arc<MemoryLog>, dir: &Path, incarnation: u64) -> Node {
    start_suspect(log, dir, incarnation, None).await
}

async fn start_suspect(
    log: &Arc<MemoryLog>,
    dir: &Path,
    incarnation: u64,
    suspect: Option<Suspect>,
) -> Node {
    let env = Env::real();
    let config = MaterializerConfig {
        owner: v1::Owner {
            node_id: 1,
            incarnation,
        },
        rank: 0,
        cluster_id: CLUSTER.into(),
        store: Store::Directory(dir.into()),
        settings: v1::Settings {
            digest_every: 8,
            ..settings()
        },
        members: watch::channel(Arc::default()).1,
        units: None,
        snapshots: SnapshotPolicy::default(),
        retention: Default::default(),
        suspect,
    };
    let role = MaterializerRole::start(env.clone(), config, log.clone())
        .await
        .unwrap();
    let node = Node { env, role };
    node.is("primary").await;
    node
}

#[tokio::test]
async fn a_kept_store_goes_on_and_a_deleted_one_is_folded_again() {
    let log = MemoryLog::new(Env::real());
    let dir = tempfile::tempdir().unwrap();
    let node = start(&log, dir.path(), 1).await;
    let mut client = node.client().await;
    client.open_session(7).await;
    for n in 1..=100 {
        client
            .mutate(0, n, create(&format!("f{n}"), b"x"))
            .await
            .unwrap();
    }
    let before = node.digest().await;
    node.role.stop().await;
    drop((node, client));

    let node = start(&log, dir.path(), 2).await;
    let mut client = node.client().await;
    client.open_session(7).await;
    client.mutate(0, 101, create("g", b"x")).await.unwrap();
    node.role.stop().await;
    drop((node, client));

    std::fs::remove_dir_all(dir.path()).unwrap();
    let node = start(&log, dir.path(), 3).await;
    let mut client = node.client().await;
    assert_eq!(client.names("", None).await.unwrap().len(), 101);
    let ask = request(Op::Digest(v1::DigestRequest { at_lsn: before.0 }));
    let answer = client.ask(ask).await.unwrap();
    let proven = v1::DigestAnswer {
        lsn: before.0,
        digest: before.1,
        refolded: true,
    };
    assert_eq!(answer.body, Some(Body::Digest(proven)));
    node.role.stop().await;
}

#[tokio::test]
async fn the_store_of_another_cluster_is_refused() {
    let log = MemoryLog::new(Env::real());
    let dir = tempfile::tempdir().unwrap();
    let node = start(&log, dir.path(), 1).await;
    node.role.stop().await;
    drop(node);
    let config = MaterializerConfig {
        owner: v1::Owner {
            node_id: 1,
            incarnation: 2,
        },
        rank: 0,
        cluster_id: b"quite another 16"[..].into(),
        store: Store::Directory(dir.path().into()),
        settings: settings(),
        members: watch::channel(Arc::default()).1,
        units: None,
        snapshots: SnapshotPolicy::default(),
        retention: Default::default(),
        suspect: None,
    };
    let refused = MaterializerRole::start(Env::real(), config, log).await;
    assert_eq!(
        refused.err().map(|refusal| refusal.code()),
        Some(Code::Mismatch)
    );
}

/// FOLD-X4b: nothing of a wrong state is erased, and the new one has proved itself before it serves.
#[tokio::test]
async fn a_wrong_store_is_set_aside() {
    let log = MemoryLog::new(Env::real());
    let dir = tempfile::tempdir().unwrap();
    let node = start(&log, dir.path(), 1).await;
    let mut client = node.client().await;
    client.open_session(7).await;
    for n in 1..=20 {
        let op = create(&format!("f{n}"), b"x");
        client.mutate(0, n, op).await.unwrap();
    }
    let before = node.digest().await;
    node.role.stop().await;
    drop((node, client));
    let suspect = Suspect {
        lsn: 4,
        agreed_lsn: 0,
        by_majority: false,
        attempt: 1,
    };
    let node = start_suspect(&log, dir.path(), 1, Some(suspect)).await;
    assert!(dir.path().join("view.odd").is_dir());
    let mut client = node.client().await;
    assert_eq!(client.names("", None).await.unwrap().len(), 20);
    let ask = request(Op::Digest(v1::DigestRequest { at_lsn: before.0 }));
    let Some(Body::Digest(answer)) = client.ask(ask).await.unwrap().body else {
        panic!("a digest")
    };
    assert_eq!(answer.digest, before.1);
    assert_eq!(node.role.suspect(), None);
    for _ in 0..PATIENCE_MS {
        if !dir.path().join("odd").exists() {
            node.role.stop().await;
            return;
        }
        tick(&node.env).await;
    }
    panic!("the mark stays");
}
