//! The role: started, asked, stopped.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfs_env::Env;
use dfs_log::SharedLog;
use dfs_rpc::roles::{Answers, Materializer, Requests};
use dfs_rpc::trace::{Span, TraceContext, Who};
use dfs_wire::v1::request::Op as Asked;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::census;
use super::config::{
    ARRIVALS_MAX, COMMANDS_MAX, DEADLINE_DEFAULT, DEADLINE_MAX, MaterializerConfig, REQUESTS_CHUNK,
};
use super::hub::Hub;
use super::metrics::Counted;
use super::open::{self, Opened};
use super::ops::{Arrival, Work};
use super::persist;
use super::reads::{self, Read};
use super::shard::{Command, Shard};
use super::snapshots;
use super::streams::{Incoming, Reply, Stream};
use super::suspect::Suspect;
use super::sweep;
use crate::view::View;

/// How long `stop` waits for what is in flight: the rest of the five seconds that a process has is for its disks.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A running materializer: a replica of the shard, and its primary when its turn comes.
pub struct MaterializerRole {
    hub: Arc<Hub>,
    /// Given up at `stop`, so that the store can be opened again.
    view: Mutex<Option<Arc<dyn View>>>,
}

/// What the process says of this role in its keep-alive (`v1::Beat`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub applied_lsn: u64,
    pub durable_lsn: u64,
    /// Shards that it stepped down from (FOLD-T4).
    pub stepped_down: Vec<u64>,
    /// Shards whose replica set it is in; and those of them that it could serve alone.
    pub replica_of: Vec<u64>,
    pub ready_for: Vec<u64>,
}

impl MaterializerRole {
    /// Opens the store and begins to follow the log; campaigns and serves by itself from then on.
    ///
    /// # Errors
    /// MISMATCH: the store belongs to another cluster; LOG_WENT_BACK: it knows more than the log (LOG-U9).
    pub async fn start(
        env: Env,
        config: MaterializerConfig,
        log: Arc<dyn SharedLog>,
    ) -> Result<Arc<MaterializerRole>, Refusal> {
        let env = env.group(format!("materializer {}", config.owner.node_id));
        let dir = config.store.dir();
        let opened = open::open(&env, config.store, config.suspect, &config.cluster_id).await?;
        let Opened {
            view,
            disk,
            suspect,
            begun_lsn,
        } = opened;
        let (arrivals, arriving) = mpsc::channel(ARRIVALS_MAX);
        let (commands, commanded) = mpsc::channel(COMMANDS_MAX);
        let senders = (arrivals, commands);
        let storing = (config.units, config.snapshots, config.retention);
        let hub = Hub::new(
            env.clone(),
            config.owner,
            log,
            config.members,
            (suspect, begun_lsn, dir),
            storing,
            senders,
        );
        let hub = Arc::new(hub);
        snapshots::load::bootstrap(&hub, &view).await?;
        let genesis = super::terms::Genesis {
            cluster_id: config.cluster_id,
            settings: config.settings,
            rank: config.rank,
        };
        let shard = Shard::open(hub.clone(), view.clone(), genesis, (arriving, commanded))?;
        let (loops, folded) = (hub.clone(), view.clone());
        env.spawn("shard", async move {
            let why = shard.run().await;
            if why.code() == Code::Trimmed {
                give_up(&loops, folded).await;
            }
            loops.fail(why);
        });
        env.spawn("persist", persist::run(hub.clone(), view.clone(), disk));
        env.spawn("sweep", sweep::run(hub.clone(), view.clone()));
        env.spawn("census", census::run(hub.clone()));
        Ok(Arc::new(MaterializerRole {
            hub,
            view: Mutex::new(Some(view)),
        }))
    }

    /// Answers what is in flight, makes the state durable, and lets the store go.
    pub async fn stop(&self) {
        let hub = &self.hub;
        let drained = async {
            if hub.commands.send(Command::Stop).await.is_ok() {
                hub.failed().await;
            }
        };
        let _ = hub.env.timeout(DRAIN_MAX, drained).await; // what is left is answered as unknown
        let view = self.view.lock().take();
        if let Some(view) = view
            && let Err(refusal) = persist::persist(hub, &view).await
        {
            tracing::warn!(%refusal, "stop without making the last folded state durable");
        }
        hub.fail(super::published::stopped());
        hub.env.stop().await;
    }

    /// Waits until the role has ended, and says why.
    pub async fn failed(&self) -> Refusal {
        self.hub.failed().await
    }

    /// Why it serves nothing newer, when waiting does not cure it: a range of the log is lost (LOG-R3).
    pub fn lost(&self) -> Option<Refusal> {
        self.hub.published.stuck().filter(|why| !why.is_retryable())
    }

