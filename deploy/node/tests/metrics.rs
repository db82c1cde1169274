//! What a live process tells of itself over HTTP: every metric of the tables and no other, its health, its voters.
#![allow(clippy::unwrap_used, reason = "tests")]

use dfs_env::Env;
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::metrics::table;
use dfs_node::process::Node;
use dfs_rpc::metrics::{Kind, Metric};
use dfs_rpc::roles::Connector as _;
use dfs_wire::v1;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Status and body.
async fn get(node: &Node, path: &str) -> (u16, String) {
    get_at(node.metrics_address().unwrap(), path).await
}

async fn get_at(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap();
    (status.parse().unwrap(), body.to_string())
}

/// Three voters, one unit, a materializer; all that there is to tell of.
async fn start(dir: &Path) -> Node {
    let mut config = NodeConfig::embedded(dir.into(), 1, 0);
    config.voters = 3;
    config.metrics = Some("127.0.0.1:0".into());
    let node = Node::start(&Env::real(), config).await.unwrap();
    node.ready().await;
    node
}

/// Looks at the root: one linearizable read.
async fn stat_the_root(node: &Node) {
    let stat = v1::StatRequest {
        view: Some(v1::View {
            view: Some(v1::view::View::Linearizable(true)),
        }),
        path: Some(v1::Path::default()),
        ..Default::default()
    };
    let request = v1::Request {
        id: 1,
        op: Some(v1::request::Op::Stat(stat)),
        ..Default::default()
    };
    let batch = v1::RequestBatch {
        requests: vec![request],
    };
    let address = node.address().to_string();
    let materializer = node.connector().materializer(&address).await.unwrap();
    let asked = futures::stream::iter([batch]).boxed();
    let mut answers = materializer.requests(asked).await.unwrap();
    assert!(answers.next().await.unwrap().is_ok());
}

/// The value of the one series with these labels.
fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let of = |line: &&str| {
        let (series, _) = line.split_once(['{', ' ']).unwrap_or((line, ""));
        series == name && labels.iter().all(|label| line.contains(label))
    };
    let lines: Vec<&str> = text.lines().filter(of).collect();
    let [line] = lines[..] else {
        panic!("{name} {labels:?}: {lines:?}");
    };
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// Names of the labels of each series, by the name of the metric.
fn exported_labels(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else {
            continue;
        };
        let labels = rest.rsplit_once('}').unwrap().0;
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            let name = name.strip_suffix(end)?;
            table::all().find(|m| m.name == name).map(|m| m.name)
        });
        let names = labels
            .split("\",")
            .filter_map(|label| label.split_once('='));
        let names = names
            .map(|(name, _)| name.to_string())
            .filter(|n| n != "le");
        let into = found.entry(histogram.unwrap_or(name).to_string());
        into.or_default().extend(names);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_the_tables_name() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    stat_the_root(&node).await;
    let (status, text) = get(&node, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let exported: BTreeSet<String> = types.map(str::to_string).collect();
    let named = table::all().map(|metric| format!("{} {}", metric.name, kind(metric)));
    assert_eq!(exported, named.collect(), "exported, named");
    for (name, labels) in exported_labels(&text) {
        let metric = table::all().find(|metric| metric.name == name).unwrap();
        let named: BTreeSet<String> = metric.labels.iter().map(ToString::to_string).collect();
        assert_eq!(labels, named, "{name}");
    }
    let stat = ["kind=\"stat\"", "outcome=\"ok\""];
    assert_eq!(value(&text, "dfs_materializer_requests_total", &stat), 1.0);
    let linearizable = ["consistency=\"linearizable\""];
    let reads = "dfs_materializer_read_seconds_count";
    assert_eq!(value(&text, reads, &linearizable), 1.0);
    let synced = value(&text, "dfs_unit_fsync_seconds_count", &["of=\"log\""]);
    assert!(synced >= 1.0, "{synced}");
    assert!(value(&text, "dfs_unit_appended_bytes_total", &[]) > 0.0);
    assert!(value(&text, "dfs_materializer_folded_frames_total", &[]) > 0.0);
    assert!(value(&text, "dfs_node_resident_bytes", &[]) > 1e6);
    let bound = ["queue=\"staged_bytes\""];
    assert_eq!(
        value(&text, "dfs_unit_queue_bound", &bound),
        f64::from(64 << 20)
    );
    node.stop().await;
}

