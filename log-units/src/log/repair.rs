//! What this unit lacks, or holds damaged, is fetched from its peers (LOG-U1, LOG-U7).
//!
//! One fetch at a time: what is held unverified, and what waits for the disk, is bounded by that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::roles::{Answers, Connector, LogUnit};
use dfs_wire::frame::{Frame, FrameHead};
use dfs_wire::v1::fetch_request::Wanted;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::log::ledger::{Ledger, STAGED_BYTES_MAX};
use crate::log::owner::{Mend, Order};
use crate::unit::lane::Want;
use crate::unit::stamps::{Given, Unknown};
use crate::unit::state::Peer;
use crate::unit::trail::{Astray, Survey, Trail};

/// The end of a lane that does not grow for so long is not being sent by its appender: beyond the time
/// for which one holds back.
const PATIENCE: Duration = Duration::from_millis(250);
/// Between two looks while something is missing.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After a fetch that did not bring what was asked for, doubled each time up to the second number.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A peer that says nothing for so long is left for the next one.
const PEER_WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Repair {
    pub(crate) env: Env,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) queue: mpsc::Sender<Order>,
    pub(crate) connector: Arc<dyn Connector>,
}

/// A part of a lane, by where it begins; lane 0 with an LSN stands for stamps.
type Place = (u64, u64);

/// What was tried, and what is waited for.
#[derive(Default)]
struct Memory {
    /// Ends of lanes: held up to here, since then.
    tails: BTreeMap<u64, (u64, Instant)>,
    /// How often a place was asked for that is missing still, and when it is tried again.
    tried: BTreeMap<Place, (u32, Instant)>,
    /// Where the last look ended, so that all lanes have their turn.
    last: Place,
    /// Whom to begin with.
    turn: usize,
    /// Of units that were not found where the sequencer had said.
    addresses: BTreeMap<u64, String>,
}

enum Due {
    Frames(Want),
    Stamps(Unknown),
    /// Something is missing, and it is not its time yet.
    Later,
    Nothing,
}

impl Unknown {
    fn place(&self) -> Place {
        (0, self.lsns.start)
    }
}

impl Memory {
    fn is_due(&mut self, want: &Want, now: Instant) -> bool {
        if want.is_tail {
            let tail = self.tails.entry(want.lane).or_insert((want.first_idx, now));
            if tail.0 != want.first_idx {
                *tail = (want.first_idx, now);
            }
            if now < tail.1 + PATIENCE {
                return false;
            }
        }
        self.may_try((want.lane, want.first_idx), now)
    }

    fn may_try(&self, place: Place, now: Instant) -> bool {
        self.tried
            .get(&place)
            .is_none_or(|(_, until)| now >= *until)
    }

    /// Whatever came of it: what is still missing there is not asked for again at once, and what was
    /// moved on is another place.
    fn tried(&mut self, place: Place, now: Instant) {
        self.turn += 1;
        self.last = place;
        let (times, until) = self.tried.entry(place).or_insert((0, now));
        let pause = PAUSE.0 * (1 << (*times).min(10));
        (*times, *until) = (*times + 1, now + pause.min(PAUSE.1));
    }

    /// What is no longer missing needs no memory.
    fn keep(&mut self, wants: &[Want], unknown: &[Unknown]) {
        let stamps = |place: &Place| unknown.iter().any(|unknown| unknown.place() == *place);
        let lacks = |place: &Place| {
            wants
                .iter()
                .any(|want| (want.lane, want.first_idx) == *place)
        };
        self.tried.retain(|place, _| lacks(place) || stamps(place));
        self.tails
            .retain(|lane, _| wants.iter().any(|want| want.is_tail && want.lane == *lane));
    }
}

impl Repair {
    /// Until the role stops.
    pub(crate) async fn run(self) {
        let ledger = self.ledger.clone();
        tokio::select! {
            biased;
            () = ledger.stopped() => {}
            () = self.mend_for_ever() => {}
        }
    }

    async fn mend_for_ever(&self) {
        let mut memory = Memory::default();
        let mut changed = self.ledger.watch_readable();
        loop {
            changed.mark_unchanged();
            match self.look(&mut memory) {
                Due::Frames(want) => self.mend(&mut memory, &want).await,
                Due::Stamps(unknown) => self.learn(&mut memory, &unknown).await,
                Due::Later => self.env.sleep(LOOK_EVERY).await,
                Due::Nothing => {
                    if changed.changed().await.is_err() {
                        return;
                    }
                    self.env.sleep(PATIENCE).await; // most of what is new is on its way
                }
            }
        }
    }

