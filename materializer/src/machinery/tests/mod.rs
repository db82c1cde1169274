//! The role on a log in memory, in a simulated world: clients, nodes and members made by hand.
mod copies;
mod digests;
mod end_to_end;
mod floor;
mod on_disk;
mod past;
mod replicas;
mod retries;
mod sessions;
mod settings;
mod shelf;
mod snapshots;
mod storm;
mod tables;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::Arc;

use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_log::MemoryLog;
use dfs_rpc::roles::{Answers, Connector, Materializer};
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use tokio::sync::{mpsc, watch};

use super::{
    MaterializerConfig, MaterializerRole, RetentionPolicy, SnapshotPolicy, Store, Suspect,
};
use crate::view::{MemoryView, View};

const CLUSTER: &[u8] = b"a cluster of 16B";
/// Of simulated time: whatever has not happened by then never will.
const PATIENCE_MS: u32 = 60_000;
const LEASE_US: u64 = 30_000_000;

/// A log, Members, and nodes that are started by name.
struct Cluster {
    world: SimWorld,
    log: Arc<MemoryLog>,
    members: watch::Sender<Arc<v1::Members>>,
    incarnations: u64,
    units: Option<Arc<dyn Connector>>,
    snapshots: SnapshotPolicy,
    retention: RetentionPolicy,
    settings: v1::Settings,
}

impl Cluster {
    fn new(world: &SimWorld) -> Cluster {
        let log = MemoryLog::new(world.node("log"));
        Cluster::on(world, log)
    }

    fn on(world: &SimWorld, log: Arc<MemoryLog>) -> Cluster {
        let members = watch::channel(Arc::default()).0;
        Cluster {
            world: world.clone(),
            log,
            members,
            incarnations: 0,
            units: None,
            snapshots: SnapshotPolicy::default(),
            retention: RetentionPolicy::default(),
            settings: settings(),
        }
    }

    async fn start(&mut self, node_id: u64) -> Node {
        self.start_with(node_id, Arc::new(MemoryView::new())).await
    }

    async fn try_start(&mut self, node_id: u64) -> Result<Node, Refusal> {
        self.try_start_with(node_id, Arc::new(MemoryView::new()))
            .await
    }

    async fn start_with(&mut self, node_id: u64, view: Arc<dyn View>) -> Node {
        self.try_start_with(node_id, view).await.unwrap()
    }

    /// A new incarnation of the node.
    async fn try_start_with(&mut self, node_id: u64, view: Arc<dyn View>) -> Result<Node, Refusal> {
        self.incarnations += 1;
        self.set_member(materializer(node_id, self.incarnations));
        self.open(node_id, view, None).await
    }

    /// As the node's process does, perhaps again.
    async fn open(
        &self,
        node_id: u64,
        view: Arc<dyn View>,
        suspect: Option<Suspect>,
    ) -> Result<Node, Refusal> {
        let incarnation = self.member(node_id).incarnation;
        let owner = v1::Owner {
            node_id,
            incarnation,
        };
        let env = self.world.node(&format!("node {node_id}"));
        let config = MaterializerConfig {
            owner,
            rank: node_id as u32,
            cluster_id: CLUSTER.into(),
            store: Store::Given(view),
            settings: self.settings,
            members: self.members.subscribe(),
            units: self.units.clone(),
            snapshots: self.snapshots,
            retention: self.retention,
            suspect,
        };
        let role = MaterializerRole::start(env.clone(), config, self.log.clone()).await?;
        Ok(Node { env, role })
    }

    fn set_member(&self, member: v1::Member) {
        self.members.send_modify(|members| {
            let mut changed = (**members).clone();
            changed
                .members
                .retain(|other| other.node_id != member.node_id);
            changed.members.push(member);
            *members = Arc::new(changed);
        });
    }

    fn set_gone(&self, node_id: u64, gone: bool) {
        let member = self.member(node_id);
        self.set_member(v1::Member { gone, ..member });
    }

    fn member(&self, node_id: u64) -> v1::Member {
        let members = self.members.borrow().clone();
        let mut found = members
            .members
            .iter()
            .filter(|member| member.node_id == node_id);
        found.next().cloned().unwrap()
    }

    fn set_units(&self, units: Vec<v1::UnitRef>) {
        self.members.send_modify(|members| {
            let changed = v1::Members {
                units,
                ..(**members).clone()
            };
            *members = Arc::new(changed);
        });
    }
}