/// What `dfsctl top` and `doctor` are told where no port of metrics is open.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_figures_are_told_over_the_port_of_the_roles() {
    let dir = tempfile::tempdir().unwrap();
    let config = NodeConfig::embedded(dir.path().into(), 1, 0);
    let node = Node::start(&Env::real(), config).await.unwrap();
    node.ready().await;
    stat_the_root(&node).await;
    let address = node.address().to_string();
    let teller = node.connector().figures(&address).await.unwrap();
    let told = teller.figures().await.unwrap();
    let names: BTreeSet<&str> = told.figures.iter().map(|it| it.name.as_str()).collect();
    // With one voter nobody follows.
    let alone = "dfs_sequencer_follower_lag_entries";
    let named = table::all().map(|metric| metric.name);
    assert_eq!(names, named.filter(|name| *name != alone).collect());
    assert_eq!(told.node_id, node.roles().owner.node_id);
    assert!(told.wall_us > 0 && !told.version.is_empty(), "{told:?}");
    assert_eq!(told.roles, ["sequencer", "unit", "materializer"]);
    let stats = told.figures.iter().find(|figure| {
        let label = |value: &str| figure.labels.iter().any(|label| label.value == value);
        figure.name == "dfs_materializer_requests_total" && label("stat") && label("ok")
    });
    let value = stats.and_then(|figure| figure.value.clone());
    assert_eq!(value, Some(v1::figure::Value::Count(1)));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_voters_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    assert_eq!(get(&node, "/healthz").await, (200, "ok\n".into()));
    assert_eq!(get(&node, "/readyz").await, (200, "ok\n".into()));
    assert_eq!(get(&node, "/nothing").await.0, 404);
    let (status, raft) = get(&node, "/raft").await;
    let raft: serde_json::Value = serde_json::from_str(&raft).unwrap();
    let voters = raft["voters"].as_array().unwrap();
    assert_eq!((status, voters.len()), (200, 3));
    let leaders = voters.iter().filter(|voter| voter["role"] == "leader");
    let leaders: Vec<_> = leaders.collect();
    assert_eq!(leaders.len(), 1, "{raft}");
    assert!(leaders[0]["term"].as_u64().unwrap() >= 1, "{raft}");
    assert!(leaders[0]["commit_index"].as_u64().unwrap() >= 1, "{raft}");
    assert_eq!(leaders[0]["members"].as_array().unwrap().len(), 3, "{raft}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_its_cluster_is_healthy_and_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut config = NodeConfig::embedded(dir.path().into(), 1, 0);
    config.roles = vec![RoleName::Unit];
    config.sequencers = vec!["127.0.0.1:1".into()];
    config.metrics = Some(address.to_string());
    let env = Env::real().group("waits");
    let starting = {
        let env = env.clone();
        env.clone().spawn("start", async move {
            let _never = Node::start(&env, config).await;
        })
    };
    while TcpStream::connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(get_at(address, "/healthz").await, (200, "ok\n".into()));
    let (status, why) = get_at(address, "/readyz").await;
    assert_eq!((status, why.contains("not joined")), (503, true), "{why}");
    starting.abort();
    env.stop().await;
}

#[test]
fn the_document_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../METRICS.md");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, table::document()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let again = "REWRITE=1 cargo test -p dfs-node --test metrics writes it anew";
    assert_eq!(kept, table::document(), "{again}");
}

#[test]
fn names_follow_the_conventions() {
    let mut names = BTreeSet::new();
    for metric in table::all() {
        let (name, counts) = (metric.name, metric.kind == Kind::Counter);
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("dfs_"), "{name}");
        assert_eq!(counts, name.ends_with("_total"), "{name}");
        let of_name = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(of_name), "{name}");
        assert!(metric.help.ends_with('.'), "{name}: {}", metric.help);
    }
}
