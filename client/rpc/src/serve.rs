//! The roles of this process answer on one port: one server, each role behind its own gRPC service.
mod admin;
mod figures;
mod log_unit;
mod materializer;
mod peer;
mod sequencer;
mod traces;

use crate::roles::{Answers, Figures, LogUnit, Materializer, Peer, Requests, Sequencer};
use crate::status::to_status;
use dfs_wire::limits::{MESSAGE_BYTES_MAX, PROTOCOL_VERSION};
use dfs_wire::v1::admin_server::AdminServer;
use dfs_wire::v1::figures_server::FiguresServer;
use dfs_wire::v1::handshake_server::{Handshake, HandshakeServer};
use dfs_wire::v1::log_unit_server::LogUnitServer;
use dfs_wire::v1::materializer_server::MaterializerServer;
use dfs_wire::v1::peer_server::PeerServer;
use dfs_wire::v1::sequencer_server::SequencerServer;
use dfs_wire::v1::traces_server::TracesServer;
use dfs_wire::{Code, Refusal, v1};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// Per stream and per connection: enough for several parts of bulk data under way, bounded so that a slow
/// reader holds back its sender.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// See [`STREAM_WINDOW_BYTES`].
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// How often an idle connection is tried, so that a vanished peer is noticed.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(5);
/// A connection's requests under way: a client has a handful of streams; extents in flight are the most.
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;

/// The roles that run here. Shared: roles appear while the process starts and leave when it stops.
#[derive(Default)]
pub struct Roles {
    pub sequencer: Option<Arc<dyn Sequencer>>,
    /// The voters behind `sequencer`, by their ids, for other voters.
    pub peers: BTreeMap<u64, Arc<dyn Peer>>,
    pub units: BTreeMap<u64, Arc<dyn LogUnit>>,
    pub materializer: Option<Arc<dyn Materializer>>,
    /// What the process tells of itself; `None` until its roles run.
    pub figures: Option<Arc<dyn Figures>>,
    /// Who answers the handshake; empty until the process is registered.
    pub identity: v1::Greeted,
}

/// [`Roles`] as they are now.
pub type SharedRoles = Arc<RwLock<Roles>>;

/// Answers on `listener` until `stop` resolves, then lets what is under way end.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    roles: SharedRoles,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    let front = Front { roles };
    let incoming = TcpListenerStream::new(listener).map(|accepted| {
        if let Ok(stream) = &accepted {
            // Small answers wait 40 ms for a peer's delayed ACK otherwise.
            let _ = stream.set_nodelay(true);
        }
        accepted
    });
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_frame_size(Some(1 << 20))
        .add_service(HandshakeServer::new(front.clone()))
        .add_service(
            SequencerServer::new(front.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            AdminServer::new(front.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            FiguresServer::new(front.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            PeerServer::new(front.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            LogUnitServer::new(front.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            MaterializerServer::new(front.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(TracesServer::new(front).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .serve_with_incoming_shutdown(incoming, stop.boxed())
        .await
}

/// What tonic calls: finds the role and hands over.
#[derive(Clone)]
struct Front {
    roles: SharedRoles,
}

impl Front {
    fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Status> {
        self.roles
            .read()
            .sequencer
            .clone()
            .ok_or_else(|| absent("sequencer"))
    }

    fn unit(&self, unit_id: u64) -> Result<Arc<dyn LogUnit>, Status> {
        self.roles
            .read()
            .units
            .get(&unit_id)
            .cloned()
            .ok_or_else(|| absent(&format!("log unit {unit_id}")))
    }

    fn materializer(&self) -> Result<Arc<dyn Materializer>, Status> {
        self.roles
            .read()
            .materializer
            .clone()
            .ok_or_else(|| absent("materializer"))
    }
}

fn absent(role: &str) -> Status {
    to_status(Refusal::new(
        Code::Unavailable,
        role,
        "that role does not run here, or not yet",
    ))
}

/// What a client streams: ends at the first broken message, as if the client had gone.
fn inbound<T: Send + 'static>(request: Request<Streaming<T>>) -> Requests<T> {
    request
        .into_inner()
        .take_while(|message| std::future::ready(message.is_ok()))
        .filter_map(|message| std::future::ready(message.ok()))
        .boxed()
}

type Outbound<T> = BoxStream<'static, Result<T, Status>>;

fn outbound<T: Send + 'static>(
    answers: Result<Answers<T>, Refusal>,
) -> Result<Response<Outbound<T>>, Status> {
    let answers = answers.map_err(to_status)?;
    Ok(Response::new(
        answers.map(|answer| answer.map_err(to_status)).boxed(),
    ))
}

fn answer<T>(answer: Result<T, Refusal>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(to_status)
}

#[tonic::async_trait]
impl Handshake for Front {
    async fn greet(&self, request: Request<v1::Greeting>) -> Result<Response<v1::Greeted>, Status> {
        let greeting = request.into_inner();
        let greeted = self.roles.read().identity.clone();
        check_greeting(&greeting, &greeted).map_err(to_status)?;
        Ok(Response::new(v1::Greeted {
            protocol: PROTOCOL_VERSION,
            ..greeted
        }))
    }
}

/// An empty cluster id on either side means: not known yet.
fn check_greeting(greeting: &v1::Greeting, own: &v1::Greeted) -> Result<(), Refusal> {
    if greeting.protocol != PROTOCOL_VERSION {
        let why = format!(
            "it speaks protocol {}, this is {PROTOCOL_VERSION}",
            greeting.protocol
        );
        return Err(Refusal::new(Code::Mismatch, "handshake", why)
            .advice("Use the same version of dfs on both sides"));
    }
    let both_known = !greeting.cluster_id.is_empty() && !own.cluster_id.is_empty();
    if both_known && greeting.cluster_id != own.cluster_id {
        return Err(
            Refusal::new(Code::Mismatch, "handshake", "this is another cluster")
                .advice("Check the addresses in the profile or configuration"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Code, PROTOCOL_VERSION, check_greeting, v1};
    use bytes::Bytes;

    #[test]
    fn another_cluster_or_protocol_is_refused() {
        let own = v1::Greeted {
            cluster_id: Bytes::from_static(b"a"),
            ..Default::default()
        };
        let greeting = |cluster: &'static [u8], protocol| v1::Greeting {
            cluster_id: Bytes::from_static(cluster),
            protocol,
            ..Default::default()
        };
        let code = |greeting| check_greeting(&greeting, &own).map_err(|refusal| refusal.code());
        assert_eq!(code(greeting(b"a", PROTOCOL_VERSION)), Ok(()));
        assert_eq!(code(greeting(b"", PROTOCOL_VERSION)), Ok(()));
        assert_eq!(code(greeting(b"b", PROTOCOL_VERSION)), Err(Code::Mismatch));
        assert_eq!(
            code(greeting(b"a", PROTOCOL_VERSION + 1)),
            Err(Code::Mismatch)
        );
    }
}
