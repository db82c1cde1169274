//! A sequencer on a simulated node, and stand-ins for the processes that speak to it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
pub mod mesh;

use bytes::Bytes;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_rpc::roles::{Answers, Sequencer};
use dfs_sequencer::{SequencerConfig, SequencerRole, Solitude};
use dfs_wire::v1;
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Code, Refusal};
use futures::StreamExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

pub const NODE: &str = "n1";
pub const DIR: &str = "sequencer-1";

/// Starts the sequencer anew on the node's disk; an earlier incarnation is crashed.
pub async fn start(world: &SimWorld, units: u32, quorum: u32) -> (Env, Arc<SequencerRole>) {
    let env = world.node(NODE);
    let role = try_start(&env, units, quorum).await.expect("it starts");
    (env, role)
}

pub async fn try_start(env: &Env, units: u32, quorum: u32) -> Result<Arc<SequencerRole>, Refusal> {
    let mut config = SequencerConfig::single("", units, quorum);
    // Small, so that snapshots, purges and changes of segment are a part of every test.
    config.snapshot_every = 40;
    config.segment_bytes = 64 << 10;
    try_start_with(env, config).await
}

pub async fn try_start_with(
    env: &Env,
    config: SequencerConfig,
) -> Result<Arc<SequencerRole>, Refusal> {
    try_start_in(env, DIR, config).await
}

pub async fn try_start_in(
    env: &Env,
    dir: &str,
    config: SequencerConfig,
) -> Result<Arc<SequencerRole>, Refusal> {
    let (inner, dir) = (env.clone(), dir.to_owned());
    env.spawn("start", async move {
        SequencerRole::start(&inner, Path::new(&dir), config, Arc::new(Solitude)).await
    })
    .await
    .expect("it does not panic")
}

/// Asks again while the refusal says that this can help.
pub async fn until_done<T, F>(env: &Env, mut ask: impl FnMut() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    for _ in 0..1_000 {
        match ask().await {
            Err(refusal) if refusal.is_retryable() => env.sleep(Duration::from_millis(5)).await,
            done => return done,
        }
    }
    panic!("refused for five seconds");
}

/// A process with some units, each with a directory of its own.
pub struct Process {
    pub env: Env,
    pub role: Arc<SequencerRole>,
    pub owner: v1::Owner,
    pub units: Vec<(u64, Bytes)>,
    beats: mpsc::Sender<v1::Beat>,
    pub members: Answers<v1::Members>,
}

pub fn nonce(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 16])
}

pub fn registration(node: u8, incarnation: u64, units: &[u8]) -> v1::RegisterRequest {
    let slot = |(slot, byte): (usize, &u8)| v1::UnitSlot {
        slot: slot as u32,
        nonce: nonce(*byte),
    };
    v1::RegisterRequest {
        node_nonce: nonce(node),
        incarnation,
        address: format!("host-{node}:9010"),
        units: units.iter().enumerate().map(slot).collect(),
        ..v1::RegisterRequest::default()
    }
}

impl Process {
    pub async fn join(env: &Env, role: &Arc<SequencerRole>, node: u8, units: &[u8]) -> Process {
        Process::join_with(env, role, node, units, &[]).await
    }

    /// Without units.
    pub async fn join_as(
        env: &Env,
        role: &Arc<SequencerRole>,
        node: u8,
        roles: &[&str],
    ) -> Process {
        Process::join_with(env, role, node, &[], roles).await
    }

    async fn join_with(
        env: &Env,
        role: &Arc<SequencerRole>,
        node: u8,
        units: &[u8],
        roles: &[&str],
    ) -> Process {
        let incarnation = env.random_u64();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let request = v1::RegisterRequest {
            roles,
            ..registration(node, incarnation, units)
        };
        let registered = until_done(env, || role.register(request.clone()))
            .await
            .expect("known");
        let owner = v1::Owner {
            node_id: registered.node_id,
            incarnation,
        };
        let (beats, stream) = mpsc::channel(4);
        beats.send(beat_of(&owner)).await.expect("there is room");
        let stream = ReceiverStream::new(stream).boxed();
        let members = role.keep_alive(stream).await.expect("it is registered");
        let nonces = units.iter().map(|byte| nonce(*byte));
        let units = registered.unit_ids.into_iter().zip(nonces).collect();
        Process {
            env: env.clone(),
            role: role.clone(),
            owner,
            units,
            beats,
            members,
        }
    }

    pub async fn beat(&self) -> bool {
        self.beats.send(beat_of(&self.owner)).await.is_ok()
    }

    pub async fn beat_with(&self, beat: v1::Beat) -> bool {
        let owner = beat_of(&self.owner);
        let beat = v1::Beat {
            node_id: owner.node_id,
            incarnation: owner.incarnation,
            ..beat
        };
        self.beats.send(beat).await.is_ok()
    }

