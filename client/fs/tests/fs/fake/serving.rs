//! One materializer: takes requests from a stream, lets their fates happen, answers in any order.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfs_env::Env;
use dfs_rpc::roles::{Answers, Materializer, Requests};
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::slots::Seen;
use super::{Fate, INLINE_MAX, LEASE_US, State, address};

#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) env: Env,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) index: usize,
}

type Out = mpsc::Sender<Result<v1::AnswerBatch, Refusal>>;

#[async_trait]
impl Materializer for Serving {
    async fn requests(
        &self,
        mut batches: Requests<v1::RequestBatch>,
    ) -> Result<Answers<v1::AnswerBatch>, Refusal> {
        let (out, answers) = mpsc::channel(4096);
        let serving = self.clone();
        self.env.spawn("serve", async move {
            while let Some(batch) = batches.next().await {
                serving.state.lock().messages += 1;
                for request in batch.requests {
                    let (serving, out) = (serving.clone(), out.clone());
                    serving
                        .env
                        .clone()
                        .spawn("request", serving.fated(request, out));
                }
            }
        });
        Ok(ReceiverStream::new(answers).boxed())
    }

    async fn status(&self) -> Result<v1::MaterializerStatusAnswer, Refusal> {
        Ok(v1::MaterializerStatusAnswer::default())
    }
}

impl Serving {
    fn fate(&self, request: &v1::Request) -> Option<Fate> {
        let mut state = self.state.lock();
        *state.requests.entry(name(request)).or_default() += 1;
        if state.silent[self.index] {
            return None;
        }
        let Some(used) = &request.slot else {
            return Some(Fate::Serve);
        };
        state.slots.sending(used);
        if let Some(fate) = state.fates.pop_front() {
            return Some(fate);
        }
        Some(
            state
                .chance
                .as_mut()
                .map_or(Fate::Serve, |chance| chance.fate()),
        )
    }

    async fn fated(self, request: v1::Request, out: Out) {
        let Some(fate) = self.fate(&request) else {
            return;
        };
        let ms = Duration::from_millis;
        match fate {
            Fate::Serve => self.answer(request, &out).await,
            Fate::Drop => {}
            Fate::DropAnswer => drop(self.serve(request).await),
            Fate::Double(later) => {
                self.answer(request.clone(), &out).await;
                self.env.sleep(ms(later)).await;
                self.answer(request, &out).await;
            }
            Fate::Delay(later) => {
                self.env.sleep(ms(later)).await;
                self.answer(request, &out).await;
            }
            Fate::DelayAnswer(later) => {
                let answer = self.serve(request).await;
                self.env.sleep(ms(later)).await;
                send(answer, &out).await;
            }
            Fate::Break => broken(&out).await,
            Fate::BreakAnswer => {
                self.serve(request).await;
                broken(&out).await;
            }
            Fate::Refuse(code) => {
                let refusal = Refusal::new(code, "a mutation", "the fake refuses it");
                send(
                    Some(answer(request.id, 0, Body::Refusal(refusal.into_wire()))),
                    &out,
                )
                .await;
            }
            Fate::ForgetSession => {
                self.state.lock().slots.open.clear();
                self.answer(request, &out).await;
            }
        }
    }

    async fn answer(&self, request: v1::Request, out: &Out) {
        let answer = self.serve(request).await;
        send(answer, out).await;
    }

    async fn serve(&self, request: v1::Request) -> Option<v1::Answer> {
        let id = request.id;
        let ill = self.state.lock().ill[self.index];
        let served = match request.op.expect("an op") {
            Op::Stat(_) | Op::Digest(_) if ill.is_some() => {
                let code = ill.unwrap_or_default();
                Err(Refusal::new(code, "log at LSN 7", "no copy has it"))
            }
            Op::Mutate(mutate) => {
                let used = request.slot.expect("mutations have a slot");
                self.mutate(used, mutate).await?
            }
            op => self.read(op),
        };
        let (lsn, body) = match served {
            Ok(served) => served,
            Err(refusal) => (0, Body::Refusal(refusal.into_wire())),
        };
        let settings_lsn = self.state.lock().settings_lsn;
        Some(v1::Answer {
            settings_lsn,
            ..answer(id, lsn, body)
        })
    }

