//! Traces: which request something is done for, from the command line to the disks and back (deploy/TRACES.md).
//!
//! - here: the request that the running task works for, and how it is carried on
//! - [`Span`] (`span.rs`): one step of it; a request that is not sampled makes none
//! - [`ring`]: the spans that this process keeps, for `why`
//! - `headers.rs`: the W3C `traceparent` of calls; `names.rs`: every span there is
//!
//! Only sampled requests are carried at all: of the others there is nothing to look at but that.
mod headers;
mod names;
pub mod ring;
mod span;

pub(crate) use headers::{asked_for, told_to};
pub use names::{NAMES, Name, table};
pub use span::{Span, Who};

use dfs_wire::v1;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Sampled requests named for one frame: more share a frame only under load, where some say enough.
pub const FRAME_REQUESTS_MAX: usize = 8;
/// Traced frames that one unit, or the sequencer, follows at once: as many as it reports ends of a lane.
pub const FRAMES_FOLLOWED_MAX: usize = 1024;

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// A sampled request, and the span of it that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceContext {
    /// W3C trace id; never 0.
    pub trace_id: u128,
    pub span: u64,
}

impl TraceContext {
    /// `None`: it is not sampled.
    pub fn from_wire(wire: Option<&v1::TraceContext>) -> Option<TraceContext> {
        let wire = wire?;
        let trace_id = joined(wire.trace_high, wire.trace_low);
        (trace_id != 0).then_some(TraceContext {
            trace_id,
            span: wire.span,
        })
    }

    pub fn to_wire(self) -> v1::TraceContext {
        let (trace_high, trace_low) = halves(self.trace_id);
        v1::TraceContext {
            trace_high,
            trace_low,
            span: self.span,
        }
    }
}

/// As messages have a trace id.
pub(crate) fn halves(trace_id: u128) -> (u64, u64) {
    ((trace_id >> 64) as u64, trace_id as u64)
}

pub(crate) fn joined(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

/// The request that the running task works for; `None`: none that is sampled.
pub fn current() -> Option<TraceContext> {
    CURRENT.get()
}

/// Does `work` for the request of `context`: what it calls, here and elsewhere, knows.
pub async fn within<F: Future>(context: Option<TraceContext>, work: F) -> F::Output {
    match context {
        None => work.await,
        Some(_) => Within::new(context, tracing::Span::none(), work).await,
    }
}

/// The same for a task that goes on elsewhere: it works for the request that makes it.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let context = current();
    let told = match context {
        Some(_) => tracing::Span::current(),
        None => tracing::Span::none(),
    };
    async move {
        match context {
            None => work.await,
            Some(_) => Within::new(context, told, work).await,
        }
    }
}

/// Sets the request while the work is polled, and its fields in what the work logs.
struct Within<F> {
    context: Option<TraceContext>,
    told: tracing::Span,
    work: Pin<Box<F>>,
}

impl<F> Within<F> {
    fn new(context: Option<TraceContext>, told: tracing::Span, work: F) -> Within<F> {
        Within {
            context,
            told,
            work: Box::pin(work),
        }
    }
}

/// Puts the former request back also when the poll panics.
struct Entered(Option<TraceContext>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _entered = Entered(CURRENT.replace(this.context));
        let _told = this.told.enter();
        this.work.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests;
