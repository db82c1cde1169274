//! The processes of a cluster: configured, started, killed, paused, and started again.
use crate::network::Network;
use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

const PORT: u16 = 9010;

/// How many of each role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) sequencers: usize,
    pub(crate) units: usize,
    pub(crate) materializers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sequencer,
    Unit,
    Materializer,
}

/// One `dfsctl serve`.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) address: String,
    /// Of the network; from 1.
    pub(crate) number: usize,
    config: PathBuf,
    log: PathBuf,
    namespace: Option<String>,
    child: Mutex<Option<Child>>,
}

pub(crate) struct Cluster {
    dfsctl: PathBuf,
    pub(crate) processes: Vec<Process>,
}

impl Size {
    /// In the order in which they are numbered.
    pub(crate) fn names(self) -> Vec<(String, Role)> {
        let named = |role, word: &'static str, count| {
            (1..=count).map(move |number| (format!("{word}-{number}"), role))
        };
        let sequencers = named(Role::Sequencer, "sequencer", self.sequencers);
        let units = named(Role::Unit, "unit", self.units);
        let materializers = named(Role::Materializer, "materializer", self.materializers);
        sequencers.chain(units).chain(materializers).collect()
    }
}

impl Cluster {
    /// Writes the configurations below `dir`; nothing runs yet. Without a network all listen on
    /// free ports of 127.0.0.1.
    pub(crate) fn prepare(
        dfsctl: &Path,
        dir: &Path,
        size: Size,
        network: Option<&Network>,
    ) -> Result<Cluster> {
        let names = size.names();
        let addresses = match network {
            Some(network) => (1..=names.len())
                .map(|number| format!("{}:{PORT}", network.address(number)))
                .collect(),
            None => free_addresses(names.len())?,
        };
        let sequencers = &addresses[..size.sequencers];
        let mut processes = Vec::new();
        for (at, (name, role)) in names.into_iter().enumerate() {
            let config = dir.join(format!("{name}.toml"));
            let text = toml(&name, role, &addresses[at], sequencers, dir, size);
            std::fs::write(&config, text).context("cannot write a configuration")?;
            processes.push(Process {
                role,
                address: addresses[at].clone(),
                number: at + 1,
                config,
                log: dir.join(format!("{name}.log")),
                namespace: network.map(|network| network.namespace(at + 1).to_string()),
                child: Mutex::default(),
                name,
            });
        }
        let dfsctl = dfsctl.to_path_buf();
        Ok(Cluster { dfsctl, processes })
    }

    pub(crate) fn start_all(&self) -> Result<()> {
        self.processes
            .iter()
            .try_for_each(|process| process.start(&self.dfsctl))
    }

    pub(crate) fn start(&self, process: &Process) -> Result<()> {
        process.start(&self.dfsctl)
    }

    pub(crate) fn of(&self, role: Role) -> Vec<&Process> {
        let of_role = self.processes.iter().filter(|process| process.role == role);
        of_role.collect()
    }

    pub(crate) fn at(&self, address: &str) -> Option<&Process> {
        let mut processes = self.processes.iter();
        processes.find(|process| process.address == address)
    }

    pub(crate) fn sequencer_addresses(&self) -> Vec<String> {
        let sequencers = self.of(Role::Sequencer).into_iter();
        sequencers.map(|process| process.address.clone()).collect()
    }

    pub(crate) async fn kill_all(&self) {
        for process in &self.processes {
            process.kill().await;
        }
    }
}

impl Process {
    fn start(&self, dfsctl: &Path) -> Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut command = match &self.namespace {
            // It becomes what it runs: the process that is killed is the right one.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(dfsctl);
                command
            }
            None => Command::new(dfsctl),
        };
        command.args(["serve", "--config"]).arg(&self.config);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A group of its own: Ctrl-C is for the run, which ends its processes itself.
        command.stderr(log).process_group(0).kill_on_drop(true);
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {}", dfsctl.display()))?;
        *self.child.lock() = Some(child);
        Ok(())
    }

    /// SIGKILL; gone when this returns.
    pub(crate) async fn kill(&self) {
        let child = self.child.lock().take();
        if let Some(mut child) = child {
            let _ = child.kill().await; // it may have ended already
        }
    }

    /// How it ended, if it did though nobody killed it.
    pub(crate) fn ended(&self) -> Option<String> {
        let ended = self.child.lock().as_mut()?.try_wait().ok()??;
        Some(format!("{} ended by itself: {ended}", self.name))
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

    /// Everything it has said, over all its lives.
    pub(crate) fn said(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// For what another run has left behind.
pub(crate) fn kill_by_id(id: &str) {
    if let Some(pid) = id.trim().parse().ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL); // it may have ended already
    }
}

/// Taken and given back: they stay free for a while.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    let listeners: std::io::Result<Vec<_>> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect();
    let listeners = listeners.context("no free port")?;
    let addresses = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.to_string()));
    addresses.collect()
}

/// As in deploy/config/one-host.
fn toml(
    name: &str,
    role: Role,
    address: &str,
    sequencers: &[String],
    dir: &Path,
    size: Size,
) -> String {
    let word = match role {
        Role::Sequencer => "sequencer",
        Role::Unit => "unit",
        Role::Materializer => "materializer",
    };
    let mut text = String::new();
    let data = dir.join(name);
    let _ = writeln!(text, "dir = {data:?}\nlisten = {address:?}");
    let _ = writeln!(text, "roles = [{word:?}]\nsequencers = {sequencers:?}");
    let _ = writeln!(text, "insecure = true\nrack = {name:?}");
    if role == Role::Materializer {
        let rank = name.rsplit('-').next().unwrap_or_default();
        let _ = writeln!(text, "rank = {rank}");
    }
    let _ = writeln!(text, "\n[cluster]");
    let replicas = size.units.min(3);
    let _ = writeln!(text, "log_replicas = {replicas}\nfile_copies = {replicas}");
    let _ = writeln!(text, "shard_replicas = {}", size.materializers);
    text
}

/// At least what a cluster needs.
pub(crate) fn check(size: Size) -> Result<()> {
    if size.sequencers == 0 || size.units == 0 || size.materializers == 0 {
        bail!("a cluster needs at least one of each role");
    }
    if size.sequencers + size.units + size.materializers > 64 {
        bail!("at most 64 processes: they share one machine");
    }
    Ok(())
}
