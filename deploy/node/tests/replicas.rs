//! Three materializers in processes of their own: the primary is killed under load, a store is damaged,
//! replicas are removed; the state stays one.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "a process of its own has a runtime of its own, which no env knows"
)]

mod processes;

use dfs_env::{Env, Task};
use dfs_fs::{Address, Fs, FsConfig, Status, When};
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::process::Node;
use dfs_node::roles::view::{Keyspace, Layer, LsmView, Read, View};
use dfs_rpc::roles::Connector;
use dfs_wire::{Refusal, v1};
use futures::TryStreamExt;
use processes::Process;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const DIGEST_EVERY: u64 = 16;
const WRITERS: u64 = 4;
/// Of what takes a second or two, on a machine that has other things to do.
const LOOKS: u32 = 3_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[test]
fn a_node_of_its_own() {
    processes::serve();
}

/// The log in this process, and three materializers.
struct Replicas {
    env: Env,
    root: PathBuf,
    log: Node,
    fs: Fs,
    processes: BTreeMap<usize, Process>,
}

/// Directories made one after the other by each of some writers, until they are told to stop.
struct Load {
    made: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    writers: Vec<Task<Vec<(String, u64)>>>,
}

impl Replicas {
    async fn start(root: &Path) -> Replicas {
        let env = Env::real();
        let dir = root.join("log");
        let text = format!("dir = {dir:?}\nlisten = \"127.0.0.1:0\"\nunits = 3");
        let mut config: NodeConfig = toml::from_str(&text).unwrap();
        config.roles = vec![RoleName::Sequencer, RoleName::Unit];
        let log = Node::start(&env, config).await.unwrap();
        let config = FsConfig {
            attempt_timeout: Duration::from_millis(500),
            ..FsConfig::default()
        };
        let fs = Fs::connect(env.clone(), log.connector(), config);
        let mut replicas = Replicas {
            fs: fs.await.unwrap(),
            env,
            root: root.into(),
            log,
            processes: BTreeMap::new(),
        };
        for index in 1..=3 {
            replicas.start_one(index).await;
        }
        replicas
    }

    async fn start_one(&mut self, index: usize) {
        let (dir, path) = (self.dir(index), self.root.join(format!("m{index}.toml")));
        let sequencer = self.log.address().to_string();
        let text = format!(
            "dir = {dir:?}\nlisten = \"127.0.0.1:0\"\nrank = {index}\nroles = ['materializer']\n\
             sequencers = [{sequencer:?}]\n\
             [cluster]\nshard_replicas = 3\ndigest_every = {DIGEST_EVERY}"
        );
        std::fs::write(&path, text).unwrap();
        self.processes.insert(index, Process::start(&path).await);
    }

    fn dir(&self, index: usize) -> PathBuf {
        self.root.join(format!("m{index}"))
    }

    fn store(&self, index: usize) -> PathBuf {
        self.dir(index).join("materializer-1")
    }

    /// What it was.
    async fn kill(&mut self, index: usize) -> u64 {
        let process = self.processes.remove(&index).unwrap();
        let node_id = process.node_id;
        process.kill().await;
        node_id
    }

    /// Until all of them say so.
    async fn until(&self, what: &str, is_so: impl Fn(&[v1::MaterializerStatusAnswer]) -> bool) {
        for _ in 0..LOOKS {
            let running: Vec<u64> = self.processes.values().map(|it| it.node_id).collect();
            let status = self.fs.status().await.unwrap();
            let answers = answers(&status);
            let all = |node_id: &u64| answers.iter().any(|it| it.node_id == *node_id);
            if answers.len() == running.len() && running.iter().all(all) && is_so(&answers) {
                return;
            }
            self.env.sleep(LOOK_EVERY).await;
        }
        panic!("{what}: {:#?}", self.fs.status().await);
    }

    /// Which one it is, once there is exactly one.
    async fn primary(&self) -> usize {
        self.until("no primary", |all| primaries(all).len() == 1)
            .await;
        let status = self.fs.status().await.unwrap();
        let node_id = primaries(&answers(&status))[0];
        let mut running = self.processes.iter();
        let found = running.find(|(_, process)| process.node_id == node_id);
        *found.unwrap().0
    }

    /// All three, without a doubt, at an LSN above this one.
    async fn agreed_above(&self, lsn: u64) -> u64 {
        let is_so = |all: &[v1::MaterializerStatusAnswer]| {
            all.len() == 3
                && all
                    .iter()
                    .all(|it| it.agreed_lsn > lsn && it.doubt.is_empty())
        };
        self.until("not agreed", is_so).await;
        let status = self.fs.status().await.unwrap();
        answers(&status)
            .iter()
            .map(|it| it.agreed_lsn)
            .min()
            .unwrap()
    }

    /// All three at one LSN, with one digest; the log, folded again, gives that too.
    async fn assert_one_state(&self) {
        let is_so = |all: &[v1::MaterializerStatusAnswer]| {
            let mut states = all.iter().map(|it| (it.applied_lsn, it.digest));
            let first = states.next().unwrap();
            all.len() == 3 && states.all(|it| it == first) && primaries(all).len() == 1
        };
        self.until("not one state", is_so).await;
        let status = self.fs.status().await.unwrap();
        let held = answers(&status)[0].clone();
        let folded = self.fs.digest(Some(held.applied_lsn)).await.unwrap();
        assert_eq!((folded.lsn, folded.digest), (held.applied_lsn, held.digest));
        assert!(folded.refolded);
    }

