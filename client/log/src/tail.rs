//! The growing end of a lane: which records share a frame, and when its bytes are frozen.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfs_rpc::trace::{FRAME_REQUESTS_MAX, TraceContext};
use dfs_wire::frame::{Frame, FrameDraft, Order};
use dfs_wire::limits::{FRAME_BODY_BYTES, FRAME_RECORDS_MAX};
use dfs_wire::v1;

use crate::appender::{FrameOutcome, Ticket, cost};
use crate::outcome::Outcome;
use crate::shared_log::Draft;

/// Length prefix of a record in a frame's body.
const RECORD_PREFIX_BYTES: usize = 4;

/// A frame whose bytes never change again (LOG-A2), and whoever waits for it.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) frame: Frame,
    pub(crate) outcome: Arc<FrameOutcome>,
    /// What it holds of the window.
    pub(crate) cost: usize,
    /// Sampled requests that it serves, at most [`FRAME_REQUESTS_MAX`].
    pub(crate) traces: Vec<TraceContext>,
}

impl Frozen {
    /// For whom it is, if for anybody who is sampled.
    pub(crate) fn trace(&self) -> Option<v1::FrameTrace> {
        let header = &self.frame.header;
        (!self.traces.is_empty()).then(|| v1::FrameTrace {
            lane: header.lane,
            end_idx: self.frame.end_idx(),
            requests: self.traces.iter().map(|trace| trace.to_wire()).collect(),
            others: header.count - self.traces.len() as u32,
        })
    }
}

pub(crate) struct Tail {
    lane: u64,
    /// Records that its appender put into the lanes before this one.
    before: u64,
    /// The end of what is frozen.
    end_idx: u64,
    chain: u128,
    open: Option<Open>,
    /// Frames frozen per (shard, term): one entry per term that this lane has served.
    orders: BTreeMap<(u64, u64), u64>,
}

struct Open {
    draft: FrameDraft,
    order: Option<(u64, u64)>,
    body_bytes: usize,
    cost: usize,
    outcome: Arc<FrameOutcome>,
    traces: Vec<TraceContext>,
}

impl Tail {
    pub(crate) fn new(lane: u64, chain: u128) -> Tail {
        Tail {
            lane,
            before: 0,
            end_idx: 0,
            chain,
            open: None,
            orders: BTreeMap::new(),
        }
    }

    pub(crate) fn lane(&self) -> u64 {
        self.lane
    }

    /// The idx after the last frozen record.
    pub(crate) fn end_idx(&self) -> u64 {
        self.end_idx
    }

    pub(crate) fn has_open(&self) -> bool {
        self.open.is_some()
    }

    /// Puts the draft behind all others. Frames that can take no more are frozen on the way.
    pub(crate) fn push(&mut self, draft: Draft, frozen: &mut Vec<Frozen>) -> Ticket {
        if self.open.as_ref().is_some_and(|open| !open.takes(&draft)) {
            frozen.extend(self.freeze());
        }
        let Draft {
            tags,
            guards,
            order,
            record,
            privileged,
            trace,
        } = draft;
        let open = self.open.get_or_insert_with(|| Open {
            draft: FrameDraft {
                tags,
                guards,
                order: None,
                privileged,
                records: Vec::new(),
            },
            order,
            body_bytes: 0,
            cost: 0,
            outcome: Outcome::new(),
            traces: Vec::new(),
        });
        if open.traces.len() < FRAME_REQUESTS_MAX {
            open.traces.extend(trace);
        }
        let offset = open.draft.records.len() as u64;
        let nth = self.before + self.end_idx + offset;
        let ticket = Ticket::new(&open.outcome, nth, offset);
        open.add(record);
        if open.is_full() {
            frozen.extend(self.freeze());
        }
        ticket
    }

    /// Freezes what is open, also when it is small.
    pub(crate) fn freeze(&mut self) -> Option<Frozen> {
        let mut open = self.open.take()?;
        open.draft.order = open.order.map(|(shard, term)| {
            let n = self.orders.entry((shard, term)).or_insert(0);
            *n += 1;
            Order { shard, term, n: *n }
        });
        let frame = open.draft.freeze(self.lane, self.end_idx, self.chain);
        self.end_idx = frame.end_idx();
        self.chain = frame.chain_after();
        Some(Frozen {
            frame,
            outcome: open.outcome,
            cost: open.cost,
            traces: open.traces,
        })
    }

    /// LOG-A4: the lane ends at `final_length`; what is open, and the counts of frames, go on in the next.
    pub(crate) fn hand_over(&mut self, final_length: u64) -> Tail {
        let (before, open) = (self.before + final_length, self.open.take());
        self.end_idx = final_length;
        let orders = std::mem::take(&mut self.orders);
        Tail {
            lane: 0,
            before,
            end_idx: 0,
            chain: 0,
            open,
            orders,
        }
    }

    /// Where the records go on that were handed over.
    pub(crate) fn begin(&mut self, lane: u64, chain: u128) {
        assert_eq!((self.lane, self.end_idx), (0, 0), "a lane begins empty");
        (self.lane, self.chain) = (lane, chain);
    }

    /// A frame that was frozen for the lane before: the same records, with the next place here.
    pub(crate) fn take_over(&mut self, frozen: &Frozen) -> Frozen {
        let frame = frozen.frame.moved(self.lane, self.end_idx, self.chain);
        self.end_idx = frame.end_idx();
        self.chain = frame.chain_after();
        Frozen {
            frame,
            ..frozen.clone()
        }
    }

    /// Records that are open, and what they cost.
    pub(crate) fn open_cost(&self) -> (u64, u64) {
        let open = self.open.as_ref();
        open.map_or((0, 0), |open| {
            (open.draft.records.len() as u64, open.cost as u64)
        })
    }

    /// Whoever waits for the open frame, which will never be sent.
    pub(crate) fn abandon(&mut self) -> Option<Arc<FrameOutcome>> {
        self.open.take().map(|open| open.outcome)
    }
}

impl Open {
    /// LOG-A5: only records with equal guards and tags share a frame.
    fn takes(&self, draft: &Draft) -> bool {
        let bytes = self.body_bytes + draft.record.len() + RECORD_PREFIX_BYTES;
        bytes <= FRAME_BODY_BYTES
            && self.draft.privileged == draft.privileged
            && self.order == draft.order
            && self.draft.guards == draft.guards
            && self.draft.tags == draft.tags
    }

    fn add(&mut self, record: Bytes) {
        self.body_bytes += record.len() + RECORD_PREFIX_BYTES;
        self.cost += cost(&record);
        self.draft.records.push(record);
    }

    fn is_full(&self) -> bool {
        self.draft.records.len() >= FRAME_RECORDS_MAX || self.body_bytes >= FRAME_BODY_BYTES
    }
}
