//! The one task that changes a unit's log: appends, cuts and seals pass through its queue (LOG-U2).
//!
//! stage → write → fdatasync → Durable. While one round is written and synced, more is staged; all of
//! it goes into the next round.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dfs_env::Env;
use dfs_segment::{Position, Writer};
use dfs_wire::frame::Frame;
use dfs_wire::v1::unit_order::Order as Told;
use dfs_wire::{Code, Refusal, v1};
use futures::future::OptionFuture;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::log::board::Board;
use crate::log::ledger::Ledger;
use crate::log::round::{Room, Round, Rounds, StagedFrame, Writing};
use crate::log::traced::{Traced, of_frame};
use crate::unit::lane::{Mends, Staged};
use crate::unit::note::Note;
use crate::unit::recover::synced_stamp;

/// Messages that may wait for the owner: it takes them in microseconds, also while it writes.
pub(crate) const QUEUE_MAX: usize = 256;
/// What an appender may have in flight beyond staged; four full messages of frames would overrun it.
const WINDOW_BYTES: u64 = 8 << 20;

/// What the owner is asked to do.
pub(crate) enum Order {
    Append(Append),
    Mend(Mend),
    /// Facts of applied state, in order; the answer says whether the conversation may go on.
    Told(Vec<v1::UnitOrder>, oneshot::Sender<Result<(), Refusal>>),
    /// There are notes to write, which nobody else would wake it for.
    Notes,
    Stop(oneshot::Sender<()>),
}

/// Frames of one lane, verified, in order.
pub(crate) struct Append {
    pub(crate) lane: u64,
    pub(crate) frames: Vec<Frame>,
    /// Of these frames.
    pub(crate) traces: Vec<v1::FrameTrace>,
    pub(crate) board: Arc<Board>,
    /// Room for their bytes, given back once they are durable.
    pub(crate) room: OwnedSemaphorePermit,
}

/// Frames of one lane that a peer gave: verified, in order.
pub(crate) struct Mend {
    pub(crate) lane: u64,
    pub(crate) frames: Vec<Frame>,
    pub(crate) room: OwnedSemaphorePermit,
    /// Dropped once they are durable, or not needed any more.
    pub(crate) done: oneshot::Sender<()>,
}

/// On the way to a shorter stream (LOG.md §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    Nothing,
    /// Something was trimmed.
    Due,
    /// Notes are being written, without which nothing below may be released.
    Noting(Position),
    Ready(Position),
}

pub(crate) struct Owner {
    env: Env,
    ledger: Arc<Ledger>,
    staged: VecDeque<StagedFrame>,
    rounds: Rounds,
    release: Release,
    /// Who appends to each lane; kept while its stream lives.
    boards: BTreeMap<u64, Weak<Board>>,
}

impl Owner {
    pub(crate) fn new(env: Env, ledger: Arc<Ledger>, writer: Writer) -> Owner {
        let rounds = Rounds::new(env.clone(), ledger.clone(), writer);
        let (staged, boards) = (VecDeque::new(), BTreeMap::new());
        let release = Release::Nothing;
        Owner {
            env,
            ledger,
            staged,
            rounds,
            release,
            boards,
        }
    }

