//! Rounds of writing: notes and frames go to the stream together and are synced once (LOG-U2).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_segment::{AppendError, CommitError, Entry, Position, Writer};
use dfs_wire::frame::Frame;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use crate::log::entries::{KIND_FRAME, encode_note};
use crate::log::ledger::Ledger;
use crate::log::traced::Traced;
use crate::unit::note::Note;

/// One round: long enough that the sync dominates, short enough that it is soon over.
const ROUND_BYTES_MAX: usize = 8 << 20;
/// LOG-U6: stamps wait at most so long for frames to be synced with.
const STAMP_IDLE: Duration = Duration::from_secs(1);
/// More stamps than this do not wait: they are held in memory.
const NOTES_MAX: usize = 1024;
/// The mark that covers the last round is written after so long without another (LOG.md §7): at
/// once, it would cost each lonely append a second write.
const MARK_IDLE: Duration = Duration::from_millis(20);
/// How often the disk's room is looked at: between two looks less than the headroom is written.
const ROOM_LOOK: Duration = Duration::from_millis(500);
const ROOM_LOOK_BYTES: u64 = 16 << 20;
/// When nothing is to be done by itself.
const NEVER: Duration = Duration::from_secs(3600);

/// A frame that was taken and is not durable yet, with the room it takes up.
pub(crate) struct StagedFrame {
    pub(crate) frame: Arc<Frame>,
    /// It takes the place of a damaged one once it is durable; till then the index does not know it.
    pub(crate) mends: bool,
    pub(crate) _room: Arc<Room>,
    /// It holds records of sampled requests.
    pub(crate) traced: Option<Box<Traced>>,
}

/// Held until the last frame of an order is durable or dropped.
pub(crate) struct Room {
    pub(crate) _permit: OwnedSemaphorePermit,
    pub(crate) _done: Option<oneshot::Sender<()>>,
}

/// What one sync covers.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) frames: Vec<StagedFrame>,
    /// Of the frames, in the stream.
    pub(crate) positions: Vec<u64>,
    pub(crate) notes: Vec<Note>,
}

/// The writer comes back with what it has done.
pub(crate) struct Ended {
    writer: Writer,
    round: Round,
    committed: Result<(), CommitError>,
}

pub(crate) type Writing = Pin<Box<dyn Future<Output = Ended> + Send>>;

pub(crate) struct Rounds {
    env: Env,
    ledger: Arc<Ledger>,
    /// `None` while it writes.
    writer: Option<Writer>,
    /// Taken by the writer, not by the full disk: written as soon as there is room.
    turned_away: Option<Round>,
    pause_until: Option<Instant>,
    notes_since: Option<Instant>,
    unmarked_since: Option<Instant>,
    room_seen: Instant,
    bytes_since_room: u64,
}

impl Rounds {
    pub(crate) fn new(env: Env, ledger: Arc<Ledger>, writer: Writer) -> Rounds {
        let room_seen = env.now();
        Rounds {
            env,
            ledger,
            writer: Some(writer),
            turned_away: None,
            pause_until: None,
            notes_since: None,
            unmarked_since: None,
            room_seen,
            bytes_since_room: u64::MAX,
        }
    }

    /// Begins the next round, if there is anything to write: all that is staged, up to a round's
    /// size, and the notes before it. Notes alone wait for frames, up to a second.
    pub(crate) fn begin(
        &mut self,
        staged: &mut VecDeque<StagedFrame>,
        stopping: bool,
    ) -> Result<Option<Writing>, String> {
        let now = self.env.now();
        let paused = self.pause_until.is_some_and(|until| now < until);
        if paused || self.writer.is_none() {
            return Ok(None);
        }
        let mut round = self.turned_away.take().unwrap_or_default();
        let again = !round.frames.is_empty() || !round.notes.is_empty();
        if !again {
            round.notes = self.take_notes(now, !staged.is_empty() || stopping);
            self.stage(&mut round, staged)
                .map_err(|e| format!("write the log: {e}"))?;
        }
        if round.frames.is_empty() && round.notes.is_empty() {
            return Ok(None);
        }
        self.trace_sync(&mut round);
        self.unmarked_since = None;
        let Some(mut writer) = self.writer.take() else {
            return Ok(None);
        };
        let (env, ledger) = (self.env.clone(), self.ledger.clone());
        Ok(Some(Box::pin(async move {
            let began = env.now();
            let committed = writer.commit().await.map(|_| ());
            if committed.is_ok() {
                let took = env.now().saturating_duration_since(began);
                ledger.metrics.log_syncs.took(took);
            }
            Ended {
                writer,
                round,
                committed,
            }
        })))
    }

    fn trace_sync(&self, round: &mut Round) {
        let frames = round.frames.len();
        let traced = round.frames.iter_mut();
        for traced in traced.filter_map(|staged| staged.traced.as_mut()) {
            traced.syncs(&self.env, &self.ledger.config, frames);
        }
    }

    /// Where the stream would begin if everything that is not needed were released; `None` while that
    /// would give nothing back. The notes that have to be durable before it wait to be written from now on.
    pub(crate) fn plan_release(&mut self) -> Option<Position> {
        let writer = self.writer.as_ref()?;
        let mut state = self.ledger.state.lock();
        let needed_from = Position(state.needed_from(writer.end().0));
        if !writer.has_below(needed_from) {
            return None;
        }
        state.note_begins();
        Some(needed_from)
    }

