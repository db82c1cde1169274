//! The spans that this process keeps: all that are open, and the newest that have ended.
//!
//! One for the whole process, as its log is: whoever asks a process asks for all of its roles.
use super::span::Who;
use super::{TraceContext, names};
use dfs_wire::v1;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// Ended spans kept, and open ones at most: about 2 MiB each, minutes of what people type.
pub const SPANS_KEPT: usize = 4096;
/// Of one trace, open and ended: a `put` of a whole tree leaves room for others.
pub const SPANS_OF_A_TRACE: usize = 1024;
/// Spans that one process tells another of, at the end of a command.
pub const SPANS_TOLD_MAX: usize = 256;
/// A field says where or how many, no more.
const VALUE_BYTES_MAX: usize = 256;
/// Fields of a span: more than any has.
const FIELDS_TOLD_MAX: usize = 16;

/// A span as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    pub context: TraceContext,
    /// 0: the root.
    pub parent: u64,
    pub name: &'static str,
    pub who: Who,
    /// µs since the epoch.
    pub start_us: u64,
    pub duration_us: Option<u64>,
    pub waits_for: String,
    pub fields: Vec<(&'static str, String)>,
    /// Empty: it did not fail.
    pub refusal: String,
    since: Instant,
}

impl Row {
    pub(super) fn new(
        context: TraceContext,
        parent: u64,
        name: &'static str,
        who: Who,
        since: Instant,
    ) -> Row {
        debug_assert!(names::is_known(name), "{name} is not in the table");
        Row {
            context,
            parent,
            name,
            who,
            start_us: 0,
            duration_us: None,
            waits_for: String::new(),
            fields: Vec::new(),
            refusal: String::new(),
            since,
        }
    }

    pub(super) fn starting(mut self, start_us: u64) -> Row {
        self.start_us = start_us;
        self
    }

    pub(super) fn set(&mut self, field: &'static str, mut value: String) {
        cut_text(&mut value);
        self.fields.retain(|(known, _)| *known != field);
        self.fields.push((field, value));
    }

    fn lasts_us(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_micros() as u64
    }

    fn to_wire(&self, now: Instant) -> v1::TracedSpan {
        let fields = self.fields.iter().map(|(name, value)| v1::SpanField {
            name: (*name).to_owned(),
            value: value.clone(),
        });
        v1::TracedSpan {
            span: self.context.span,
            parent: self.parent,
            name: self.name.to_owned(),
            role: self.who.role.to_owned(),
            node_id: self.who.node_id,
            start_us: self.start_us,
            duration_us: self.duration_us.unwrap_or_else(|| self.lasts_us(now)),
            open: self.duration_us.is_none(),
            waits_for: self.waits_for.clone(),
            fields: fields.collect(),
            refusal: self.refusal.clone(),
        }
    }
}

/// Whoever else wants spans as they end. It takes them or leaves them, and never waits.
pub trait Sink: Send + Sync {
    fn ended(&self, row: &Row);
}

struct Ring {
    kept: Mutex<Kept>,
    left_out: AtomicU64,
    sink: RwLock<Option<Arc<dyn Sink>>>,
}

struct Kept {
    open: BTreeMap<u64, Row>,
    ended: VecDeque<Row>,
    /// Told by processes that are no members and may be gone; bounded as `ended`.
    told: VecDeque<(u128, v1::TracedSpan)>,
    of_trace: BTreeMap<u128, usize>,
}

static RING: Ring = Ring {
    kept: Mutex::new(Kept {
        open: BTreeMap::new(),
        ended: VecDeque::new(),
        told: VecDeque::new(),
        of_trace: BTreeMap::new(),
    }),
    left_out: AtomicU64::new(0),
    sink: RwLock::new(None),
};

impl Kept {
    fn forget(&mut self, trace_id: u128) {
        if let Some(count) = self.of_trace.get_mut(&trace_id) {
            *count -= 1;
            if *count == 0 {
                self.of_trace.remove(&trace_id);
            }
        }
    }
}

