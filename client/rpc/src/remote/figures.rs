//! Another process, asked for its figures.
use super::{Connection, call};
use crate::roles::Figures;
use async_trait::async_trait;
use dfs_wire::limits::MESSAGE_BYTES_MAX;
use dfs_wire::v1::figures_client::FiguresClient;
use dfs_wire::{Refusal, v1};

pub(crate) struct RemoteFigures {
    connection: Connection,
}

impl RemoteFigures {
    pub(crate) fn new(connection: Connection) -> RemoteFigures {
        RemoteFigures { connection }
    }
}

#[async_trait]
impl Figures for RemoteFigures {
    async fn figures(&self) -> Result<v1::FiguresAnswer, Refusal> {
        let mut client = FiguresClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let request = call(v1::FiguresRequest {});
        self.connection.answer(client.tell_figures(request).await)
    }
}
