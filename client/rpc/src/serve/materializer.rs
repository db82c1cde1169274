//! The materializer's gRPC service in front of the role's trait.
use super::{Front, Outbound, answer, inbound, outbound};
use crate::trace::{asked_for, within};
use dfs_wire::v1;
use dfs_wire::v1::materializer_server::Materializer;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl Materializer for Front {
    type RequestsStream = Outbound<v1::AnswerBatch>;

    async fn requests(
        &self,
        request: Request<Streaming<v1::RequestBatch>>,
    ) -> Result<Response<Self::RequestsStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async { outbound(self.materializer()?.requests(inbound(request)).await) };
        within(context, asked).await
    }

    async fn materializer_status(
        &self,
        _: Request<v1::MaterializerStatusRequest>,
    ) -> Result<Response<v1::MaterializerStatusAnswer>, Status> {
        answer(self.materializer()?.status().await)
    }
}
