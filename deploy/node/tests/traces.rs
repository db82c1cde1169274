//! One `put` is one trace: from the client through the primary, the units and the sequencer.
#![allow(clippy::unwrap_used, reason = "tests")]

use dfs_env::Env;
use dfs_fs::{Address, Fs, FsConfig, MAIN_TREE, WriteOptions, source_of};
use dfs_node::config::NodeConfig;
use dfs_node::process::Node;
use dfs_rpc::trace::ring::spans_of;
use dfs_rpc::trace::{Span, Who};
use dfs_wire::v1::TracedSpan;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const UNITS: u32 = 3;

async fn start(env: &Env, dir: &std::path::Path) -> Node {
    let config = NodeConfig::embedded(dir.to_path_buf(), UNITS, 0);
    let node = Node::start(env, config).await.unwrap();
    node.ready().await;
    node
}

/// The spans of the request once all are over: the slowest unit may still sync when W have.
async fn all_over(env: &Env, trace_id: u128) -> Vec<TracedSpan> {
    let until = env.now() + Duration::from_secs(20);
    loop {
        let spans = spans_of(trace_id, env.now());
        let units = spans.iter().filter(|span| span.name == "unit.append");
        let units = units.count();
        let all = units > 0 && units.is_multiple_of(UNITS as usize);
        if all && spans.iter().all(|span| !span.open) {
            return spans;
        }
        assert!(env.now() < until, "never over: {spans:#?}");
        env.sleep(Duration::from_millis(5)).await;
    }
}

fn assert_is_one_tree(spans: &[TracedSpan]) {
    let ids: BTreeSet<u64> = spans.iter().map(|span| span.span).collect();
    assert_eq!(ids.len(), spans.len(), "an id was given twice");
    for span in spans {
        let known = span.parent == 0 || ids.contains(&span.parent);
        assert!(known, "{} has no parent", span.name);
    }
    let roots = spans.iter().filter(|span| span.parent == 0);
    assert_eq!(roots.count(), 1);
}

async fn put(env: &Env, fs: &Fs, bytes: Vec<u8>) -> Vec<TracedSpan> {
    let trace_id = env.random_u128();
    let at = Address::root(MAIN_TREE).join(b"file").unwrap();
    let root = Span::root(env, trace_id, "cli.command", Who::CLI);
    let written = fs.write(&at, source_of(bytes), WriteOptions::default());
    root.run(written).await.unwrap();
    drop(root);
    all_over(env, trace_id).await
}

fn counts(spans: &[TracedSpan]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for span in spans {
        *counts.entry(span.name.as_str()).or_insert(0) += 1;
    }
    counts
}

fn field<'a>(span: &'a TracedSpan, name: &str) -> &'a str {
    let field = span.fields.iter().find(|field| field.name == name);
    field.map_or("", |field| &field.value)
}

async fn one_put_is_one_trace(fs: Fs, env: &Env) {
    // The session is there already: it is another record.
    let small = put(env, &fs, vec![1; 100]).await;
    drop(small);
    let small = put(env, &fs, vec![2; 100]).await;
    assert_is_one_tree(&small);
    let found = counts(&small);
    for (name, times) in [
        ("cli.command", 1),
        ("fs.write", 1),
        ("fs.mutate", 1),
        ("materializer.request", 1),
        ("materializer.plan", 1),
        ("materializer.append", 1),
        ("materializer.fold", 1),
        ("unit.append", 3),
        ("unit.log_fsync", 3),
        ("sequencer.quorum", 1),
        ("sequencer.cut", 1),
        ("unit.store", 0),
    ] {
        assert_eq!(found.get(name).copied().unwrap_or(0), times, "{name}");
    }
    let units = small.iter().filter(|span| span.name == "unit.append");
    let units: BTreeSet<&str> = units.map(|span| field(span, "unit")).collect();
    assert_eq!(units, BTreeSet::from(["1", "2", "3"]));
    let large = put(env, &fs, vec![3; 1 << 20]).await;
    assert_is_one_tree(&large);
    let found = counts(&large);
    assert_eq!(
        (
            found["extents.store"],
            found["unit.store"],
            found["unit.extent_fsync"]
        ),
        (3, 3, 3)
    );
    let roles: BTreeSet<&str> = large.iter().map(|span| span.role.as_str()).collect();
    let all = ["cli", "client", "log unit", "materializer", "sequencer"];
    assert_eq!(roles, BTreeSet::from(all));
    fs.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_process() {
    let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
    let node = start(&env, dir.path()).await;
    let config = FsConfig::default();
    let fs = Fs::connect(env.clone(), node.connector(), config).await;
    one_put_is_one_trace(fs.unwrap(), &env).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp() {
    let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
    let node = start(&env, dir.path()).await;
    let sequencers = vec![node.address().to_string()];
    let cluster = node.roles().cluster_id.clone();
    let fs = Fs::dial(env.clone(), sequencers, cluster, FsConfig::default()).await;
    one_put_is_one_trace(fs.unwrap(), &env).await;
    node.stop().await;
}
