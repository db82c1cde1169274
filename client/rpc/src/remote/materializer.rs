//! A materializer at the other end of a connection.
use super::{Connection, Outgoing, call, opening};
use crate::roles::{Answers, Materializer, Requests};
use async_trait::async_trait;
use dfs_wire::limits::MESSAGE_BYTES_MAX;
use dfs_wire::v1::materializer_client::MaterializerClient;
use dfs_wire::{Refusal, v1};
use tonic::transport::Channel;

pub(crate) struct RemoteMaterializer {
    connection: Connection,
}

impl RemoteMaterializer {
    pub(crate) fn new(connection: Connection) -> RemoteMaterializer {
        RemoteMaterializer { connection }
    }

    fn client(&self) -> MaterializerClient<Channel> {
        MaterializerClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

#[async_trait]
impl Materializer for RemoteMaterializer {
    async fn requests(
        &self,
        requests: Requests<v1::RequestBatch>,
    ) -> Result<Answers<v1::AnswerBatch>, Refusal> {
        self.connection
            .answers(self.client().requests(opening(Outgoing(requests))).await)
    }

    async fn status(&self) -> Result<v1::MaterializerStatusAnswer, Refusal> {
        let request = call(v1::MaterializerStatusRequest {});
        self.connection
            .answer(self.client().materializer_status(request).await)
    }
}