fn materializer(node_id: u64, incarnation: u64) -> v1::Member {
    v1::Member {
        node_id,
        incarnation,
        roles: vec!["materializer".into()],
        address: address(node_id),
        ..Default::default()
    }
}

fn address(node_id: u64) -> String {
    format!("node-{node_id}:9010")
}

fn settings() -> v1::Settings {
    v1::Settings {
        replicas: 2,
        redundancy: Some(replicated(1)),
        inline_bytes_max: 16 << 10,
        retention_us: 0,
        lease_us: LEASE_US,
        ..v1::Settings::default()
    }
}

fn replicated(copies: u32) -> v1::Redundancy {
    v1::Redundancy {
        rule: Some(v1::redundancy::Rule::Replicated(copies)),
    }
}

struct Node {
    env: Env,
    role: Arc<MaterializerRole>,
}

impl Node {
    async fn is(&self, role: &str) {
        for _ in 0..PATIENCE_MS {
            if self.role.status().await.unwrap().role == role {
                return;
            }
            tick(&self.env).await;
        }
        panic!("not {role}: {:?}", self.role.status().await);
    }

    async fn applied(&self, lsn: u64) {
        for _ in 0..PATIENCE_MS {
            if self.role.progress().applied_lsn >= lsn {
                return;
            }
            tick(&self.env).await;
        }
        panic!("{lsn} is not applied: {:?}", self.role.progress());
    }

    async fn digest(&self) -> (u64, u64) {
        let status = self.role.status().await.unwrap();
        (status.applied_lsn, status.digest)
    }

    async fn client(&self) -> Client {
        Client::connect(&self.env, &self.role).await
    }
}

async fn tick(env: &Env) {
    env.sleep(std::time::Duration::from_millis(1)).await;
}

fn tokio_stream(
    receiver: mpsc::Receiver<v1::RequestBatch>,
) -> dfs_rpc::roles::Requests<v1::RequestBatch> {
    futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|batch| (batch, receiver))
    })
    .boxed()
}

/// One stream of a client, and its session.
struct Client {
    env: Env,
    requests: mpsc::Sender<v1::RequestBatch>,
    answers: Answers<v1::AnswerBatch>,
    last_id: u64,
    session: v1::SessionGranted,
    early: BTreeMap<u64, v1::Answer>,
}

impl Client {
    async fn connect(env: &Env, role: &MaterializerRole) -> Client {
        let (requests, incoming) = mpsc::channel(64);
        let answers = role.requests(tokio_stream(incoming)).await.unwrap();
        let session = v1::SessionGranted::default();
        let (env, early) = (env.clone(), BTreeMap::new());
        Client {
            env,
            requests,
            answers,
            last_id: 0,
            session,
            early,
        }
    }

    async fn send(&mut self, requests: Vec<v1::Request>) -> Vec<u64> {
        let mut requests = requests;
        for request in &mut requests {
            self.last_id += 1;
            request.id = self.last_id;
        }
        let ids = requests.iter().map(|request| request.id).collect();
        let batch = v1::RequestBatch { requests };
        let _ = self.requests.send(batch).await; // a stream that ended says so where answers are
        ids
    }

    async fn answer(&mut self, id: u64) -> v1::Answer {
        self.heard(id).await.expect("the stream goes on")
    }

    /// `None`: the stream ended before.
    async fn heard(&mut self, id: u64) -> Option<v1::Answer> {
        while !self.early.contains_key(&id) {
            let wait = self
                .env
                .timeout(std::time::Duration::from_secs(60), self.answers.next());
            let batch = wait.await.expect("an answer")?.unwrap();
            self.early
                .extend(batch.answers.into_iter().map(|answer| (answer.id, answer)));
        }
        self.early.remove(&id)
    }

    async fn ask(&mut self, request: v1::Request) -> Result<v1::Answer, Refusal> {
        let ids = self.send(vec![request]).await;
        let answer = self.heard(ids[0]).await;
        let lost = || Refusal::new(Code::TimedOut, "request", "the stream ended");
        match answer.ok_or_else(lost)? {
            v1::Answer {
                body: Some(Body::Refusal(refusal)),
                ..
            } => Err(refusal.into()),
            answer => Ok(answer),
        }
    }

