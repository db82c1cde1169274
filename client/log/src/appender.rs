//! A lane's writing end: drafts go in, tickets come back, cuts answer the tickets.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dfs_wire::limits::{FRAME_GUARDS_BYTES_MAX, FRAME_TAGS_MAX, RECORD_BYTES_MAX};
use dfs_wire::{Code, Refusal};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::outcome::{Outcome, Wait};
use crate::shared_log::{Committed, Draft};

/// Uncut bytes of one lane: a third of a second at 25 MB/s; the rest of the process waits outside.
const WINDOW_BYTES: usize = 8 << 20;
/// What a record costs beside its bytes, so that empty ones are bounded too.
const RECORD_COST_BYTES: usize = 64;

/// Where a frame came to lie, or why it never will.
pub(crate) type FrameOutcome = Outcome<Result<FramePlace, Refusal>>;

/// The place of a whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FramePlace {
    pub(crate) first_lsn: u64,
    pub(crate) log_time_us: u64,
    pub(crate) cut_seq: u64,
}

/// What a kind of log does for its appenders.
pub(crate) trait LaneWriter: Send + Sync {
    fn trail(&self) -> &Trail;
    /// Takes a checked draft, for which the window holds `cost` bytes until it is cut.
    fn push(&self, draft: Draft) -> Result<Ticket, Refusal>;
    fn in_flight(&self) -> InFlight;
    fn room(&self) -> Room;
    /// The last appender is gone: what is uncut is still brought to its end.
    fn close(&self);
}

/// Bytes that may be in flight; giving back happens at the cut, many records at once.
#[derive(Clone)]
pub(crate) struct Window(Arc<Semaphore>);

impl Window {
    pub(crate) fn new() -> Window {
        Window(Arc::new(Semaphore::new(WINDOW_BYTES)))
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.0.add_permits(bytes);
    }

    /// Nobody waits for room any more: the lane has ended, and says why when it is pushed to.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// What a record takes of the window.
pub(crate) fn cost(record: &bytes::Bytes) -> usize {
    record.len() + RECORD_COST_BYTES
}

/// Uncut records of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    pub records: u64,
    pub bytes: u64,
}

/// How many units of the stripe take ordinary frames (LOG-U8, FOLD-P0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub units: u32,
    pub full: u32,
    pub write_quorum: u32,
}

impl Room {
    /// FOLD-P0: false ⇒ NoSpace, and nothing is appended.
    pub fn is_enough(&self) -> bool {
        self.units - self.full >= self.write_quorum
    }
}

/// One lane and its successors, as one sequence of records. It goes on after the appender is dropped.
#[derive(Clone)]
pub struct Trail(Arc<Mutex<Vec<Section>>>);

/// What one lane holds of a trail.
#[derive(Clone, Copy)]
struct Section {
    lane: u64,
    /// Records in the lanes before it.
    before: u64,
}

impl Trail {
    pub(crate) fn new(lane: u64) -> Trail {
        Trail(Arc::new(Mutex::new(vec![Section { lane, before: 0 }])))
    }

    /// The last lane was sealed at this length; `lane` goes on.
    pub(crate) fn goes_on(&self, final_length: u64, lane: u64) {
        let mut sections = self.0.lock();
        let before = sections.last().map_or(0, |last| last.before) + final_length;
        // One for each move: units were lost before it, so there are few.
        sections.push(Section { lane, before });
    }

    /// Which record of the appender lies at (lane, idx); none: another's.
    pub fn nth(&self, lane: u64, idx: u64) -> Option<u64> {
        let sections = self.0.lock();
        let section = sections.iter().rev().find(|section| section.lane == lane)?;
        Some(section.before + idx)
    }

    pub fn has(&self, lane: u64) -> bool {
        self.nth(lane, 0).is_some()
    }

    pub(crate) fn last(&self) -> u64 {
        self.0.lock().last().map_or(0, |section| section.lane)
    }
}

/// The writing end of a lane and its successors. Records lie there in the order of the calls.
pub struct Appender {
    writer: Arc<dyn LaneWriter>,
    window: Window,
}

impl Appender {
    pub(crate) fn new(writer: Arc<dyn LaneWriter>, window: Window) -> Appender {
        Appender { writer, window }
    }

    /// Waits for room in the window only, first come, first served. Dropped while it waits: nothing is appended.
    pub async fn append(&self, draft: Draft) -> Result<Ticket, Refusal> {
        check(&draft)?;
        let room = self.window.0.acquire_many(cost(&draft.record) as u32).await;
        let Ok(room) = room else {
            return self.writer.push(draft);
        };
        let ticket = self.writer.push(draft)?;
        room.forget();
        Ok(ticket)
    }

    /// As `append`, but gives the draft back instead of waiting.
    pub fn try_append(&self, draft: Draft) -> Result<Result<Ticket, Draft>, Refusal> {
        check(&draft)?;
        let Ok(room) = self.window.0.try_acquire_many(cost(&draft.record) as u32) else {
            let ended = self.window.0.is_closed();
            return if ended {
                self.writer.push(draft).map(Ok)
            } else {
                Ok(Err(draft))
            };
        };
        let ticket = self.writer.push(draft)?;
        room.forget();
        Ok(Ok(ticket))
    }

    /// The lane that is written to now; it may have a successor (LOG-A4).
    pub fn lane(&self) -> u64 {
        self.writer.trail().last()
    }

    /// The lanes so far, and those to come.
    pub fn trail(&self) -> &Trail {
        self.writer.trail()
    }

    pub fn in_flight(&self) -> InFlight {
        self.writer.in_flight()
    }

    pub fn room(&self) -> Room {
        self.writer.room()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.writer.close();
    }
}

fn check(draft: &Draft) -> Result<(), Refusal> {
    let why = if draft.record.len() > RECORD_BYTES_MAX {
        format!(
            "{} bytes, and a record has at most {RECORD_BYTES_MAX}",
            draft.record.len()
        )
    } else if draft.tags.len() > FRAME_TAGS_MAX {
        format!(
            "{} tags, and a frame has at most {FRAME_TAGS_MAX}",
            draft.tags.len()
        )
    } else if draft.guards.len() > FRAME_GUARDS_BYTES_MAX {
        format!(
            "{} bytes of guards, at most {FRAME_GUARDS_BYTES_MAX}",
            draft.guards.len()
        )
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::Invalid, "record", why))
}

/// A record on its way. Answered only by the cut stream (LOG-A6); dropping it recalls nothing.
pub struct Ticket {
    wait: Wait<Result<FramePlace, Refusal>>,
    nth: u64,
    offset: u64,
}

impl Ticket {
    pub(crate) fn new(outcome: &Arc<FrameOutcome>, nth: u64, offset: u64) -> Ticket {
        Ticket {
            wait: outcome.wait(),
            nth,
            offset,
        }
    }

    /// How many records its appender took before it; [`Trail::nth`] tells the same of a place in the log.
    pub fn nth(&self) -> u64 {
        self.nth
    }

    /// Waits until the record is cut. A refusal says by `not_done` whether it may still come to lie in the log.
    pub async fn committed(self) -> Result<Committed, Refusal> {
        self.await
    }
}

impl Future for Ticket {
    type Output = Result<Committed, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let offset = self.offset;
        let place = Pin::new(&mut self.wait).poll(cx);
        place.map(|place| {
            place.map(
                |FramePlace {
                     first_lsn,
                     log_time_us,
                     cut_seq,
                 }| Committed {
                    lsn: first_lsn + offset,
                    log_time_us,
                    cut_seq,
                },
            )
        })
    }
}