    fn press(&self) -> Load {
        let (made, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let begin = |writer: u64| {
            let (fs, made, stop) = (self.fs.clone(), made.clone(), stop.clone());
            self.env.spawn("writer", async move {
                let mut acknowledged = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let name = format!("w{writer}-{}", acknowledged.len());
                    let at = Address::new(format!("/{name}")).unwrap();
                    let committed = fs.mkdir(&at, None, false).await.unwrap();
                    acknowledged.push((name, committed.lsn));
                    made.fetch_add(1, Ordering::SeqCst);
                }
                acknowledged
            })
        };
        let writers = (0..WRITERS).map(begin).collect();
        Load {
            made,
            stop,
            writers,
        }
    }

    /// Until the load has made so many more.
    async fn made_more(&self, load: &Load, more: u64) {
        let enough = load.made.load(Ordering::SeqCst) + more;
        for _ in 0..LOOKS {
            if load.made.load(Ordering::SeqCst) >= enough {
                return;
            }
            self.env.sleep(LOOK_EVERY).await;
        }
        panic!("nothing is written: {:#?}", self.fs.status().await);
    }

    /// Every acknowledged directory is there, by the record that made it, and no other is.
    async fn assert_made(&self, load: Load) {
        load.stop.store(true, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        for writer in load.writers {
            acknowledged.extend(writer.await.unwrap());
        }
        acknowledged.sort();
        let root = Address::new("/").unwrap();
        let listed = self.fs.list_all(&root, When::Head);
        let listed = listed.map_ok(|entry| {
            let name = String::from_utf8(entry.value.name.to_vec()).unwrap();
            (name, entry.value.lsn)
        });
        let mut listed: Vec<(String, u64)> = listed.try_collect().await.unwrap();
        listed.sort();
        assert_eq!(listed, acknowledged);
    }

    async fn remove(&self, node_id: u64) -> Result<(), Refusal> {
        let op = v1::admin_request::Op::RemoveNode(v1::RemoveNode { node_id });
        let asked = v1::AdminRequest { op: Some(op) };
        let sequencer = self.log.connector().sequencer().await?;
        sequencer.administer(asked).await.map(drop)
    }
}

fn answers(status: &Status) -> Vec<v1::MaterializerStatusAnswer> {
    let answers = status.materializers.iter();
    answers
        .filter_map(|(_, answer)| answer.clone().ok())
        .collect()
}

fn primaries(all: &[v1::MaterializerStatusAnswer]) -> Vec<u64> {
    let primaries = all.iter().filter(|status| status.role == "primary");
    primaries.map(|status| status.node_id).collect()
}

/// One bit of every slot, while nobody has it open.
fn damage(store: &Path) {
    let view = LsmView::open(&store.join("view")).unwrap();
    let state = view.snapshot();
    let mut damaged = Layer::default();
    for row in state.scan(Keyspace::Slots, &[], &[0xff; 8]) {
        let (key, value) = row.unwrap();
        let mut rotten = value.to_vec();
        *rotten.last_mut().unwrap() ^= 1;
        damaged.set(Keyspace::Slots, &key, Some(rotten.into()));
    }
    assert!(!damaged.is_empty());
    view.commit(damaged, state.stamp).unwrap();
    view.persist().unwrap();
}

/// FOLD-T3: each primary in turn; no writer meets an error, and who was killed catches up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_do_not_notice_that_primaries_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut replicas = Replicas::start(dir.path()).await;
    let load = replicas.press();
    replicas.agreed_above(0).await;
    for _ in 0..3 {
        replicas.made_more(&load, 50).await;
        let killed = replicas.primary().await;
        replicas.kill(killed).await;
        replicas.made_more(&load, 50).await;
        assert_ne!(replicas.primary().await, killed);
        replicas.start_one(killed).await;
        let told = replicas.fs.status().await.unwrap().sequencer.next_lsn;
        replicas.agreed_above(told).await;
    }
    replicas.assert_made(load).await;
    replicas.assert_one_state().await;
    replicas.log.stop().await;
}

/// FOLD-X4b over real stores; and nobody is removed who is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_replica_is_found_and_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut replicas = Replicas::start(dir.path()).await;
    let load = replicas.press();
    replicas.made_more(&load, 2 * DIGEST_EVERY).await;
    let agreed = replicas.agreed_above(0).await;
    let first = replicas.primary().await;
    let odd = first % 3 + 1;
    replicas.kill(odd).await;
    damage(&replicas.store(odd));
    replicas.start_one(odd).await;
    let aside = replicas.store(odd).join("view.odd");
    for _ in 0..LOOKS {
        if aside.is_dir() {
            break;
        }
        replicas.env.sleep(LOOK_EVERY).await;
    }
    assert!(aside.is_dir(), "it was not found");
    replicas.agreed_above(agreed).await;
    assert!(!replicas.store(odd).join("odd").exists());

    let gone = replicas.kill(first).await;
    replicas.made_more(&load, 50).await;
    for _ in 0..LOOKS {
        if replicas.remove(gone).await.is_ok() {
            break;
        }
        replicas.env.sleep(LOOK_EVERY).await;
    }
    let second = replicas.primary().await;
    let gone = replicas.kill(second).await;
    replicas.made_more(&load, 50).await;
    let last = replicas.processes.values().next().unwrap().node_id;
    let refused = replicas.remove(last).await.unwrap_err();
    assert!(refused.to_string().contains("would be left"), "{refused}");
    replicas.remove(gone).await.unwrap();
    let refused = replicas.remove(last).await.unwrap_err();
    assert!(refused.to_string().contains("no other node"), "{refused}");
    replicas.assert_made(load).await;
    replicas.log.stop().await;
}
