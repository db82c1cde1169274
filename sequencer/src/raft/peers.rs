//! The way to the other voters: one connection to each, let go at the first error.
use crate::raft::standing::Standing;
use crate::raft::wire::{
    outcome_of, place_of, told_entries, told_vote, told_vote_request, vote_of, voted_of,
};
use crate::raft::{Types, Vote};
use bytes::Bytes;
use dfs_env::Env;
use dfs_rpc::roles::{Answers, Peer, PeerConnector};
use dfs_wire::limits::PART_BYTES_MAX;
use dfs_wire::{Code, Refusal, v1};
use futures::{FutureExt, Stream, StreamExt, stream};
use openraft::alias::SnapshotOf;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tracing::warn;

/// A connection that was asked and has answered nothing for so long leads nowhere. Longer than any
/// healthy fsync, which an answer waits for; shorter than anybody waits for a voter.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// To connect takes a few round trips. A try that takes longer began while nobody was there.
const CONNECT_WITHIN: Duration = Duration::from_millis(200);

/// Ways to all other voters. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
}

struct Shared {
    env: Env,
    connector: Arc<dyn PeerConnector>,
    standing: Arc<Standing>,
    open: Mutex<BTreeMap<u64, Arc<dyn Peer>>>,
}

/// The way to one voter.
pub(crate) struct Way {
    shared: Arc<Shared>,
    voter: u64,
    address: String,
    /// For single requests: heartbeats, and what asks whether this one still leads. To open a stream for
    /// each costs both sides more than the rest of it.
    kept: Mutex<Option<Kept>>,
}

/// A stream with no request under way.
struct Kept {
    requests: mpsc::Sender<AppendEntriesRequest<Types>>,
    answers: BoxStream<'static, Appended>,
}

impl Peers {
    pub(super) fn new(
        env: Env,
        connector: Arc<dyn PeerConnector>,
        standing: Arc<Standing>,
    ) -> Peers {
        let open = Mutex::default();
        Peers {
            shared: Arc::new(Shared {
                env,
                connector,
                standing,
                open,
            }),
        }
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Way;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Way {
        Way {
            shared: self.shared.clone(),
            voter: target,
            address: node.addr.clone(),
            kept: Mutex::default(),
        }
    }
}

impl Shared {
    async fn peer(&self, voter: u64, address: &str) -> Result<Arc<dyn Peer>, Refusal> {
        if let Some(open) = self.open.lock().get(&voter).cloned() {
            return Ok(open);
        }
        let connecting = self.connector.peer(voter, address);
        let peer = self.within(CONNECT_WITHIN, connecting).await?;
        self.open.lock().insert(voter, peer.clone());
        Ok(peer)
    }

    /// #1770 of openraft: what is kept of a connection to a voter that was started anew starves it.
    fn let_go(&self, voter: u64, peer: &Arc<dyn Peer>) {
        let mut open = self.open.lock();
        if open
            .get(&voter)
            .is_some_and(|present| Arc::ptr_eq(present, peer))
        {
            open.remove(&voter);
        }
    }

    async fn within<T>(
        &self,
        time: Duration,
        asked: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let answered = self.env.timeout(time, asked).await;
        answered.unwrap_or_else(|_| Err(silent()))
    }
}

fn silent() -> Refusal {
    Refusal::new(Code::Unavailable, "voter", "it did not answer in time")
}

fn damaged(e: &std::io::Error) -> Refusal {
    Refusal::new(Code::Invalid, "voter", e.to_string())
}

fn unreachable(refusal: &Refusal) -> Unreachable<Types> {
    Unreachable::from_string(refusal)
}

fn failed(refusal: &Refusal) -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string(refusal))
}

impl Way {
    fn head(&self) -> Option<v1::PeerHead> {
        Some(self.shared.standing.head(self.voter))
    }

    async fn peer(&self) -> Result<Arc<dyn Peer>, Refusal> {
        self.shared.peer(self.voter, &self.address).await
    }

    /// The answer says whose directory it comes from.
    fn noted<T>(
        &self,
        peer: &Arc<dyn Peer>,
        answer: Result<(T, Bytes), Refusal>,
    ) -> Result<T, Refusal> {
        self.shared.noted(self.voter, peer, answer)
    }

