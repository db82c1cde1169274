//! Clients that do a little of everything, at a steady pace, whatever happens to the cluster.
use anyhow::{Context, Result};
use bytes::Bytes;
use dfs_env::{Env, Task};
use dfs_fs::{Address, AppendOptions, Code, Fs, FsConfig, Refusal, When, WriteOptions, source_of};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::serve::SharedRoles;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const CLIENTS: u64 = 8;
/// Of each client: as much as two cores do beside eight processes and a Prometheus.
const EVERY: Duration = Duration::from_millis(50);
/// A client that hears nothing tries again, and does not wait for long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Above what a record holds: it becomes an extent.
const LARGE_BYTES: usize = 64 << 10;

pub(crate) struct Load {
    counts: Arc<Counts>,
    _clients: Vec<Task<()>>,
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    refused: AtomicU64,
}

async fn connect(env: &Env, sequencers: &[String], fresh: bool) -> Result<Fs, Refusal> {
    let connector = NodeConnector::new(env.clone(), SharedRoles::default(), sequencers.to_vec());
    connector.identify(Bytes::new(), 0, 0, "client");
    let consistency = match fresh {
        true => dfs_fs::Consistency::Linearizable,
        false => dfs_fs::Consistency::BoundedUs(1_000_000),
    };
    let config = FsConfig {
        actor: "seeing".into(),
        timeout: TIMEOUT,
        consistency,
        ..FsConfig::default()
    };
    Fs::connect(env.clone(), connector, config).await
}

impl Load {
    /// Once the cluster serves.
    pub(crate) async fn start(env: &Env, sequencers: &[String]) -> Result<Load> {
        let fs = connect(env, sequencers, true).await;
        let fs = fs.context("the cluster does not serve")?;
        let counts = Arc::<Counts>::default();
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let home = Address::new(format!("/seeing/{client}"))?;
            fs.mkdir(&home, None, true)
                .await
                .context("cannot make a directory")?;
            // Every fourth reads what may be a second old.
            let own = connect(env, sequencers, client % 4 != 3).await?;
            let (env, counts) = (env.clone(), counts.clone());
            clients.push(env.clone().spawn("client", async move {
                for count in 0_u64.. {
                    let done = operation(&own, &home, count).await;
                    let counter = if done.is_ok() {
                        &counts.done
                    } else {
                        &counts.refused
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                    env.sleep(EVERY).await;
                }
            }));
        }
        Ok(Load {
            counts,
            _clients: clients,
        })
    }

    /// (done, refused).
    pub(crate) fn counts(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.counts.done), of(&self.counts.refused))
    }
}

/// Sixteen in turn.
async fn operation(fs: &Fs, home: &Address, count: u64) -> Result<(), Refusal> {
    let at = |name: String| home.join(name.as_bytes());
    let round = count / 16;
    match count % 16 {
        0 => {
            let made = fs.mkdir(&at(format!("d{round}"))?, None, false).await?;
            // The moment before it: a read of the past.
            fs.stat(home, When::Lsn(made.lsn.saturating_sub(1)))
                .await
                .map(drop)
        }
        1 | 9 => write(fs, &at(format!("f{count}"))?, 600).await,
        2 => write(fs, &at(format!("large{}", round % 16))?, LARGE_BYTES).await,
        3 | 11 => {
            let file = at(format!("lines{}", round / 32))?;
            let line = || source_of(Bytes::from(format!("{count}\n")));
            match fs.append(&file, line(), AppendOptions::default()).await {
                Err(refusal) if refusal.code() == Code::NotFound => write(fs, &file, 1).await,
                appended => appended.map(drop),
            }
        }
        4 => read(fs, &at(format!("large{}", round % 16))?).await,
        5 => fs.remove(&at(format!("d{round}"))?, false).await.map(drop),
        6 => read(fs, &at(format!("f{}", count - 5))?).await,
        7 => fs.list(home, When::Head, b"", 100).await.map(drop),
        8 => fs
            .remove(&at(format!("f{}", count - 7))?, false)
            .await
            .map(drop),
        _ => fs.stat(home, When::Head).await.map(drop),
    }
}

async fn write(fs: &Fs, at: &Address, bytes: usize) -> Result<(), Refusal> {
    let source = source_of(Bytes::from(vec![0xd5; bytes]));
    fs.write(at, source, WriteOptions::default())
        .await
        .map(drop)
}

async fn read(fs: &Fs, at: &Address) -> Result<(), Refusal> {
    let reading = fs.read(at, When::Head, None).await?;
    reading.collect().await.map(drop)
}
