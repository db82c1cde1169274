//! The door: `dfs_rpc::roles::Sequencer`, one operation in each file.
mod drain_unit;
mod end;
mod handover;
mod history;
mod keep_alive;
mod move_lane;
mod open_lane;
mod peer;
mod register;
mod remove_unit;
mod status;
mod subscribe;
mod unit;

pub(crate) use end::CALLERS_QUEUED;
pub(crate) use register::NONCE_BYTES;

use crate::board::{Board, Seen};
use crate::config::SequencerConfig;
use crate::order::command::Kind;
use crate::order::{Outcome, Refused};
use crate::raft::standing::Standing;
use crate::raft::{Group, Started, journal};
use crate::{leader, metrics, raft};
use async_trait::async_trait;
use dfs_env::{Disk, Env};
use dfs_rpc::metrics::Calls;
use dfs_rpc::roles::{Answers, PeerConnector, Requests, Sequencer};
use dfs_rpc::trace::{Span, Who};
use dfs_wire::{Code, Refusal, v1};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long an orderly end may take: a disk that is full or hangs must not keep the process.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// One voter of the sequencer.
pub struct SequencerRole {
    env: Env,
    config: SequencerConfig,
    board: Arc<Board>,
    group: Group,
    journal: journal::Journal,
    standing: Arc<Standing>,
    ends: mpsc::Sender<end::Caller>,
    calls: Calls,
}

impl SequencerRole {
    /// Opens what lies in `dir`, or begins with nothing there, and takes part in the group.
    pub async fn start(
        env: &Env,
        dir: &Path,
        config: SequencerConfig,
        peers: Arc<dyn PeerConnector>,
    ) -> Result<Arc<SequencerRole>, Refusal> {
        let env = env.group("sequencer");
        let disk = env.disk(dir).map_err(|e| unopened(&e))?;
        SequencerRole::start_on(env, disk, config, peers).await
    }

    /// As `start`, on a disk that is open already; `env` becomes the role's own group of tasks.
    pub async fn start_on(
        env: Env,
        disk: Arc<dyn Disk>,
        config: SequencerConfig,
        peers: Arc<dyn PeerConnector>,
    ) -> Result<Arc<SequencerRole>, Refusal> {
        let board = Board::new(env.clone());
        board.with(|seen| {
            seen.set_aside_from = config.set_aside_from;
            seen.traced.voter = config.voter;
        });
        let (task_env, task_board) = (env.clone(), board.clone());
        let told = config.clone();
        // In a task of the group, because openraft finds its env in the task that runs it.
        let starting = env.spawn("sequencer-start", async move {
            raft::start(&task_env, disk, task_board, peers, &told).await
        });
        let started = starting
            .await
            .map_err(std::io::Error::other)
            .and_then(|started| started);
        let Started {
            group,
            journal,
            standing,
        } = match started {
            Ok(started) => started,
            Err(e) => {
                env.stop().await;
                return Err(unopened(&e));
            }
        };
        env.spawn(
            "sequencer-leader",
            leader::follow(env.clone(), group.clone(), board.clone(), standing.clone()),
        );
        env.spawn(
            "sequencer-watch",
            leader::watch_silence(env.clone(), board.clone(), config.redundancy),
        );
        let (ends, callers) = mpsc::channel(end::CALLERS_QUEUED);
        env.spawn(
            "sequencer-end",
            end::answer(group.clone(), board.clone(), callers),
        );
        Ok(Arc::new(SequencerRole {
            env,
            config,
            board,
            group,
            journal,
            standing,
            ends,
            calls: metrics::calls(),
        }))
    }

    /// Waits until this voter has stopped by itself, and says why: its disk failed, usually. Whoever
    /// runs it calls `stop`, then starts it again (LOG-U3).
    pub async fn stopped(&self) -> String {
        let mut metrics = self.group.metrics();
        loop {
            if let Err(why) = &metrics.borrow_watched().running_state {
                return why.to_string();
            }
            if metrics.changed().await.is_err() {
                return "the raft group has ended".into();
            }
        }
    }

