//! What a process says that finds parts of its directory gone or damaged: what, why, what to do, and the right code.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use dfs_env::Env;
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::process::Node;
use dfs_wire::{Code, Refusal};

async fn start(dir: &Path) -> anyhow::Result<Node> {
    let mut config = NodeConfig::embedded(dir.into(), 1, 0);
    config.roles = vec![RoleName::Sequencer, RoleName::Unit];
    Node::start(&Env::real(), config).await
}

async fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.unwrap().stop().await;
    dir
}

async fn refused(dir: &Path) -> Refusal {
    let Err(error) = start(dir).await else {
        panic!("it starts")
    };
    let refusal = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refusal>());
    refusal.unwrap_or_else(|| panic!("{error:?}")).clone()
}

fn says(refusal: &Refusal, code: Code, said: &[&str]) {
    assert_eq!(refusal.code(), code, "{refusal}");
    for said in said {
        assert!(refusal.to_string().contains(said), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_sequencer_is_named_and_nothing_is_made_anew() {
    let dir = made().await;
    let journal = dir.path().join("sequencer-1");
    let aside = dir.path().join("aside");
    std::fs::rename(&journal, &aside).unwrap();
    for _ in 0..2 {
        let refusal = refused(dir.path()).await;
        says(
            &refusal,
            Code::Lost,
            &["sequencer-1", "it is gone", "unit-1"],
        );
        assert!(refusal.get().advice.contains("Put the directory back"));
    }
    let _ = std::fs::remove_dir_all(&journal);
    std::fs::rename(&aside, &journal).unwrap();
    start(dir.path()).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_gone_or_damaged_is_not_replaced() {
    let dir = made().await;
    let identity = dir.path().join("IDENTITY");
    let kept = std::fs::read(&identity).unwrap();
    std::fs::write(&identity, b"format = 1\nnonce").unwrap();
    let refusal = refused(dir.path()).await;
    says(&refusal, Code::Corrupt, &["IDENTITY", "damaged"]);
    std::fs::remove_file(&identity).unwrap();
    for _ in 0..2 {
        let refusal = refused(dir.path()).await;
        says(&refusal, Code::Corrupt, &["IDENTITY", "it is gone"]);
    }
    std::fs::write(&identity, kept).unwrap();
    let unit = dir.path().join("unit-1/log/IDENTITY");
    let kept = std::fs::read(&unit).unwrap();
    std::fs::write(dir.path().join("unit-1/extents/1"), b"held").unwrap();
    std::fs::remove_file(&unit).unwrap();
    let refusal = refused(dir.path()).await;
    says(&refusal, Code::Corrupt, &["unit-1", "IDENTITY is gone"]);
    std::fs::write(&unit, b"?").unwrap();
    let refusal = refused(dir.path()).await;
    says(&refusal, Code::Corrupt, &["unit-1", "IDENTITY"]);
    std::fs::write(&unit, kept).unwrap();
    std::fs::remove_file(dir.path().join("unit-1/extents/1")).unwrap();
    start(dir.path()).await.unwrap().stop().await;
}
