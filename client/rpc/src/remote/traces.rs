//! What another process keeps of a request, whatever its roles.
use super::{Connection, call};
use crate::trace::halves;
use dfs_wire::limits::MESSAGE_BYTES_MAX;
use dfs_wire::v1::traces_client::TracesClient;
use dfs_wire::{Refusal, v1};
use tonic::transport::Channel;

fn client(connection: &Connection) -> TracesClient<Channel> {
    TracesClient::new(connection.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(crate) async fn spans(
    connection: &Connection,
    trace_id: u128,
) -> Result<v1::SpansAnswer, Refusal> {
    let (trace_high, trace_low) = halves(trace_id);
    let asked = call(v1::SpansRequest {
        trace_high,
        trace_low,
    });
    connection.answer(client(connection).spans(asked).await)
}

pub(crate) async fn keep_spans(
    connection: &Connection,
    trace_id: u128,
    spans: Vec<v1::TracedSpan>,
) -> Result<(), Refusal> {
    let (trace_high, trace_low) = halves(trace_id);
    let told = call(v1::SpansToKeep {
        trace_high,
        trace_low,
        spans,
    });
    let kept = connection.answer(client(connection).keep(told).await);
    kept.map(|_| ())
}