    fn look(&self, memory: &mut Memory) -> Due {
        let now = self.env.now();
        let (wants, unknown) = {
            let state = self.ledger.state.lock();
            (state.wants(), state.unknown())
        };
        memory.keep(&wants, &unknown);
        let due: Vec<&Want> = wants
            .iter()
            .filter(|want| memory.is_due(want, now))
            .collect();
        let after = |want: &&&Want| (want.lane, want.first_idx) > memory.last;
        if let Some(want) = due.iter().find(after).or(due.first()) {
            return Due::Frames((*want).clone());
        }
        let missing = !wants.is_empty() || !unknown.is_empty();
        let mut unknown = unknown.into_iter();
        match unknown.find(|unknown| memory.may_try(unknown.place(), now)) {
            Some(unknown) => Due::Stamps(unknown),
            None if missing => Due::Later,
            None => Due::Nothing,
        }
    }

    async fn mend(&self, memory: &mut Memory, want: &Want) {
        let peers = self.ledger.state.lock().peers_of_lane(want.lane);
        let mut mended = false;
        for at in 0..peers.len() {
            let peer = &peers[(memory.turn + at) % peers.len()];
            match self.mend_from(memory, peer, want).await {
                Ok(()) => {
                    mended = true;
                    break;
                }
                Err(refusal) => self.complain(peer, &refusal),
            }
        }
        self.ledger.metrics.bytes_to_fetch.set(0);
        if !mended {
            self.find_peers(memory).await;
        }
        memory.tried((want.lane, want.first_idx), self.env.now());
    }

    fn complain(&self, peer: &Peer, refusal: &Refusal) {
        let (unit_id, peer) = (self.ledger.config.unit_id, peer.unit_id);
        if refusal.code() == Code::Conflict {
            tracing::error!(unit_id, peer, %refusal, "fetch from a peer: not what was cut");
        } else {
            tracing::debug!(unit_id, peer, %refusal, "fetch from a peer");
        }
    }

    async fn peer(&self, memory: &Memory, peer: &Peer) -> Result<Arc<dyn LogUnit>, Refusal> {
        let address = memory.addresses.get(&peer.unit_id).unwrap_or(&peer.address);
        let found = self.connector.unit(peer.unit_id, address);
        self.in_time(found).await?
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let late = |_| Refusal::new(Code::TimedOut, "fetch", "the peer says nothing");
        self.env.timeout(PEER_WAIT, work).await.map_err(late)
    }

    /// Nobody had it: some may answer elsewhere by now.
    async fn find_peers(&self, memory: &mut Memory) {
        let asking = async { self.connector.sequencer().await?.status().await };
        if let Ok(Ok(status)) = self.in_time(asking).await {
            let units = status.members.unwrap_or_default().units;
            let found = units.into_iter().map(|unit| (unit.unit_id, unit.address));
            memory.addresses = found.collect();
        }
    }

    async fn mend_from(&self, memory: &Memory, peer: &Peer, want: &Want) -> Result<(), Refusal> {
        let role = self.peer(memory, peer).await?;
        let unit_id = peer.unit_id;
        let mut trail = Trail::new(want);
        if !self.carry(&*role, unit_id, want, &mut trail).await? {
            let anchors = self.survey(&*role, unit_id, want).await?;
            trail = Trail::over(want, anchors);
            self.carry(&*role, unit_id, want, &mut trail).await?;
        }
        Ok(())
    }

    async fn frames(
        &self,
        role: &dyn LogUnit,
        unit_id: u64,
        want: &Want,
        heads_only: bool,
    ) -> Result<Answers<v1::FetchBatch>, Refusal> {
        let frames = v1::FetchFrames {
            lane: want.lane,
            first_idx: want.first_idx,
            end_idx: want.until_idx(),
            heads_only,
        };
        let request = v1::FetchRequest {
            unit_id,
            wanted: Some(Wanted::Frames(frames)),
        };
        self.in_time(role.fetch(request)).await?
    }

    /// Fetches and writes. False: the next known place is so far that it has to be surveyed first.
    /// A peer that has only a part has helped.
    async fn carry(
        &self,
        role: &dyn LogUnit,
        unit_id: u64,
        want: &Want,
        trail: &mut Trail,
    ) -> Result<bool, Refusal> {
        let mut batches = self.frames(role, unit_id, want, false).await?;
        let mut written: VecDeque<oneshot::Receiver<()>> = VecDeque::new();
        let mut wrote = false;
        let ended = loop {
            let batch = match self.in_time(batches.next()).await? {
                None => break Ok(true),
                Some(Ok(batch)) => batch,
                Some(Err(refusal)) => break Err(refusal),
            };
            self.ledger.metrics.bytes_to_fetch.set(batch.bytes_left);
            let frames = verified(trail, batch)?;
            if !frames.is_empty() {
                wrote = true;
                written.push_back(self.hand_over(want, frames).await?);
            }
            while written.len() > 1 {
                settle(&mut written).await; // one is written while the next is on its way
            }
            if trail.is_too_long() {
                break Ok(false);
            }
        };
        while !written.is_empty() {
            settle(&mut written).await;
        }
        match ended {
            Ok(true) if !wrote => Err(nothing(want)),
            Err(_) if wrote => Ok(true),
            ended => ended,
        }
    }