    /// Runs until `Stop`, the end of its users, or a failure (LOG-U3).
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        if let Err(why) = self.serve(&mut queue).await {
            self.ledger.failure.set(why);
            self.ledger.stop();
        }
    }

    async fn serve(&mut self, queue: &mut mpsc::Receiver<Order>) -> Result<(), String> {
        let mut writing: Option<Writing> = None;
        let mut stopped: Option<oneshot::Sender<()>> = None;
        loop {
            if writing.is_none() {
                writing = self.begin_round(stopped.is_some()).await?;
            }
            if writing.is_none()
                && let Some(reply) = stopped.take()
            {
                self.rounds.mark(true).await?;
                let _ = reply.send(()); // whoever stops us may have given up waiting
                return Ok(());
            }
            let wake = self.rounds.next_wake();
            tokio::select! {
                biased;
                Some(ended) = OptionFuture::from(writing.as_mut()) => {
                    writing = None;
                    if let Some(mut round) = self.rounds.end(ended)? {
                        self.place(&round);
                        self.trace_durable(&mut round);
                        self.report(&round);
                    }
                }
                order = queue.recv(), if stopped.is_none() => match order {
                    Some(Order::Stop(reply)) => stopped = Some(reply),
                    Some(order) => self.carry_out(order)?,
                    None => return Ok(()),
                },
                () = self.env.sleep(wake) => self.rounds.mark(false).await?,
            }
        }
    }

    async fn begin_round(&mut self, stopping: bool) -> Result<Option<Writing>, String> {
        if let Some(full) = self.rounds.look_at_room().await? {
            self.set_full(full);
        }
        if stopping && self.rounds.is_turned_away() {
            return Ok(None); // never reported; it does not keep the role from stopping
        }
        #[cfg(test)]
        if self.ledger.config.reports_before_sync {
            self.lie();
        }
        match self.release {
            Release::Due if !self.rounds.is_turned_away() => {
                let planned = self.rounds.plan_release();
                self.release = planned.map_or(Release::Nothing, Release::Noting);
            }
            Release::Ready(before) => {
                self.release = Release::Nothing;
                return Ok(self.rounds.release(before));
            }
            Release::Nothing | Release::Due | Release::Noting(_) => {}
        }
        self.rounds.begin(&mut self.staged, stopping)
    }

    /// The defect on purpose: what is only staged is said to be durable.
    #[cfg(test)]
    fn lie(&mut self) {
        let mut state = self.ledger.state.lock();
        for staged in &self.staged {
            let frame = &staged.frame;
            state.synced(frame.header.lane, frame.end_idx(), frame.chain_after());
        }
        drop(state);
        self.ledger.now_tellable();
    }

    fn carry_out(&mut self, order: Order) -> Result<(), String> {
        match order {
            Order::Append(append) => self.append(append),
            Order::Mend(mend) => self.mend(mend),
            Order::Told(orders, reply) => {
                let _ = reply.send(self.told(&orders)); // the conversation may have ended
            }
            Order::Notes | Order::Stop(_) => {}
        }
        match self.ledger.state.lock().went_back() {
            // LOG-U9: never papered over.
            Some(lane) => Err(format!("the log went back: lane {lane} was cut otherwise")),
            None => Ok(()),
        }
    }

    /// LOG-U2: through the same queue, files and sync as everything else. The headroom of a full disk
    /// is there for it (LOG-U8).
    fn mend(&mut self, mend: Mend) {
        let room = Arc::new(Room {
            _permit: mend.room,
            _done: Some(mend.done),
        });
        let mut state = self.ledger.state.lock();
        for frame in mend.frames {
            let mends = match state.mends(&frame) {
                Mends::Nothing => continue,
                Mends::Middle => true,
                Mends::Tail if state.stage(&frame) == Some(Staged::Taken) => false,
                Mends::Tail => break, // told otherwise meanwhile: it is looked at anew
            };
            let frame = Arc::new(frame);
            self.ledger.cache.insert(frame.clone());
            self.staged.push_back(StagedFrame {
                frame,
                mends,
                _room: room.clone(),
                traced: None,
            });
        }
        drop(state);
        self.ledger.now_readable();
        self.post_credits(vec![mend.lane]);
    }

    /// LOG-U1, LOG-U5, LOG-U8: takes what fits, says what is expected otherwise.
    fn append(&mut self, append: Append) {
        let Append {
            lane,
            frames,
            mut traces,
            board,
            room,
        } = append;
        let room = Arc::new(Room {
            _permit: room,
            _done: None,
        });
        let mut credit = v1::Credit {
            lane,
            ..Default::default()
        };
        let mut refused = None;
        {
            let mut state = self.ledger.state.lock();
            let agreed_before = state.lane(lane).map_or(0, |lane| lane.agreed_idx());
            for frame in frames {
                if state.is_full() && !frame.header.privileged {
                    break;
                }
                match state.stage(&frame) {
                    Some(Staged::Taken) => {
                        let frame = Arc::new(frame);
                        self.ledger.cache.insert(frame.clone());
                        let traced = of_frame(&mut traces, frame.end_idx()).map(|trace| {
                            let stripe = state.lane(lane).and_then(|lane| lane.stripe);
                            let config = &self.ledger.config;
                            Traced::begin(&self.env, config, &frame.header, stripe, trace)
                        });
                        self.staged.push_back(StagedFrame {
                            frame,
                            mends: false,
                            _room: room.clone(),
                            traced,
                        });
                    }
                    Some(Staged::Duplicate) => {}
                    Some(Staged::Gap { .. }) => credit.gap = true,
                    None => credit.unknown_lane = true,
                    Some(wrong) => refused = Some(refusal(&frame, &wrong)),
                }
                if credit.gap || credit.unknown_lane || refused.is_some() {
                    break;
                }
            }
            if state
                .lane(lane)
                .is_some_and(|lane| lane.agreed_idx() > agreed_before)
            {
                self.ledger.now_readable();
            }
            fill_credit(&mut credit, &state);
        }
        if !credit.unknown_lane {
            self.boards.insert(lane, Arc::downgrade(&board));
        }
        board.post(credit);
        if let Some(refusal) = refused {
            match refusal.code() {
                // Its owner has not heard of the seal yet: what lies beyond it goes on elsewhere (LOG-A4).
                Code::State => tracing::debug!(lane, why = %refusal, "append frames"),
                _ => tracing::error!(lane, why = %refusal, "append frames"),
            }
            board.refuse(refusal);
        }
    }

    fn told(&mut self, orders: &[v1::UnitOrder]) -> Result<(), Refusal> {
        let mut state = self.ledger.state.lock();
        let (mut told, mut trimmed) = (Ok(()), false);
        for order in orders {
            told = match &order.order {
                Some(Told::Base(base)) => {
                    trimmed |= base.trim_lsn > 1;
                    state.base(base)
                }
                Some(Told::Cut(cut)) => state.cut(cut),
                Some(Told::LaneOpened(opened)) => {
                    state.lane_opened(opened);
                    Ok(())
                }
                Some(Told::LaneSealed(sealed)) => {
                    state.lane_sealed(sealed);
                    Ok(())
                }
                Some(Told::StripeClosed(closed)) => {
                    state.stripe_closed(closed);
                    Ok(())
                }
                Some(Told::StripeChanged(changed)) => {
                    state.stripe_changed(changed);
                    Ok(())
                }
                Some(Told::Trimmed(told)) => {
                    trimmed = true;
                    state.trim(told.trim_lsn);
                    Ok(())
                }
                None => Ok(()), // of a newer sequencer: not for us
            };
            if told.is_err() {
                break;
            }
        }
        let disagreed = state.take_disagreed();
        drop(state);
        if trimmed && self.release == Release::Nothing {
            self.release = Release::Due;
        }
        for lane in disagreed {
            tracing::error!(
                lane,
                "hold own frames against a cut: they differ and are set aside"
            );
        }
        self.ledger.now_readable();
        self.ledger.now_tellable();
        told
    }

    /// Now readers can find the frames on the disk.
    fn place(&self, round: &Round) {
        let mut state = self.ledger.state.lock();
        for (staged, position) in round.frames.iter().zip(&round.positions) {
            let frame = &staged.frame;
            let (lane, end_idx) = (frame.header.lane, frame.end_idx());
            state.written(lane, end_idx, frame.chain_after(), *position);
        }
        drop(state);
        self.ledger.cache.written(round.frames.len());
        let records = round
            .frames
            .iter()
            .map(|staged| u64::from(staged.frame.header.count));
        let metrics = &self.ledger.metrics;
        metrics.frames.add(round.frames.len() as u64);
        metrics.records.add(records.sum());
        let bytes = round
            .frames
            .iter()
            .map(|staged| staged.frame.bytes().len() as u64);
        metrics.bytes.add(bytes.sum());
    }

    /// The next report tells the sequencer for whom these frames are.
    fn trace_durable(&self, round: &mut Round) {
        for staged in &mut round.frames {
            if let Some(traced) = staged.traced.take() {
                self.ledger.trace(traced.durable());
            }
        }
    }

    /// LOG-I3: after a successful fdatasync, never before.
    fn report(&mut self, round: &Round) {
        let mut lanes = BTreeMap::new();
        for staged in round.frames.iter().filter(|staged| !staged.mends) {
            let frame = &staged.frame;
            lanes.insert(frame.header.lane, (frame.end_idx(), frame.chain_after()));
        }
        if let Release::Noting(before) = self.release
            && round
                .notes
                .iter()
                .any(|note| matches!(note, Note::Begin(_)))
        {
            self.release = Release::Ready(before);
        }
        let mut state = self.ledger.state.lock();
        state.notes_synced(round.notes.len());
        for note in &round.notes {
            if let Note::Stamp(stamp) = note {
                state.stamp_synced(synced_stamp(stamp));
            }
        }
        lanes
            .iter()
            .for_each(|(lane, (end_idx, chain))| state.synced(*lane, *end_idx, *chain));
        let mended = mend_all(&mut state, round);
        drop(state);
        if mended > 0 {
            self.ledger.metrics.mended_frames.add(mended);
            self.ledger.now_readable();
        }
        self.ledger.now_tellable();
        self.post_credits(lanes.into_keys().collect());
    }

    fn post_credits(&mut self, lanes: Vec<u64>) {
        let state = self.ledger.state.lock();
        for lane in lanes {
            let board = self.boards.get(&lane).and_then(Weak::upgrade);
            let Some(board) = board else {
                self.boards.remove(&lane);
                continue;
            };
            let mut credit = v1::Credit {
                lane,
                ..Default::default()
            };
            fill_credit(&mut credit, &state);
            board.post(credit);
        }
    }

    /// LOG-U8: Credit 0 to everybody, and again when room is back.
    fn set_full(&mut self, full: bool) {
        let mut state = self.ledger.state.lock();
        if state.is_full() == full {
            return;
        }
        state.set_full(full);
        drop(state);
        tracing::warn!(
            unit_id = self.ledger.config.unit_id,
            full,
            "look at the disk's room"
        );
        self.ledger.now_tellable();
        self.post_credits(self.boards.keys().copied().collect());
    }
}

