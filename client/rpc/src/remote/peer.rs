//! A voter at the other end of a connection, for voters.
use super::{Connection, Outgoing, call};
use crate::roles::{Answers, Peer, Requests};
use async_trait::async_trait;
use dfs_wire::limits::MESSAGE_BYTES_MAX;
use dfs_wire::v1::peer_client::PeerClient;
use dfs_wire::{Refusal, v1};
use tonic::transport::Channel;

pub(crate) struct RemotePeer {
    connection: Connection,
}

impl RemotePeer {
    pub(crate) fn new(connection: Connection) -> RemotePeer {
        RemotePeer { connection }
    }

    fn client(&self) -> PeerClient<Channel> {
        PeerClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

#[async_trait]
impl Peer for RemotePeer {
    async fn replicate(
        &self,
        requests: Requests<v1::ReplicateRequest>,
    ) -> Result<Answers<v1::Replicated>, Refusal> {
        self.connection
            .answers(self.client().replicate(Outgoing(requests)).await)
    }

    async fn vote(&self, request: v1::VoteRequest) -> Result<v1::Voted, Refusal> {
        self.connection
            .answer(self.client().vote(call(request)).await)
    }

    async fn install_snapshot(
        &self,
        parts: Requests<v1::SnapshotPart>,
    ) -> Result<v1::SnapshotInstalled, Refusal> {
        self.connection
            .answer(self.client().install_snapshot(Outgoing(parts)).await)
    }

    async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
    ) -> Result<v1::LeaderTransferred, Refusal> {
        self.connection
            .answer(self.client().transfer_leader(call(request)).await)
    }
}