    /// Whole segments below `before` are released; needs no room (LOG-U8).
    pub(crate) fn release(&mut self, before: Position) -> Option<Writing> {
        let mut writer = self.writer.take()?;
        let (env, ledger) = (self.env.clone(), self.ledger.clone());
        Some(Box::pin(async move {
            let began = env.now();
            let trimmed = writer.trim(before).await;
            let took = env.now().saturating_duration_since(began);
            ledger.metrics.log_syncs.took(took);
            if let Ok(start) = &trimmed {
                ledger.state.lock().released(start.0);
                tracing::info!(unit_id = ledger.config.unit_id, %start, "released a part of the log");
            }
            Ended {
                writer,
                round: Round::default(),
                committed: trimmed.map(|_| ()),
            }
        }))
    }

    fn take_notes(&mut self, now: Instant, at_once: bool) -> Vec<Note> {
        let mut state = self.ledger.state.lock();
        let waiting = state.notes_waiting();
        if waiting == 0 {
            self.notes_since = None;
            return Vec::new();
        }
        let since = *self.notes_since.get_or_insert(now);
        if !at_once && waiting <= NOTES_MAX && now < since + STAMP_IDLE {
            return Vec::new();
        }
        self.notes_since = None;
        state.take_notes()
    }

    fn stage(
        &mut self,
        round: &mut Round,
        staged: &mut VecDeque<StagedFrame>,
    ) -> Result<(), AppendError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let mut first = None;
        for (kind, bytes) in round.notes.iter().map(encode_note) {
            let position = writer.append(Entry { kind, bytes })?;
            first.get_or_insert(position);
        }
        let mut bytes_left = ROUND_BYTES_MAX;
        while bytes_left > 0
            && let Some(next) = staged.pop_front()
        {
            let (kind, bytes) = (KIND_FRAME, next.frame.bytes().clone());
            bytes_left = bytes_left.saturating_sub(bytes.len());
            let position = writer.append(Entry { kind, bytes })?;
            first.get_or_insert(position);
            round.positions.push(position.0);
            round.frames.push(next);
        }
        let mut state = self.ledger.state.lock();
        state.passes(first.unwrap_or_default().0);
        for note in &round.notes {
            if let Note::Stamp(stamp) | Note::Copied(_, stamp) = note {
                state.stamped(stamp);
            }
        }
        drop(state);
        self.bytes_since_room = self.bytes_since_room.saturating_add(writer.staged_bytes());
        Ok(())
    }

    /// Takes the writer back. The round, if it is durable.
    pub(crate) fn end(&mut self, ended: Ended) -> Result<Option<Round>, String> {
        self.writer = Some(ended.writer);
        match ended.committed {
            Ok(()) => {
                self.pause_until = None;
                self.unmarked_since = Some(self.env.now());
                Ok(Some(ended.round))
            }
            // LOG-U8: not a failure. It all stays staged; the headroom may be used for it.
            Err(CommitError::Full) => {
                self.turned_away = Some(ended.round);
                let first = self.pause_until.is_none();
                let pause = if first { Duration::ZERO } else { ROOM_LOOK };
                self.pause_until = Some(self.env.now() + pause);
                self.keep_free(0);
                Ok(None)
            }
            Err(CommitError::Poisoned(e)) => Err(format!("write the log: {e}")),
        }
    }

    /// True while the last round waits for room.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.turned_away.is_some()
    }

    fn keep_free(&mut self, bytes: u64) {
        if let Some(writer) = &mut self.writer {
            writer.set_keep_free_bytes(bytes);
        }
    }

    /// LOG-U8: whether the disk counts as full; `None` when it is not the time to look.
    pub(crate) async fn look_at_room(&mut self) -> Result<Option<bool>, String> {
        let now = self.env.now();
        let full = self.ledger.state.lock().is_full();
        let waited = now >= self.room_seen + ROOM_LOOK;
        // Also when little was written: what else lies on the file system grows, too.
        let may_differ = waited && (full || self.bytes_since_room > 0);
        if self.bytes_since_room < ROOM_LOOK_BYTES && !may_differ && !self.is_turned_away() {
            return Ok(None);
        }
        (self.room_seen, self.bytes_since_room) = (now, 0);
        let space = self.ledger.config.log.space().await;
        let space = space.map_err(|e| format!("look at the disk's room: {e}"))?;
        let full = self.is_turned_away() || space.beyond_headroom() == 0;
        self.keep_free(if full { 0 } else { space.headroom() });
        Ok(Some(full))
    }

    /// When to look again although nobody asks.
    pub(crate) fn next_wake(&self) -> Duration {
        let Some(_) = &self.writer else { return NEVER };
        let now = self.env.now();
        let full = self.ledger.state.lock().is_full();
        let wakes = [
            self.notes_since.map(|since| since + STAMP_IDLE),
            self.unmarked_since.map(|since| since + MARK_IDLE),
            self.pause_until,
            full.then(|| self.room_seen + ROOM_LOOK),
        ];
        let wake = wakes.into_iter().flatten().min();
        wake.map_or(NEVER, |at| at.saturating_duration_since(now))
    }

    /// Writes the mark once nothing has been written for a while, or at once.
    pub(crate) async fn mark(&mut self, at_once: bool) -> Result<(), String> {
        let now = self.env.now();
        let due = self
            .unmarked_since
            .is_some_and(|since| at_once || now >= since + MARK_IDLE);
        if let Some(writer) = self.writer.as_mut().filter(|_| due) {
            self.unmarked_since = None;
            writer
                .idle()
                .await
                .map_err(|e| format!("mark the log: {e}"))?;
        }
        Ok(())
    }
}
