//! `bench telemetry`: what it costs to be watched, as a ratio within one run of one system.
use crate::drive::{Operation, closed};
use crate::report::Machine;
use crate::workloads::creates::Creates;
use crate::workloads::stats::Stats;
use anyhow::Result;
use bytes::Bytes;
use dfs_env::Env;
use dfs_fs::{Address, Fs, FsConfig};
use dfs_rpc::roles::Connector;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Clients, each with a session and a stream of its own.
const CLIENTS: u64 = 64;
/// Files that are looked at.
const ENTRIES: u64 = 256;
/// Of Prometheus, where somebody is in a hurry; it is fifteen seconds by default.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);

/// What to measure.
pub struct Telemetry {
    pub env: Env,
    pub connector: Arc<dyn Connector>,
    /// The port of the system for HTTP.
    pub metrics: SocketAddr,
    /// The part of the operations that is traced where it is watched.
    pub trace_ratio: f64,
    /// Pairs of loops, one watched and one not.
    pub rounds: u64,
    /// Length of each loop.
    pub length: Duration,
}

/// One row of the table: the medians of all rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: &'static str,
    /// Neither scraped nor traced.
    pub alone_per_second: f64,
    /// Scraped each second, and traced.
    pub watched_per_second: f64,
    /// The median of the ratios of the pairs, watched to alone.
    pub ratio: f64,
    /// The smallest and the largest of them: what the machine does by itself.
    pub ratios: [f64; 2],
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub api_version: &'static str,
    pub command: String,
    /// RFC 3339.
    pub date: String,
    pub machine: Machine,
    pub trace_ratio: f64,
    pub rounds: u64,
    pub rows: Vec<Row>,
}

impl Telemetry {
    /// # Errors
    /// When the system cannot be reached, does not tell its figures, or an operation fails.
    pub async fn run(&self) -> Result<Vec<Row>> {
        let alone = self.clients(0.0).await?;
        let watched = self.clients(self.trace_ratio).await?;
        let root = format!("/.bench-{:x}", self.env.random_u64());
        let looked_at = self.entries(&alone, &root).await?;
        let (mut creates, mut stats) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let make = |clients: &[Fs], name: &str| {
                let at = format!("{root}/{name}-{round}");
                let clients = clients.to_vec();
                async move { Creates::open(clients, &at, CLIENTS, Bytes::new()).await }
            };
            let pair = (
                make(&alone, "alone").await?,
                make(&watched, "watched").await?,
            );
            creates.push(self.pair(round, pair.0, pair.1).await?);
            let of = |clients: &[Fs]| Stats::new(clients.to_vec(), looked_at.clone());
            stats.push(self.pair(round, of(&alone), of(&watched)).await?);
        }
        alone[0].remove(&Address::new(&root)?, true).await?;
        for client in alone.into_iter().chain(watched) {
            client.close().await?;
        }
        Ok(vec![
            Row::of("create empty", creates),
            Row::of("stat", stats),
        ])
    }

    async fn clients(&self, trace_ratio: f64) -> Result<Vec<Fs>> {
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let config = FsConfig {
                actor: format!("bench-{number}"),
                trace_ratio,
                ..FsConfig::default()
            };
            clients.push(Fs::connect(self.env.clone(), self.connector.clone(), config).await?);
        }
        Ok(clients)
    }

    async fn entries(&self, clients: &[Fs], root: &str) -> Result<Vec<Address>> {
        let at = format!("{root}/looked-at");
        let made = Creates::open(clients.to_vec(), &at, 1, Bytes::new()).await?;
        let mut paths = Vec::new();
        for n in 0..ENTRIES {
            made.once(0, n).await?;
            paths.push(Address::new(format!("{at}/0/file-{n}"))?);
        }
        Ok(paths)
    }

    /// Operations a second alone and watched, now the one first and now the other.
    async fn pair(
        &self,
        round: u64,
        alone: Arc<dyn Operation>,
        watched: Arc<dyn Operation>,
    ) -> Result<(f64, f64)> {
        if round.is_multiple_of(2) {
            let first = self.per_second(alone).await?;
            return Ok((first, self.watched(watched).await?));
        }
        let first = self.watched(watched).await?;
        Ok((self.per_second(alone).await?, first))
    }

    async fn watched(&self, operation: Arc<dyn Operation>) -> Result<f64> {
        let scraping = async {
            loop {
                scrape(self.metrics).await?;
                self.env.sleep(SCRAPE_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            found = self.per_second(operation) => found,
            failed = scraping => failed,
        }
    }

    async fn per_second(&self, operation: Arc<dyn Operation>) -> Result<f64> {
        let measured = closed(&self.env, operation, CLIENTS, self.length).await?;
        let figure = crate::report::Figure::of("", "closed", CLIENTS, &measured, None);
        anyhow::ensure!(figure.errors == 0, "{:?}", figure.first_error);
        Ok(figure.per_second)
    }
}

async fn scrape(from: SocketAddr) -> Result<()> {
    let mut stream = tokio::net::TcpStream::connect(from).await?;
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {from}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut told = Vec::new();
    stream.read_to_end(&mut told).await?;
    let first = told.split(|byte| *byte == b'\r').next().unwrap_or_default();
    anyhow::ensure!(
        first.ends_with(b" 200 OK"),
        String::from_utf8_lossy(first).into_owned()
    );
    Ok(())
}

impl Row {
    fn of(name: &'static str, pairs: Vec<(f64, f64)>) -> Row {
        let (alone, watched): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let mut ratios: Vec<f64> = pairs
            .iter()
            .map(|(alone, watched)| watched / alone)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let end = |at: Option<&f64>| at.copied().unwrap_or(f64::NAN);
        Row {
            name,
            alone_per_second: median(alone),
            watched_per_second: median(watched),
            ratios: [end(ratios.first()), end(ratios.last())],
            ratio: median(ratios),
        }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        format!(
            "{:14} alone {:>8.0} /s  watched {:>8.0} /s  ratio {:.3} ({:.3} to {:.3})",
            self.name,
            self.alone_per_second,
            self.watched_per_second,
            self.ratio,
            self.ratios[0],
            self.ratios[1]
        )
    }
}

/// Of nothing: NaN.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_pairs_and_not_of_medians() {
        let row = Row::of("x", vec![(100.0, 99.0), (200.0, 200.0), (50.0, 45.0)]);
        assert_eq!(row.ratio, 0.99);
        assert_eq!(row.ratios, [0.9, 1.0]);
        assert_eq!(
            (row.alone_per_second, row.watched_per_second),
            (100.0, 99.0)
        );
    }
}
