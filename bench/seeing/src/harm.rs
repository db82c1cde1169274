//! Faults as they are done to a real cluster, and undone.
use crate::cluster::{Cluster, Process};
use crate::disk;
use crate::stand_in::StandIn;
use anyhow::{Context, Result};
use dfs_env::Env;
use dfs_seeing::faults::Fault;
use std::path::PathBuf;
use std::time::Duration;

/// A scrape or two see each life of a process.
const LIFE: Duration = Duration::from_millis(3_500);
/// An election takes about one.
const LED_AGAIN: Duration = Duration::from_secs(3);
const TIMES: usize = 5;
/// So long units stand still, and so long they work in between.
const STALLS: (Duration, Duration) = (Duration::from_millis(2_500), Duration::from_millis(700));
/// One stall after the other, longer than the alert waits.
const STALL_TIMES: usize = 10;

pub(crate) struct Harm<'a> {
    pub(crate) env: &'a Env,
    pub(crate) cluster: &'a Cluster,
    pub(crate) stand_in: &'a StandIn,
    /// What heals: processes to start, to wake up; files to remove.
    hurt: Vec<&'a Process>,
    fillers: Vec<PathBuf>,
}

impl<'a> Harm<'a> {
    pub(crate) fn new(env: &'a Env, cluster: &'a Cluster, stand_in: &'a StandIn) -> Harm<'a> {
        Harm {
            env,
            cluster,
            stand_in,
            hurt: Vec::new(),
            fillers: Vec::new(),
        }
    }

    /// False: it cannot be done here.
    pub(crate) async fn inflict(&mut self, fault: Fault) -> Result<bool> {
        let cluster = self.cluster;
        match fault {
            Fault::LeaderKilled => {
                let leader = cluster.leader().await.context("nobody leads")?;
                self.kill(leader).await;
            }
            Fault::MostSequencersKilled => self.kill_all(&cluster.of("sequencer")[..2]).await,
            Fault::MostUnitsKilled => self.kill_all(&cluster.of("unit")[..2]).await,
            Fault::MaterializersKilled => self.kill_all(&cluster.of("materializer")).await,
            Fault::UnitPaused => self.pause(cluster.of("unit")[1]),
            Fault::ReplicaPaused => {
                let replica = cluster.with_role("materializer", "replica").await;
                self.pause(replica.context("there is no replica")?);
            }
            Fault::FollowerPaused => {
                let follower = cluster.with_role("sequencer", "follower").await;
                self.pause(follower.context("there is no follower")?);
            }
            Fault::LeadersKilledInTurn => {
                for _ in 0..TIMES {
                    let leader = cluster.leader().await.context("nobody leads")?;
                    self.begin_anew(leader, LED_AGAIN).await?;
                }
            }
            Fault::ProcessRestartedOften => {
                let process = cluster.of("materializer")[1];
                for _ in 0..TIMES {
                    self.begin_anew(process, LIFE).await?;
                }
            }
            Fault::UnitsStall => self.stall().await,
            Fault::DiskFilled => {
                let Some(small) = cluster.small_disk() else {
                    return Ok(false);
                };
                self.fillers.push(disk::fill(&small, 0.0)?);
            }
            Fault::ToldByStandIn => self.stand_in.falls_ill(self.env),
        }
        Ok(true)
    }

    pub(crate) fn heal(&mut self) -> Result<()> {
        for process in std::mem::take(&mut self.hurt) {
            match process.is_running() {
                true => process.resume(),
                false => self.cluster.start(process)?,
            }
        }
        for filler in std::mem::take(&mut self.fillers) {
            std::fs::remove_file(filler)?;
        }
        self.stand_in.recovers();
        Ok(())
    }

    async fn kill(&mut self, process: &'a Process) {
        process.kill().await;
        self.hurt.push(process);
    }

    async fn kill_all(&mut self, processes: &[&'a Process]) {
        for process in processes {
            self.kill(process).await;
        }
    }

    fn pause(&mut self, process: &'a Process) {
        process.pause();
        self.hurt.push(process);
    }

    async fn begin_anew(&self, process: &Process, then: Duration) -> Result<()> {
        process.kill().await;
        self.cluster.start(process)?;
        self.env.sleep(then).await;
        Ok(())
    }

    /// Two of three: what is written meanwhile waits for one of them.
    async fn stall(&self) {
        let units = self.cluster.of("unit");
        for _ in 0..STALL_TIMES {
            for unit in &units[..2] {
                unit.pause();
            }
            self.env.sleep(STALLS.0).await;
            for unit in &units[..2] {
                unit.resume();
            }
            self.env.sleep(STALLS.1).await;
        }
    }
}
