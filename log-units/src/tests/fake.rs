//! A sequencer that remembers everything it is told, and cuts when it is asked to or at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dfs_env::Env;
use dfs_rpc::roles::{Answers, Connector, LogUnit, Materializer, Requests, Sequencer};
use dfs_wire::frame::{chain_halves, chain_of, first_chain};
use dfs_wire::v1::unit_order::Order;
use dfs_wire::v1::unit_report::Report;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;

pub(super) const CLUSTER: &[u8] = b"cluster-of-tests";
pub(super) const UNIT: u64 = 7;
pub(super) const STRIPE: u64 = 1;
const OWNER: v1::Owner = v1::Owner {
    node_id: 9,
    incarnation: 99,
};

#[derive(Default)]
pub(super) struct Known {
    pub(super) lanes: BTreeMap<u64, v1::LaneState>,
    pub(super) cuts: Vec<v1::Cut>,
    /// Cuts up to here were forgotten.
    pub(super) forgotten: usize,
    /// What was set aside of them (LOG-U6).
    pub(super) waiting: Option<v1::WaitingRuns>,
    pub(super) trim_lsn: u64,
    pub(super) next_lsn: u64,
    /// The last Hello, and everything that was ever said to be durable.
    pub(super) hello: Option<v1::UnitHello>,
    pub(super) durable: BTreeSet<(u64, u64, u128)>,
    pub(super) stamped_through: u64,
    pub(super) full: bool,
    pub(super) hellos: u64,
    /// Cut whatever is reported, at once.
    pub(super) cuts_at_once: bool,
    /// The units of the stripe, and how many of them must hold what is cut.
    pub(super) units: Vec<u64>,
    pub(super) quorum: usize,
    /// What each unit says that it holds, since its last Hello; and that Hello.
    pub(super) held: BTreeMap<u64, BTreeSet<(u64, u64, u128)>>,
    pub(super) hello_of: BTreeMap<u64, v1::UnitHello>,
    pub(super) whole: BTreeSet<(u64, u64)>,
    /// The last LSN of the stripe, once it is closed; who copies it; who says that it holds all.
    pub(super) last_lsn: Option<u64>,
    pub(super) copies: Vec<u64>,
    pub(super) holders: BTreeSet<u64>,
    /// Who has said that it found damage in it.
    pub(super) torn: BTreeSet<u64>,
    outlets: BTreeMap<u64, mpsc::Sender<Result<v1::UnitOrder, Refusal>>>,
}

pub(super) struct Fake {
    env: Env,
    pub(super) known: Mutex<Known>,
    pub(super) changed: Notify,
    /// Who answers peers.
    pub(super) roles: Mutex<BTreeMap<u64, Arc<dyn LogUnit>>>,
}

impl Fake {
    pub(super) fn new(env: Env) -> Arc<Fake> {
        let known = Known {
            next_lsn: 1,
            units: vec![UNIT],
            quorum: 1,
            ..Known::default()
        };
        Arc::new(Fake {
            env,
            known: Mutex::new(known),
            changed: Notify::new(),
            roles: Mutex::default(),
        })
    }

    pub(super) fn chain(lane: u64) -> u128 {
        first_chain(CLUSTER, 0, lane, OWNER.node_id, OWNER.incarnation)
    }

    pub(super) fn open_lane(&self, lane: u64) {
        let (chain_high, chain_low) = chain_halves(Fake::chain(lane));
        let state = v1::LaneState {
            lane,
            owner: Some(OWNER),
            stripe: STRIPE,
            chain_high,
            chain_low,
            ..Default::default()
        };
        let mut known = self.known.lock();
        known.lanes.insert(lane, state);
        let opened = v1::LaneOpened {
            lane,
            owner: Some(OWNER),
            stripe: STRIPE,
            units: known.unit_refs(),
            write_quorum: 1,
            chain_high,
            chain_low,
            ..Default::default()
        };
        known.tell(Order::LaneOpened(opened));
    }

    pub(super) fn seal(&self, lane: u64) {
        let mut known = self.known.lock();
        let end_lsn = known.next_lsn;
        let final_length = known.lanes.get_mut(&lane).map_or(0, |state| {
            (state.sealed, state.end_lsn) = (true, end_lsn);
            state.length
        });
        known.tell(Order::LaneSealed(v1::LaneSealed {
            lane,
            final_length,
            raft_index: 1,
        }));
    }

    /// Seals its lanes too.
    pub(super) fn close_stripe(&self) {
        let lanes: Vec<u64> = self.known.lock().lanes.keys().copied().collect();
        lanes.into_iter().for_each(|lane| self.seal(lane));
        let mut known = self.known.lock();
        let last_lsn = known.next_lsn - 1;
        known.last_lsn = Some(last_lsn);
        known.tell(Order::StripeClosed(v1::StripeClosed {
            stripe: STRIPE,
            last_lsn,
            raft_index: 1,
        }));
    }

