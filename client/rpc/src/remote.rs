//! Roles of other processes, as the same traits: one kept HTTP/2 connection per address.
mod figures;
mod log_unit;
mod materializer;
mod peer;
mod sequencer;
mod traces;

pub(crate) use figures::RemoteFigures;
pub(crate) use log_unit::RemoteLogUnit;
pub(crate) use materializer::RemoteMaterializer;
pub(crate) use peer::RemotePeer;
pub(crate) use sequencer::RemoteSequencer;
pub(crate) use traces::{keep_spans, spans};

use crate::roles::{Answers, Requests};
use crate::serve::{CONNECTION_WINDOW_BYTES, KEEPALIVE, STREAM_WINDOW_BYTES};
use crate::status::{from_status, is_transport};
use crate::trace::told_to;
use dfs_wire::limits::PROTOCOL_VERSION;
use dfs_wire::v1::handshake_client::HandshakeClient;
use dfs_wire::{Code, Refusal, v1};
use futures::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

/// A connection that takes longer is as good as none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Small unary calls: longer than any healthy fsync, short enough to try another node.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection that has agreed on its handshake (R1).
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) channel: Channel,
    pub(crate) address: Arc<str>,
    broken: Arc<AtomicBool>,
}

impl Connection {
    /// Connects and greets.
    pub(crate) async fn open(address: &str, greeting: v1::Greeting) -> Result<Connection, Refusal> {
        let unreachable = |why: String| Refusal::new(Code::Unavailable, address, why);
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Refusal::new(Code::Invalid, address, error.to_string()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_while_idle(true);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| unreachable(reason(&error)))?;
        let mut handshake = HandshakeClient::new(channel.clone());
        let mut call = tonic::Request::new(greeting);
        call.set_timeout(CALL_TIMEOUT);
        let greeted = handshake
            .greet(call)
            .await
            .map_err(|status| from_status(&status, address))?
            .into_inner();
        if greeted.protocol != PROTOCOL_VERSION {
            let why = format!("it speaks protocol {}", greeted.protocol);
            return Err(Refusal::new(Code::Mismatch, address, why));
        }
        Ok(Connection {
            channel,
            address: address.into(),
            broken: Arc::default(),
        })
    }

    /// Whether a call met a transport error: then a new connection is made (R3).
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn refusal(&self, status: &Status) -> Refusal {
        if is_transport(status) {
            self.broken.store(true, Ordering::Relaxed);
        }
        from_status(status, &self.address)
    }

    pub(crate) fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Refusal> {
        answer
            .map(Response::into_inner)
            .map_err(|status| self.refusal(&status))
    }

    pub(crate) fn answers<T: Send + 'static>(
        &self,
        answers: Result<Response<Streaming<T>>, Status>,
    ) -> Result<Answers<T>, Refusal> {
        let stream = self.answer(answers)?;
        let connection = self.clone();
        Ok(stream
            .map(move |item| item.map_err(|status| connection.refusal(&status)))
            .boxed())
    }
}

/// The innermost cause: "connection refused" rather than "transport error".
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A unary request with the deadline of small calls.
pub(crate) fn call<T>(message: T) -> tonic::Request<T> {
    let mut request = told_to(tonic::Request::new(message));
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// The opening of a stream, or a call with a deadline of its own.
pub(crate) fn opening<T>(message: T) -> tonic::Request<T> {
    told_to(tonic::Request::new(message))
}

/// A stream with a name: a boxed one as such confuses the borrow checker in tonic's generic calls.
pub(crate) struct Outgoing<T>(pub(crate) Requests<T>);

impl<T> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next_unpin(cx)
    }
}