    /// Lets another voter lead, if this one does and there is another. Before `stop`, so that nobody
    /// has to find out that the leader is gone.
    pub async fn hand_over(&self) {
        handover::hand_over(&self.env, &self.group, &self.board).await;
    }

    /// Ends this voter's part; what it has promised is on disk.
    pub async fn stop(&self) {
        let orderly = async {
            if let Err(e) = self.group.shutdown().await {
                tracing::debug!("the raft group was down already: {e}");
            }
            self.journal.close().await;
        };
        if self.env.timeout(STOP_WITHIN, orderly).await.is_err() {
            tracing::info!("the sequencer's journal did not end in time; it is safe as it is");
        }
        self.env.stop().await;
    }

    /// As `hand_over`, to this voter only; 0: to any.
    pub(crate) async fn hand_over_to(&self, to: u64) {
        handover::hand_over_to(&self.env, &self.group, to).await;
    }

    /// Proposes a command and waits until it is applied.
    pub(crate) async fn propose(&self, what: &str, kind: Kind) -> Result<Outcome, Refusal> {
        self.board.sound()?;
        let written = self.group.client_write(kind.into()).await;
        let outcome = written.map_err(|e| self.unwritten(what, e))?.data;
        match outcome {
            Outcome::Refused(Refused { code, what, why }) => {
                let code = Code::try_from(code).unwrap_or(Code::Unspecified);
                Err(Refusal::new(code, what, why))
            }
            outcome => Ok(outcome),
        }
    }

    pub(crate) fn unwritten(
        &self,
        what: &str,
        e: RaftError<raft::Types, ClientWriteError<raft::Types>>,
    ) -> Refusal {
        match e {
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
                let address = forward
                    .leader_node
                    .map(|node| node.addr)
                    .unwrap_or_default();
                not_leading(what).primary(address)
            }
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
                // The next leader may have it all the same.
                let why = "this sequencer led no more before it was agreed on";
                Refusal::new(Code::TimedOut, what, why).primary(self.leader_address())
            }
            RaftError::APIError(e) => Refusal::new(Code::State, what, e.to_string()),
            RaftError::Fatal(e) => {
                // The entry may be in the journal all the same.
                Refusal::new(
                    Code::TimedOut,
                    what,
                    format!("the sequencer has stopped: {e}"),
                )
            }
        }
    }

    /// Runs `f` if this voter leads.
    pub(crate) fn leading<T>(
        &self,
        what: &str,
        f: impl FnOnce(&mut Seen) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.board.sound()?;
        let answer = self.board.with(|seen| seen.leads.then(|| f(seen)));
        answer.unwrap_or_else(|| Err(not_leading(what).primary(self.leader_address())))
    }

    /// Whether this voter leads, and knows it.
    pub fn leads(&self) -> bool {
        self.board.with(|seen| seen.leads)
    }

    /// Counts a request and how long it took.
    async fn counted<T>(
        &self,
        kind: usize,
        asked: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let who = Who::sequencer(self.config.voter);
        let span = Span::here(&self.env, "sequencer.request", who);
        let span = span.with("kind", metrics::KINDS[kind]);
        // Boxed: it would stand in this future once for each way through it.
        let asked = Box::pin(asked);
        span.covers(self.calls.counted(&self.env, kind, asked))
            .await
    }

    /// What is counted, and how many wait for the end of the log.
    pub(crate) fn counts(&self) -> (&journal::Journal, &Calls, usize) {
        let waiting = self.ends.max_capacity() - self.ends.capacity();
        (&self.journal, &self.calls, waiting)
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    pub(crate) fn config(&self) -> &SequencerConfig {
        &self.config
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    pub(crate) fn shared_board(&self) -> Arc<Board> {
        self.board.clone()
    }

    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.clone()
    }

    /// Whether there is no other voter, and never was one that could lead instead.
    fn is_alone(&self) -> bool {
        let metrics = self.group.server_metrics();
        let membership = metrics.borrow_watched().membership_config.clone();
        membership.voter_ids().eq([self.config.voter])
    }

    /// Who leads, as far as this voter knows.
    pub(crate) fn leader(&self) -> Option<u64> {
        self.group.server_metrics().borrow_watched().current_leader
    }

    /// Of the last entry that most voters have.
    pub(crate) fn committed_index(&self) -> u64 {
        let metrics = self.group.metrics();
        let metrics = metrics.borrow_watched();
        let known = metrics.cluster_committed.max(metrics.local_committed);
        known.map_or(0, |id| id.index)
    }

    /// The addresses of all voters.
    fn voter_addresses(&self) -> Vec<String> {
        let metrics = self.group.server_metrics();
        let membership = metrics.borrow_watched().membership_config.clone();
        let node = |voter| membership.get_node(&voter).map(|node| node.addr.clone());
        let addresses: BTreeSet<String> = membership.voter_ids().filter_map(node).collect();
        addresses.into_iter().collect()
    }

    /// Of the entry that the list of voters stands in; 0 while there is none.
    fn voters_index(&self) -> u64 {
        let metrics = self.group.server_metrics();
        let metrics = metrics.borrow_watched();
        let entry = metrics.membership_config.log_id();
        entry.as_ref().map_or(0, |id| id.index)
    }

    /// The address of another voter that leads; empty when there is none, or it is this one.
    pub(crate) fn leader_address(&self) -> String {
        let metrics = self.group.server_metrics();
        let metrics = metrics.borrow_watched();
        let other = metrics
            .current_leader
            .filter(|leader| *leader != self.config.voter);
        let node = other.and_then(|leader| metrics.membership_config.get_node(&leader));
        node.map(|node| node.addr.clone()).unwrap_or_default()
    }
}

