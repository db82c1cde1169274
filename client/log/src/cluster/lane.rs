//! One lane of this process: the append machine behind a lock, and the tasks that carry out what it says.
use std::sync::Arc;

use dfs_wire::frame::{chain_halves, chain_of};
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::hub::Hub;
use super::{retry, unit_stream};
use crate::appender::{Appender, FramePlace, InFlight, LaneWriter, Room, Ticket, Window};
use crate::machine::{Machine, Settled};
use crate::shared_log::{Draft, FrameAt};
use crate::tail::Tail;

pub(super) struct Lane {
    id: u64,
    pub(super) stripe: u64,
    pub(super) units: Vec<v1::UnitRef>,
    pub(super) hub: Arc<Hub>,
    window: Window,
    state: Mutex<State>,
    /// One per unit: there may be something to send.
    pub(super) wakes: Vec<Notify>,
}

struct State {
    machine: Machine,
    /// Why the lane takes nothing more.
    ended: Option<Refusal>,
}

/// Opens a lane and starts one task per unit.
pub(super) async fn open(hub: &Arc<Hub>, owner: v1::Owner) -> Result<Appender, Refusal> {
    let request_id = hub.env.random_u128().to_be_bytes().to_vec().into();
    let request = v1::OpenLaneRequest {
        request_id,
        owner: Some(owner),
    };
    let opened = retry::ask(hub, "opening a lane", |sequencer| {
        let request = request.clone();
        async move { sequencer.open_lane(request).await }
    })
    .await?;
    let lane = Lane::new(hub.clone(), opened)?;
    hub.add_lane(lane.clone());
    for unit in 0..lane.units.len() {
        hub.env
            .spawn("append stream", unit_stream::run(lane.clone(), unit));
    }
    Ok(Appender::new(lane.clone(), lane.window.clone()))
}

impl Lane {
    fn new(hub: Arc<Hub>, opened: v1::LaneOpened) -> Result<Arc<Lane>, Refusal> {
        let (units, write_quorum) = (opened.units, opened.write_quorum as usize);
        if write_quorum == 0 || write_quorum > units.len() {
            let why = format!("a quorum of {write_quorum} among {} units", units.len());
            return Err(Refusal::new(
                Code::Invalid,
                format!("lane {}", opened.lane),
                why,
            ));
        }
        let tail = Tail::new(opened.lane, chain_of(opened.chain_high, opened.chain_low));
        let ids: Vec<u64> = units.iter().map(|unit| unit.unit_id).collect();
        let machine = Machine::new(tail, &ids, write_quorum);
        Ok(Arc::new(Lane {
            id: opened.lane,
            stripe: opened.stripe,
            wakes: units.iter().map(|_| Notify::new()).collect(),
            units,
            hub,
            window: Window::new(),
            state: Mutex::new(State {
                machine,
                ended: None,
            }),
        }))
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The machine, under its lock: nothing that waits or wakes in `f`.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Machine) -> T) -> T {
        f(&mut self.state.lock().machine)
    }

    pub(super) fn wake(&self) {
        self.wakes.iter().for_each(Notify::notify_one);
    }

    pub(super) fn cut_idx(&self) -> u64 {
        self.with(|machine| machine.cut_idx())
    }

    pub(super) fn has_uncut(&self) -> bool {
        self.with(|machine| machine.in_flight().records > 0)
    }

    pub(super) fn lagging(&self) -> Vec<v1::UnitLag> {
        self.with(|machine| {
            let lag = |(unit_id, durable_idx, cut_idx)| v1::UnitLag {
                unit_id,
                lane: self.id,
                durable_idx,
                cut_idx,
            };
            machine.given_up().map(lag).collect()
        })
    }

    /// A run of this lane was cut; none: the lane is not what the sequencer thinks (LOG-I1, LOG-I4).
    pub(super) fn cut(&self, run: &v1::CutLane, place: FramePlace) -> Option<Settled> {
        match self.with(|machine| machine.cut(run, place)) {
            Ok(settled) => Some(settled),
            Err(disagreement) => {
                let (lane, from, to) = (self.id, run.from_idx, run.to_idx);
                tracing::error!(lane, from, to, ?disagreement, "a cut and the lane disagree");
                let why = format!("cut {from}…{to} disagrees with what was sent");
                self.end(Refusal::new(Code::Corrupt, format!("lane {lane}"), why));
                None
            }
        }
    }

    /// Gives back the window and wakes who waits.
    pub(super) fn answer(&self, settled: Settled) {
        self.window.give_back(settled.cost);
        for (outcome, place) in settled.answers {
            outcome.set(Ok(place));
        }
        if self.with(|machine| machine.is_settled()) {
            self.hub.forget_lane(self.id);
            self.wake();
        }
    }

    /// A frame of this lane whose cut was missed, as a unit stamped it.
    pub(super) fn found(&self, at: &FrameAt) {
        let header = &at.frame.header;
        let (chain_high, chain_low) = chain_halves(at.frame.chain_after());
        let (from_idx, to_idx) = (header.first_idx, at.frame.end_idx());
        let run = v1::CutLane {
            lane: self.id,
            from_idx,
            to_idx,
            chain_high,
            chain_low,
        };
        let FrameAt {
            first_lsn,
            cut_seq,
            log_time_us,
            ..
        } = *at;
        if let Some(settled) = self.cut(
            &run,
            FramePlace {
                first_lsn,
                log_time_us,
                cut_seq,
            },
        ) {
            self.answer(settled);
        }
    }

    /// LOG-I6: nothing at or beyond the final length will ever be cut.
    pub(super) fn seal(&self, final_length: u64) {
        let why = format!("sealed at {final_length}");
        self.end(Refusal::new(
            Code::Unavailable,
            format!("lane {}", self.id),
            why,
        ));
    }

    /// Some of its records were cut where nobody can read them: their outcome stays unknown.
    pub(super) fn lose(&self, why: &Refusal) {
        let what = format!("lane {}", self.id);
        self.end(Refusal::new(Code::TimedOut, what, why.to_string()));
    }

    fn end(&self, refusal: Refusal) {
        let waiting = {
            let mut state = self.state.lock();
            state.ended = Some(refusal.clone());
            state.machine.abandon()
        };
        self.window.close();
        waiting
            .iter()
            .for_each(|outcome| outcome.set(Err(refusal.clone())));
        self.wake();
    }
}

impl LaneWriter for Lane {
    fn lane(&self) -> u64 {
        self.id
    }

    fn push(&self, draft: Draft) -> Result<Ticket, Refusal> {
        let (ticket, new) = {
            let mut state = self.state.lock();
            if let Some(refusal) = &state.ended {
                return Err(refusal.clone());
            }
            state.machine.push(draft)
        };
        if new {
            self.wake();
        }
        Ok(ticket)
    }

    fn in_flight(&self) -> InFlight {
        self.with(|machine| machine.in_flight())
    }

    fn room(&self) -> Room {
        self.with(|machine| machine.room())
    }

    fn close(&self) {
        let settled = self.with(|machine| {
            machine.close();
            machine.is_settled()
        });
        if settled {
            self.hub.forget_lane(self.id);
        }
        self.wake();
    }
}
