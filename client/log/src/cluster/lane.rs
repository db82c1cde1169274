//! One lane of this process: the append machine behind a lock, and the tasks that carry out what it says.
use std::sync::{Arc, Weak};

use dfs_wire::frame::chain_halves;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::hub::Hub;
use super::line::Line;
use super::unit_stream;
use crate::appender::{FramePlace, InFlight, Room, Ticket, Window};
use crate::machine::{Machine, Remainder, Settled};
use crate::shared_log::{Draft, FrameAt};

pub(super) struct Lane {
    id: u64,
    pub(super) stripe: u64,
    pub(super) units: Vec<v1::UnitRef>,
    pub(super) hub: Arc<Hub>,
    /// The appender's, whose lanes it and its successors are.
    line: Weak<Line>,
    window: Window,
    state: Mutex<State>,
    /// One per unit: there may be something to send.
    pub(super) wakes: Vec<Notify>,
}

struct State {
    machine: Machine,
    /// The final length, once it was heard (LOG-I6).
    sealed: Option<u64>,
    /// Why the lane takes nothing more.
    ended: Option<Refusal>,
}

/// Of a lane that was opened: its units, and how many of them must hold what is cut.
pub(super) fn write_set(opened: &v1::LaneOpened) -> Result<(Vec<u64>, usize), Refusal> {
    let (units, write_quorum) = (&opened.units, opened.write_quorum as usize);
    if write_quorum == 0 || write_quorum > units.len() {
        let why = format!("a quorum of {write_quorum} among {} units", units.len());
        let what = format!("lane {}", opened.lane);
        return Err(Refusal::new(Code::Invalid, what, why));
    }
    let ids = units.iter().map(|unit| unit.unit_id).collect();
    Ok((ids, write_quorum))
}

impl Lane {
    pub(super) fn new(line: &Arc<Line>, opened: v1::LaneOpened, machine: Machine) -> Arc<Lane> {
        Arc::new(Lane {
            id: opened.lane,
            stripe: opened.stripe,
            wakes: opened.units.iter().map(|_| Notify::new()).collect(),
            units: opened.units,
            hub: line.hub.clone(),
            line: Arc::downgrade(line),
            window: line.window.clone(),
            state: Mutex::new(State {
                machine,
                sealed: None,
                ended: None,
            }),
        })
    }

    /// Makes it known to the cuts, then carries its frames; before, nothing of it is sent.
    pub(super) fn start(self: &Arc<Self>) {
        self.hub.add_lane(self.clone());
        for unit in 0..self.units.len() {
            let stream = unit_stream::run(self.clone(), unit);
            self.hub.env.spawn("append stream", stream);
        }
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

    /// LOG-I6: nothing at or beyond the final length will ever be cut here; it goes on in a successor.
    pub(super) fn seal(&self, final_length: u64) {
        let known = *self.state.lock().sealed.get_or_insert(final_length);
        if known != final_length {
            let why = format!("it was sealed at {known}, and at {final_length}");
            self.end(Refusal::new(
                Code::Corrupt,
                format!("lane {}", self.id),
                why,
            ));
        }
        self.stir();
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.state.lock().sealed.is_some()
    }

    /// Whether it goes on where it is should be looked at.
    pub(super) fn stir(&self) {
        if let Some(line) = self.line.upgrade() {
            line.stir();
        }
    }

    /// LOG-A4: what the final length leaves goes on in the lane that `succeed` makes of it.
    pub(super) fn hand_over(&self, final_length: u64) -> Result<Remainder, Refusal> {
        let left = {
            let mut state = self.state.lock();
            state.sealed = Some(final_length);
            state.machine.hand_over(final_length)
        };
        left.map_err(|disagreement| {
            let (lane, cut) = (self.id, self.cut_idx());
            tracing::error!(lane, cut, final_length, ?disagreement, "a lane's seal");
            let why = format!("sealed at {final_length}, and it was cut up to {cut}");
            Refusal::new(Code::Corrupt, format!("lane {lane}"), why)
        })
    }

    /// It was handed over, or closed: nothing is awaited here but the cuts below its end.
    pub(super) fn leave(&self) {
        if self.with(|machine| machine.is_settled()) {
            self.hub.forget_lane(self.id);
        }
        self.wake();
    }

    pub(super) fn is_settled(&self) -> bool {
        self.with(|machine| machine.is_settled())
    }

    pub(super) fn let_go(&self) {
        self.with(Machine::let_go);
        self.wake();
    }

    /// Some of its records were cut where nobody can read them: their outcome stays unknown.
    pub(super) fn lose(&self, why: &Refusal) {
        let what = format!("lane {}", self.id);
        self.end(Refusal::new(Code::TimedOut, what, why.to_string()));
    }

    /// The sequencer and this lane disagree: nothing of the whole line can be trusted to come to its end.
    fn end(&self, refusal: Refusal) {
        match self.line.upgrade() {
            Some(line) => line.end(&refusal),
            None => self.abandon(&refusal),
        }
    }

    pub(super) fn abandon(&self, refusal: &Refusal) {
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

    pub(super) fn push(&self, draft: Draft) -> Result<Ticket, Refusal> {
        let (ticket, new, missed) = {
            let mut state = self.state.lock();
            if let Some(refusal) = &state.ended {
                return Err(refusal.clone());
            }
            let (ticket, new) = state.machine.push(draft);
            (ticket, new, new && state.machine.misses_a_unit())
        };
        if new {
            self.wake();
        }
        if missed {
            self.stir();
        }
        Ok(ticket)
    }

    pub(super) fn in_flight(&self) -> InFlight {
        self.with(|machine| machine.in_flight())
    }

    pub(super) fn room(&self) -> Room {
        self.with(|machine| machine.room())
    }

    /// No more records come; then `leave` it.
    pub(super) fn close(&self) {
        self.with(Machine::close);
    }
}
