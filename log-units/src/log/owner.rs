//! The one task that changes a unit's log: appends, cuts and seals pass through its queue (LOG-U2).
//!
//! stage → write → fdatasync → Durable. While one round is written and synced, more is staged; all of
//! it goes into the next round.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use dfs_env::Env;
use dfs_wire::frame::Frame;
use dfs_wire::v1::unit_order::Order as Told;
use dfs_wire::{Code, Refusal, v1};
use futures::future::OptionFuture;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use crate::log::board::Board;
use crate::log::entries::{encode_note, frame_header};
use crate::log::shared::Shared;
use crate::log::stream::{AppendFailed, Batch, Written};
use crate::unit::lane::Staged;
use crate::unit::note::Note;
use crate::unit::recover::synced_stamp;

/// Messages that may wait for the owner: it takes them in microseconds, also while it writes.
pub(crate) const QUEUE_MAX: usize = 256;
/// One round of writing: long enough that the sync dominates, short enough that it is soon over.
const ROUND_BYTES_MAX: usize = 8 << 20;
/// LOG-U6: stamps wait at most so long for frames to be synced with.
const STAMP_IDLE: Duration = Duration::from_secs(1);
/// More stamps than this do not wait: they are held in memory.
const NOTES_MAX: usize = 1024;
/// How often the disk's room is looked at: between two looks less than the headroom is written.
const ROOM_LOOK: Duration = Duration::from_millis(500);
const ROOM_LOOK_BYTES: u64 = 16 << 20;
/// What an appender may have in flight beyond staged; four full messages of frames would overrun it.
const WINDOW_BYTES: u64 = 8 << 20;

/// What the owner is asked to do.
pub(crate) enum Order {
    Append(Append),
    /// Facts of applied state, in order; the answer says whether the conversation may go on.
    Told(Vec<v1::UnitOrder>, oneshot::Sender<Result<(), Refusal>>),
    /// A frame that was read back was not what it should be (LOG-U7).
    Damaged {
        lane: u64,
        first_idx: u64,
        end_idx: u64,
    },
    Stop(oneshot::Sender<()>),
}

/// Frames of one lane, verified, in order.
pub(crate) struct Append {
    pub(crate) lane: u64,
    pub(crate) frames: Vec<Frame>,
    pub(crate) board: Arc<Board>,
    /// Room for their bytes, given back once they are durable.
    pub(crate) room: OwnedSemaphorePermit,
}

struct StagedFrame {
    frame: Arc<Frame>,
    _room: Arc<OwnedSemaphorePermit>,
}

/// What one round covers, to be reported when it is synced.
struct Round {
    frames: Vec<StagedFrame>,
    notes: Vec<Note>,
}

type Writing = Pin<Box<dyn Future<Output = (Round, Result<Written, AppendFailed>)> + Send>>;

pub(crate) struct Owner {
    env: Env,
    shared: Arc<Shared>,
    staged: VecDeque<StagedFrame>,
    /// Stamps and lanes that a full disk has turned away once.
    unwritten_notes: Vec<Note>,
    /// Who appends to each lane; kept while its stream lives.
    boards: BTreeMap<u64, Weak<Board>>,
    notes_since: Option<Instant>,
    room_seen: Instant,
    bytes_since_room: u64,
    /// No write before this: the disk was full.
    pause_until: Option<Instant>,
}

impl Owner {
    pub(crate) fn new(env: Env, shared: Arc<Shared>) -> Owner {
        let room_seen = env.now();
        Owner {
            env,
            shared,
            staged: VecDeque::new(),
            unwritten_notes: Vec::new(),
            boards: BTreeMap::new(),
            notes_since: None,
            room_seen,
            bytes_since_room: u64::MAX,
            pause_until: None,
        }
    }

