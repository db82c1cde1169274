//! The sequencer's gRPC service for those who change the group.
use super::{Front, Outbound, answer, outbound};
use crate::trace::{asked_for, within};
use dfs_wire::v1;
use dfs_wire::v1::admin_server::Admin;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Admin for Front {
    type WatchGroupStream = Outbound<v1::GroupStatus>;

    async fn administer(
        &self,
        request: Request<v1::AdminRequest>,
    ) -> Result<Response<v1::AdminAnswer>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { answer(self.sequencer()?.administer(request.into_inner()).await) };
        within(context, asked).await
    }

    async fn watch_group(
        &self,
        _: Request<v1::WatchGroupRequest>,
    ) -> Result<Response<Self::WatchGroupStream>, Status> {
        outbound(self.sequencer()?.watch_group().await)
    }
}
