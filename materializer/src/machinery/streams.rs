//! Streams of requests: what came in is bounded, and every request gets exactly one answer.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dfs_env::Env;
use dfs_rpc::trace::{Span, TraceContext};
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Notify, Semaphore};

use super::config::{ANSWER_BYTES_MAX, ANSWERS_MAX, HELD_BYTES_MAX, STREAM_REQUESTS_MAX};
use super::metrics::{Counted, Metrics};

pub(crate) use v1::answer::Body;

/// One client's stream: the answers on their way out.
pub(crate) struct Stream {
    state: Mutex<State>,
    changed: Notify,
    /// The answers' receiver went away.
    left: AtomicBool,
    left_told: Notify,
    /// Answers were taken.
    taken: Notify,
    /// Requests this stream may still bring (one permit each).
    room: Semaphore,
    /// The same over all streams.
    room_of_all: Arc<Semaphore>,
    /// Of the role: told with every answer.
    settings_lsn: Arc<AtomicU64>,
    env: Env,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    answers: Vec<v1::Answer>,
    /// Of `answers`.
    bytes: usize,
    /// Requests not answered yet.
    owed: usize,
    no_more: bool,
}

impl Stream {
    pub(crate) fn new(
        env: Env,
        metrics: Arc<Metrics>,
        room_of_all: Arc<Semaphore>,
        settings_lsn: Arc<AtomicU64>,
    ) -> Arc<Stream> {
        Arc::new(Stream {
            state: Mutex::default(),
            changed: Notify::new(),
            left: AtomicBool::new(false),
            left_told: Notify::new(),
            taken: Notify::new(),
            room: Semaphore::new(STREAM_REQUESTS_MAX),
            room_of_all,
            settings_lsn,
            env,
            metrics,
        })
    }

    /// Waits for room for `count` ≤ `STREAM_REQUESTS_MAX` requests. False: the asker left.
    pub(crate) async fn admit(&self, count: usize) -> bool {
        let Ok(own) = self.room.acquire_many(count as u32).await else {
            return false;
        };
        let Ok(all) = self.room_of_all.acquire_many(count as u32).await else {
            return false;
        };
        if self.left.load(Ordering::Relaxed) {
            return false;
        }
        own.forget();
        all.forget();
        self.state.lock().owed += count;
        true
    }

    /// The right, and the duty, to answer an admitted request.
    pub(crate) fn reply_to(self: &Arc<Self>, id: u64, counted: Counted, span: Span) -> Reply {
        Reply {
            stream: Some(self.clone()),
            id,
            counted,
            span,
        }
    }

    /// The requests have ended: the answers end with the last one owed.
    pub(crate) fn no_more(&self) {
        self.state.lock().no_more = true;
        self.changed.notify_one();
    }