/// Spans go there too from now on, as they end; `None`: to nobody.
pub fn send_to(sink: Option<Arc<dyn Sink>>) {
    *RING.sink.write() = sink;
}

/// Spans that were not kept since the start, because too many were.
pub fn left_out() -> u64 {
    RING.left_out.load(Ordering::Relaxed)
}

/// False: there are too many already.
pub(super) fn begin(row: Row) -> bool {
    let mut kept = RING.kept.lock();
    let of_trace = kept.of_trace.get(&row.context.trace_id);
    if kept.open.len() >= SPANS_KEPT || of_trace.is_some_and(|count| *count >= SPANS_OF_A_TRACE) {
        drop(kept);
        RING.left_out.fetch_add(1, Ordering::Relaxed);
        return false;
    }
    *kept.of_trace.entry(row.context.trace_id).or_insert(0) += 1;
    kept.open.insert(row.context.span, row);
    true
}

pub(super) fn change(span: u64, change: impl FnOnce(&mut Row)) {
    if let Some(row) = RING.kept.lock().open.get_mut(&span) {
        change(row);
    }
}

pub(super) fn discard(span: u64) {
    let mut kept = RING.kept.lock();
    if let Some(row) = kept.open.remove(&span) {
        kept.forget(row.context.trace_id);
    }
}

pub(super) fn end(span: u64, at: Instant) {
    let mut kept = RING.kept.lock();
    let Some(mut row) = kept.open.remove(&span) else {
        return;
    };
    row.duration_us = Some(row.lasts_us(at));
    row.waits_for.clear();
    if kept.ended.len() >= SPANS_KEPT
        && let Some(oldest) = kept.ended.pop_front()
    {
        kept.forget(oldest.context.trace_id);
    }
    let sink = RING.sink.read().clone();
    let copy = sink.is_some().then(|| row.clone());
    kept.ended.push_back(row);
    drop(kept);
    if let (Some(sink), Some(row)) = (sink, copy) {
        sink.ended(&row);
    }
}

/// What a process that is no member has seen of a request, for those who ask when it is gone.
pub(crate) fn keep_told(trace_id: u128, spans: Vec<v1::TracedSpan>) {
    let mut kept = RING.kept.lock();
    let spans = spans.into_iter().filter(|span| span.span != 0);
    for mut span in spans.take(SPANS_TOLD_MAX) {
        // Its process is gone, or goes now: nothing of it is open any more.
        span.open = false;
        cut(&mut span);
        if kept.told.len() >= SPANS_KEPT {
            kept.told.pop_front();
        }
        kept.told.push_back((trace_id, span));
    }
}

/// Whoever tells of it may tell too much.
fn cut(span: &mut v1::TracedSpan) {
    span.fields.truncate(FIELDS_TOLD_MAX);
    let texts = [
        &mut span.name,
        &mut span.role,
        &mut span.waits_for,
        &mut span.refusal,
    ];
    let fields = span.fields.iter_mut();
    let fields = fields.flat_map(|field| [&mut field.name, &mut field.value]);
    for text in texts.into_iter().chain(fields) {
        cut_text(text);
    }
}

/// At most [`VALUE_BYTES_MAX`] of it, whole characters.
fn cut_text(text: &mut String) {
    text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
}

/// All that is kept of one request, in no order that means anything.
pub fn spans_of(trace_id: u128, now: Instant) -> Vec<v1::TracedSpan> {
    let kept = RING.kept.lock();
    let own = kept.ended.iter().chain(kept.open.values());
    let own = own.filter(|row| row.context.trace_id == trace_id);
    let told = kept.told.iter().filter(|(trace, _)| *trace == trace_id);
    own.map(|row| row.to_wire(now))
        .chain(told.map(|(_, span)| span.clone()))
        .collect()
}
