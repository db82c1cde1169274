//! A cluster in memory: stripes of units and a sequencer that cuts, with faults on request.
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dfs_env::Env;
use dfs_rpc::roles::{Connector, LogUnit, Materializer, Sequencer};
use dfs_wire::frame::{Frame, chain_halves};
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fake_sequencer::FakeSequencer;
use super::fake_unit::FakeUnit;

pub(super) const CLUSTER_ID: &[u8] = b"a cluster in RAM";

/// What is wrong with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Refuses connections and ends its streams.
    Down,
    /// Answers nothing, keeps its streams.
    Stalled,
    /// LOG-U8: takes privileged frames only.
    Full,
    /// Every frame that it reads is damaged.
    Damaged,
    /// Leaves frames out of its answers, uncounted.
    Swallowing,
    /// Has no stamps of anything.
    Blank,
}

/// The roles of a whole cluster; what its units hold survives their faults.
pub struct FakeCluster {
    pub(super) env: Env,
    pub(super) state: Mutex<State>,
    /// Counts changes: streams look again at each.
    pub(super) changes: watch::Sender<u64>,
}

pub(super) struct State {
    pub(super) stripes: Vec<v1::StripeState>,
    pub(super) write_quorum: u32,
    pub(super) units: BTreeMap<u64, Unit>,
    pub(super) lanes: BTreeMap<u64, v1::LaneState>,
    pub(super) opened: BTreeMap<Bytes, v1::LaneOpened>,
    pub(super) events: Vec<v1::LogEvent>,
    pub(super) cuts: Vec<v1::Cut>,
    /// Cuts below this are no longer in Base.
    pub(super) cuts_from: usize,
    pub(super) records: u64,
    log_time_us: u64,
    pub(super) sequencer_down: bool,
    /// Subscriptions before this many hear nothing more.
    pub(super) silent_below: u64,
    pub(super) subscriptions: u64,
    /// Streams of another epoch end.
    pub(super) sequencer_epoch: u64,
    holds_cuts: bool,
    lies_about_chains: bool,
    pub(super) seals_late: bool,
    pub(super) scans: u64,
    pub(super) end_calls: u64,
}

pub(super) struct Unit {
    pub(super) fault: Fault,
    pub(super) epoch: u64,
    pub(super) frames: BTreeMap<u64, Vec<Frame>>,
}

impl FakeCluster {
    /// `stripes` sets of `r` units of their own. Lanes go to the stripes in turn.
    pub fn new(env: Env, stripes: u64, r: u64, w: u32) -> Arc<FakeCluster> {
        let unit = |unit_id| v1::UnitRef {
            unit_id,
            ..Default::default()
        };
        let stripe = |stripe| v1::StripeState {
            stripe,
            units: (0..r).map(|n| unit(stripe * 10 + n)).collect(),
            write_quorum: w,
            first_lsn: 1,
            ..v1::StripeState::default()
        };
        let stripes: Vec<_> = (1..=stripes).map(stripe).collect();
        let ids = stripes
            .iter()
            .flat_map(|stripe| stripe.units.iter().map(|unit| unit.unit_id));
        let unit = |id| {
            (
                id,
                Unit {
                    fault: Fault::None,
                    epoch: 0,
                    frames: BTreeMap::new(),
                },
            )
        };
        let state = State {
            units: ids.map(unit).collect(),
            stripes,
            write_quorum: w,
            lanes: BTreeMap::new(),
            opened: BTreeMap::new(),
            events: Vec::new(),
            cuts: Vec::new(),
            cuts_from: 0,
            records: 0,
            log_time_us: 0,
            sequencer_down: false,
            silent_below: 0,
            subscriptions: 0,
            sequencer_epoch: 0,
            holds_cuts: false,
            lies_about_chains: false,
            seals_late: false,
            scans: 0,
            end_calls: 0,
        };
        Arc::new(FakeCluster {
            env,
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
        })
    }

    /// How a process of this cluster reaches its roles.
    pub fn connector(self: &Arc<Self>) -> Arc<dyn Connector> {
        Arc::new(FakeConnector(self.clone()))
    }

