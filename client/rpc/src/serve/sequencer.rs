//! The sequencer's gRPC service in front of the role's trait.
use super::{Front, Outbound, answer, inbound, outbound};
use crate::trace::{asked_for, within};
use dfs_wire::v1;
use dfs_wire::v1::sequencer_server::Sequencer;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl Sequencer for Front {
    type KeepAliveStream = Outbound<v1::Members>;
    type UnitStream = Outbound<v1::UnitOrder>;
    type SubscribeStream = Outbound<v1::LogEvent>;

    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::Registered>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.register(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn keep_alive(
        &self,
        request: Request<Streaming<v1::Beat>>,
    ) -> Result<Response<Self::KeepAliveStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { outbound(self.sequencer()?.keep_alive(inbound(request)).await) };
        within(context, asked).await
    }

    async fn open_lane(
        &self,
        request: Request<v1::OpenLaneRequest>,
    ) -> Result<Response<v1::LaneOpened>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.open_lane(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn move_lane(
        &self,
        request: Request<v1::MoveLaneRequest>,
    ) -> Result<Response<v1::LaneMoved>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.move_lane(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn unit(
        &self,
        request: Request<Streaming<v1::UnitReport>>,
    ) -> Result<Response<Self::UnitStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { outbound(self.sequencer()?.unit(inbound(request)).await) };
        within(context, asked).await
    }

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { outbound(self.sequencer()?.subscribe(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn end(
        &self,
        request: Request<v1::EndRequest>,
    ) -> Result<Response<v1::EndAnswer>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.end(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn sequencer_status(
        &self,
        _: Request<v1::SequencerStatusRequest>,
    ) -> Result<Response<v1::SequencerStatusAnswer>, Status> {
        answer(self.sequencer()?.status().await)
    }

    async fn history(
        &self,
        _: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryAnswer>, Status> {
        answer(self.sequencer()?.history().await)
    }

    async fn change_history(
        &self,
        request: Request<v1::HistoryChange>,
    ) -> Result<Response<v1::HistoryAnswer>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.change_history(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn drain_unit(
        &self,
        request: Request<v1::DrainUnitRequest>,
    ) -> Result<Response<v1::DrainProgress>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.drain_unit(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn remove_unit(
        &self,
        request: Request<v1::RemoveUnitRequest>,
    ) -> Result<Response<v1::UnitRemoved>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.remove_unit(request.into_inner()).await) };
        within(context, asked).await
    }
}
