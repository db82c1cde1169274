//! Cuts on their way to one follower, with the frames of this process in them.
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;

use crate::shared_log::{FrameAt, Lsn};

/// Cuts a follower may be behind; past it, it reads from units what it missed.
const CUTS_MAX: usize = 4096;
/// Bytes of own frames that wait for one follower; past it, units have them too.
const OWN_BYTES_MAX: usize = 32 << 20;

/// One applied cut, as followers need it.
pub(super) struct CutEvent {
    pub(super) log_time_us: u64,
    /// In rising LSN, without gaps.
    pub(super) segments: Vec<Segment>,
    own_bytes: usize,
}

/// A run of one lane in a cut.
pub(super) struct Segment {
    pub(super) lane: u64,
    pub(super) stripe: u64,
    pub(super) from_idx: u64,
    pub(super) first_lsn: Lsn,
    /// Inclusive.
    pub(super) last_lsn: Lsn,
    /// Present when a lane of this process was cut.
    pub(super) own: Option<Vec<FrameAt>>,
}

impl CutEvent {
    pub(super) fn new(log_time_us: u64, segments: Vec<Segment>) -> CutEvent {
        let own = segments
            .iter()
            .flat_map(|segment| segment.own.iter().flatten());
        let own_bytes = own.map(|frame| frame.frame.bytes().len()).sum();
        CutEvent {
            log_time_us,
            segments,
            own_bytes,
        }
    }
}

impl Segment {
    pub(super) fn count(&self) -> u64 {
        self.last_lsn - self.first_lsn + 1
    }
}

#[derive(Default)]
pub(super) struct CutQueue {
    state: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    cuts: VecDeque<Arc<CutEvent>>,
    own_bytes: usize,
    lagged: bool,
    waker: Option<Waker>,
}

impl CutQueue {
    pub(super) fn push(&self, cut: &Arc<CutEvent>) {
        let mut queue = self.state.lock();
        if !queue.lagged {
            queue.own_bytes += cut.own_bytes;
            queue.cuts.push_back(cut.clone());
        }
        if queue.cuts.len() > CUTS_MAX || queue.own_bytes > OWN_BYTES_MAX {
            queue.lag();
        }
        queue.wake();
    }

    /// The follower must join anew: cuts are missing here.
    pub(super) fn lag(&self) {
        let mut queue = self.state.lock();
        queue.lag();
        queue.wake();
    }

    pub(super) fn has_lagged(&self) -> bool {
        self.state.lock().lagged
    }

    /// Begins anew, empty; the caller holds the hub's lock, so that no cut is missed.
    pub(super) fn reset(&self) {
        let waker = self.state.lock().waker.take();
        *self.state.lock() = Queue {
            waker,
            ..Queue::default()
        };
    }

    /// All that waits; empty: `cx` is woken by the next, or by a lag.
    pub(super) fn take(&self, cx: &Context<'_>) -> VecDeque<Arc<CutEvent>> {
        let mut queue = self.state.lock();
        queue.own_bytes = 0;
        if queue.cuts.is_empty() {
            queue.waker = Some(cx.waker().clone());
        }
        std::mem::take(&mut queue.cuts)
    }
}

impl Queue {
    fn lag(&mut self) {
        self.lagged = true;
        self.own_bytes = 0;
        self.cuts.clear();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
