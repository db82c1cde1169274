//! The sequencer's side of a cluster in memory: lanes, Base and what follows it, the end.
use std::sync::Arc;

use async_trait::async_trait;
use dfs_rpc::roles::{Answers, Requests, Sequencer};
use dfs_wire::frame::{chain_halves, first_chain};
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};

use super::fake_cluster::{CLUSTER_ID, FakeCluster, State, away};

pub(super) struct FakeSequencer(pub(super) Arc<FakeCluster>);

fn absent<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::new(
        Code::Invalid,
        what,
        "the client's log does not ask for it",
    ))
}

#[async_trait]
impl Sequencer for FakeSequencer {
    async fn register(&self, _: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        absent("Register")
    }

    async fn keep_alive(&self, _: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        absent("KeepAlive")
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        self.0.change(|state| {
            if state.sequencer_down {
                return Err(away("sequencer"));
            }
            let opened = state.opened.get(&request.request_id).cloned();
            Ok(opened.unwrap_or_else(|| state.open_lane(request)))
        })
    }

    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        self.0.change(|state| {
            if state.sequencer_down {
                return Err(away("sequencer"));
            }
            state.move_lane(&request)
        })
    }

    async fn unit(&self, _: Requests<v1::UnitReport>) -> Result<Answers<v1::UnitOrder>, Refusal> {
        absent("Unit")
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        absent("History")
    }

    async fn change_history(&self, _: v1::HistoryChange) -> Result<v1::HistoryAnswer, Refusal> {
        absent("ChangeHistory")
    }

    async fn subscribe(&self, _: v1::SubscribeRequest) -> Result<Answers<v1::LogEvent>, Refusal> {
        let (cluster, versions) = (self.0.clone(), self.0.changes.subscribe());
        let (base, at, epoch, itself) = {
            let mut state = cluster.state.lock();
            if state.sequencer_down {
                return Err(away("sequencer"));
            }
            state.subscriptions += 1;
            let (itself, epoch) = (state.subscriptions - 1, state.sequencer_epoch);
            (state.base(), state.events.len(), epoch, itself)
        };
        let base = v1::LogEvent {
            event: Some(Event::Base(base)),
        };
        let next = move |(mut at, mut versions): (usize, tokio::sync::watch::Receiver<u64>)| {
            let cluster = cluster.clone();
            async move {
                loop {
                    {
                        let state = cluster.state.lock();
                        if state.sequencer_epoch != epoch {
                            return None;
                        }
                        let silent = itself < state.silent_below;
                        if let Some(event) = state.events.get(at).filter(|_| !silent).cloned() {
                            at += 1;
                            drop(state);
                            return Some((Ok(event), (at, versions)));
                        }
                    }
                    versions.changed().await.ok()?;
                }
            }
        };
        let events = stream::unfold((at, versions), next);
        Ok(stream::once(async { Ok(base) }).chain(events).boxed())
    }

    async fn end(&self, _: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        // Callers that come meanwhile find a call in flight.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let mut state = self.0.state.lock();
        if state.sequencer_down {
            return Err(away("sequencer"));
        }
        state.end_calls += 1;
        let log_time_us = state.log_time_us();
        let now_us = log_time_us.max(self.0.env.wall_us());
        Ok(v1::EndAnswer {
            next_lsn: state.records + 1,
            log_time_us,
            now_us,
            ..v1::EndAnswer::default()
        })
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        absent("SequencerStatus")
    }
}

impl State {
    fn open_lane(&mut self, request: v1::OpenLaneRequest) -> v1::LaneOpened {
        let count = self.stripes.len() as u64;
        let in_turn = (0..count).map(|n| (self.lanes.len() as u64 + n) % count + 1);
        let mut open = in_turn.filter(|id| !self.stripes[*id as usize - 1].closed);
        let stripe = open.next().expect("an open stripe");
        self.open_on(stripe, request.owner, request.request_id)
    }

    pub(super) fn open_on(
        &mut self,
        stripe: u64,
        owner: Option<v1::Owner>,
        request_id: impl Into<bytes::Bytes>,
    ) -> v1::LaneOpened {
        let lane = self.lanes.len() as u64 + 1;
        let stripe = &self.stripes[stripe as usize - 1];
        let request_id = request_id.into();
        let v1::Owner {
            node_id,
            incarnation,
        } = owner.unwrap_or_default();
        let chain = first_chain(CLUSTER_ID, 1, lane, node_id, incarnation);
        let (chain_high, chain_low) = chain_halves(chain);
        let opened = v1::LaneOpened {
            lane,
            owner,
            stripe: stripe.stripe,
            units: stripe.units.clone(),
            write_quorum: stripe.write_quorum,
            raft_index: 0,
            chain_high,
            chain_low,
            request_id: request_id.clone(),
        };
        let state = v1::LaneState {
            lane,
            owner,
            stripe: stripe.stripe,
            chain_high,
            chain_low,
            ..v1::LaneState::default()
        };
        self.lanes.insert(lane, state);
        self.opened.insert(request_id, opened.clone());
        self.tell(Event::LaneOpened(opened.clone()));
        opened
    }

    fn base(&self) -> v1::Base {
        v1::Base {
            cut_seq: self.cuts.len() as u64,
            next_lsn: self.records + 1,
            log_time_us: self.log_time_us(),
            raft_index: 0,
            lanes: self.lanes.values().cloned().collect(),
            stripes: self.stripes.clone(),
            cuts: self.cuts[self.cuts_from..].to_vec(),
            cluster_id: CLUSTER_ID.into(),
            generation: 1,
            trim_lsn: 0,
            waiting: Vec::new(),
        }
    }
}
