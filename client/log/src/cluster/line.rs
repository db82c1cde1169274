//! An appender's lane and its successors: where it writes now, when that has to change, and the change (LOG-A4).
use std::sync::Arc;
use std::time::Duration;

use dfs_wire::frame::chain_of;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::hub::Hub;
use super::lane::{Lane, write_set};
use super::retry;
use crate::appender::{Appender, InFlight, LaneWriter, Room, Ticket, Trail, Window};
use crate::machine::Machine;
use crate::shared_log::Draft;
use crate::tail::Tail;

/// Fewer than W units take frames for so long: other units are asked for. As long as LOG-D6 waits.
const WEAK_TIME: Duration = Duration::from_millis(500);
/// Some unit misses frames for so long: its absence is no restart.
const MISSED_TIME: Duration = Duration::from_secs(10);
/// After an answer that there is nothing better: when fewer than W units take frames …
const WEAK_AGAIN: Duration = Duration::from_secs(1);
/// … and when W do.
const MISSED_AGAIN: Duration = Duration::from_secs(30);

pub(super) struct Line {
    pub(super) hub: Arc<Hub>,
    owner: v1::Owner,
    pub(super) window: Window,
    trail: Trail,
    state: Mutex<State>,
    /// Something happened to the lane, or it was closed.
    stirred: Notify,
}

/// Held over pushes and moves, so that records keep their order. The hub's lock is never taken under it.
struct State {
    /// None only while the line is made.
    lane: Option<Arc<Lane>>,
    /// Lanes before it that may still be cut below their final lengths, or still serve a unit that lags.
    former: Vec<Arc<Lane>>,
    ended: Option<Refusal>,
}

/// What is to be done about the lane.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    /// Look again by then.
    By(Instant),
    /// Units to do without.
    Move {
        avoid: Vec<u64>,
        urgency: Urgency,
    },
    /// The line has come to its end.
    Done,
}

/// Since when units are missed, and when to ask again.
#[derive(Default)]
struct Missed {
    weak_since: Option<Instant>,
    since: Option<Instant>,
    /// How pressing it was when it was asked last, and when to ask again.
    asked: Option<(Urgency, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Some units miss frames.
    Missed,
    /// Fewer than W take frames.
    Weak,
    /// The lane is sealed.
    Sealed,
}

/// Opens a lane, and goes on with it or its successors until all is settled.
pub(super) async fn open(hub: &Arc<Hub>, owner: v1::Owner) -> Result<Appender, Refusal> {
    // Cuts are heard first: those of a lane that was opened before the first Base would be told to nobody.
    let late = |_| Refusal::new(Code::Unavailable, "opening a lane", "no cuts are heard");
    let heard = hub.env.timeout(retry::ASK_TIME, hub.ready()).await;
    heard.map_err(late)?;
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
    let (ids, write_quorum) = write_set(&opened)?;
    let tail = Tail::new(opened.lane, chain_of(opened.chain_high, opened.chain_low));
    let machine = Machine::new(tail, &ids, write_quorum);
    let line = Arc::new(Line {
        hub: hub.clone(),
        owner,
        window: Window::new(),
        trail: Trail::new(opened.lane),
        state: Mutex::new(State {
            lane: None,
            former: Vec::new(),
            ended: None,
        }),
        stirred: Notify::new(),
    });
    let lane = Lane::new(&line, opened, machine);
    line.state.lock().lane = Some(lane.clone());
    lane.start();
    hub.env.spawn("lane moves", watch(line.clone()));
    Ok(Appender::new(line.clone(), line.window.clone()))
}

/// Moves the lane when it must, or had better; until the line has come to its end.
async fn watch(line: Arc<Line>) {
    let (mut missed, mut failures) = (Missed::default(), 0);
    loop {
        match line.look(&mut missed) {
            Look::Done => return,
            Look::Nothing => line.stirred.notified().await,
            Look::By(then) => {
                let left = then.saturating_duration_since(line.hub.env.now());
                tokio::select! {
                    biased;
                    () = line.stirred.notified() => {}
                    () = line.hub.env.sleep(left) => {}
                }
            }
            Look::Move { avoid, urgency } => match line.go_elsewhere(avoid).await {
                Ok(()) => (missed, failures) = (Missed::default(), 0),
                Err(refusal) if urgency == Urgency::Sealed && is_final(&refusal) => {
                    return line.end(&refusal);
                }
                Err(refusal) => {
                    failures += 1;
                    tracing::debug!(%refusal, lane = line.trail.last(), "the lane does not move");
                    missed.wait(urgency, failures, line.hub.env.now());
                }
            },
        }
    }
}

/// The process is not the lane's owner any more.
fn is_final(refusal: &Refusal) -> bool {
    matches!(refusal.code(), Code::Mismatch | Code::NotFound)
}

impl Line {
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    fn lane(&self) -> Option<Arc<Lane>> {
        self.state.lock().lane.clone()
    }

    fn look(&self, missed: &mut Missed) -> Look {
        let (lane, ended) = {
            let state = self.state.lock();
            (state.lane.clone(), state.ended.is_some())
        };
        let Some(lane) = lane.filter(|lane| !ended && !lane.is_settled()) else {
            return Look::Done;
        };
        let (avoid, room) = (lane.with(|machine| machine.missed_units()), lane.room());
        missed.look(avoid, &room, lane.is_sealed(), self.hub.env.now())
    }

