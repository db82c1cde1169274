//! The materializer's gRPC service in front of the role's trait.
use super::{Front, Outbound, answer, inbound, outbound};
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
        outbound(self.materializer()?.requests(inbound(request)).await)
    }

    async fn materializer_status(
        &self,
        _: Request<v1::MaterializerStatusRequest>,
    ) -> Result<Response<v1::MaterializerStatusAnswer>, Status> {
        answer(self.materializer()?.status().await)
    }
}