/// Frames in the place of damaged ones count from here on. Says how many did.
fn mend_all(state: &mut crate::unit::state::Unit, round: &Round) -> u64 {
    let all = round.frames.iter().zip(&round.positions);
    let mends = all.filter(|(staged, _)| staged.mends);
    let mended = mends.filter(|(staged, position)| state.mended(&staged.frame, **position));
    mended.count() as u64
}

fn fill_credit(credit: &mut v1::Credit, state: &crate::unit::state::Unit) {
    if let Some(lane) = state.lane(credit.lane) {
        (credit.staged_idx, credit.durable_idx) = (lane.staged_idx(), lane.durable_idx());
    }
    credit.full = state.is_full();
    credit.window_bytes = if credit.full { 0 } else { WINDOW_BYTES };
}

fn refusal(frame: &Frame, wrong: &Staged) -> Refusal {
    let (lane, first_idx) = (frame.header.lane, frame.header.first_idx);
    let what = format!("frame at lane {lane} idx {first_idx}");
    match wrong {
        Staged::Sealed { final_length } => {
            let why = format!("the lane is sealed at {final_length}");
            Refusal::new(Code::State, what, why)
        }
        _ => Refusal::new(
            Code::Conflict,
            what,
            "the unit holds, or was told of, other bytes there",
        ),
    }
}

/// Bytes of room that a message of frames takes, at most all there is.
pub(crate) fn room_for(frames: &[Bytes]) -> u32 {
    let bytes: usize = frames.iter().map(Bytes::len).sum();
    bytes.min(crate::log::ledger::STAGED_BYTES_MAX) as u32
}