    /// Nobody takes answers any more.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
        self.room.close(); // whoever waits in `admit` waits for answers that nobody takes
        self.left_told.notify_one();
        let mut state = self.state.lock();
        (state.bytes, state.answers) = (0, Vec::new());
        drop(state);
        self.taken.notify_waiters();
    }

    /// Waits until the asker has taken what lies here, if that is much: large answers are made no
    /// faster than they are read.
    pub(crate) async fn drained(&self) {
        loop {
            let taken = self.taken.notified();
            if self.state.lock().bytes < HELD_BYTES_MAX || self.left.load(Ordering::Relaxed) {
                return;
            }
            taken.await;
        }
    }

    pub(crate) async fn left(&self) {
        self.left_told.notified().await;
    }

    fn answer(&self, counted: Counted, mut answer: v1::Answer) {
        answer.settings_lsn = self.settings_lsn.load(Ordering::Relaxed);
        self.metrics
            .answered(&self.env, counted, answer.body.as_ref());
        {
            let mut state = self.state.lock();
            state.owed -= 1;
            if !self.left.load(Ordering::Relaxed) {
                state.bytes += bytes_of(&answer);
                state.answers.push(answer);
            }
        }
        self.room_of_all.add_permits(1);
        self.changed.notify_one();
    }

    /// The next answers, as many as one message takes; `None` after the last.
    pub(crate) async fn answers(&self) -> Option<v1::AnswerBatch> {
        loop {
            if let Some(answers) = self.take()? {
                self.room.add_permits(answers.len());
                self.taken.notify_waiters();
                return Some(v1::AnswerBatch { answers });
            }
            self.changed.notified().await;
        }
    }

    /// The outer `None`: the end; the inner: nothing yet.
    fn take(&self) -> Option<Option<Vec<v1::Answer>>> {
        let mut state = self.state.lock();
        if state.answers.is_empty() {
            return if state.no_more && state.owed == 0 {
                None
            } else {
                Some(None)
            };
        }
        let (mut count, mut bytes) = (0, 0);
        for answer in state.answers.iter().take(ANSWERS_MAX) {
            let more = bytes_of(answer);
            if count > 0 && bytes + more > ANSWER_BYTES_MAX {
                break;
            }
            (count, bytes) = (count + 1, bytes + more);
        }
        state.bytes -= bytes;
        if count == state.answers.len() {
            return Some(Some(std::mem::take(&mut state.answers)));
        }
        let rest = state.answers.split_off(count);
        Some(Some(std::mem::replace(&mut state.answers, rest)))
    }
}

/// Only what can be large is measured.
fn bytes_of(answer: &v1::Answer) -> usize {
    match &answer.body {
        Some(Body::Listing(listing)) => listing.encoded_len(),
        Some(Body::Entry(entry)) if entry.content.is_some() || !entry.xattrs.is_empty() => {
            entry.encoded_len()
        }
        Some(Body::Placement(placement)) => placement.encoded_len(),
        _ => 64,
    }
}

/// The asker's end of the requests; when it is dropped, also with its task, no more come.
pub(crate) struct Incoming(pub(crate) Arc<Stream>);

impl Drop for Incoming {
    fn drop(&mut self) {
        self.0.no_more();
    }
}

/// Owes one answer. Dropped without one, it says that the outcome is unknown.
pub(crate) struct Reply {
    stream: Option<Arc<Stream>>,
    id: u64,
    counted: Counted,
    /// Until it is answered.
    span: Span,
}

impl Reply {
    /// For what is done in its course.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        self.span.context()
    }

    pub(crate) async fn drained(&self) {
        if let Some(stream) = &self.stream {
            stream.drained().await;
        }
    }

    pub(crate) fn answer(mut self, lsn: u64, log_time_us: u64, body: Body) {
        if let Some(stream) = self.stream.take() {
            let answer = v1::Answer {
                id: self.id,
                lsn,
                log_time_us,
                body: Some(body),
                ..v1::Answer::default()
            };
            stream.answer(self.counted, answer);
        }
    }

    pub(crate) fn refuse(self, refusal: Refusal) {
        self.span.refused(&refusal);
        let lsn = refusal.get().lsn;
        self.answer(lsn, 0, Body::Refusal(refusal.into_wire()));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            let why = Refusal::new(
                Code::TimedOut,
                "request",
                "the materializer stopped meanwhile",
            );
            let body = Some(Body::Refusal(why.into_wire()));
            let answer = v1::Answer {
                id: self.id,
                body,
                ..v1::Answer::default()
            };
            stream.answer(self.counted, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, STREAM_REQUESTS_MAX, Semaphore, Stream};
    use futures::FutureExt;
    use std::pin::pin;

    #[tokio::test]
    async fn who_waits_for_room_is_let_go_when_the_asker_leaves() {
        let room = Arc::new(Semaphore::new(2 * STREAM_REQUESTS_MAX));
        let stream = Stream::new(dfs_env::Env::real(), Arc::default(), room, Arc::default());
        assert!(stream.admit(STREAM_REQUESTS_MAX).await);
        let mut waiting = pin!(stream.admit(1));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        stream.leave();
        assert_eq!(waiting.now_or_never(), Some(false));
    }
}
