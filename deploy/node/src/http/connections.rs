//! Connections of the HTTP port: so many at once, each for so long. Descriptors belong to the roles.
use axum::serve::Listener;
use dfs_env::Env;
use futures::future::BoxFuture;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Prometheus holds one, a person a few; further ones wait for their turn.
const CONNECTIONS_MAX: usize = 32;
/// Several scrapes; after it whoever sends nothing, or byte by byte, is hung up on.
const LASTS: Duration = Duration::from_secs(60);
/// Before accepting is tried again, when it fails for want of descriptors.
const RETRY_AFTER: Duration = Duration::from_millis(100);

pub(super) struct Connections {
    env: Env,
    listener: TcpListener,
    free: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn of(env: &Env, listener: TcpListener) -> Connections {
        Connections {
            env: env.clone(),
            listener,
            free: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let Ok(turn) = self.free.clone().acquire_owned().await else {
            return std::future::pending().await; // it is never closed
        };
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    let env = self.env.clone();
                    let connection = Connection {
                        stream,
                        time: Some(Box::pin(async move { env.sleep(LASTS).await })),
                        _turn: turn,
                    };
                    return (connection, from);
                }
                Err(_) => self.env.sleep(RETRY_AFTER).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    /// Until it is over.
    time: Option<BoxFuture<'static, ()>>,
    _turn: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    /// Nothing more comes once its time is over: what was asked is still answered.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        if let Some(time) = &mut self.time {
            std::task::ready!(time.as_mut().poll(context));
            self.time = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn more_than_so_many_wait_for_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut connections = Connections::of(&Env::real(), listener);
        let at = connections.local_addr().expect("an address");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS_MAX {
            theirs.push(TcpStream::connect(at).await.expect("connected"));
            ours.push(connections.accept().await);
        }
        theirs.push(
            TcpStream::connect(at)
                .await
                .expect("in the queue of the kernel"),
        );
        assert!(connections.accept().now_or_never().is_none());
        ours.pop();
        connections.accept().await;
    }
}
