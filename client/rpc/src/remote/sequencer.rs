//! A sequencer at the other end of a connection.
use super::{Connection, Outgoing, call, opening};
use crate::roles::{Answers, Requests, Sequencer};
use async_trait::async_trait;
use dfs_wire::limits::MESSAGE_BYTES_MAX;
use dfs_wire::v1::admin_client::AdminClient;
use dfs_wire::v1::sequencer_client::SequencerClient;
use dfs_wire::{Refusal, v1};
use std::time::Duration;
use tonic::transport::Channel;

/// A change of members takes some round trips and syncs; a question may wait for a learner.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct RemoteSequencer {
    connection: Connection,
}

impl RemoteSequencer {
    pub(crate) fn new(connection: Connection) -> RemoteSequencer {
        RemoteSequencer { connection }
    }

    fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn client(&self) -> SequencerClient<Channel> {
        SequencerClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

#[async_trait]
impl Sequencer for RemoteSequencer {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        self.connection
            .answer(self.client().register(call(request)).await)
    }

    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        self.connection
            .answers(self.client().keep_alive(Outgoing(beats)).await)
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        self.connection
            .answer(self.client().open_lane(call(request)).await)
    }

    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        self.connection
            .answer(self.client().move_lane(call(request)).await)
    }

    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        self.connection
            .answers(self.client().unit(Outgoing(reports)).await)
    }

    async fn subscribe(
        &self,
        request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.connection
            .answers(self.client().subscribe(request).await)
    }

    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        self.connection
            .answer(self.client().end(call(request)).await)
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        let request = call(v1::SequencerStatusRequest {});
        self.connection
            .answer(self.client().sequencer_status(request).await)
    }

    async fn administer(&self, request: v1::AdminRequest) -> Result<v1::AdminAnswer, Refusal> {
        // Some changes wait for others' disks; each bounds itself.
        let mut request = opening(request);
        request.set_timeout(ADMIN_TIMEOUT);
        self.connection
            .answer(self.admin().administer(request).await)
    }

    async fn watch_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        let request = v1::WatchGroupRequest {};
        self.connection
            .answers(self.admin().watch_group(request).await)
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        let request = call(v1::HistoryRequest {});
        self.connection.answer(self.client().history(request).await)
    }

    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        self.connection
            .answer(self.client().change_history(call(change)).await)
    }

    async fn drain_unit(&self, asked: v1::DrainUnitRequest) -> Result<v1::DrainProgress, Refusal> {
        self.connection
            .answer(self.client().drain_unit(call(asked)).await)
    }

    async fn remove_unit(&self, asked: v1::RemoveUnitRequest) -> Result<v1::UnitRemoved, Refusal> {
        self.connection
            .answer(self.client().remove_unit(call(asked)).await)
    }
}