    /// One question, one answer.
    async fn ask<T, F>(
        &self,
        time: Duration,
        question: impl FnOnce(Arc<dyn Peer>) -> F,
    ) -> Result<T, RPCError<Types>>
    where
        F: Future<Output = Result<(T, Bytes), Refusal>>,
    {
        let peer = match self.peer().await {
            Ok(peer) => peer,
            Err(refusal) => return Err(RPCError::Unreachable(unreachable(&refusal))),
        };
        let answer = self.shared.within(time, question(peer.clone())).await;
        self.noted(&peer, answer)
            .map_err(|refusal| failed(&refusal))
    }
}

impl Shared {
    fn noted<T>(
        &self,
        voter: u64,
        peer: &Arc<dyn Peer>,
        answer: Result<(T, Bytes), Refusal>,
    ) -> Result<T, Refusal> {
        match answer {
            Ok((answer, nonce)) => {
                self.standing.hear(voter, nonce);
                Ok(answer)
            }
            Err(refusal) => {
                self.let_go(voter, peer);
                if refusal.code() == Code::Denied && self.standing.is_removed_now() {
                    warn!("voter {voter} says that this one was removed from the group for good");
                }
                let kept_out = refusal.code() == Code::Mismatch;
                let why = kept_out.then(|| refusal.get().why.clone());
                self.standing.told_of(voter, why.as_deref());
                Err(refusal)
            }
        }
    }
}

type Appended = Result<StreamAppendResult<Types>, RPCError<Types>>;

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        // Taken: whoever stops waiting leaves no stream behind whose next answer is not its own.
        let kept = self.kept.lock().take();
        let mut kept = match kept {
            Some(kept) => kept,
            None => self.open_kept().await?,
        };
        if kept.requests.send(rpc).await.is_err() {
            return Err(failed(&silent()));
        }
        let answer = kept.answers.next().await;
        let answer = answer.unwrap_or_else(|| Err(failed(&silent())))?;
        if answer.is_ok() {
            *self.kept.lock() = Some(kept);
        }
        Ok(AppendEntriesResponse::from(answer))
    }

    /// Requests flow as long as there are any: an answer waits for the other's fsync, a request for
    /// nothing.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Appended>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let opened = async move {
            let answers: BoxStream<'s, Appended> = self.replicate(input).await?;
            Ok(answers)
        };
        opened.boxed()
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_for_vote(told_vote_request(self.head(), &rpc, false), &option)
            .await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_for_vote(told_vote_request(self.head(), &rpc, true), &option)
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<Types, Vec<u8>>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let parts = parts(self.head(), vote, snapshot.snapshot.into());
        let sending = self.ask(option.soft_ttl(), |peer| async move {
            let installed = peer.install_snapshot(parts).await?;
            let vote = vote_of(installed.vote).map_err(|e| damaged(&e))?;
            Ok((SnapshotResponse::new(vote), installed.nonce))
        });
        let sent = tokio::select! {
            biased;
            closed = cancel => return Err(StreamingError::Closed(closed)),
            sent = sending => sent,
        };
        sent.map_err(|e| match e {
            RPCError::Unreachable(e) => StreamingError::Unreachable(e),
            e => StreamingError::Network(NetworkError::from_string(e)),
        })
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let request = v1::TransferLeaderRequest {
            head: self.head(),
            from_leader: Some(told_vote(req.from_leader())),
            to: *req.to_node_id(),
            last: req.last_log_id().map(place_of),
        };
        self.ask(option.soft_ttl(), |peer| async move {
            let transferred = peer.transfer_leader(request).await?;
            if !transferred.taken {
                let why = "it cannot lead yet";
                return Err(Refusal::new(Code::State, "transfer of leadership", why));
            }
            Ok((Ok(()), transferred.nonce))
        })
        .await
    }
}

impl Way {
    async fn open_kept(&self) -> Result<Kept, RPCError<Types>> {
        let (requests, input) = mpsc::channel(1); // one is under way at a time
        let input = stream::unfold(input, |mut input| async move {
            let request = input.recv().await?;
            Some((request, input))
        });
        let answers = self.replicate(input.boxed()).await?;
        Ok(Kept { requests, answers })
    }

