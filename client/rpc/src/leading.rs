//! The sequencer that leads: found by asking all at once, watched, remembered until it fails somebody.
use crate::roles::{Answers, Requests, Sequencer};
use async_trait::async_trait;
use dfs_env::Env;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use futures::stream::{self, FuturesUnordered};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How often the one that leads is asked whether it is there, where another could lead instead. A host
/// that vanished closes no connection …
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// … and this is how long it may be silent: an answer from memory takes less, an election about as long.
const SILENT_MAX: Duration = Duration::from_millis(400);
/// Where no other could lead, it is only asked whether one came to be: soon enough to know it before the
/// one that is known leaves.
const ALONE_EVERY: Duration = Duration::from_millis(500);
/// Beyond that, this process itself stood still, and knows nothing.
const STOOD_STILL: Duration = Duration::from_millis(500);
/// A sequencer that says nothing for so long is passed over.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);
/// Once one has answered that it does not lead, the others have this long to say that they do: some
/// round trips. Who finds none asks again.
const OTHERS_WITHIN: Duration = Duration::from_millis(100);

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

/// Holds nothing that remembers it: what is not asked by anybody any more is let go of.
#[derive(Default)]
struct Chosen {
    choice: Option<Arc<Choice>>,
    /// Counts choices: the failure of an old one says nothing about the present one.
    serial: u64,
    /// Voters, as the last leader listed them: those that were configured may all have been replaced.
    voters: BTreeSet<String>,
    /// Which list of them that is.
    voters_index: u64,
    /// Where one fell silent: what is kept of the connection to it is worth nothing.
    silent: Option<String>,
}

/// One that was found to lead, for as long as somebody uses it.
struct Choice {
    serial: u64,
    address: String,
    sequencer: Arc<dyn Sequencer>,
    /// It does not answer any more: whatever waits for it ends.
    silent: watch::Sender<bool>,
}

/// The serial of choices that are not: no other choice has it.
const NOT_REMEMBERED: u64 = 0;

type Answered = (String, Arc<dyn Sequencer>, v1::SequencerStatusAnswer);

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
        let mut asked: BTreeSet<String> = addresses.iter().cloned().collect();
        {
            let chosen = self.chosen.lock();
            if let Some(known) = chosen.choice.clone() {
                return Ok(self.watched(known));
            }
            asked.extend(chosen.voters.iter().cloned());
        }
        if let Some(silent) = self.chosen.lock().silent.take() {
            dial.hang_up(&silent);
        }
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
                Some(Ok(answered)) if leads(&answered.2) => {
                    return Ok(self.choose(env, answered));
                }
                Some(Ok(answered)) => {
                    let status = &answered.2;
                    let told = status.voter_addresses.iter();
                    for address in told.chain([&status.leader_address]).cloned() {
                        if !address.is_empty() && asked.insert(address.clone()) {
                            asking.push(ask(env, dial, address));
                        }
                    }
                    follower = Some(answered);
                }
                Some(Err(refusal)) => last = refusal,
                None => return follower.map(|it| self.pass_by(env, it)).ok_or(last),
            }
        }
    }

    fn choose(&self, env: &Env, answered: Answered) -> Arc<dyn Sequencer> {
        let (address, sequencer, status) = answered;
        let mut chosen = self.chosen.lock();
        chosen.serial += 1;
        let choice = Arc::new(Choice {
            serial: chosen.serial,
            address,
            sequencer,
            silent: watch::Sender::new(false),
        });
        self.begin_watch(env, &choice);
        chosen.know(status);
        chosen.choice = Some(choice.clone());
        self.watched(choice)
    }

    /// One that does not lead is not remembered; but who listens to it goes on doing so, also when it
    /// leads later, and has to hear of its silence as well.
    fn pass_by(&self, env: &Env, answered: Answered) -> Arc<dyn Sequencer> {
        let (address, sequencer, status) = answered;
        let choice = Arc::new(Choice {
            serial: NOT_REMEMBERED,
            address,
            sequencer,
            silent: watch::Sender::new(false),
        });
        if status.voter_addresses.len() > 1 {
            self.begin_watch(env, &choice);
        }
        self.watched(choice)
    }

    fn begin_watch(&self, env: &Env, choice: &Arc<Choice>) {
        let (remembers, watched) = (Arc::downgrade(&self.chosen), Arc::downgrade(choice));
        let is_remembered = choice.serial != NOT_REMEMBERED;
        let watching = keep_watch(env.clone(), remembers, watched, is_remembered);
        env.spawn("sequencer watch", watching);
    }

    fn watched(&self, choice: Arc<Choice>) -> Arc<dyn Sequencer> {
        let leading = self.clone();
        Arc::new(Watched { choice, leading })
    }

    /// The group has grown, shrunk, or exchanged some of those that were known.
    async fn learn_voters(&self, env: &Env, choice: &Choice) {
        let asked = env.timeout(STATUS_TIMEOUT, choice.sequencer.status());
        match asked.await {
            Ok(Ok(status)) if leads(&status) => self.chosen.lock().know(status),
            Ok(Ok(_)) => self.forget(choice.serial),
            Ok(Err(_)) | Err(_) => {} // the next watch asks again
        }
    }

    fn forget(&self, serial: u64) {
        let mut chosen = self.chosen.lock();
        if chosen.serial == serial {
            chosen.choice = None;
        }
    }
}