    async fn hand_over(
        &self,
        want: &Want,
        frames: Vec<Frame>,
    ) -> Result<oneshot::Receiver<()>, Refusal> {
        let bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
        self.ledger.metrics.fetched_bytes.add(bytes as u64);
        let bytes = bytes.min(STAGED_BYTES_MAX) as u32;
        let stopped = || Refusal::new(Code::Unavailable, "fetch", "this unit has stopped");
        let room = self.ledger.room.clone().acquire_many_owned(bytes).await;
        let (done, ended) = oneshot::channel();
        let mend = Mend {
            lane: want.lane,
            frames,
            room: room.map_err(|_| stopped())?,
            done,
        };
        let sent = self.queue.send(Order::Mend(mend)).await;
        sent.map_err(|_| stopped())?;
        Ok(ended)
    }

    /// Too long to hold until a known place: heads first.
    async fn survey(
        &self,
        role: &dyn LogUnit,
        unit_id: u64,
        want: &Want,
    ) -> Result<VecDeque<(u64, u128)>, Refusal> {
        let mut batches = self.frames(role, unit_id, want, true).await?;
        let mut survey = Survey::new(want);
        while let Some(Ok(batch)) = self.in_time(batches.next()).await? {
            for head in batch.heads {
                let head = FrameHead::parse(&head).map_err(|e| unreadable(want, &e))?;
                survey.take(&head).map_err(|e| astray(want, e))?;
            }
        }
        survey.anchors(want).map_err(|e| astray(want, e))
    }

    async fn learn(&self, memory: &mut Memory, unknown: &Unknown) {
        let mut given = Vec::new();
        for stripe in &unknown.stripes {
            let (set_aside, peers) = {
                let state = self.ledger.state.lock();
                let set_aside = state.given_set_aside(*stripe, &unknown.lsns);
                (set_aside, state.peers(*stripe).to_vec())
            };
            if let Some(set_aside) = set_aside {
                given.push(set_aside);
                continue;
            }
            for at in 0..peers.len() {
                let peer = &peers[(memory.turn + at) % peers.len()];
                match self.learn_from(memory, peer, *stripe, unknown).await {
                    Ok(said) => {
                        given.push(said);
                        break;
                    }
                    Err(refusal) => self.complain(peer, &refusal),
                }
            }
        }
        let asked_all = given.len() == unknown.stripes.len();
        let learnt = {
            let mut state = self.ledger.state.lock();
            (asked_all && state.learn_given(unknown, &given)) || state.rest_lies_elsewhere(unknown)
        };
        if learnt {
            self.ledger.now_readable();
            let _ = self.queue.send(Order::Notes).await; // else it has stopped
        } else {
            self.find_peers(memory).await;
        }
        memory.tried(unknown.place(), self.env.now());
    }

    async fn learn_from(
        &self,
        memory: &Memory,
        peer: &Peer,
        stripe: u64,
        unknown: &Unknown,
    ) -> Result<Given, Refusal> {
        let stamps = v1::FetchStamps {
            stripe,
            from_lsn: unknown.lsns.start,
            end_lsn: unknown.lsns.end,
        };
        let request = v1::FetchRequest {
            unit_id: peer.unit_id,
            wanted: Some(Wanted::Stamps(stamps)),
        };
        let role = self.peer(memory, peer).await?;
        let mut batches = self.in_time(role.fetch(request)).await??;
        let ended = || Refusal::new(Code::Unavailable, "fetch stamps", "it ended");
        let batch = self.in_time(batches.next()).await?.ok_or_else(ended)??;
        Ok(Given {
            runs: batch.runs,
            known_until_lsn: batch.known_until_lsn,
        })
    }
}

/// The frames of a batch that lead to a known place, with those that waited for it (LOG-U4).
fn verified(trail: &mut Trail, batch: v1::FetchBatch) -> Result<Vec<Frame>, Refusal> {
    let mut frames = Vec::new();
    for bytes in batch.frames {
        let frame = Frame::parse(bytes)
            .map_err(|e| Refusal::new(Code::Corrupt, "a fetched frame", e.to_string()))?;
        let what = format!("lane {}", frame.header.lane);
        let led = trail.take(frame);
        frames.extend(led.map_err(|e| Refusal::new(Code::Conflict, what, e.to_string()))?);
    }
    Ok(frames)
}

/// Waits until all frames of one order are durable, or were of no use any more.
async fn settle(written: &mut VecDeque<oneshot::Receiver<()>>) {
    if let Some(done) = written.pop_front() {
        let _ = done.await; // it is dropped with the last of them
    }
}

fn nothing(want: &Want) -> Refusal {
    let what = format!("lane {} from idx {}", want.lane, want.first_idx);
    Refusal::new(Code::NotYet, what, "the peer has not so much")
}

fn unreadable(want: &Want, error: &dfs_wire::frame::FrameError) -> Refusal {
    Refusal::new(
        Code::Corrupt,
        format!("lane {}", want.lane),
        error.to_string(),
    )
}

fn astray(want: &Want, error: Astray) -> Refusal {
    Refusal::new(
        Code::Conflict,
        format!("lane {}", want.lane),
        error.to_string(),
    )
}
