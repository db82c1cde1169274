//! A voter's gRPC service for the other voters; the first message says which voter is meant.
use super::log_unit::first_of;
use super::{Front, Outbound, absent, answer, inbound, outbound};
use crate::roles;
use dfs_wire::v1;
use dfs_wire::v1::peer_server::Peer;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

impl Front {
    fn peer(&self, head: Option<&v1::PeerHead>) -> Result<Arc<dyn roles::Peer>, Status> {
        let voter = head.map_or(0, |head| head.to);
        let found = self.roles.read().peers.get(&voter).cloned();
        found.ok_or_else(|| absent(&format!("voter {voter}")))
    }
}

#[tonic::async_trait]
impl Peer for Front {
    type ReplicateStream = Outbound<v1::Replicated>;

    async fn replicate(
        &self,
        request: Request<Streaming<v1::ReplicateRequest>>,
    ) -> Result<Response<Self::ReplicateStream>, Status> {
        let (first, requests) = first_of(inbound(request)).await?;
        outbound(self.peer(first.head.as_ref())?.replicate(requests).await)
    }

    async fn vote(&self, request: Request<v1::VoteRequest>) -> Result<Response<v1::Voted>, Status> {
        let request = request.into_inner();
        answer(self.peer(request.head.as_ref())?.vote(request).await)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<v1::SnapshotPart>>,
    ) -> Result<Response<v1::SnapshotInstalled>, Status> {
        let (first, parts) = first_of(inbound(request)).await?;
        answer(
            self.peer(first.head.as_ref())?
                .install_snapshot(parts)
                .await,
        )
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Result<Response<v1::LeaderTransferred>, Status> {
        let request = request.into_inner();
        answer(
            self.peer(request.head.as_ref())?
                .transfer_leader(request)
                .await,
        )
    }
}
