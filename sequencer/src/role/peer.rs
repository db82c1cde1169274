//! Peer: what the other voters of the group say to this one (LOG.md §6).
use super::SequencerRole;
use crate::raft::machine::snapshot_from;
use crate::raft::wire::{
    entries_of, log_id_of, told_outcome, told_vote, told_voted, vote_of, vote_request_of,
};
use async_trait::async_trait;
use dfs_rpc::roles::{Answers, Peer, Requests};
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use openraft::async_runtime::WatchReceiver;
use openraft::raft::TransferLeaderRequest;
use std::io;

/// A snapshot holds what the order holds: far below this.
const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;

fn stopped(e: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Unavailable, "voter", e.to_string())
}

fn malformed(e: &io::Error) -> Refusal {
    Refusal::new(Code::Invalid, "message of a voter", e.to_string())
}

impl SequencerRole {
    /// Runs in this role's group of tasks: openraft finds its env there.
    pub(crate) async fn inside<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = self.env.spawn("sequencer-peer", act).await;
        done.unwrap_or_else(|e| Err(stopped(e)))
    }
}

#[async_trait]
impl Peer for SequencerRole {
    async fn replicate(
        &self,
        mut requests: Requests<v1::ReplicateRequest>,
    ) -> Result<Answers<v1::Replicated>, Refusal> {
        let Some(first) = requests.next().await else {
            return Ok(stream::empty().boxed());
        };
        self.standing.admit(first.head.as_ref())?;
        let requests = stream::iter([first]).chain(requests);
        // A message that cannot be read ends the stream, as if the sender had gone.
        let entries = requests
            .map(|told| entries_of(told).inspect_err(|e| tracing::error!("a voter sends: {e}")))
            .take_while(|entries| std::future::ready(entries.is_ok()))
            .filter_map(|entries| std::future::ready(entries.ok()));
        let (group, nonce) = (self.group.clone(), self.standing.nonce());
        let appended = async move { Ok(group.stream_append(entries).boxed()) };
        let appended = self.inside(appended).await?;
        let metrics = self.group.metrics();
        let answers = appended.map(move |result| {
            let result = result.map_err(stopped)?;
            let applied = metrics
                .borrow_watched()
                .last_applied
                .map_or(0, |id| id.index);
            Ok(told_outcome(result, nonce.clone(), applied))
        });
        Ok(answers.boxed())
    }

    async fn vote(&self, request: v1::VoteRequest) -> Result<v1::Voted, Refusal> {
        self.standing.admit(request.head.as_ref())?;
        let asked = vote_request_of(&request).map_err(|e| malformed(&e))?;
        let voted = match request.pre_vote {
            true => self.group.pre_vote(asked).await,
            false => self.group.vote(asked).await,
        };
        let voted = voted.map_err(stopped)?;
        Ok(told_voted(&voted, self.standing.nonce()))
    }

    async fn install_snapshot(
        &self,
        mut parts: Requests<v1::SnapshotPart>,
    ) -> Result<v1::SnapshotInstalled, Refusal> {
        let first = parts.next().await.unwrap_or_default();
        self.standing.admit(first.head.as_ref())?;
        let vote = vote_of(first.vote).map_err(|e| malformed(&e))?;
        let broken = || Refusal::new(Code::Invalid, "snapshot", "it is not of the length it says");
        if first.total_bytes > SNAPSHOT_BYTES_MAX {
            return Err(broken());
        }
        let mut bytes = Vec::with_capacity(first.total_bytes as usize);
        bytes.extend_from_slice(&first.bytes);
        while let Some(part) = parts.next().await {
            bytes.extend_from_slice(&part.bytes);
            if bytes.len() as u64 > first.total_bytes {
                return Err(broken());
            }
        }
        if bytes.len() as u64 != first.total_bytes {
            return Err(broken());
        }
        let snapshot = snapshot_from(bytes).map_err(|e| malformed(&e))?;
        let group = self.group.clone();
        let installing = async move {
            let installed = group.install_full_snapshot(vote, snapshot).await;
            installed.map_err(stopped)
        };
        let installed = self.inside(installing).await?;
        Ok(v1::SnapshotInstalled {
            vote: Some(told_vote(&installed.vote)),
            nonce: self.standing.nonce(),
        })
    }

    async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
    ) -> Result<v1::LeaderTransferred, Refusal> {
        self.standing.admit(request.head.as_ref())?;
        let from = vote_of(request.from_leader).map_err(|e| malformed(&e))?;
        let asked = TransferLeaderRequest::new(from, request.to, request.last.map(log_id_of));
        let taken = self.group.handle_transfer_leader(asked).await;
        Ok(v1::LeaderTransferred {
            nonce: self.standing.nonce(),
            taken: taken.map_err(stopped)?.is_ok(),
        })
    }
}