impl Chosen {
    fn know(&mut self, status: v1::SequencerStatusAnswer) {
        self.voters = status.voter_addresses.into_iter().collect();
        self.voters_index = status.voters_index;
    }
}

/// Until it has been silent for too long, or nobody uses it any more.
async fn keep_watch(
    env: Env,
    remembers: Weak<Mutex<Chosen>>,
    choice: Weak<Choice>,
    is_remembered: bool,
) {
    let known = |chosen: Arc<Mutex<Chosen>>| {
        let chosen = chosen.lock();
        // Of one that does not lead it is known that there are others.
        (
            !is_remembered || chosen.voters.len() > 1,
            chosen.voters_index,
        )
    };
    while let Some((others, known)) = remembers.upgrade().map(known) {
        env.sleep(if others { WATCH_EVERY } else { ALONE_EVERY })
            .await;
        let (Some(chosen), Some(choice)) = (remembers.upgrade(), choice.upgrade()) else {
            return;
        };
        let leading = Leading { chosen };
        let begun = env.now();
        let asked = choice.sequencer.end(v1::EndRequest::default());
        if let Ok(answered) = env.timeout(SILENT_MAX, asked).await {
            if is_remembered && answered.is_ok_and(|end| end.voters_index != known) {
                leading.learn_voters(&env, &choice).await;
            }
            continue;
        }
        if !others || env.now() - begun > STOOD_STILL {
            continue;
        }
        tracing::debug!("{} is silent: another is looked for", choice.address);
        leading.forget(choice.serial);
        leading.chosen.lock().silent = Some(choice.address.clone());
        choice.silent.send_replace(true);
        return;
    }
}

impl Choice {
    async fn falls_silent(&self) {
        let mut silent = self.silent.subscribe();
        if silent.wait_for(|silent| *silent).await.is_err() {
            std::future::pending::<()>().await;
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
        Ok((address.clone(), sequencer, status))
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
    choice: Arc<Choice>,
    leading: Leading,
}

impl Watched {
    async fn noted<T>(
        &self,
        asked: impl Future<Output = Result<T, Refusal>> + Send,
    ) -> Result<T, Refusal> {
        let answer = tokio::select! {
            biased;
            answer = asked => answer,
            // It may have been done all the same.
            () = self.choice.falls_silent() => Err(fell_silent(Code::TimedOut)),
        };
        if answer.as_ref().is_err_and(Refusal::is_retryable) {
            self.leading.forget(self.choice.serial);
        }
        answer
    }

    async fn noted_stream<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<Answers<T>, Refusal>> + Send,
    ) -> Result<Answers<T>, Refusal> {
        let answers = self.noted(asked).await?;
        let (leading, choice) = (self.leading.clone(), self.choice.clone());
        let answers = stream::unfold(Some(answers), move |answers| {
            let (leading, choice) = (leading.clone(), choice.clone());
            async move {
                let mut answers = answers?;
                let answer = tokio::select! {
                    biased;
                    answer = answers.next() => answer,
                    () = choice.falls_silent() => Some(Err(fell_silent(Code::Unavailable))),
                };
                match answer {
                    Some(Ok(answer)) => Some((Ok(answer), Some(answers))),
                    ended => {
                        leading.forget(choice.serial);
                        ended.map(|refusal| (refusal, None))
                    }
                }
            }
        });
        Ok(answers.boxed())
    }
}

fn fell_silent(code: Code) -> Refusal {
    Refusal::new(code, "sequencer", "it does not answer any more")
}

#[async_trait]
impl Sequencer for Watched {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        self.noted(self.choice.sequencer.register(request)).await
    }

    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        self.noted_stream(self.choice.sequencer.keep_alive(beats))
            .await
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        self.noted(self.choice.sequencer.open_lane(request)).await
    }

    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        self.noted(self.choice.sequencer.move_lane(request)).await
    }

    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        self.noted_stream(self.choice.sequencer.unit(reports)).await
    }

    async fn subscribe(
        &self,
        request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.noted_stream(self.choice.sequencer.subscribe(request))
            .await
    }

    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        self.noted(self.choice.sequencer.end(request)).await
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        let status = self.noted(self.choice.sequencer.status()).await?;
        if !leads(&status) {
            self.leading.forget(self.choice.serial);
        }
        Ok(status)
    }

    async fn administer(&self, request: v1::AdminRequest) -> Result<v1::AdminAnswer, Refusal> {
        self.noted(self.choice.sequencer.administer(request)).await
    }

    async fn watch_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        self.noted_stream(self.choice.sequencer.watch_group()).await
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        self.noted(self.choice.sequencer.history()).await
    }

    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        self.noted(self.choice.sequencer.change_history(change))
            .await
    }

    async fn drain_unit(&self, asked: v1::DrainUnitRequest) -> Result<v1::DrainProgress, Refusal> {
        self.noted(self.choice.sequencer.drain_unit(asked)).await
    }

    async fn remove_unit(&self, asked: v1::RemoveUnitRequest) -> Result<v1::UnitRemoved, Refusal> {
        self.noted(self.choice.sequencer.remove_unit(asked)).await
    }
}