    pub(super) fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let out = f(&mut self.state.lock());
        self.changes.send_modify(|version| *version += 1);
        out
    }

    /// Unit `n` of stripe `stripe` (both from 0) has this fault from now on; its streams break when
    /// it goes down.
    pub fn set_fault(&self, stripe: u64, n: u64, fault: Fault) {
        self.change(|state| {
            let unit = state
                .units
                .get_mut(&((stripe + 1) * 10 + n))
                .expect("no such unit");
            unit.fault = fault;
            unit.epoch += u64::from(fault == Fault::Down);
        });
    }

    /// The sequencer says in its next Base that this unit is Dead; its streams break.
    pub fn set_dead(&self, stripe: u64, n: u64) {
        self.set_fault(stripe, n, Fault::Down);
        self.change(|state| {
            let units = &mut state.stripes[stripe as usize].units;
            units[n as usize].state = v1::UnitState::Dead as i32;
        });
    }

    /// While it is down nothing is answered; its streams break.
    pub fn set_sequencer_down(&self, down: bool) {
        self.change(|state| {
            state.sequencer_down = down;
            state.sequencer_epoch += 1;
        });
    }

    /// The subscriptions of now stay open and hear nothing more.
    pub fn silence_subscriptions(&self) {
        self.change(|state| state.silent_below = state.subscriptions);
    }

    /// Base no longer tells the cuts made so far.
    pub fn forget_cuts(&self) {
        self.change(|state| state.cuts_from = state.cuts.len());
    }

    /// Nothing is cut until it is let go; then all of it at once.
    pub fn hold_cuts(&self, hold: bool) {
        self.change(|state| {
            state.holds_cuts = hold;
            state.cut(self.env.wall_us());
        });
    }

    /// From now on cuts tell of other bytes than were sent.
    pub fn lie_about_chains(&self) {
        self.change(|state| state.lies_about_chains = true);
    }

    /// Records that unit `n` of stripe `stripe` (both from 0) holds.
    pub fn stored_records(&self, stripe: u64, n: u64) -> u64 {
        let state = self.state.lock();
        let lanes = state.units[&((stripe + 1) * 10 + n)].frames.values();
        lanes
            .filter_map(|frames| frames.last())
            .map(Frame::end_idx)
            .sum()
    }

    /// Scans that units were asked for so far.
    pub fn scans(&self) -> u64 {
        self.state.lock().scans
    }

    /// Questions for the end that were answered so far.
    pub fn end_calls(&self) -> u64 {
        self.state.lock().end_calls
    }
}

impl State {
    pub(super) fn log_time_us(&self) -> u64 {
        self.log_time_us
    }

    /// LOG-D2 and `apply(Cut)` of LOG.md §2.
    pub(super) fn cut(&mut self, wall_us: u64) {
        if self.holds_cuts {
            return;
        }
        let mut cut = v1::Cut {
            cut_seq: self.cuts.len() as u64 + 1,
            raft_index: 0,
            first_lsn: self.records + 1,
            log_time_us: wall_us.max(self.log_time_us + 1),
            lanes: Vec::new(),
        };
        for lane in self.lanes.values_mut() {
            let stripe = &self.stripes[lane.stripe as usize - 1];
            if lane.sealed {
                continue; // LOG-I6
            }
            let frames = |unit: &v1::UnitRef| self.units[&unit.unit_id].frames.get(&lane.lane);
            let held: Vec<_> = stripe.units.iter().filter_map(frames).collect();
            let mut ends: Vec<u64> = held
                .iter()
                .map(|frames| frames.last().map_or(0, Frame::end_idx))
                .collect();
            ends.sort_unstable_by(|a, b| b.cmp(a));
            let end = ends
                .get(self.write_quorum as usize - 1)
                .copied()
                .unwrap_or(0);
            let ends_here = |frames: &&Vec<Frame>| {
                let at = frames.binary_search_by_key(&end, Frame::end_idx);
                at.ok().map(|at| frames[at].chain_after())
            };
            let chain = held
                .iter()
                .find_map(ends_here)
                .filter(|_| end > lane.length);
            let Some(chain) = chain else {
                continue;
            };
            let chain = chain ^ u128::from(self.lies_about_chains);
            let (chain_high, chain_low) = chain_halves(chain);
            let (from_idx, to_idx) = (lane.length, end);
            let lane_id = lane.lane;
            cut.lanes.push(v1::CutLane {
                lane: lane_id,
                from_idx,
                to_idx,
                chain_high,
                chain_low,
            });
            self.records += end - lane.length;
            (lane.length, lane.chain_high, lane.chain_low) = (end, chain_high, chain_low);
        }
        if !cut.lanes.is_empty() {
            self.log_time_us = cut.log_time_us;
            self.cuts.push(cut.clone());
            self.events.push(v1::LogEvent {
                event: Some(v1::log_event::Event::Cut(cut)),
            });
        }
    }
}

struct FakeConnector(Arc<FakeCluster>);

pub(super) fn away(what: &str) -> Refusal {
    Refusal::new(Code::Unavailable, what, "it is down")
}

#[async_trait]
impl Connector for FakeConnector {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        Ok(Arc::new(FakeSequencer(self.0.clone())))
    }

    async fn unit(&self, unit_id: u64, _address: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        if self.0.state.lock().units[&unit_id].fault == Fault::Down {
            return Err(away("log unit"));
        }
        Ok(Arc::new(FakeUnit {
            cluster: self.0.clone(),
            id: unit_id,
        }))
    }

    async fn materializer(&self, _address: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        Err(away("materializer"))
    }
}