    /// The unit at this position says Hello; its first order is a Base.
    pub async fn unit(&self, position: usize, ends: Vec<v1::FrameEnd>) -> Unit {
        self.try_unit(position, ends)
            .await
            .expect("it is registered")
    }

    pub async fn try_unit(&self, at: usize, ends: Vec<v1::FrameEnd>) -> Result<Unit, Refusal> {
        let (unit_id, nonce) = self.units[at].clone();
        let node = Some(self.owner);
        let hello = v1::UnitHello {
            unit_id,
            nonce,
            node,
            ends,
            ..v1::UnitHello::default()
        };
        Unit::converse(&self.role, hello).await
    }

    pub async fn open_lane(&self, request: u8) -> Result<v1::LaneOpened, Refusal> {
        let request_id = nonce(request);
        let request = v1::OpenLaneRequest {
            request_id,
            owner: Some(self.owner),
        };
        self.role.open_lane(request).await
    }

    pub async fn move_lane(&self, lane: u64, avoid: &[u64]) -> Result<v1::LaneMoved, Refusal> {
        let request = v1::MoveLaneRequest {
            lane,
            owner: Some(self.owner),
            avoid_units: avoid.to_vec(),
        };
        self.role.move_lane(request).await
    }

    /// Beats for so long; a process that says nothing is gone.
    pub async fn live(&self, time: Duration) {
        let until = self.env.now() + time;
        while self.env.now() < until {
            assert!(self.beat().await, "the sequencer listens");
            self.env.sleep(Duration::from_millis(50)).await;
        }
    }
}

fn beat_of(owner: &v1::Owner) -> v1::Beat {
    let v1::Owner {
        node_id,
        incarnation,
    } = *owner;
    v1::Beat {
        node_id,
        incarnation,
        wall_us: 1,
        ..v1::Beat::default()
    }
}

/// One conversation of a unit.
pub struct Unit {
    reports: mpsc::Sender<v1::UnitReport>,
    pub orders: Answers<v1::UnitOrder>,
    pub base: v1::Base,
}

impl Unit {
    pub async fn converse(role: &SequencerRole, hello: v1::UnitHello) -> Result<Unit, Refusal> {
        let (reports, stream) = mpsc::channel(16);
        let hello = v1::unit_report::Report::Hello(hello);
        reports
            .send(v1::UnitReport {
                report: Some(hello),
            })
            .await
            .expect("there is room");
        let mut orders = role.unit(ReceiverStream::new(stream).boxed()).await?;
        let first = orders.next().await.expect("a Base comes first")?;
        let Some(v1::unit_order::Order::Base(base)) = first.order else {
            panic!("not a Base: {first:?}")
        };
        Ok(Unit {
            reports,
            orders,
            base,
        })
    }

    /// False when the conversation is over.
    pub async fn durable(&self, ends: Vec<v1::FrameEnd>, stamped_through: u64) -> bool {
        let durable = v1::Durable {
            ends,
            stamped_through,
            full: false,
            ..Default::default()
        };
        self.report(durable).await
    }

    pub async fn report(&self, durable: v1::Durable) -> bool {
        let report = Some(v1::unit_report::Report::Durable(durable));
        self.reports.send(v1::UnitReport { report }).await.is_ok()
    }
}

/// The end of a frame; its chain follows from its place.
pub fn end(lane: u64, end_idx: u64) -> v1::FrameEnd {
    v1::FrameEnd {
        lane,
        end_idx,
        chain_high: lane,
        chain_low: end_idx,
    }
}

/// A subscription: its Base, then the events.
pub async fn subscribe(role: &SequencerRole) -> (v1::Base, Answers<v1::LogEvent>) {
    let mut events = role
        .subscribe(v1::SubscribeRequest::default())
        .await
        .expect("anyone may");
    match next_event(&mut events).await {
        Event::Base(base) => (base, events),
        other => panic!("not a Base: {other:?}"),
    }
}

pub async fn next_event(events: &mut Answers<v1::LogEvent>) -> Event {
    let event = events.next().await.expect("a refusal comes before the end");
    event.expect("not refused").event.expect("a known kind")
}

pub async fn next_cut(events: &mut Answers<v1::LogEvent>) -> v1::Cut {
    loop {
        if let Event::Cut(cut) = next_event(events).await {
            return cut;
        }
    }
}

pub async fn linear_end(env: &Env, role: &SequencerRole) -> v1::EndAnswer {
    let request = v1::EndRequest { linearizable: true };
    until_done(env, || role.end(request))
        .await
        .expect("it leads")
}

#[track_caller]
pub fn refused_as<T: std::fmt::Debug>(result: Result<T, Refusal>, code: Code) {
    assert_eq!(result.expect_err("it must be refused").code(), code);
}
