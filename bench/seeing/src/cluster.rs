//! The processes of a cluster on free ports of 127.0.0.1: started, killed, paused.
use crate::{disk, http};
use anyhow::{Context, Result};
use dfs_env::Env;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How many of each role.
const ROLES: [(&str, usize); 3] = [("sequencer", 3), ("unit", 3), ("materializer", 2)];
/// The unit whose disk can be filled.
const SMALL: &str = "unit-3";
/// A unit makes its segments of 64 MiB beforehand, and keeps as much free.
const SMALL_MIB: u64 = 1_024;
const REST_MIB: u64 = 8_192;
/// One that stands still takes the question and gives no answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    address: String,
    pub(crate) metrics: String,
    child: Mutex<Option<Child>>,
}

pub(crate) struct Cluster {
    env: Env,
    dfsctl: PathBuf,
    dir: PathBuf,
    disks: bool,
    pub(crate) processes: Vec<Process>,
}

/// Taken and given back: they stay free for a while.
pub(crate) fn free_addresses(count: usize) -> Result<Vec<String>> {
    let held = (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0"));
    let held: std::io::Result<Vec<_>> = held.collect();
    let held = held.context("no free port")?;
    let addresses = held.iter().map(|one| Ok(one.local_addr()?.to_string()));
    addresses.collect()
}

impl Cluster {
    /// Configured; nothing runs yet.
    pub(crate) fn prepare(env: &Env, dfsctl: &Path, dir: &Path, disks: bool) -> Result<Cluster> {
        let data = dir.join("data");
        std::fs::create_dir_all(&data)?;
        if disks {
            disk::mount(&data, REST_MIB)?;
            disk::mount(&data.join(SMALL), SMALL_MIB)?;
        }
        let count: usize = ROLES.iter().map(|(_, count)| count).sum();
        let mut free = free_addresses(2 * count)?.into_iter();
        let mut processes = Vec::new();
        for (role, count) in ROLES {
            for number in 1..=count {
                let (address, metrics) = (free.next(), free.next());
                processes.push(Process {
                    name: format!("{role}-{number}"),
                    role,
                    address: address.context("no port")?,
                    metrics: metrics.context("no port")?,
                    child: Mutex::default(),
                });
            }
        }
        let cluster = Cluster {
            env: env.clone(),
            dfsctl: dfsctl.to_path_buf(),
            dir: dir.to_path_buf(),
            disks,
            processes,
        };
        for process in &cluster.processes {
            std::fs::write(cluster.config(process), cluster.toml(process))?;
        }
        Ok(cluster)
    }

    pub(crate) fn sequencers(&self) -> Vec<String> {
        let of_role = self.of("sequencer").into_iter();
        of_role.map(|process| process.address.clone()).collect()
    }

    pub(crate) fn of(&self, role: &str) -> Vec<&Process> {
        let all = self.processes.iter();
        all.filter(|process| process.role == role).collect()
    }

    /// The disk that can be filled; `None`: disks are the machine's.
    pub(crate) fn small_disk(&self) -> Option<PathBuf> {
        self.disks.then(|| self.dir.join("data").join(SMALL))
    }

    fn config(&self, process: &Process) -> PathBuf {
        self.dir.join(format!("{}.toml", process.name))
    }

    fn toml(&self, process: &Process) -> String {
        let data = self.dir.join("data").join(&process.name).join("dfs");
        let (role, sequencers) = (process.role, self.sequencers());
        let rank = process.name.rsplit('-').next().unwrap_or_default();
        format!(
            "dir = {data:?}\nlisten = {:?}\nmetrics = {:?}\nroles = [{role:?}]\nsequencers = {sequencers:?}\n\
             rank = {rank}\n\n[cluster]\nlog_replicas = 3\nfile_copies = 3\nshard_replicas = 2\ndigest_every = 256\n",
            process.address, process.metrics
        )
    }

    pub(crate) fn start_all(&self) -> Result<()> {
        self.processes.iter().try_for_each(|it| self.start(it))
    }

    /// Also one that was killed.
    pub(crate) fn start(&self, process: &Process) -> Result<()> {
        let log = self.dir.join(format!("{}.log", process.name));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        let mut command = Command::new(&self.dfsctl);
        command
            .args(["serve", "--config"])
            .arg(self.config(process));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        // A group of its own: Ctrl-C is for the run, which ends its processes itself.
        let child = command.process_group(0).kill_on_drop(true).spawn();
        *process.child.lock() = Some(child.context("cannot start dfsctl")?);
        Ok(())
    }

    pub(crate) async fn leader(&self) -> Option<&Process> {
        self.with_role("sequencer", "leader").await
    }

    /// The process whose role says that it is this now.
    pub(crate) async fn with_role(&self, role: &str, is: &str) -> Option<&Process> {
        let label = format!("role=\"{is}\"");
        for process in self.of(role) {
            let asked = http::get(&process.metrics, "/metrics");
            let Ok(Ok((_, text))) = self.env.timeout(ANSWERS_WITHIN, asked).await else {
                continue;
            };
            let name = format!("dfs_{role}_role{{");
            let of_role = |line: &&str| line.starts_with(&name) && line.contains(&label);
            if text
                .lines()
                .filter(of_role)
                .any(|line| line.ends_with(" 1"))
            {
                return Some(process);
            }
        }
        None
    }

    pub(crate) async fn down(&self) {
        for process in &self.processes {
            process.kill().await;
        }
        let small = self.small_disk();
        for disk in small
            .into_iter()
            .flat_map(|small| [small, self.dir.join("data")])
        {
            if let Err(error) = disk::unmount(&disk) {
                eprintln!("still mounted until this program ends: {error:#}");
            }
        }
    }
}

impl Process {
    /// SIGKILL; gone when this returns.
    pub(crate) async fn kill(&self) {
        let child = self.child.lock().take();
        if let Some(mut child) = child {
            let _ = child.kill().await; // it may have ended already
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.lock().is_some()
    }

    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.lock().as_ref().and_then(Child::id);
        if let Some(pid) = id.and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process(pid, signal); // it may have ended already
        }
    }
}