    /// FOLD-X4b: once it has ended, for whoever opens it again.
    pub fn suspect(&self) -> Option<Suspect> {
        self.hub.suspect()
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// For the keep-alive of the process.
    pub fn progress(&self) -> Progress {
        self.hub.progress()
    }
}

#[async_trait]
impl Materializer for MaterializerRole {
    async fn requests(
        &self,
        requests: Requests<v1::RequestBatch>,
    ) -> Result<Answers<v1::AnswerBatch>, Refusal> {
        self.hub.published.newest()?;
        let stream = Stream::new(
            self.hub.env.clone(),
            self.hub.metrics.clone(),
            self.hub.room.clone(),
            self.hub.settings_lsn.clone(),
        );
        let (hub, incoming) = (self.hub.clone(), Incoming(stream.clone()));
        self.hub
            .env
            .spawn("requests", pump(hub, incoming, requests));
        let leaving = Leaving(stream);
        let answers = futures::stream::unfold(leaving, |leaving| async move {
            let batch = leaving.0.answers().await?;
            Some((Ok(batch), leaving))
        });
        Ok(answers.boxed())
    }

    async fn status(&self) -> Result<v1::MaterializerStatusAnswer, Refusal> {
        self.hub.status()
    }
}

/// The log lets go of what is not folded here: opened again, the store is filled from a snapshot.
async fn give_up(hub: &Hub, view: Arc<dyn View>) {
    tracing::info!("the log has been trimmed past this replica; it begins anew from a snapshot");
    if let Err(error) = hub.env.blocking(move || view.begin_load()).await {
        tracing::warn!(%error, "cannot empty the store");
    }
}

/// The asker's end: when it is dropped, nobody reads requests any more.
struct Leaving(Arc<Stream>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Takes requests in until the asker leaves or the role ends.
async fn pump(hub: Arc<Hub>, incoming: Incoming, mut requests: Requests<v1::RequestBatch>) {
    let stream = &incoming.0;
    loop {
        let batch = tokio::select! {
            biased;
            () = stream.left() => break,
            batch = requests.next() => batch,
        };
        let Some(batch) = batch else { break };
        let mut rest = batch.requests;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(REQUESTS_CHUNK));
            if !stream.admit(rest.len()).await {
                return;
            }
            take_in(&hub, stream, rest).await;
            rest = later;
        }
    }
}

/// Reads go to tasks of their own, everything else to the shard loop.
async fn take_in(hub: &Arc<Hub>, stream: &Arc<Stream>, requests: Vec<v1::Request>) {
    let now = hub.env.now();
    let (mut reads, mut arrivals) = (Vec::new(), Vec::new());
    for mut request in requests {
        let counted = Counted::of(&request, now);
        let reply = stream.reply_to(request.id, counted, span_of(hub, &request, counted));
        let deadline = now + deadline_of(&request);
        match request.op.take() {
            None => reply.refuse(invalid("it asks for nothing")),
            Some(Asked::Mutate(mutate)) => match arrival_of(&request, mutate, reply, deadline) {
                Ok((arrival, None)) => arrivals.push(arrival),
                Ok((arrival, Some(copy))) => {
                    hub.env
                        .spawn("copy", reads::read_source(hub.clone(), copy, arrival));
                }
                Err(reply) => reply.refuse(invalid("a mutation needs a slot")),
            },
            Some(asked) => match work_of(asked) {
                Ok(work) => {
                    let waiter = reads::waiter(reply, deadline);
                    arrivals.push(Arrival {
                        work,
                        by: reads::by(&request),
                        waiter,
                    });
                }
                Err(asked) => reads.push(Read {
                    asked,
                    reply,
                    deadline,
                }),
            },
        }
    }
    if !reads.is_empty() {
        reads::serve(hub, reads);
    }
    if !arrivals.is_empty() {
        let _ = hub.arrivals.send(arrivals).await; // the loop ended: the replies say so
    }
}

fn span_of(hub: &Hub, request: &v1::Request, counted: Counted) -> Span {
    let context = TraceContext::from_wire(request.trace.as_ref());
    let who = Who::materializer(hub.owner.node_id);
    Span::begin(&hub.env, context, "materializer.request", who).with("kind", counted.kind())
}

fn arrival_of(
    request: &v1::Request,
    mutate: v1::Mutate,
    reply: Reply,
    deadline: Instant,
) -> Result<(Arrival, Option<v1::Copy>), Reply> {
    let Some(slot) = request.slot else {
        return Err(reply);
    };
    let copy = reads::copies_past(&mutate);
    let work = Work::Mutate {
        request: Box::new(mutate),
        source: None,
        slot,
    };
    Ok((
        Arrival {
            work,
            by: reads::by(request),
            waiter: reads::waiter(reply, deadline),
        },
        copy,
    ))
}

fn work_of(asked: Asked) -> Result<Work, Asked> {
    match asked {
        Asked::OpenSession(open) => Ok(Work::OpenSession(open)),
        Asked::KeepSession(keep) => Ok(Work::KeepSession(keep.session)),
        Asked::CloseSession(close) => Ok(Work::CloseSession(close.session)),
        Asked::Place(place) => Ok(Work::Place(place)),
        Asked::TakeSnapshot(_) => Ok(Work::TakeSnapshot),
        read => Err(read),
    }
}

fn deadline_of(request: &v1::Request) -> Duration {
    match request.deadline_us {
        0 => DEADLINE_DEFAULT,
        us => Duration::from_micros(us).min(DEADLINE_MAX),
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(Code::Invalid, "request", why)
}
