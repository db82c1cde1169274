//! The shared log in memory: the same contract, nothing durable. For whatever stands on the log.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use dfs_env::Env;
use dfs_wire::frame::first_chain;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::appender::{Appender, FramePlace, InFlight, LaneWriter, Room, Ticket, Trail, Window};
use crate::follower::{Follower, Source};
use crate::shared_log::{Batch, Draft, Event, Follow, FrameAt, Lsn, SharedLog, wants};
use crate::tail::{Frozen, Tail};

const CLUSTER_ID: &[u8] = b"memory log 16 B.";
/// Frames of one batch: a follower that begins at 1 must not get the whole log at once.
const BATCH_FRAMES_MAX: usize = 256;

/// Shared by all that would be processes of one cluster: clone the `Arc`.
pub struct MemoryLog {
    env: Env,
    state: Arc<Mutex<State>>,
    /// Wakes the task that cuts; absent when cuts are made by hand.
    advanced: Option<Arc<Notify>>,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<u64, Lane>,
    frames: Vec<FrameAt>,
    /// Records cut so far; the next LSN is one more.
    records: u64,
    cut_seq: u64,
    log_time_us: u64,
    waiting: Vec<Waker>,
    history: v1::HistoryAnswer,
}

struct Lane {
    tail: Tail,
    /// Frozen, not cut.
    frozen: Vec<Frozen>,
    in_flight: InFlight,
    window: Window,
    owner: v1::Owner,
    trail: Trail,
    /// Records cut so far.
    length: u64,
}

impl MemoryLog {
    /// Cuts by itself, as soon as something was appended.
    pub fn new(env: Env) -> Arc<MemoryLog> {
        let advanced = Arc::new(Notify::new());
        let log = MemoryLog {
            env,
            state: Arc::default(),
            advanced: Some(advanced.clone()),
        };
        let (state, env) = (log.state.clone(), log.env.clone());
        log.env.spawn("memory log", async move {
            loop {
                advanced.notified().await;
                cut(&state, env.wall_us());
            }
        });
        Arc::new(log)
    }

    /// Cuts only when [`MemoryLog::cut`] is called.
    pub fn stepped(env: Env) -> Arc<MemoryLog> {
        Arc::new(MemoryLog {
            env,
            state: Arc::default(),
            advanced: None,
        })
    }

    /// Refuses what lies below from now on. Pins do not hold this back.
    pub fn trim(&self, trim_lsn: Lsn) {
        self.state.lock().history.trim_lsn = trim_lsn;
    }

    /// Gives everything appended so far its LSNs. False when there was nothing.
    pub fn cut(&self) -> bool {
        cut(&self.state, self.env.wall_us())
    }

    /// Seals every lane at what was cut; all go on in successors (LOG-A4).
    pub fn move_lanes(&self) {
        let mut state = self.state.lock();
        let lanes = std::mem::take(&mut state.lanes);
        let first = lanes.keys().last().map_or(1, |last| last + 1);
        let moved = (first..).zip(lanes.into_values());
        state.lanes = moved.map(|(id, lane)| (id, lane.moved(id))).collect();
    }
}

#[async_trait]
impl SharedLog for MemoryLog {
    async fn appender(&self, owner: v1::Owner) -> Result<Appender, Refusal> {
        let window = Window::new();
        let mut state = self.state.lock();
        let lane = state.lanes.keys().last().map_or(1, |last| last + 1);
        let (tail, in_flight) = (Tail::new(lane, chain_of(lane, owner)), InFlight::default());
        let trail = Trail::new(lane);
        state.lanes.insert(
            lane,
            Lane {
                tail,
                frozen: vec![],
                in_flight,
                window: window.clone(),
                owner,
                trail: trail.clone(),
                length: 0,
            },
        );
        let (state, advanced) = (self.state.clone(), self.advanced.clone());
        Ok(Appender::new(
            Arc::new(Writer {
                trail,
                state,
                advanced,
            }),
            window,
        ))
    }

    async fn follow(&self, from: Lsn, what: Follow) -> Result<Follower, Refusal> {
        let trim_lsn = self.state.lock().history.trim_lsn;
        if from < trim_lsn {
            let why = format!("the log begins at LSN {trim_lsn}");
            let what = format!("cannot read the log at LSN {from}");
            let refusal = Refusal::new(Code::Trimmed, what, why);
            return Err(refusal.at(trim_lsn));
        }
        let state = self.state.clone();
        Ok(Follower::new(Reader {
            state,
            what,
            next: from.max(1),
            at: None,
        }))
    }

    async fn end(&self, _linearizable: bool) -> Result<v1::EndAnswer, Refusal> {
        let state = self.state.lock();
        let (next_lsn, log_time_us) = (state.records + 1, state.log_time_us);
        Ok(v1::EndAnswer {
            next_lsn,
            log_time_us,
            now_us: log_time_us.max(self.env.wall_us()),
            ..v1::EndAnswer::default()
        })
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        let state = self.state.lock();
        Ok(v1::HistoryAnswer {
            next_lsn: state.records + 1,
            ..state.history.clone()
        })
    }