    async fn mutate(
        &self,
        used: v1::SlotUse,
        mutate: v1::Mutate,
    ) -> Option<Result<(u64, Body), Refusal>> {
        let takes = {
            let mut state = self.state.lock();
            state.mutating += 1;
            state.mutating_most = state.mutating_most.max(state.mutating);
            Duration::from_micros(state.mutation_takes_us)
        };
        if !takes.is_zero() {
            self.env.sleep(takes).await;
        }
        let mut state = self.state.lock();
        state.mutating -= 1;
        if state.primary != self.index || state.term != used.term {
            return Some(Err(moved(&state)));
        }
        match state.slots.look(&used) {
            Seen::Repeated => None,
            Seen::Refused(refusal) => Some(Err(refusal)),
            Seen::Done(lsn, done) => Some(Ok((lsn, Body::Done(done)))),
            Seen::New => Some(state.namespace.mutate(mutate).map(|done| {
                let lsn = state.namespace.lsn;
                state.slots.done(&used, lsn, done);
                (lsn, Body::Done(done))
            })),
        }
    }

    fn read(&self, op: Op) -> Result<(u64, Body), Refusal> {
        let mut state = self.state.lock();
        let lsn = state.namespace.lsn;
        let at = |path: Option<v1::Path>| path.expect("a path").path;
        let body = match op {
            Op::Stat(stat) => {
                Body::Entry(state.namespace.entry(&at(stat.path), stat.with_content)?)
            }
            Op::List(list) => Body::Listing(state.namespace.list(&list)?),
            Op::Resolve(_) => Body::Resolved(v1::Resolved {
                lsn,
                log_time_us: lsn,
                now_us: lsn,
            }),
            Op::Place(_) | Op::Groups(_) => Body::Placement(super::unit::placement()),
            Op::Digest(_) => Body::Digest(v1::DigestAnswer {
                lsn,
                ..Default::default()
            }),
            op if state.primary != self.index => {
                let _ = op;
                return Err(moved(&state));
            }
            Op::OpenSession(_) if state.full => {
                return Err(Refusal::new(Code::NoSpace, "a session", "the disk is full"));
            }
            Op::OpenSession(open) => {
                let session = state.slots.open(open.client_nonce);
                Body::Session(granted(session, state.term))
            }
            Op::KeepSession(keep) if state.slots.open.contains_key(&keep.session) => {
                state.slots.kept += 1;
                Body::Session(granted(keep.session, state.term))
            }
            Op::KeepSession(_) => {
                return Err(Refusal::new(
                    Code::SessionGone,
                    "a session",
                    "it has expired",
                ));
            }
            Op::CloseSession(close) => {
                state.slots.open.remove(&close.session);
                Body::Done(v1::Done::default())
            }
            other => panic!("{other:?}"),
        };
        Ok((lsn, body))
    }
}

fn name(request: &v1::Request) -> &'static str {
    match request.op {
        Some(Op::Stat(_)) => "stat",
        Some(Op::List(_)) => "list",
        Some(Op::OpenSession(_)) => "open",
        Some(Op::KeepSession(_)) => "keep",
        Some(Op::CloseSession(_)) => "close",
        Some(Op::Mutate(_)) => "mutate",
        _ => "other",
    }
}

fn granted(session: u64, term: u64) -> v1::SessionGranted {
    let settings = v1::Settings {
        inline_bytes_max: INLINE_MAX,
        ..v1::Settings::default()
    };
    v1::SessionGranted {
        session,
        shard: 0,
        term,
        lease_us: LEASE_US,
        slots: 64,
        settings: Some(settings),
    }
}

fn moved(state: &State) -> Refusal {
    Refusal::new(Code::Moved, "the shard", "another is primary").primary(address(state.primary))
}

fn answer(id: u64, lsn: u64, body: Body) -> v1::Answer {
    v1::Answer {
        id,
        lsn,
        log_time_us: lsn,
        body: Some(body),
        ..v1::Answer::default()
    }
}

async fn send(answer: Option<v1::Answer>, out: &Out) {
    if let Some(answer) = answer {
        let batch = v1::AnswerBatch {
            answers: vec![answer],
        };
        let _ = out.send(Ok(batch)).await;
    }
}

async fn broken(out: &Out) {
    let refusal = Refusal::new(Code::Unavailable, "the stream", "it broke");
    let _ = out.send(Err(refusal)).await;
}
