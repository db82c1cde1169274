//! Overwrites of small files for a long time, with snapshots, trim and retention: what has to stay flat, and how
//! soon an empty replica serves meanwhile (E9, E10).
use crate::alarms;
use crate::client::address;
use crate::cluster::{Cluster, SEQUENCERS};
use crate::history::bytes_of;
use crate::network::Network;
use crate::trace::Trace;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_fs::{Fs, FsConfig, When, WriteOptions, source_of};
use dfs_log::{ClusterLog, SharedLog};
use dfs_wire::{Refusal, v1};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Files, so many bytes each, so often.
const FILES: u64 = 20;
const FILE_BYTES: usize = 2_000;
const WRITE_EVERY: Duration = Duration::from_millis(80);
/// Small, so that minutes see many.
const SNAPSHOT_EVERY: u64 = 200;
const RETENTION_S: u64 = 20;
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// One replica in so many looks begins from nothing.
const WIPED_EVERY: usize = 4;
/// E9: beside what its bytes take.
const SERVES_WITHIN: Duration = Duration::from_secs(10);

/// How it stood at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub next_lsn: u64,
    pub trim_lsn: u64,
    pub floor_lsn: u64,
    /// Of all units.
    pub log_bytes: u64,
    /// Of the sequencer's disk.
    pub journal_bytes: u64,
    /// All that a store holds.
    pub snapshot_bytes: u64,
}

/// What an hour, or less, came to.
#[derive(Debug)]
pub struct Soaked {
    pub looks: Vec<Look>,
    /// From its start, each time, to a replica that has all of the log.
    pub served_after: Vec<Duration>,
    pub faults: Vec<String>,
}

struct Soak {
    world: SimWorld,
    cluster: Cluster,
    env: Env,
}

/// Runs on the calling thread for so much simulated time.
pub fn soak(seed: u64, time: Duration) -> Soaked {
    alarms::take();
    let mut soaked = alarms::listening(false, || {
        SimWorld::run(seed, |world| async move {
            let env = world.node("judge");
            let network = Network::new(&world, &env, Trace::new(false));
            let cluster = Cluster {
                snapshot_every: SNAPSHOT_EVERY,
                retention_s: RETENTION_S,
                ..Cluster::new(network, &SEQUENCERS[..1])
            };
            let soak = Soak {
                world,
                cluster,
                env: env.clone(),
            };
            let task = env.spawn("soak", soak.run(time));
            task.await.expect("the soak does not end by itself")
        })
    });
    soaked.faults.extend(alarms::take());
    soaked
}

impl Soak {
    async fn run(self, time: Duration) -> Soaked {
        self.cluster.start_all();
        let mut soaked = Soaked {
            looks: Vec::new(),
            served_after: Vec::new(),
            faults: Vec::new(),
        };
        let client = self.world.node("c1");
        let connector = self.cluster.outsider(&client, "c1");
        let fs = match Fs::connect(client.clone(), connector, FsConfig::default()).await {
            Ok(fs) => fs,
            Err(refusal) => {
                soaked.faults.push(format!("cannot connect: {refusal:?}"));
                return soaked;
            }
        };
        while !matches!(fs.find(&address(""), When::Head).await, Ok(Some(_))) {
            self.env.sleep(Duration::from_millis(5)).await;
        }
        let end = self.env.now() + time;
        let writing = client.spawn("writer", write(client.clone(), fs.clone(), end));
        while self.env.now() < end {
            self.env.sleep(LOOK_EVERY).await;
            match self.look().await {
                Ok(look) => soaked.looks.push(look),
                Err(refusal) => soaked.faults.push(format!("no look: {refusal:?}")),
            }
            if soaked.looks.len().is_multiple_of(WIPED_EVERY) {
                match self.wipe_a_replica().await {
                    Ok(after) => soaked.served_after.push(after),
                    Err(fault) => soaked.faults.push(fault),
                }
            }
        }
        match writing.await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => soaked.faults.push(format!("a write failed: {refusal:?}")),
            Err(end) => soaked.faults.push(end.to_string()),
        }
        soaked
    }

    fn log(&self) -> Arc<ClusterLog> {
        let connector = self.cluster.outsider(&self.env, "judge");
        ClusterLog::open(self.env.clone(), connector, v1::Owner::default())
    }

    async fn look(&self) -> Result<Look, Refusal> {
        let history = self.log().history().await?;
        let mut log_bytes = 0;
        for name in self.cluster.units() {
            if let Some((unit_id, role)) = self.cluster.unit(name) {
                log_bytes += role
                    .status(v1::UnitStatusRequest { unit_id })
                    .await?
                    .log_bytes;
            }
        }
        let primary = self.cluster.materializer(self.cluster.primary().await);
        let status = match primary {
            Some(role) => role.status().await?,
            None => v1::MaterializerStatusAnswer::default(),
        };
        let journal = self.world.disk(SEQUENCERS[0], "d/sequencer-1").files();
        Ok(Look {
            next_lsn: history.next_lsn,
            trim_lsn: history.trim_lsn,
            floor_lsn: status.floor_lsn,
            log_bytes,
            journal_bytes: journal.iter().map(|file| file.len).sum(),
            snapshot_bytes: status.snapshot_bytes,
        })
    }

    /// Its store is in memory, so it comes back with nothing. How long it took until it served.
    async fn wipe_a_replica(&self) -> Result<Duration, String> {
        let primary = self.cluster.primary().await;
        let all = self.cluster.materializers();
        let name = all
            .iter()
            .copied()
            .find(|name| *name != primary)
            .unwrap_or(all[0]);
        self.cluster.crash(&self.env, name);
        self.env.sleep(Duration::from_secs(2)).await;
        let begun = self.env.now();
        self.cluster.start(name);
        let end = self
            .log()
            .end(true)
            .await
            .map_err(|r| format!("no end: {r:?}"))?;
        loop {
            if let Some(role) = self.cluster.materializer(name)
                && let Ok(status) = role.status().await
                && status.role == "replica"
                && status.applied_lsn + 1 >= end.next_lsn
            {
                return Ok(self.env.now() - begun);
            }
            if self.env.now() > begun + SERVES_WITHIN {
                return Err(format!("{name} began anew and does not serve"));
            }
            self.env.sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn write(env: Env, fs: Fs, end: Instant) -> Result<(), Refusal> {
    for number in 0.. {
        if env.now() >= end {
            break;
        }
        let path = format!("f{}", number % FILES);
        let source = source_of(bytes_of(number, FILE_BYTES));
        fs.write(&address(&path), source, WriteOptions::default())
            .await?;
        env.sleep(WRITE_EVERY).await;
    }
    Ok(())
}