pub(crate) fn not_leading(what: &str) -> Refusal {
    Refusal::new(Code::Unavailable, what, "this sequencer does not lead now")
}

/// A stream that the sequencer ends: the other side asks again and begins with a Base.
pub(crate) fn ended(what: &str) -> Refusal {
    Refusal::new(
        Code::Unavailable,
        what,
        "it fell behind, was replaced, or the sequencer stopped",
    )
    .advice("Ask again; what was missed comes with the Base")
}

fn unopened(e: &std::io::Error) -> Refusal {
    let (code, advice) = match e.kind() {
        std::io::ErrorKind::InvalidData => (
            Code::Corrupt,
            "Restore the sequencer's directory from another voter; do not empty it",
        ),
        std::io::ErrorKind::StorageFull => (Code::NoSpace, "Free some space and start again"),
        _ => (
            Code::State,
            "Look at the directory named in the configuration and start again",
        ),
    };
    Refusal::new(code, "the sequencer's journal", e.to_string()).advice(advice)
}

#[async_trait]
impl Sequencer for SequencerRole {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        self.counted(metrics::REGISTER, self.register_process(request))
            .await
    }

    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        self.counted(metrics::KEEP_ALIVE, self.keep_process_alive(beats))
            .await
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        self.counted(metrics::OPEN_LANE, self.open_a_lane(request))
            .await
    }

    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        self.counted(metrics::MOVE_LANE, self.move_a_lane(request))
            .await
    }

    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        self.counted(metrics::UNIT, self.converse_with_unit(reports))
            .await
    }

    async fn subscribe(
        &self,
        _request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.counted(metrics::SUBSCRIBE, async { self.stream_events() })
            .await
    }

    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        let end = self.counted(metrics::END, self.find_end(request)).await?;
        let voters_index = self.voters_index();
        Ok(v1::EndAnswer {
            voters_index,
            ..end
        })
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        Ok(self.describe())
    }

    async fn administer(&self, request: v1::AdminRequest) -> Result<v1::AdminAnswer, Refusal> {
        let asked = Box::pin(self.answer_admin(request));
        self.counted(metrics::ADMINISTER, asked).await
    }

    async fn watch_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        self.stream_group()
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        self.tell_history()
    }

    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        self.counted(metrics::CHANGE_HISTORY, self.change_the_history(change))
            .await
    }

    async fn drain_unit(&self, asked: v1::DrainUnitRequest) -> Result<v1::DrainProgress, Refusal> {
        self.drain_a_unit(asked).await
    }

    async fn remove_unit(&self, asked: v1::RemoveUnitRequest) -> Result<v1::UnitRemoved, Refusal> {
        self.remove_a_unit(asked).await
    }
}
