//! `bench quick`: the main figures of one system beside those of its disk, in one run of about a minute.
use crate::drive::{Operation, closed, open};
use crate::raw::{self, RawDisk};
use crate::report::Figure;
use crate::workloads::appends::{Appends, IN_FLIGHT};
use crate::workloads::creates::Creates;
use crate::workloads::lists::Lists;
use crate::workloads::stats::Stats;
use crate::workloads::transfers::{Gets, Puts};
use anyhow::{Context, Result};
use bytes::Bytes;
use dfs_env::Env;
use dfs_fs::{Address, Fs, FsConfig, When};
use dfs_log::ClusterLog;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Clients of the metadata figures, each with a session and a stream of its own.
const CLIENTS: u64 = 64;
/// Files in the directory that is only read.
const ENTRIES: u64 = 1000;
/// Open loops run at this part of what the closed loop has reached.
const OPEN_SHARE: f64 = 0.5;
const SMALL_BYTES: u64 = 64 << 10;
const SMALL_IN_FLIGHT: u64 = 16;

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Appends,
    Creates,
    Stats,
    Lists,
    Bytes,
}

impl Part {
    pub const ALL: [Part; 5] = [
        Part::Appends,
        Part::Creates,
        Part::Stats,
        Part::Lists,
        Part::Bytes,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Part::Appends => "appends",
            Part::Creates => "creates",
            Part::Stats => "stats",
            Part::Lists => "lists",
            Part::Bytes => "bytes",
        }
    }
}

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
    /// Nothing but these; empty: everything.
    pub only: Vec<Part>,
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
        let mut figures = Vec::new();
        if self.asks(Part::Appends) {
            figures.extend(self.appends().await.context("appends")?);
        }
        let root = format!("/.bench-{:x}", self.env.random_u64());
        let clients = self.clients().await?;
        for part in Part::ALL {
            if part != Part::Appends && self.asks(part) {
                let found = self.files(part, &clients, &root).await;
                figures.extend(found.context(part.as_str())?);
            }
        }
        let root = Address::new(&root)?;
        // Where only appends were asked for, nothing was made.
        if clients[0].stat(&root, When::Head).await.is_ok() {
            clients[0].remove(&root, true).await?;
        }
        for client in clients {
            client.close().await?;
        }
        Ok(Found { raw_disk, figures })
    }

    fn asks(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    async fn files(&self, part: Part, clients: &[Fs], root: &str) -> Result<Vec<Figure>> {
        match part {
            Part::Appends => Ok(Vec::new()),
            Part::Creates => self.creates(clients, root).await,
            Part::Stats => self.stats(clients, root).await,
            Part::Lists => self.lists(clients, root).await,
            Part::Bytes => self.bytes(&clients[0], root).await,
        }
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
        let appends = Appends::open(&*log, self.owner, random).await?;
        let mut figures = Vec::new();
        for in_flight in IN_FLIGHT {
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

    async fn creates(&self, clients: &[Fs], root: &str) -> Result<Vec<Figure>> {
        let empty = format!("{root}/empty");
        let creates = Creates::open(clients.to_vec(), &empty, CLIENTS, Bytes::new()).await?;
        let empty = self.closed("create empty", creates, CLIENTS, None).await?;
        let full = Bytes::from(vec![7; 4096]);
        let eight = Creates::open(clients.to_vec(), &format!("{root}/4k"), 8, full).await?;
        let full = self.closed("create 4 KiB", eight, 8, None).await?;
        Ok(vec![empty, full])
    }

    async fn stats(&self, clients: &[Fs], root: &str) -> Result<Vec<Figure>> {
        let directory = self.entries(clients, root, "stated").await?;
        let path = |n| Address::new(format!("{directory}/file-{n}"));
        let paths = (0..ENTRIES).map(path).collect::<Result<Vec<_>, _>>()?;
        let stats = Stats::new(clients.to_vec(), paths);
        let peak = self.closed("stat", stats.clone(), CLIENTS, None).await?;
        let rate = peak.per_second * OPEN_SHARE;
        let paced = self.open("stat", stats, rate, CLIENTS).await?;
        Ok(vec![peak, paced])
    }

    async fn lists(&self, clients: &[Fs], root: &str) -> Result<Vec<Figure>> {
        let directory = self.entries(clients, root, "listed").await?;
        let lists = Lists::new(clients.to_vec(), vec![Address::new(directory)?]);
        let name = "list 100 entries";
        Ok(vec![self.closed(name, lists, CLIENTS, None).await?])
    }

    /// A directory of [`ENTRIES`] empty files, for those that only read.
    async fn entries(&self, clients: &[Fs], root: &str, name: &str) -> Result<String> {
        let directory = format!("{root}/{name}");
        let made = Creates::open(clients.to_vec(), &directory, 1, Bytes::new()).await?;
        for n in 0..ENTRIES {
            made.once(0, n).await?;
        }
        Ok(format!("{directory}/0"))
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
