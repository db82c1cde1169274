//! A target of Prometheus that tells what a sick member would: what no fault can make a healthy build tell.
use anyhow::Result;
use dfs_env::{Env, Task};
use dfs_seeing::faults::STAND_IN;
use parking_lot::Mutex;
use std::fmt::Write;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

pub(crate) struct StandIn {
    pub(crate) address: String,
    /// Since when it is sick.
    sick: Arc<Mutex<Option<Instant>>>,
    _serving: Task<()>,
}

impl StandIn {
    pub(crate) async fn start(env: &Env) -> Result<StandIn> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let sick: Arc<Mutex<Option<Instant>>> = Arc::default();
        let (own, since) = (env.clone(), sick.clone());
        let _serving = env.spawn("stand-in", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let text = told(&own, *since.lock());
                let length = text.len();
                let head = format!(
                    "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\r\n"
                );
                let mut asked = [0; 4096];
                // Whoever asks and goes is no concern.
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all((head + &text).as_bytes()).await;
            }
        });
        Ok(StandIn {
            address,
            sick,
            _serving,
        })
    }

    pub(crate) fn falls_ill(&self, env: &Env) {
        *self.sick.lock() = Some(env.now());
    }

    pub(crate) fn recovers(&self) {
        *self.sick.lock() = None;
    }
}

fn told(env: &Env, sick: Option<Instant>) -> String {
    let Some(since) = sick else {
        return String::new();
    };
    let seconds = env.now().saturating_duration_since(since).as_secs_f64();
    let mut text = String::new();
    for line in STAND_IN.0 {
        let _ = writeln!(text, "{line}");
    }
    for (series, per_second) in STAND_IN.1 {
        let _ = writeln!(text, "{series} {}", per_second * seconds);
    }
    text
}
