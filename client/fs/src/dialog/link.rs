//! One request stream to one materializer: many requests per message, answers in any order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dfs_env::Env;
use dfs_rpc::roles::{Answers, Materializer};
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the stream: more than 64 slots and the reads of a busy door.
const QUEUE_MAX: usize = 1024;
/// Requests of one message: one fold step's worth.
const BATCH_REQUESTS_MAX: usize = 128;
/// Bytes of one message, unless one request alone has more: far below what a message may have.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The request never left.
    NotSent(Refusal),
    /// It may have arrived.
    Unanswered(Refusal),
}

impl Failed {
    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Failed::NotSent(refusal) | Failed::Unanswered(refusal) => refusal,
        }
    }
}

pub(crate) struct Link {
    queue: mpsc::Sender<v1::Request>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Who waits for which answer. Sorted, so that the end of a stream wakes them in one order.
#[derive(Default)]
struct Waiting {
    last_id: u64,
    askers: BTreeMap<u64, oneshot::Sender<v1::Answer>>,
    ended: Option<Refusal>,
}

impl Link {
    pub(crate) async fn open(
        env: &Env,
        materializer: Arc<dyn Materializer>,
    ) -> Result<Link, Refusal> {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let answers = materializer.requests(batches(queued)).await?;
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        env.spawn("answers", hand_out(answers, waiting.clone()));
        Ok(Link { queue, waiting })
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.waiting.lock().ended.is_some()
    }

    pub(crate) async fn ask(&self, mut request: v1::Request) -> Result<v1::Answer, Failed> {
        let (asker, answer) = oneshot::channel();
        let place = Place::take(&self.waiting, asker).map_err(Failed::NotSent)?;
        request.id = place.id;
        if self.queue.send(request).await.is_err() {
            return Err(Failed::NotSent(self.why_ended()));
        }
        let answer = answer.await;
        answer.map_err(|_| Failed::Unanswered(self.why_ended()))
    }

    fn why_ended(&self) -> Refusal {
        self.waiting.lock().ended.clone().unwrap_or_else(ended)
    }
}

/// A place among those who wait; given up when nobody waits any more.
struct Place<'a> {
    waiting: &'a Mutex<Waiting>,
    id: u64,
}

impl<'a> Place<'a> {
    fn take(
        waiting: &'a Mutex<Waiting>,
        asker: oneshot::Sender<v1::Answer>,
    ) -> Result<Place<'a>, Refusal> {
        let mut state = waiting.lock();
        if let Some(why) = &state.ended {
            return Err(why.clone());
        }
        state.last_id += 1;
        let id = state.last_id;
        state.askers.insert(id, asker);
        Ok(Place { waiting, id })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.lock().askers.remove(&self.id);
    }
}

/// Whatever is queued when the stream is ready goes into one message; nothing waits for more.
fn batches(queued: mpsc::Receiver<v1::Request>) -> BoxStream<'static, v1::RequestBatch> {
    let state = (queued, VecDeque::new());
    let batches = stream::unfold(state, |(mut queued, mut held)| async move {
        let mut taken = Vec::new();
        if held.is_empty() && queued.recv_many(&mut taken, BATCH_REQUESTS_MAX).await == 0 {
            return None;
        }
        held.extend(taken);
        let requests = first_batch(&mut held);
        Some((v1::RequestBatch { requests }, (queued, held)))
    });
    batches.boxed()
}

fn first_batch(held: &mut VecDeque<v1::Request>) -> Vec<v1::Request> {
    let mut bytes = 0;
    let mut requests = Vec::new();
    while let Some(request) = held.front() {
        bytes += request.encoded_len();
        if !requests.is_empty() && bytes > BATCH_BYTES_MAX {
            break;
        }
        requests.extend(held.pop_front());
    }
    requests
}

async fn hand_out(mut answers: Answers<v1::AnswerBatch>, waiting: Arc<Mutex<Waiting>>) {
    let why = loop {
        match answers.next().await {
            Some(Ok(batch)) => {
                for answer in batch.answers {
                    let asker = waiting.lock().askers.remove(&answer.id);
                    if let Some(asker) = asker {
                        let _ = asker.send(answer); // nobody waits any more
                    }
                }
            }
            Some(Err(refusal)) => break refusal,
            None => break ended(),
        }
    };
    let mut state = waiting.lock();
    state.ended = Some(why);
    state.askers.clear();
}

fn ended() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "the request stream",
        "the materializer ended it",
    )
}