    async fn open_session(&mut self, nonce: u8) -> u64 {
        let open = v1::OpenSession {
            client_nonce: vec![nonce; 16].into(),
        };
        let answer = self.ask(request(Op::OpenSession(open))).await.unwrap();
        let Some(Body::Session(session)) = answer.body else {
            panic!("a session")
        };
        self.session = session;
        self.session.session
    }

    /// A mutation in its slot, as its first attempt.
    fn mutation(&self, slot: u32, seq: u64, op: v1::mutate::Op) -> v1::Request {
        let slot = v1::SlotUse {
            session: self.session.session,
            shard: 0,
            slot,
            seq,
            attempt: 1,
            term: self.session.term,
        };
        v1::Request {
            slot: Some(slot),
            ..request(Op::Mutate(v1::Mutate {
                op: Some(op),
                if_lsn: None,
            }))
        }
    }

    async fn mutate(
        &mut self,
        slot: u32,
        seq: u64,
        op: v1::mutate::Op,
    ) -> Result<v1::Answer, Refusal> {
        let request = self.mutation(slot, seq, op);
        self.ask(request).await
    }

    async fn stat(
        &mut self,
        path: &str,
        view: Option<v1::view::View>,
    ) -> Result<v1::Entry, Refusal> {
        let view = view.map(|view| v1::View { view: Some(view) });
        let stat = v1::StatRequest {
            path: Some(at(path)),
            view,
            with_content: true,
            ..Default::default()
        };
        let answer = self.ask(request(Op::Stat(stat))).await?;
        let Some(Body::Entry(entry)) = answer.body else {
            panic!("an entry")
        };
        Ok(entry)
    }

    async fn names(
        &mut self,
        path: &str,
        view: Option<v1::view::View>,
    ) -> Result<Vec<String>, Refusal> {
        let view = view.map(|view| v1::View { view: Some(view) });
        let list = v1::ListRequest {
            path: Some(at(path)),
            view,
            limit: 4096,
            ..Default::default()
        };
        let answer = self.ask(request(Op::List(list))).await?;
        let Some(Body::Listing(listing)) = answer.body else {
            panic!("a listing")
        };
        let name = |entry: &v1::Entry| String::from_utf8(entry.name.to_vec()).unwrap();
        Ok(listing.entries.iter().map(name).collect())
    }
}

fn request(op: Op) -> v1::Request {
    let deadline_us = 10_000_000;
    v1::Request {
        deadline_us,
        actor: "test".into(),
        op: Some(op),
        ..Default::default()
    }
}

fn at(path: &str) -> v1::Path {
    v1::Path {
        tree: 0,
        base_inode: 0,
        path: path.as_bytes().to_vec().into(),
    }
}

fn create(path: &str, bytes: &'static [u8]) -> v1::mutate::Op {
    commit(path, bytes, v1::CommitMode::Create)
}

fn commit(path: &str, bytes: &'static [u8], mode: v1::CommitMode) -> v1::mutate::Op {
    let content = v1::Content {
        size: bytes.len() as u64,
        crc32c: dfs_wire::frame::crc32c(bytes),
        inline: bytes.into(),
        extents: vec![],
    };
    v1::mutate::Op::Commit(v1::Commit {
        path: Some(at(path)),
        attr: Some(v1::Attr {
            mode: 0o644,
            ..Default::default()
        }),
        content: Some(content),
        mode: mode as i32,
        if_lsn: None,
    })
}

fn mkdir(path: &str) -> v1::mutate::Op {
    let attr = Some(v1::Attr {
        mode: 0o755,
        ..Default::default()
    });
    v1::mutate::Op::MakeDirectory(v1::MakeDirectory {
        path: Some(at(path)),
        attr,
        parents: false,
        exist_ok: false,
    })
}

fn rename(from: &str, to: &str) -> v1::mutate::Op {
    let (from, to) = (Some(at(from)), Some(at(to)));
    v1::mutate::Op::Rename(v1::Rename {
        from,
        to,
        no_replace: false,
    })
}

fn remove(path: &str) -> v1::mutate::Op {
    v1::mutate::Op::Remove(v1::Remove {
        path: Some(at(path)),
        recursive: false,
    })
}

fn code(answer: &Result<v1::Answer, Refusal>) -> Option<Code> {
    answer.as_ref().err().map(Refusal::code)
}
