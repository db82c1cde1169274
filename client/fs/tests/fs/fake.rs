//! A cluster in memory: two materializers over one namespace, one unit, a sequencer that lists them.

mod chance;
mod namespace;
mod serving;
mod slots;
mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dfs_env::Env;
use dfs_fs::{Fs, FsConfig};
use dfs_rpc::roles::{Answers, Connector, LogUnit, Materializer, Requests, Sequencer};
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;

pub(crate) use chance::{Chance, Fate};
pub(crate) use namespace::Namespace;
use serving::Serving;
use slots::Slots;
use unit::Unit;

pub(crate) const LEASE_US: u64 = 30_000_000;
pub(crate) const INLINE_MAX: u32 = 16 << 10;

/// What every materializer of the cluster knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) namespace: Namespace,
    pub(crate) slots: Slots,
    /// Index of the primary: 0 or 1.
    pub(crate) primary: usize,
    pub(crate) term: u64,
    /// What happens to the next requests; when it is used up, `Fate::Serve`.
    pub(crate) fates: std::collections::VecDeque<Fate>,
    /// What happens to mutations beyond that, by chance.
    pub(crate) chance: Option<Chance>,
    /// Does not answer at all.
    pub(crate) silent: [bool; 2],
    /// Refuses every read so.
    pub(crate) ill: [Option<Code>; 2],
    /// Refuses sessions.
    pub(crate) full: bool,
    pub(crate) messages: u64,
    pub(crate) requests: BTreeMap<&'static str, u64>,
    pub(crate) mutating: usize,
    pub(crate) mutating_most: usize,
    pub(crate) mutation_takes_us: u64,
    /// The last change of a setting, which every answer names.
    pub(crate) settings_lsn: u64,
}

pub(crate) struct Cluster {
    pub(crate) env: Env,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) unit: Arc<Unit>,
}

impl Cluster {
    pub(crate) fn new() -> Arc<Cluster> {
        let state = State {
            term: 1,
            ..State::default()
        };
        Arc::new(Cluster {
            env: Env::real(),
            state: Arc::new(Mutex::new(state)),
            unit: Arc::default(),
        })
    }

    pub(crate) async fn fs(self: &Arc<Cluster>) -> Fs {
        self.fs_with(FsConfig::default()).await
    }

    pub(crate) async fn fs_with(self: &Arc<Cluster>, config: FsConfig) -> Fs {
        Fs::connect(self.env.clone(), self.clone(), config)
            .await
            .unwrap()
    }

    pub(crate) fn fates(&self, fates: &[Fate]) {
        self.state.lock().fates.extend(fates);
    }

    pub(crate) fn count(&self, request: &'static str) -> u64 {
        self.state
            .lock()
            .requests
            .get(request)
            .copied()
            .unwrap_or(0)
    }

    /// The other one takes over; what is routed by the old term is answered `Moved`.
    pub(crate) fn fail_over(&self) {
        let mut state = self.state.lock();
        state.primary = 1 - state.primary;
        state.term += 1;
    }
}

pub(crate) fn address(index: usize) -> String {
    format!("m{index}")
}

#[async_trait]
impl Connector for Cluster {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        Ok(Arc::new(Lister))
    }

    async fn unit(&self, _: u64, _: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        Ok(self.unit.clone())
    }

    async fn materializer(&self, at: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        let index = usize::from(at == address(1));
        let (env, state) = (self.env.clone(), self.state.clone());
        Ok(Arc::new(Serving { env, state, index }))
    }
}

/// A sequencer of which only the list of members is asked.
struct Lister;

fn absent<T>() -> Result<T, Refusal> {
    Err(Refusal::new(
        Code::Unavailable,
        "a fake",
        "it cannot do this",
    ))
}

#[async_trait]
impl Sequencer for Lister {
    async fn register(&self, _: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        absent()
    }

    async fn keep_alive(&self, _: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        absent()
    }

    async fn open_lane(&self, _: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        absent()
    }

    async fn move_lane(&self, _: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        absent()
    }

    async fn unit(&self, _: Requests<v1::UnitReport>) -> Result<Answers<v1::UnitOrder>, Refusal> {
        absent()
    }

    async fn subscribe(&self, _: v1::SubscribeRequest) -> Result<Answers<v1::LogEvent>, Refusal> {
        absent()
    }

    async fn end(&self, _: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        absent()
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        absent()
    }

    async fn change_history(&self, _: v1::HistoryChange) -> Result<v1::HistoryAnswer, Refusal> {
        absent()
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        let member = |index| v1::Member {
            node_id: index as u64 + 1,
            roles: vec!["materializer".into()],
            address: address(index),
            ..v1::Member::default()
        };
        let members = v1::Members {
            members: vec![member(0), member(1)],
            units: Vec::new(),
        };
        Ok(v1::SequencerStatusAnswer {
            members: Some(members),
            ..v1::SequencerStatusAnswer::default()
        })
    }
}