    async fn replicate<S>(&self, input: S) -> Result<BoxStream<'static, Appended>, RPCError<Types>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let peer = self.peer().await;
        let peer = peer.map_err(|refusal| RPCError::Unreachable(unreachable(&refusal)))?;
        let sent = Arc::new(Sent::default());
        let requests = requests(self.head(), input, sent.clone(), self.shared.env.clone());
        let opening = self.shared.within(ANSWER_WITHIN, peer.replicate(requests));
        let answers = match opening.await {
            Ok(answers) => answers,
            Err(refusal) => {
                let noted = self.noted::<()>(&peer, Err(refusal.clone()));
                return Err(noted.map_or_else(|r| failed(&r), |()| failed(&refusal)));
            }
        };
        let replicating = Replicating {
            shared: self.shared.clone(),
            voter: self.voter,
            peer,
            sent,
            answers,
        };
        Ok(replicating.into_stream())
    }

    async fn ask_for_vote(
        &self,
        request: v1::VoteRequest,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask(option.soft_ttl(), |peer| async move {
            let voted = peer.vote(request).await?;
            let nonce = voted.nonce.clone();
            Ok((voted_of(voted).map_err(|e| damaged(&e))?, nonce))
        })
        .await
    }
}

/// When each request was sent that has no answer yet.
#[derive(Default)]
struct Sent {
    at: Mutex<VecDeque<Instant>>,
    more: Notify,
}

/// The requests as they travel; the first says who sends them.
fn requests<S>(
    head: Option<v1::PeerHead>,
    input: S,
    sent: Arc<Sent>,
    env: Env,
) -> dfs_rpc::roles::Requests<v1::ReplicateRequest>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
{
    let told = stream::unfold((head, input), move |(head, mut input)| {
        let (sent, env) = (sent.clone(), env.clone());
        async move {
            let request = input.next().await?;
            let told = told_entries(head, &request);
            let told = told
                .inspect_err(|e| tracing::error!("an entry has no encoding: {e}"))
                .ok()?;
            sent.at.lock().push_back(env.now());
            sent.more.notify_one();
            Some((told, (None, input)))
        }
    });
    told.boxed()
}

/// One stream of entries and its answers.
struct Replicating {
    shared: Arc<Shared>,
    voter: u64,
    peer: Arc<dyn Peer>,
    sent: Arc<Sent>,
    answers: Answers<v1::Replicated>,
}

impl Replicating {
    fn into_stream<'s>(self) -> BoxStream<'s, Appended> {
        let answers = stream::unfold(Some(self), |state| async move {
            let mut this = state?;
            let answer = this.next().await?;
            let goes_on = matches!(&answer, Ok(Ok(_)));
            Some((answer, goes_on.then_some(this)))
        });
        answers.boxed()
    }

    async fn next(&mut self) -> Option<Appended> {
        let told = self.answer().await?;
        self.sent.at.lock().pop_front();
        if let Ok(told) = &told {
            self.shared.standing.has_applied(self.voter, told.applied);
        }
        let outcome = told.and_then(|told| {
            let nonce = told.nonce.clone();
            Ok((outcome_of(told).map_err(|e| damaged(&e))?, nonce))
        });
        let noted = self.shared.noted(self.voter, &self.peer, outcome);
        Some(noted.map_err(|refusal| failed(&refusal)))
    }

    /// Waits without end while nothing is asked.
    async fn answer(&mut self) -> Option<Result<v1::Replicated, Refusal>> {
        loop {
            let oldest = self.sent.at.lock().front().copied();
            let Some(oldest) = oldest else {
                tokio::select! {
                    biased;
                    answer = self.answers.next() => return answer,
                    () = self.sent.more.notified() => continue,
                }
            };
            let left = (oldest + ANSWER_WITHIN).saturating_duration_since(self.shared.env.now());
            let answered = self.shared.env.timeout(left, self.answers.next()).await;
            return answered.unwrap_or_else(|_| Some(Err(silent())));
        }
    }
}

/// A snapshot in parts of bounded size.
fn parts(
    head: Option<v1::PeerHead>,
    vote: Vote,
    snapshot: Bytes,
) -> dfs_rpc::roles::Requests<v1::SnapshotPart> {
    let first = v1::SnapshotPart {
        head,
        vote: Some(told_vote(&vote)),
        total_bytes: snapshot.len() as u64,
        bytes: Bytes::new(),
    };
    let rest = stream::unfold(snapshot, |mut left| async move {
        if left.is_empty() {
            return None;
        }
        let bytes = left.split_to(left.len().min(PART_BYTES_MAX));
        let part = v1::SnapshotPart {
            bytes,
            ..v1::SnapshotPart::default()
        };
        Some((part, left))
    });
    stream::once(async move { first }).chain(rest).boxed()
}