    pub(super) fn ask_to_copy(&self, unit: u64) {
        let mut known = self.known.lock();
        known.copies.push(unit);
        let changed = v1::StripeChanged {
            stripe: Some(known.stripe()),
            lanes: known.lanes.values().cloned().collect(),
            raft_index: 1,
        };
        known.tell(Order::StripeChanged(changed));
    }

    /// Cuts lanes at the given ends, as they are named here.
    pub(super) fn cut(&self, ends: &[(u64, u64, u128)]) {
        let mut known = self.known.lock();
        known.cut(ends);
        drop(known);
        self.changed.notify_waiters();
    }

    /// Records below are gone, and so are the cuts that held any of them.
    pub(super) fn trim(&self, trim_lsn: u64) {
        let mut known = self.known.lock();
        known.trim_lsn = known.trim_lsn.max(trim_lsn);
        let below = known.cuts.partition_point(|cut| cut.first_lsn < trim_lsn);
        known.forgotten = known.forgotten.max(below);
        let sealed_below = |lane: &v1::LaneState| lane.end_lsn > 0 && lane.end_lsn <= trim_lsn;
        let last = known.lanes.keys().next_back().copied();
        known
            .lanes
            .retain(|id, lane| Some(*id) == last || !sealed_below(lane));
        known.tell(Order::Trimmed(v1::Trimmed {
            trim_lsn,
            raft_index: 1,
        }));
    }

    /// All cuts so far are forgotten, with or without what the closed stripe waits for.
    pub(super) fn forget(&self, sets_aside: bool) {
        let mut known = self.known.lock();
        known.forgotten = known.cuts.len();
        let runs = known.cuts.iter().flat_map(|cut| {
            cut.lanes.iter().map(|part| v1::StampedRun {
                lane: part.lane,
                from_idx: part.from_idx,
                to_idx: part.to_idx,
                first_lsn: cut.first_lsn,
                cut_seq: cut.cut_seq,
                log_time_us: cut.log_time_us,
                chain_high: part.chain_high,
                chain_low: part.chain_low,
            })
        });
        let waiting = v1::WaitingRuns {
            stripe: STRIPE,
            from_lsn: 1,
            to_lsn: known.next_lsn,
            runs: runs.collect(),
        };
        known.waiting = sets_aside.then_some(waiting);
    }

