//! Voters of other processes, for voters.
use super::link::Link;
use async_trait::async_trait;
use dfs_rpc::roles::{Answers, Peer, Requests};
use dfs_rpc::serve::Roles;
use dfs_wire::{Refusal, v1};
use std::sync::Arc;

pub(super) struct FarPeer {
    pub(super) link: Link,
    pub(super) voter: u64,
}

impl FarPeer {
    fn pick(&self) -> impl FnOnce(&Roles) -> Option<Arc<dyn Peer>> + Send + use<> {
        let voter = self.voter;
        move |roles: &Roles| roles.peers.get(&voter).cloned()
    }
}

#[async_trait]
impl Peer for FarPeer {
    async fn replicate(
        &self,
        requests: Requests<v1::ReplicateRequest>,
    ) -> Result<Answers<v1::Replicated>, Refusal> {
        self.link.there("replicate").await?;
        let role = self.link.role("replicate", self.pick())?;
        let (requests, held) = self.link.outgoing("entries", requests, None);
        let handler = async move { role.replicate(requests).await };
        self.link.answers("replicated", handler, Some(held)).await
    }

    async fn vote(&self, request: v1::VoteRequest) -> Result<v1::Voted, Refusal> {
        let asked = request.clone();
        let act = |role: Arc<dyn Peer>| async move { role.vote(asked).await };
        self.link.call("vote", &request, self.pick(), act).await
    }

    async fn install_snapshot(
        &self,
        parts: Requests<v1::SnapshotPart>,
    ) -> Result<v1::SnapshotInstalled, Refusal> {
        self.link.there("snapshot").await?;
        let role = self.link.role("snapshot", self.pick())?;
        let (parts, _held) = self.link.outgoing("snapshot", parts, None);
        let handler = async move { role.install_snapshot(parts).await };
        let installed = self.link.handled("snapshot", handler).await;
        self.link.back("installed", installed).await
    }

    async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
    ) -> Result<v1::LeaderTransferred, Refusal> {
        let asked = request.clone();
        let act = |role: Arc<dyn Peer>| async move { role.transfer_leader(asked).await };
        self.link.call("transfer", &request, self.pick(), act).await
    }
}
