//! A log unit's gRPC service in front of the role's trait; the first message says which unit is meant.
use super::{Front, Outbound, answer, inbound, outbound};
use crate::roles::Requests;
use crate::status::to_status;
use crate::trace::{asked_for, within};
use dfs_wire::v1;
use dfs_wire::v1::log_unit_server::LogUnit;
use dfs_wire::v1::store_part::Part;
use dfs_wire::{Code, Refusal};
use futures::StreamExt;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl LogUnit for Front {
    type AppendStream = Outbound<v1::CreditBatch>;
    type ScanStream = Outbound<v1::ScanBatch>;
    type LoadStream = Outbound<v1::LoadPart>;
    type FetchStream = Outbound<v1::FetchBatch>;

    async fn append(
        &self,
        request: Request<Streaming<v1::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async {
            let (first, frames) = first_of(inbound(request)).await?;
            outbound(self.unit(first.unit_id)?.append(frames).await)
        };
        within(context, asked).await
    }

    async fn scan(
        &self,
        request: Request<v1::ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async {
            let request = request.into_inner();
            outbound(self.unit(request.unit_id)?.scan(request).await)
        };
        within(context, asked).await
    }

    async fn store(
        &self,
        request: Request<Streaming<v1::StorePart>>,
    ) -> Result<Response<v1::Stored>, Status> {
        let context = asked_for(request.metadata());
        let asked = async {
            let (first, parts) = first_of(inbound(request)).await?;
            let Some(Part::Header(header)) = first.part else {
                return Err(to_status(Refusal::new(
                    Code::Invalid,
                    "store",
                    "it begins without a header",
                )));
            };
            answer(self.unit(header.unit_id)?.store(parts).await)
        };
        within(context, asked).await
    }

    async fn load(
        &self,
        request: Request<v1::LoadRequest>,
    ) -> Result<Response<Self::LoadStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async {
            let request = request.into_inner();
            outbound(self.unit(request.unit_id)?.load(request).await)
        };
        within(context, asked).await
    }

    async fn unit_status(
        &self,
        request: Request<v1::UnitStatusRequest>,
    ) -> Result<Response<v1::UnitStatusAnswer>, Status> {
        let context = asked_for(request.metadata());
        let asked = async {
            let request = request.into_inner();
            answer(self.unit(request.unit_id)?.status(request).await)
        };
        within(context, asked).await
    }

    async fn fetch(
        &self,
        request: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let context = asked_for(request.metadata());
        let asked = async {
            let request = request.into_inner();
            outbound(self.unit(request.unit_id)?.fetch(request).await)
        };
        within(context, asked).await
    }
}

/// The first message, and the stream with it in front again.
pub(super) async fn first_of<T: Clone + Send + 'static>(
    mut stream: Requests<T>,
) -> Result<(T, Requests<T>), Status> {
    let Some(first) = stream.next().await else {
        return Err(to_status(Refusal::new(
            Code::Invalid,
            "stream",
            "it ended before it began",
        )));
    };
    let again = futures::stream::iter([first.clone()]);
    Ok((first, again.chain(stream).boxed()))
}
