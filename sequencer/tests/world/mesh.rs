//! Three voters, each on a node of its own, and the ways between them, which can be cut.
use super::{Process, subscribe};
use async_trait::async_trait;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_rpc::roles::{Answers, Peer, PeerConnector, Requests, Sequencer};
use dfs_sequencer::{Seating, SequencerConfig, SequencerRole};
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const VOTERS: [u64; 3] = [1, 2, 3];

#[derive(Clone)]
pub struct Mesh {
    world: SimWorld,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<u64, (Env, Arc<SequencerRole>)>,
    cut_off: BTreeSet<u64>,
    snapshots: u64,
}

pub fn node(voter: u64) -> String {
    format!("n{voter}")
}

pub fn directory(voter: u64) -> String {
    format!("sequencer-{voter}")
}

pub fn config(voter: u64) -> SequencerConfig {
    let mut config = SequencerConfig::single("", 1, 1);
    config.voter = voter;
    config.voters = VOTERS.map(|voter| (voter, node(voter))).into();
    (config.snapshot_every, config.segment_bytes) = (40, 64 << 10);
    config
}

impl Mesh {
    pub async fn start(world: &SimWorld) -> Mesh {
        let mesh = Mesh::empty(world);
        for voter in VOTERS {
            mesh.start_voter(voter).await;
        }
        mesh
    }

    pub fn empty(world: &SimWorld) -> Mesh {
        Mesh {
            world: world.clone(),
            state: Arc::default(),
        }
    }

    /// A group of one, which may grow.
    pub async fn start_alone(&self) -> Arc<SequencerRole> {
        let mut alone = config(1);
        alone.voters.retain(|voter, _| *voter == 1);
        self.start_in(&directory(1), alone)
            .await
            .expect("it starts")
    }

    /// One that joins: its directory asks the leader who it is to be, if nobody has told it yet.
    pub async fn start_joiner(&self, leader: u64, dir: &str) -> (u64, Arc<SequencerRole>) {
        // The id is not known yet; the disk is found by the name of the machine.
        let env = self.world.node(dir);
        let mut seating = Seating::open(&env, Path::new(dir))
            .await
            .expect("it is empty");
        let id = match seating.voter() {
            Some(id) => id,
            None => {
                let (_, leader) = self.role(leader);
                let request = seating.request().expect("it has a nonce");
                let answer = leader.administer(request).await.expect("it leads").answer;
                let Some(v1::admin_answer::Answer::Seated(seated)) = answer else {
                    panic!("{answer:?}");
                };
                seating.take(&seated).await.expect("it is written");
                seated.id
            }
        };
        seating.end().await;
        let mut joining = config(1);
        joining.joining(id);
        let env = self.world.node(dir);
        let ways = self.ways(&env, id);
        let role = self
            .start_at(env, dir, joining, ways)
            .await
            .expect("it starts");
        (id, role)
    }

    /// A new incarnation over its disk.
    pub async fn start_voter(&self, voter: u64) -> Arc<SequencerRole> {
        self.start_in(&directory(voter), config(voter))
            .await
            .expect("it starts")
    }

    pub async fn start_in(
        &self,
        dir: &str,
        config: SequencerConfig,
    ) -> Result<Arc<SequencerRole>, Refusal> {
        let voter = config.voter;
        let env = self.world.node(&node(voter));
        let ways = self.ways(&env, voter);
        self.start_at(env, dir, config, ways).await
    }

    fn ways(&self, env: &Env, from: u64) -> Arc<dyn PeerConnector> {
        Arc::new(Ways {
            mesh: self.clone(),
            env: env.clone(),
            from,
        })
    }

    async fn start_at(
        &self,
        env: Env,
        dir: &str,
        config: SequencerConfig,
        ways: Arc<dyn PeerConnector>,
    ) -> Result<Arc<SequencerRole>, Refusal> {
        let voter = config.voter;
        let (inner, dir) = (env.clone(), dir.to_owned());
        let starting = env.spawn("start", async move {
            SequencerRole::start(&inner, Path::new(&dir), config, ways).await
        });
        let role = starting.await.expect("it does not panic")?;
        let running = (env, role.clone());
        self.state.lock().running.insert(voter, running);
        Ok(role)
    }

    pub fn role(&self, voter: u64) -> (Env, Arc<SequencerRole>) {
        self.state.lock().running[&voter].clone()
    }

    /// How many snapshots went from one to another.
    pub fn snapshots(&self) -> u64 {
        self.state.lock().snapshots
    }

    pub fn power_loss(&self, voter: u64) {
        self.world.power_loss(&node(voter));
    }

    /// The machine of one that joined.
    pub fn power_loss_of(&self, dir: &str) {
        self.world.power_loss(dir);
    }

    /// From now on this voter and the others do not hear each other.
    pub fn cut_off(&self, voter: u64) {
        self.state.lock().cut_off.insert(voter);
    }