    /// Runs until `Stop`, the end of its users, or a failure (LOG-U3).
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        if let Err(why) = self.serve(&mut queue).await {
            self.shared.failure.set(why);
            self.shared.stop();
        }
    }

    async fn serve(&mut self, queue: &mut mpsc::Receiver<Order>) -> Result<(), String> {
        let mut writing: Option<Writing> = None;
        let mut stopped: Option<oneshot::Sender<()>> = None;
        loop {
            if writing.is_none() {
                self.look_at_room().await?;
                writing = self.begin_round(stopped.is_some());
            }
            if writing.is_none()
                && let Some(reply) = stopped.take()
            {
                self.shared
                    .stream
                    .mark()
                    .await
                    .map_err(|e| format!("stop the log: {e}"))?;
                let _ = reply.send(());
                return Ok(());
            }
            let wake = self.next_wake(writing.is_some());
            tokio::select! {
                biased;
                Some((round, written)) = OptionFuture::from(writing.as_mut()) => {
                    writing = None;
                    self.after_round(round, written).await?;
                }
                order = queue.recv(), if stopped.is_none() => match order {
                    Some(Order::Append(append)) => self.append(append),
                    Some(Order::Told(orders, reply)) => {
                        let _ = reply.send(self.told(&orders)); // the conversation may have ended
                    }
                    Some(Order::Damaged { lane, first_idx, end_idx }) => {
                        self.shared.state.lock().forget(lane, first_idx..end_idx);
                    }
                    Some(Order::Stop(reply)) => stopped = Some(reply),
                    None => return Ok(()),
                },
                () = self.env.sleep(wake) => {}
            }
        }
    }

    /// When to look again although nobody asks: stamps that waited long enough, or a full disk.
    fn next_wake(&self, writing: bool) -> Duration {
        let now = self.env.now();
        let stamps = self
            .notes_since
            .filter(|_| !writing)
            .map(|since| since + STAMP_IDLE);
        let full = self.shared.state.lock().is_full() || self.pause_until.is_some();
        let room = full.then(|| now.max(self.room_seen) + ROOM_LOOK);
        let wake = stamps.into_iter().chain(room).min();
        wake.map_or(Duration::from_secs(3600), |at| {
            at.saturating_duration_since(now)
        })
    }

    /// LOG-U1, LOG-U5, LOG-U8: takes what fits, says what is expected otherwise.
    fn append(&mut self, append: Append) {
        let Append {
            lane,
            frames,
            board,
            room,
        } = append;
        let room = Arc::new(room);
        let mut credit = v1::Credit {
            lane,
            ..Default::default()
        };
        let mut refused = None;
        {
            let mut state = self.shared.state.lock();
            let agreed_before = state.lane(lane).map_or(0, |lane| lane.agreed_idx());
            for frame in frames {
                if state.is_full() && !frame.header.privileged {
                    break;
                }
                match state.stage(&frame) {
                    Some(Staged::Taken) => {
                        let frame = Arc::new(frame);
                        self.shared.cache.insert(frame.clone());
                        self.staged.push_back(StagedFrame {
                            frame,
                            _room: room.clone(),
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
                self.shared.now_readable();
            }
            fill_credit(&mut credit, &state);
        }
        self.boards.insert(lane, Arc::downgrade(&board));
        board.post(credit);
        if let Some(refusal) = refused {
            tracing::error!(lane, why = %refusal, "append frames");
            board.refuse(refusal);
        }
    }

    fn told(&mut self, orders: &[v1::UnitOrder]) -> Result<(), Refusal> {
        let mut state = self.shared.state.lock();
        let mut told = Ok(());
        for order in orders {
            told = match &order.order {
                Some(Told::Base(base)) => state.base(base),
                Some(Told::Cut(cut)) => state.cut(cut),
                Some(Told::LaneOpened(opened)) => {
                    state.lane_opened(opened);
                    Ok(())
                }
                Some(Told::LaneSealed(sealed)) => {
                    state.lane_sealed(sealed);
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
        for lane in disagreed {
            tracing::error!(
                lane,
                "hold own frames against a cut: they differ and are set aside"
            );
        }
        self.shared.now_readable();
        self.shared.now_tellable();
        told
    }

    /// Everything staged, up to a round's size, and the notes that precede it. Notes alone wait
    /// for frames, up to a second.
    fn begin_round(&mut self, stopping: bool) -> Option<Writing> {
        let now = self.env.now();
        if self.pause_until.is_some_and(|until| now < until) && !stopping {
            return None;
        }
        self.pause_until = None;
        let mut state = self.shared.state.lock();
        let notes = state.notes_waiting() + self.unwritten_notes.len();
        if notes == 0 {
            self.notes_since = None;
        } else {
            let since = *self.notes_since.get_or_insert(now);
            let due = stopping || notes > NOTES_MAX || now >= since + STAMP_IDLE;
            if self.staged.is_empty() && !due {
                return None;
            }
        }
        let mut notes = std::mem::take(&mut self.unwritten_notes);
        notes.extend(state.take_notes());
        drop(state);
        if notes.is_empty() && self.staged.is_empty() {
            return None;
        }
        self.notes_since = None;
        Some(self.write(notes))
    }

    fn write(&mut self, notes: Vec<Note>) -> Writing {
        let mut batch = Batch::default();
        notes
            .iter()
            .for_each(|note| batch.push(vec![encode_note(note)]));
        let mut frames = Vec::new();
        while batch.bytes() < ROUND_BYTES_MAX
            && let Some(staged) = self.staged.pop_front()
        {
            let bytes = staged.frame.bytes().clone();
            batch.push(vec![frame_header(&bytes), bytes]);
            frames.push(staged);
        }
        self.bytes_since_room = self.bytes_since_room.saturating_add(batch.bytes() as u64);
        let round = Round { frames, notes };
        #[cfg(test)]
        if self.shared.config.reports_before_sync {
            self.report(&round);
        }
        let stream = self.shared.stream.clone();
        Box::pin(async move { (round, stream.append(batch).await) })
    }

    async fn after_round(
        &mut self,
        round: Round,
        written: Result<Written, AppendFailed>,
    ) -> Result<(), String> {
        match written {
            Ok(written) => {
                self.shared.count_sync();
                self.place(&round, &written);
                self.report(&round);
                if self.staged.is_empty() {
                    // The last synced batch is covered by a mark too (LOG.md §7).
                    self.shared
                        .stream
                        .note_synced()
                        .await
                        .map_err(|e| format!("mark: {e}"))?;
                }
                Ok(())
            }
            // LOG-U8: not a failure. Everything stays staged and is written when there is room.
            Err(AppendFailed::Full) => {
                for frame in round.frames.into_iter().rev() {
                    self.staged.push_front(frame);
                }
                self.unwritten_notes = round.notes;
                self.pause_until = Some(self.env.now() + ROOM_LOOK);
                self.set_full(true);
                Ok(())
            }
            Err(AppendFailed::Broken(e)) => Err(format!("write the log: {e}")),
        }
    }

    /// Now readers can find the frames on the disk.
    fn place(&self, round: &Round, written: &Written) {
        let places = written.positions.iter().skip(round.notes.len());
        let mut state = self.shared.state.lock();
        for (staged, position) in round.frames.iter().zip(places) {
            let frame = &staged.frame;
            let (lane, end_idx) = (frame.header.lane, frame.end_idx());
            state.written(lane, end_idx, frame.chain_after(), *position);
        }
        drop(state);
        self.shared.cache.written(round.frames.len());
        let records = round
            .frames
            .iter()
            .map(|staged| u64::from(staged.frame.header.count));
        let counters = &self.shared.counters;
        counters
            .frames
            .fetch_add(round.frames.len() as u64, Ordering::Relaxed);
        counters.records.fetch_add(records.sum(), Ordering::Relaxed);
    }

    /// LOG-I3: after a successful fdatasync, never before.
    fn report(&mut self, round: &Round) {
        let mut lanes = BTreeMap::new();
        for staged in &round.frames {
            let frame = &staged.frame;
            lanes.insert(frame.header.lane, (frame.end_idx(), frame.chain_after()));
        }
        let mut state = self.shared.state.lock();
        for note in &round.notes {
            if let Note::Stamp(stamp) = note {
                state.stamp_synced(synced_stamp(stamp));
            }
        }
        lanes
            .iter()
            .for_each(|(lane, (end_idx, chain))| state.synced(*lane, *end_idx, *chain));
        drop(state);
        self.shared.now_tellable();
        self.post_credits(lanes.into_keys().collect());
    }

    fn post_credits(&mut self, lanes: Vec<u64>) {
        let state = self.shared.state.lock();
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

    async fn look_at_room(&mut self) -> Result<(), String> {
        let now = self.env.now();
        let full = self.shared.state.lock().is_full();
        let waited = now >= self.room_seen + ROOM_LOOK;
        if self.bytes_since_room < ROOM_LOOK_BYTES && !(full && waited) {
            return Ok(());
        }
        (self.room_seen, self.bytes_since_room) = (now, 0);
        let space = self.shared.config.log.space().await;
        let space = space.map_err(|e| format!("look at the disk's room: {e}"))?;
        self.set_full(space.beyond_headroom() == 0);
        Ok(())
    }

    /// LOG-U8: Credit 0 to everybody, and again when room is back.
    fn set_full(&mut self, full: bool) {
        let mut state = self.shared.state.lock();
        if state.is_full() == full {
            return;
        }
        state.set_full(full);
        drop(state);
        tracing::warn!(
            unit_id = self.shared.config.unit_id,
            full,
            "look at the disk's room"
        );
        self.shared.now_tellable();
        self.post_credits(self.boards.keys().copied().collect());
    }
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
    bytes.min(crate::log::shared::STAGED_BYTES_MAX) as u32
}
