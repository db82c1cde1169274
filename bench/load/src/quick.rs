//! `bench quick`: the main figures of one system beside those of its disk, in one run of about a minute.
use crate::drive::{Operation, closed, open};
use crate::raw::{self, RawDisk};
use crate::report::Figure;
use crate::workloads::appends::Appends;
use crate::workloads::creates::Creates;
use crate::workloads::lists::Lists;
use crate::workloads::stats::Stats;
use crate::workloads::transfers::{Gets, Puts};
use anyhow::{Context, Result};
use bytes::Bytes;
use dfs_env::Env;
use dfs_fs::{Address, Fs, FsConfig};
use dfs_log::ClusterLog;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Clients of the metadata figures, each with a session and a stream of its own.
const CLIENTS: u64 = 64;
/// Bytes of one appended record.
const RECORD_BYTES: usize = 1024;
/// Open loops run at this part of what the closed loop has reached.
const OPEN_SHARE: f64 = 0.5;
const SMALL_BYTES: u64 = 64 << 10;
const SMALL_IN_FLIGHT: u64 = 16;

/// What to measure, and against what.
pub struct Quick {
    pub env: Env,
    pub connector: Arc<dyn Connector>,
    /// Where the raw figures are taken: on the disk that the system uses.
    pub dir: PathBuf,
    /// Length of each loop.
    pub length: Duration,
    /// Bytes of the one large file.
    pub large_bytes: u64,
    /// Node id and incarnation that own the appended lane.
    pub owner: v1::Owner,
    /// Told each figure as soon as it is there.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// Everything measured.
pub struct Found {
    pub raw_disk: RawDisk,
    pub figures: Vec<Figure>,
}

impl Quick {
    /// Runs all figures one after another, below a directory of its own that is removed at the end.
    ///
    /// # Errors
    /// When the system cannot be reached or a preparation fails; errors of single operations are counted.
    pub async fn run(&self) -> Result<Found> {
        let raw_disk = raw::measure(&self.env, &self.dir, self.length).await?;
        (self.tell)(&format!(
            "raw disk: {:.0} synced 4 KiB appends/s, p50 {} µs; write {:.0} MB/s, read {:.0} MB/s",
            raw_disk.synced_appends_per_second,
            raw_disk.synced_append_p50_us,
            raw_disk.write_mb_per_second,
            raw_disk.read_mb_per_second
        ));
        let mut figures = self.appends().await.context("appends")?;
        let root = format!("/.bench-{:x}", self.env.random_u64());
        let clients = self.clients().await?;
        figures.extend(self.metadata(&clients, &root).await.context("metadata")?);
        figures.extend(self.bytes(&clients[0], &root).await.context("bytes")?);
        clients[0].remove(&Address::new(&root)?, true).await?;
        for client in clients {
            client.close().await?;
        }
        Ok(Found { raw_disk, figures })
    }

    async fn clients(&self) -> Result<Vec<Fs>> {
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let config = FsConfig {
                actor: format!("bench-{number}"),
                ..FsConfig::default()
            };
            clients.push(Fs::connect(self.env.clone(), self.connector.clone(), config).await?);
        }
        Ok(clients)
    }

    async fn appends(&self) -> Result<Vec<Figure>> {
        let log = ClusterLog::open(self.env.clone(), self.connector.clone(), self.owner);
        let random = || self.env.random_u64();
        let appends = Appends::open(&*log, self.owner, RECORD_BYTES, random).await?;
        let mut figures = Vec::new();
        for in_flight in [1, 64, 256] {
            figures.push(
                self.closed("append 1 KiB", appends.clone(), in_flight, None)
                    .await?,
            );
        }
        let peak = figures.last().map_or(1.0, |figure| figure.per_second);
        figures.push(
            self.open("append 1 KiB", appends, peak * OPEN_SHARE, 256)
                .await?,
        );
        Ok(figures)
    }

    async fn metadata(&self, clients: &[Fs], root: &str) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let all = clients.to_vec();
        let empty = format!("{root}/empty");
        let creates = Creates::open(all.clone(), &empty, CLIENTS, Bytes::new()).await?;
        figures.push(
            self.closed("create empty", creates.clone(), CLIENTS, None)
                .await?,
        );
        let full = Bytes::from(vec![7; 4096]);
        let eight = Creates::open(all.clone(), &format!("{root}/4k"), 8, full).await?;
        figures.push(self.closed("create 4 KiB", eight, 8, None).await?);
        let stated = Creates::open(all.clone(), &format!("{root}/stated"), 1, Bytes::new()).await?;
        for n in 0..1000 {
            stated.once(0, n).await?;
        }
        let path = |n| Address::new(format!("{root}/stated/0/file-{n}"));
        let paths = (0..1000).map(path).collect::<Result<Vec<_>, _>>()?;
        let stats = Stats::new(all.clone(), paths);
        figures.push(self.closed("stat", stats.clone(), CLIENTS, None).await?);
        let peak = figures.last().map_or(1.0, |figure| figure.per_second);
        figures.push(self.open("stat", stats, peak * OPEN_SHARE, CLIENTS).await?);
        let lists = Lists::new(all, vec![Address::new(format!("{root}/stated/0"))?]);
        figures.push(
            self.closed("list 100 entries", lists, CLIENTS, None)
                .await?,
        );
        Ok(figures)
    }

    async fn bytes(&self, fs: &Fs, root: &str) -> Result<Vec<Figure>> {
        let random = || self.env.random_u64();
        let (large, small) = (format!("{root}/large"), format!("{root}/small"));
        let bytes = self.large_bytes;
        let puts = Puts::open(fs.clone(), &large, bytes, random).await?;
        // One file after another, at least one.
        let put = self.closed("put large", puts, 1, Some(bytes)).await?;
        let gets = Gets::new(fs.clone(), &large, put.operations.max(1), bytes);
        let get = self.closed("get large", gets, 1, Some(bytes)).await?;
        let puts = Puts::open(fs.clone(), &small, SMALL_BYTES, random).await?;
        let name = "put 64 KiB";
        let put_small = self
            .closed(name, puts, SMALL_IN_FLIGHT, Some(SMALL_BYTES))
            .await?;
        let gets = Gets::new(fs.clone(), &small, put_small.operations.max(1), SMALL_BYTES);
        let name = "get 64 KiB";
        let get_small = self
            .closed(name, gets, SMALL_IN_FLIGHT, Some(SMALL_BYTES))
            .await?;
        Ok(vec![put, get, put_small, get_small])
    }

    async fn closed(
        &self,
        name: &str,
        operation: Arc<dyn Operation>,
        in_flight: u64,
        bytes: Option<u64>,
    ) -> Result<Figure> {
        let measured = closed(&self.env, operation, in_flight, self.length).await?;
        Ok(self.told(Figure::of(name, "closed", in_flight, &measured, bytes)))
    }

    async fn open(
        &self,
        name: &str,
        operation: Arc<dyn Operation>,
        per_second: f64,
        in_flight: u64,
    ) -> Result<Figure> {
        let measured = open(&self.env, operation, per_second, in_flight, self.length).await?;
        Ok(self.told(Figure::of(name, "open", in_flight, &measured, None)))
    }

    fn told(&self, figure: Figure) -> Figure {
        (self.tell)(&figure.line());
        figure
    }
}
