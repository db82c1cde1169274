//! A log unit at the other end of a connection.
use super::{Connection, Outgoing, call, opening};
use crate::roles::{Answers, LogUnit, Requests};
use async_trait::async_trait;
use dfs_wire::limits::MESSAGE_BYTES_MAX;
use dfs_wire::v1::log_unit_client::LogUnitClient;
use dfs_wire::{Refusal, v1};
use tonic::transport::Channel;

pub(crate) struct RemoteLogUnit {
    connection: Connection,
}

impl RemoteLogUnit {
    pub(crate) fn new(connection: Connection) -> RemoteLogUnit {
        RemoteLogUnit { connection }
    }

    fn client(&self) -> LogUnitClient<Channel> {
        LogUnitClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

#[async_trait]
impl LogUnit for RemoteLogUnit {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        self.connection
            .answers(self.client().append(opening(Outgoing(frames))).await)
    }

    async fn scan(&self, request: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        self.connection
            .answers(self.client().scan(opening(request)).await)
    }

    async fn store(&self, parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        self.connection
            .answer(self.client().store(opening(Outgoing(parts))).await)
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        self.connection
            .answers(self.client().load(opening(request)).await)
    }

    async fn status(
        &self,
        request: v1::UnitStatusRequest,
    ) -> Result<v1::UnitStatusAnswer, Refusal> {
        self.connection
            .answer(self.client().unit_status(call(request)).await)
    }

    async fn fetch(&self, request: v1::FetchRequest) -> Result<Answers<v1::FetchBatch>, Refusal> {
        self.connection
            .answers(self.client().fetch(opening(request)).await)
    }
}