    /// Asks for a successor, and hands over what the final length leaves (LOG-I7).
    async fn go_elsewhere(self: &Arc<Self>, avoid_units: Vec<u64>) -> Result<(), Refusal> {
        let request = v1::MoveLaneRequest {
            lane: self.trail.last(),
            owner: Some(self.owner),
            avoid_units,
        };
        let asked = async {
            let sequencer = self.hub.connector.sequencer().await?;
            sequencer.move_lane(request).await
        };
        let moved = retry::attempt(&self.hub, "moving a lane", asked).await?;
        let nowhere = || Refusal::new(Code::Invalid, "moving a lane", "it has no successor");
        let opened = moved.successor.ok_or_else(nowhere)?;
        let set = write_set(&opened)?;
        match self.go_on(moved.final_length, opened, &set) {
            Ok((former, lane)) => {
                self.hub.hear_seal(former.id(), moved.final_length);
                lane.start();
                former.leave();
            }
            Err(refusal) => self.end(&refusal),
        }
        Ok(())
    }

    /// The lane before, and the one that is written to from here on.
    fn go_on(
        self: &Arc<Self>,
        final_length: u64,
        opened: v1::LaneOpened,
        (ids, write_quorum): &(Vec<u64>, usize),
    ) -> Result<(Arc<Lane>, Arc<Lane>), Refusal> {
        let mut state = self.state.lock();
        let gone = || Refusal::new(Code::State, "moving a lane", "it has ended");
        let former = state.lane.clone().ok_or_else(gone)?;
        let left = former.hand_over(final_length)?;
        let chain = chain_of(opened.chain_high, opened.chain_low);
        let machine = Machine::succeed(left, opened.lane, chain, ids, *write_quorum);
        self.trail.goes_on(final_length, opened.lane);
        let (from, to) = (former.id(), opened.lane);
        tracing::info!(
            from,
            to,
            final_length,
            stripe = opened.stripe,
            "the lane moved"
        );
        let lane = Lane::new(self, opened, machine);
        // One that lags is served by the lane before this one at most: each keeps up to 64 MiB.
        let (settled, uncut) = state.former.drain(..).partition(|lane| lane.is_settled());
        state.former = uncut;
        let settled: Vec<Arc<Lane>> = settled;
        settled.iter().for_each(|lane| lane.let_go());
        state.former.push(former.clone());
        state.lane = Some(lane.clone());
        Ok((former, lane))
    }

    /// Nothing more is taken; whoever waits is told that nobody knows.
    pub(super) fn end(&self, refusal: &Refusal) {
        let lanes: Vec<Arc<Lane>> = {
            let mut state = self.state.lock();
            state.ended.get_or_insert_with(|| refusal.clone());
            let former = std::mem::take(&mut state.former);
            former.into_iter().chain(state.lane.clone()).collect()
        };
        lanes.iter().for_each(|lane| lane.abandon(refusal));
        self.stir();
    }
}

impl Missed {
    fn look(&mut self, avoid: Vec<u64>, room: &Room, sealed: bool, now: Instant) -> Look {
        let weak = avoid.len() > (room.units - room.write_quorum) as usize;
        let since = |since: Option<Instant>, holds: bool| holds.then(|| since.unwrap_or(now));
        self.weak_since = since(self.weak_since, weak);
        self.since = since(self.since, !avoid.is_empty());
        // Who is full says so, and is not merely late.
        let full = room.full > room.units - room.write_quorum;
        let (urgency, due) = match (sealed, self.weak_since, self.since) {
            (true, _, _) => (Urgency::Sealed, now),
            (false, Some(_), _) if full => (Urgency::Weak, now),
            (false, Some(since), _) => (Urgency::Weak, since + WEAK_TIME),
            (false, None, Some(since)) => (Urgency::Missed, since + MISSED_TIME),
            (false, None, None) => {
                self.asked = None;
                return Look::Nothing;
            }
        };
        let again = self.asked.filter(|asked| asked.0 >= urgency);
        match again.map_or(due, |(_, again)| again.max(due)) {
            due if due > now => Look::By(due),
            _ => Look::Move { avoid, urgency },
        }
    }

    /// After a refusal.
    fn wait(&mut self, urgency: Urgency, failures: u32, now: Instant) {
        let pause = match urgency {
            Urgency::Sealed => retry::pause(failures),
            Urgency::Weak => WEAK_AGAIN,
            Urgency::Missed => MISSED_AGAIN,
        };
        self.asked = Some((urgency, now + pause));
    }
}

impl LaneWriter for Line {
    fn trail(&self) -> &Trail {
        &self.trail
    }

    fn push(&self, draft: Draft) -> Result<Ticket, Refusal> {
        let state = self.state.lock();
        match (&state.ended, &state.lane) {
            (Some(refusal), _) => Err(refusal.clone()),
            (None, Some(lane)) => lane.push(draft),
            (None, None) => Err(Refusal::new(Code::State, "lane", "it is not open yet")),
        }
    }

    fn in_flight(&self) -> InFlight {
        let state = self.state.lock();
        let lanes = state.former.iter().chain(&state.lane);
        lanes.fold(InFlight::default(), |sum, lane| {
            let InFlight { records, bytes } = lane.in_flight();
            InFlight {
                records: sum.records + records,
                bytes: sum.bytes + bytes,
            }
        })
    }

    fn room(&self) -> Room {
        let none = Room {
            units: 0,
            full: 0,
            write_quorum: 1,
        };
        self.lane().map_or(none, |lane| lane.room())
    }

    fn close(&self) {
        let lane = {
            let state = self.state.lock();
            state.lane.iter().for_each(|lane| lane.close());
            state.lane.clone()
        };
        lane.iter().for_each(|lane| lane.leave());
        self.stir();
    }
}