    pub fn heal(&self) {
        self.state.lock().cut_off.clear();
    }

    fn is_cut(&self, one: u64, other: u64) -> bool {
        let state = self.state.lock();
        state.cut_off.contains(&one) || state.cut_off.contains(&other)
    }

    /// Waits until one of these leads, at most ten seconds.
    pub async fn leader_of(&self, env: &Env, voters: &[u64]) -> u64 {
        for _ in 0..2_000 {
            for voter in voters {
                let (env, role) = self.role(*voter);
                if !env.is_crashed() && role.leads() {
                    return *voter;
                }
            }
            env.sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody leads among {voters:?}");
    }

    pub async fn leader(&self, env: &Env) -> u64 {
        self.leader_of(env, &VOTERS).await
    }

    /// Waits until this voter has applied everything below this LSN.
    pub async fn caught_up(&self, env: &Env, voter: u64, next_lsn: u64) {
        for _ in 0..2_000 {
            let (_, role) = self.role(voter);
            if role
                .status()
                .await
                .is_ok_and(|status| status.next_lsn >= next_lsn)
            {
                return;
            }
            env.sleep(Duration::from_millis(5)).await;
        }
        panic!("voter {voter} does not come to {next_lsn}");
    }

    /// A process that registers with the leader.
    pub async fn join(&self, env: &Env, leader: u64, node: u8, units: &[u8]) -> Process {
        let _ = env;
        let (env, role) = self.role(leader);
        Process::join(&env, &role, node, units).await
    }

    pub async fn base_of(&self, voter: u64) -> v1::Base {
        subscribe(&self.role(voter).1).await.0
    }
}

struct Ways {
    mesh: Mesh,
    env: Env,
    from: u64,
}

#[async_trait]
impl PeerConnector for Ways {
    async fn peer(&self, voter: u64, _address: &str) -> Result<Arc<dyn Peer>, Refusal> {
        let way = Way {
            mesh: self.mesh.clone(),
            env: self.env.clone(),
            from: self.from,
            to: voter,
        };
        way.travel().await;
        let running = self.mesh.state.lock().running.get(&voter).cloned();
        let Some((target, role)) = running.filter(|(env, _)| !env.is_crashed()) else {
            return Err(Refusal::new(Code::Unavailable, "peer", "nobody is there"));
        };
        Ok(Arc::new(FarVoter { way, target, role }))
    }
}

#[derive(Clone)]
struct Way {
    mesh: Mesh,
    env: Env,
    from: u64,
    to: u64,
}

impl Way {
    /// Never ends while the way is cut: nobody says that a message is lost.
    async fn travel(&self) {
        let us = 50 + self.mesh.world.below(500);
        self.env.sleep(Duration::from_micros(us)).await;
        if self.mesh.is_cut(self.from, self.to) {
            std::future::pending::<()>().await;
        }
    }

    fn travelling<T: Send + 'static>(
        &self,
        items: impl futures::Stream<Item = T> + Send + 'static,
    ) -> futures::stream::BoxStream<'static, T> {
        let way = self.clone();
        let travel = move |item| {
            let way = way.clone();
            async move {
                way.travel().await;
                item
            }
        };
        items.then(travel).boxed()
    }
}

struct FarVoter {
    way: Way,
    target: Env,
    role: Arc<SequencerRole>,
}

impl FarVoter {
    async fn there<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.way.travel().await;
        let done = self.target.spawn("peer", act).await;
        self.way.travel().await;
        done.unwrap_or_else(|_| Err(Refusal::new(Code::Unavailable, "peer", "it is gone")))
    }
}

#[async_trait]
impl Peer for FarVoter {
    async fn replicate(
        &self,
        requests: Requests<v1::ReplicateRequest>,
    ) -> Result<Answers<v1::Replicated>, Refusal> {
        let (role, requests) = (self.role.clone(), self.way.travelling(requests));
        let answers = self
            .there(async move { role.replicate(requests).await })
            .await?;
        let target = self.target.clone();
        let alive = answers.take_while(move |_| std::future::ready(!target.is_crashed()));
        Ok(self.way.travelling(alive))
    }

    async fn vote(&self, request: v1::VoteRequest) -> Result<v1::Voted, Refusal> {
        let role = self.role.clone();
        self.there(async move { role.vote(request).await }).await
    }

    async fn install_snapshot(
        &self,
        parts: Requests<v1::SnapshotPart>,
    ) -> Result<v1::SnapshotInstalled, Refusal> {
        let role = self.role.clone();
        let installed = self
            .there(async move { role.install_snapshot(parts).await })
            .await?;
        self.way.mesh.state.lock().snapshots += 1;
        Ok(installed)
    }

    async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
    ) -> Result<v1::LeaderTransferred, Refusal> {
        let role = self.role.clone();
        self.there(async move { role.transfer_leader(request).await })
            .await
    }
}
