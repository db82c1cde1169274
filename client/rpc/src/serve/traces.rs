//! What this process keeps of requests: the same answer whichever roles run here.
use super::Front;
use crate::trace::{joined, ring};
use dfs_wire::v1;
use dfs_wire::v1::traces_server::Traces;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Traces for Front {
    async fn spans(
        &self,
        request: Request<v1::SpansRequest>,
    ) -> Result<Response<v1::SpansAnswer>, Status> {
        let asked = request.into_inner();
        let trace_id = joined(asked.trace_high, asked.trace_low);
        Ok(Response::new(v1::SpansAnswer {
            spans: ring::spans_of(trace_id, dfs_env::current().now()),
            left_out: ring::left_out(),
        }))
    }

    async fn keep(
        &self,
        request: Request<v1::SpansToKeep>,
    ) -> Result<Response<v1::SpansKept>, Status> {
        let told = request.into_inner();
        ring::keep_told(joined(told.trace_high, told.trace_low), told.spans);
        Ok(Response::new(v1::SpansKept {}))
    }
}
