//! The sequencer that leads: found by asking all at once, remembered until it fails somebody.
use crate::roles::{Answers, Requests, Sequencer};
use async_trait::async_trait;
use dfs_env::Env;
use dfs_wire::{Code, Refusal, v1};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A sequencer that says nothing for so long is passed over.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);
/// Once one has answered that it does not lead, the others have this long to say that they do: about
/// an election.
const OTHERS_WITHIN: Duration = Duration::from_millis(250);

/// Reaches the sequencer at an address.
#[async_trait]
pub trait Dial: Send + Sync {
    async fn dial(&self, address: &str) -> Result<Arc<dyn Sequencer>, Refusal>;
    /// What is kept of a connection to this address is worth nothing.
    fn hang_up(&self, address: &str);
}

/// Remembers which sequencer leads. Clones remember together.
#[derive(Clone, Default)]
pub struct Leading {
    chosen: Arc<Mutex<Chosen>>,
}

#[derive(Default)]
struct Chosen {
    sequencer: Option<Arc<dyn Sequencer>>,
    /// Counts choices: the failure of an old one says nothing about the present one.
    serial: u64,
}

type Answered = (Arc<dyn Sequencer>, v1::SequencerStatusAnswer);

impl Leading {
    /// The sequencer that leads; when nobody says so, one that answers at all, which is not remembered:
    /// it refuses what only a leader can do, and can tell how things are.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn find(
        &self,
        env: &Env,
        dial: &dyn Dial,
        addresses: &[String],
    ) -> Result<Arc<dyn Sequencer>, Refusal> {
        if let Some(known) = self.chosen.lock().sequencer.clone() {
            return Ok(known);
        }
        let mut asked: BTreeSet<String> = addresses.iter().cloned().collect();
        let mut asking: FuturesUnordered<_> =
            asked.iter().map(|at| ask(env, dial, at.clone())).collect();
        let mut follower = None;
        let mut last = Refusal::new(Code::Unavailable, "sequencer", "no address is configured");
        loop {
            let next = match follower {
                None => asking.next().await,
                Some(_) => {
                    let next = env.timeout(OTHERS_WITHIN, asking.next()).await;
                    next.unwrap_or_default()
                }
            };
            match next {
                Some(Ok((sequencer, status))) if leads(&status) => {
                    return Ok(self.choose(sequencer));
                }
                Some(Ok((sequencer, status))) => {
                    follower = Some(sequencer);
                    let leader = status.leader_address;
                    if !leader.is_empty() && asked.insert(leader.clone()) {
                        asking.push(ask(env, dial, leader));
                    }
                }
                Some(Err(refusal)) => last = refusal,
                None => return follower.ok_or(last),
            }
        }
    }

    fn choose(&self, sequencer: Arc<dyn Sequencer>) -> Arc<dyn Sequencer> {
        let mut chosen = self.chosen.lock();
        chosen.serial += 1;
        let watched: Arc<dyn Sequencer> = Arc::new(Watched {
            sequencer,
            leading: self.clone(),
            serial: chosen.serial,
        });
        chosen.sequencer = Some(watched.clone());
        watched
    }

    fn forget(&self, serial: u64) {
        let mut chosen = self.chosen.lock();
        if chosen.serial == serial {
            chosen.sequencer = None;
        }
    }
}

fn leads(status: &v1::SequencerStatusAnswer) -> bool {
    status.role == "leader"
}

async fn ask(env: &Env, dial: &dyn Dial, address: String) -> Result<Answered, Refusal> {
    let asked = async {
        let sequencer = dial.dial(&address).await?;
        let status = sequencer.status().await?;
        Ok((sequencer, status))
    };
    let answered = env.timeout(STATUS_TIMEOUT, asked).await;
    answered.unwrap_or_else(|_| {
        dial.hang_up(&address);
        Err(Refusal::new(
            Code::Unavailable,
            address,
            "it does not answer",
        ))
    })
}

/// Is forgotten at the first refusal that another sequencer might not give, and when a stream ends.
struct Watched {
    sequencer: Arc<dyn Sequencer>,
    leading: Leading,
    serial: u64,
}

impl Watched {
    fn noted<T>(&self, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        if answer.as_ref().is_err_and(Refusal::is_retryable) {
            self.leading.forget(self.serial);
        }
        answer
    }

    fn noted_stream<T: Send + 'static>(
        &self,
        answers: Result<Answers<T>, Refusal>,
    ) -> Result<Answers<T>, Refusal> {
        let answers = self.noted(answers)?;
        let (leading, serial) = (self.leading.clone(), self.serial);
        let ended = async move {
            leading.forget(serial);
            None
        };
        let answers = answers.map(Some).chain(ended.into_stream());
        let (leading, serial) = (self.leading.clone(), self.serial);
        let noted = move |answer: Option<Result<T, Refusal>>| {
            if matches!(answer, Some(Err(_))) {
                leading.forget(serial);
            }
            std::future::ready(answer)
        };
        Ok(answers.filter_map(noted).boxed())
    }
}

#[async_trait]
impl Sequencer for Watched {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        self.noted(self.sequencer.register(request).await)
    }

    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        self.noted_stream(self.sequencer.keep_alive(beats).await)
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        self.noted(self.sequencer.open_lane(request).await)
    }

    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        self.noted_stream(self.sequencer.unit(reports).await)
    }

    async fn subscribe(
        &self,
        request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.noted_stream(self.sequencer.subscribe(request).await)
    }

    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        self.noted(self.sequencer.end(request).await)
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        let status = self.noted(self.sequencer.status().await)?;
        if !leads(&status) {
            self.leading.forget(self.serial);
        }
        Ok(status)
    }
}