    /// Snapshots only: there is nothing to hold back.
    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        if let Some(v1::history_change::Change::SnapshotDone(done)) = change.change {
            let known = &mut self.state.lock().history.snapshots;
            if known.last().is_none_or(|newest| newest.lsn < done.lsn) {
                known.push(done);
            }
            if known.len() > 2 {
                known.remove(0);
            }
        }
        self.history().await
    }
}

fn cut(state: &Mutex<State>, wall_us: u64) -> bool {
    let (answers, waiting) = {
        let mut state = state.lock();
        let answers = state.cut(wall_us);
        let waiting = if answers.is_empty() {
            vec![]
        } else {
            std::mem::take(&mut state.waiting)
        };
        (answers, waiting)
    };
    let some = !answers.is_empty();
    for (frozen, place) in answers {
        frozen.outcome.set(Ok(place));
    }
    waiting.into_iter().for_each(Waker::wake);
    some
}

impl State {
    fn cut(&mut self, wall_us: u64) -> Vec<(Frozen, FramePlace)> {
        let mut answers = Vec::new();
        let (cut_seq, log_time_us) = (self.cut_seq + 1, wall_us.max(self.log_time_us + 1));
        for lane in self.lanes.values_mut() {
            lane.frozen.extend(lane.tail.freeze());
            let mut cost = 0;
            for frozen in lane.frozen.drain(..) {
                let (first_lsn, frame) = (self.records + 1, frozen.frame.clone());
                self.records += u64::from(frame.header.count);
                lane.length += u64::from(frame.header.count);
                self.frames.push(FrameAt {
                    first_lsn,
                    cut_seq,
                    log_time_us,
                    frame,
                });
                cost += frozen.cost;
                answers.push((
                    frozen,
                    FramePlace {
                        first_lsn,
                        log_time_us,
                        cut_seq,
                    },
                ));
            }
            lane.in_flight = InFlight::default();
            lane.window.give_back(cost);
        }
        if !answers.is_empty() {
            (self.cut_seq, self.log_time_us) = (cut_seq, log_time_us);
        }
        answers
    }
}

fn chain_of(lane: u64, owner: v1::Owner) -> u128 {
    first_chain(CLUSTER_ID, 1, lane, owner.node_id, owner.incarnation)
}

impl Lane {
    fn moved(mut self, lane: u64) -> Lane {
        let mut tail = self.tail.hand_over(self.length);
        tail.begin(lane, chain_of(lane, self.owner));
        let frozen = self.frozen.iter().map(|frozen| tail.take_over(frozen));
        let frozen = frozen.collect();
        self.trail.goes_on(self.length, lane);
        Lane {
            tail,
            frozen,
            length: 0,
            ..self
        }
    }
}

struct Writer {
    trail: Trail,
    state: Arc<Mutex<State>>,
    advanced: Option<Arc<Notify>>,
}

impl LaneWriter for Writer {
    fn trail(&self) -> &Trail {
        &self.trail
    }

    fn push(&self, draft: Draft) -> Result<Ticket, Refusal> {
        let mut state = self.state.lock();
        let lane = state
            .lanes
            .get_mut(&self.trail.last())
            .expect("lanes of a memory log go on");
        lane.in_flight.records += 1;
        lane.in_flight.bytes += draft.record.len() as u64;
        let ticket = lane.tail.push(draft, &mut lane.frozen);
        drop(state);
        if let Some(advanced) = &self.advanced {
            advanced.notify_one();
        }
        Ok(ticket)
    }

    fn in_flight(&self) -> InFlight {
        self.state.lock().lanes[&self.trail.last()].in_flight
    }

    fn room(&self) -> Room {
        Room {
            units: 1,
            full: 0,
            write_quorum: 1,
        }
    }

    fn close(&self) {}
}

struct Reader {
    state: Arc<Mutex<State>>,
    what: Follow,
    /// The first LSN not covered yet.
    next: Lsn,
    /// Index of the first frame not looked at, once it was searched.
    at: Option<usize>,
}

impl Source for Reader {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, Refusal>> {
        let mut state = self.state.lock();
        if state.records < self.next {
            if !state
                .waiting
                .iter()
                .any(|waker| waker.will_wake(cx.waker()))
            {
                state.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let next = self.next;
        let search = || {
            state
                .frames
                .partition_point(|frame| frame.last_lsn() < next)
        };
        let at = self.at.unwrap_or_else(search);
        let end = state.frames.len().min(at + BATCH_FRAMES_MAX);
        let mut events = Vec::new();
        for frame in &state.frames[at..end] {
            if wants(&self.what.tags, &frame.frame.header.tags) {
                events.push(Event::Frame(frame.clone()));
            }
        }
        let last = &state.frames[end - 1];
        let (lsn, log_time_us) = (last.last_lsn(), last.log_time_us);
        events.push(Event::Through { lsn, log_time_us });
        (self.next, self.at) = (lsn + 1, Some(end));
        Poll::Ready(Ok(Batch { events }))
    }
}