    /// Waits until `f` holds.
    pub(super) async fn until(&self, f: impl Fn(&Known) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if f(&self.known.lock()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn hang_up(&self) {
        self.known.lock().outlets.clear();
    }

    fn take(&self, unit: u64, report: v1::UnitReport) {
        let mut known = self.known.lock();
        match report.report {
            Some(Report::Hello(hello)) => {
                known.held.remove(&unit);
                known.holders.remove(&unit);
                let whole = hello.whole_stripes.iter().map(|_| unit);
                known.holders.extend(whole);
                known.durable_ends(unit, &hello.ends);
                known.hello_of.insert(unit, hello.clone());
                known.stamped_through = hello.stamped_through;
                known.full = hello.full;
                known.hello = Some(hello);
                known.hellos += 1;
                let base = known.base();
                known.tell_one(unit, Order::Base(base));
            }
            Some(Report::Durable(durable)) => {
                known.durable_ends(unit, &durable.ends);
                let whole = durable.whole_lanes.iter().map(|lane| (unit, *lane));
                known.whole.extend(whole);
                if !durable.torn_stripes.is_empty() {
                    known.holders.remove(&unit);
                    known.torn.insert(unit);
                }
                let holds = durable.whole_stripes.iter().map(|_| unit);
                known.holders.extend(holds);
                known.stamped_through = durable.stamped_through;
                known.full = durable.full;
            }
            None => {}
        }
        if known.cuts_at_once {
            known.cut_all();
        }
        drop(known);
        self.changed.notify_waiters();
    }
}

impl Known {
    fn tell(&mut self, order: Order) {
        let units: Vec<u64> = self.outlets.keys().copied().collect();
        for unit in units {
            self.tell_one(unit, order.clone());
        }
    }

    fn tell_one(&mut self, unit: u64, order: Order) {
        let order = v1::UnitOrder { order: Some(order) };
        if let Some(outlet) = self.outlets.get(&unit)
            && outlet.try_send(Ok(order)).is_err()
        {
            self.outlets.remove(&unit);
        }
    }

    fn unit_refs(&self) -> Vec<v1::UnitRef> {
        refs(&self.units)
    }

    fn stripe(&self) -> v1::StripeState {
        v1::StripeState {
            stripe: STRIPE,
            units: self.unit_refs(),
            write_quorum: 1,
            first_lsn: 1,
            last_lsn: self.last_lsn.unwrap_or(0),
            closed: self.last_lsn.is_some(),
            copies: refs(&self.copies),
            locations: self.holders.iter().copied().collect(),
            waiting_runs: 0,
        }
    }

    fn durable_ends(&mut self, unit: u64, ends: &[v1::FrameEnd]) {
        let ends = ends.iter().map(|end| {
            (
                end.lane,
                end.end_idx,
                chain_of(end.chain_high, end.chain_low),
            )
        });
        let held = self.held.entry(unit).or_default();
        held.extend(ends);
        self.durable.extend(held.iter().copied());
    }

    fn cut_all(&mut self) {
        let mut ends: BTreeMap<u64, (u64, u64, u128)> = BTreeMap::new();
        for end in &self.durable {
            let length = self.lanes.get(&end.0).map_or(u64::MAX, |lane| lane.length);
            let holders = self.held.values().filter(|held| held.contains(end));
            if end.1 > length && holders.count() >= self.quorum {
                ends.insert(end.0, *end);
            }
        }
        if !ends.is_empty() {
            self.cut(&ends.into_values().collect::<Vec<_>>());
        }
    }

    fn cut(&mut self, ends: &[(u64, u64, u128)]) {
        let mut cut = v1::Cut {
            cut_seq: self.cuts.len() as u64 + 1,
            raft_index: self.cuts.len() as u64 + 100,
            first_lsn: self.next_lsn,
            log_time_us: self.cuts.len() as u64 + 1_000_000,
            lanes: Vec::new(),
        };
        for (lane, to_idx, chain) in ends {
            let state = self.lanes.get_mut(lane).expect("a lane that was opened");
            let (chain_high, chain_low) = chain_halves(*chain);
            let from_idx = state.length;
            (state.length, state.chain_high, state.chain_low) = (*to_idx, chain_high, chain_low);
            self.next_lsn += to_idx - from_idx;
            cut.lanes.push(v1::CutLane {
                lane: *lane,
                from_idx,
                to_idx: *to_idx,
                chain_high,
                chain_low,
            });
        }
        self.cuts.push(cut.clone());
        self.tell(Order::Cut(cut));
    }

    fn base(&self) -> v1::Base {
        v1::Base {
            cut_seq: self.cuts.len() as u64,
            next_lsn: self.next_lsn,
            log_time_us: 1,
            raft_index: 1,
            lanes: self.lanes.values().cloned().collect(),
            stripes: vec![self.stripe()],
            cuts: self.cuts.get(self.forgotten..).unwrap_or_default().to_vec(),
            cluster_id: Bytes::from_static(CLUSTER),
            generation: 0,
            trim_lsn: self.trim_lsn,
            waiting: self.waiting.iter().cloned().collect(),
        }
    }
}

fn refs(units: &[u64]) -> Vec<v1::UnitRef> {
    let unit_ref = |unit_id: &u64| v1::UnitRef {
        unit_id: *unit_id,
        ..Default::default()
    };
    units.iter().map(unit_ref).collect()
}

fn not_here<T>() -> Result<T, Refusal> {
    Err(Refusal::new(
        Code::Invalid,
        "a test",
        "asks what this fake does not answer",
    ))
}

/// Clones are the same sequencer.
#[derive(Clone)]
pub(super) struct FakeSequencer(pub(super) Arc<Fake>);

#[async_trait]
impl Sequencer for FakeSequencer {
    async fn register(&self, _: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        not_here()
    }

    async fn keep_alive(&self, _: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        not_here()
    }

    async fn open_lane(&self, _: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        not_here()
    }

    async fn move_lane(&self, _: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        not_here()
    }

    async fn unit(
        &self,
        mut reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        let (orders, answers) = mpsc::channel(4096);
        let first = reports.next().await.expect("a first report");
        let Some(Report::Hello(hello)) = &first.report else {
            return not_here();
        };
        let unit = hello.unit_id;
        self.0.known.lock().outlets.insert(unit, orders);
        self.0.take(unit, first);
        let fake = self.0.clone();
        self.0.env.spawn("reports", async move {
            while let Some(report) = reports.next().await {
                fake.take(unit, report);
            }
        });
        Ok(ReceiverStream::new(answers).boxed())
    }

    async fn subscribe(&self, _: v1::SubscribeRequest) -> Result<Answers<v1::LogEvent>, Refusal> {
        not_here()
    }

    async fn end(&self, _: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        not_here()
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        not_here()
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        not_here()
    }

    async fn change_history(&self, _: v1::HistoryChange) -> Result<v1::HistoryAnswer, Refusal> {
        not_here()
    }
}

#[async_trait]
impl Connector for FakeSequencer {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        Ok(Arc::new(self.clone()))
    }

    async fn unit(&self, unit_id: u64, _: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        let role = self.0.roles.lock().get(&unit_id).cloned();
        let why = "connection refused";
        role.ok_or_else(|| Refusal::new(Code::Unavailable, format!("unit {unit_id}"), why))
    }

    async fn materializer(&self, _: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        not_here()
    }
}
