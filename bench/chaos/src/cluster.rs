//! The processes of a cluster: configured, started, killed, paused, started again, exchanged for others.
use crate::disk::Disk;
use crate::network::Network;
use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::process::{Child, Command};

const PORT: u16 = 9010;

/// How many of each role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) sequencers: usize,
    pub(crate) units: usize,
    pub(crate) materializers: usize,
}

/// What its processes stand on.
pub(crate) struct Ground<'a> {
    pub(crate) network: Option<&'a Network>,
    /// A disk of its own for each, whose power can fail.
    pub(crate) disks: bool,
    /// For each process another one that can take its place.
    pub(crate) spares: bool,
}

/// Whether a process belongs to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not yet.
    Spare,
    Member,
    /// Not any more.
    Left,
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
    /// Of the whole run: configurations, logs, data directories.
    dir: PathBuf,
    namespace: Option<String>,
    disk: Option<Disk>,
    standing: Mutex<Standing>,
    /// A sequencer that founds nothing.
    joins: AtomicBool,
    child: Mutex<Option<Child>>,
}

pub(crate) struct Cluster {
    dfsctl: PathBuf,
    dir: PathBuf,
    size: Size,
    pub(crate) processes: Vec<Process>,
}

impl Size {
    /// In the order in which they are numbered; spares come last and go on counting.
    pub(crate) fn names(self, spares: bool) -> Vec<(String, Role)> {
        let all = |spare: bool| {
            let named = move |role: Role, count: usize| {
                let before = if spare { count } else { 0 };
                let numbers = before + 1..=before + count;
                numbers.map(move |number| (format!("{}-{number}", role.word()), role))
            };
            named(Role::Sequencer, self.sequencers)
                .chain(named(Role::Unit, self.units))
                .chain(named(Role::Materializer, self.materializers))
        };
        let founders = all(false);
        match spares {
            true => founders.chain(all(true)).collect(),
            false => founders.collect(),
        }
    }

    /// Of records and of files.
    fn copies(self) -> usize {
        self.units.min(3)
    }

    pub(crate) fn processes(self) -> usize {
        self.sequencers + self.units + self.materializers
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Sequencer => "sequencer",
            Role::Unit => "unit",
            Role::Materializer => "materializer",
        }
    }
}

impl Cluster {
    /// Makes what each process stands on, below `dir`; nothing runs yet. Without a network all listen
    /// on free ports of 127.0.0.1.
    pub(crate) fn prepare(
        dfsctl: &Path,
        dir: &Path,
        size: Size,
        ground: &Ground<'_>,
    ) -> Result<Cluster> {
        let names = size.names(ground.spares);
        let addresses = match ground.network {
            Some(network) => (1..=names.len())
                .map(|number| format!("{}:{PORT}", network.address(number)))
                .collect(),
            None => free_addresses(names.len())?,
        };
        let mut processes = Vec::new();
        for (at, (name, role)) in names.into_iter().enumerate() {
            let is_spare = at >= size.processes();
            let standing = if is_spare {
                Standing::Spare
            } else {
                Standing::Member
            };
            let namespace = ground.network.map(|it| it.namespace(at + 1).to_string());
            let image = dir.join(format!("{name}.disk"));
            let disk = ground.disks.then(|| Disk::make(image, dir.join(&name)));
            processes.push(Process {
                role,
                address: addresses[at].clone(),
                number: at + 1,
                dir: dir.to_path_buf(),
                namespace,
                disk: disk.transpose()?,
                standing: Mutex::new(standing),
                joins: AtomicBool::new(is_spare && role == Role::Sequencer),
                child: Mutex::default(),
                name,
            });
        }
        Ok(Cluster {
            dfsctl: dfsctl.to_path_buf(),
            dir: dir.to_path_buf(),
            size,
            processes,
        })
    }

    pub(crate) fn start_all(&self) -> Result<()> {
        self.members().try_for_each(|process| self.start(process))
    }

    /// Configured for the cluster as it is now: founders know each other, the others all that are there.
    pub(crate) fn start(&self, process: &Process) -> Result<()> {
        let founds = process.role == Role::Sequencer && !process.joins();
        let sequencers = match founds {
            true => self.processes[..self.size.sequencers].iter().collect(),
            false => self.of(Role::Sequencer),
        };
        let others = sequencers
            .into_iter()
            .filter(|it| founds || !std::ptr::eq(*it, process));
        let addresses: Vec<String> = others.map(|it| it.address.clone()).collect();
        let text = toml(process, &addresses, self.size);
        std::fs::write(process.config(), text).context("cannot write a configuration")?;
        process.start(&self.dfsctl)
    }

    /// One command of whoever runs the cluster; what it says.
    ///
    /// # Errors
    /// With what it said, when it was refused.
    pub(crate) async fn operate(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.dfsctl);
        command.env("DFSCTL_CONFIG", self.dir.join("operator.toml"));
        let sequencers = self.sequencer_addresses().join(",");
        command
            .args(["--sequencers", &sequencers, "--yes"])
            .args(words);
        let done = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let done = done.await.context("cannot run dfsctl")?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!("dfsctl {}: {}", words.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Units that hold each record of the log.
    pub(crate) fn copies(&self) -> usize {
        self.size.copies()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Process> {
        let all = self.processes.iter();
        all.filter(|process| process.standing() == Standing::Member)
    }

    /// One that can take the place of a member of this role.
    pub(crate) fn spare(&self, role: Role) -> Option<&Process> {
        let mut all = self.processes.iter();
        all.find(|process| process.role == role && process.standing() == Standing::Spare)
    }

    pub(crate) fn of(&self, role: Role) -> Vec<&Process> {
        let of_role = self.members().filter(|process| process.role == role);
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

    /// Nothing runs any more, and nothing is mounted.
    pub(crate) async fn down(&self) {
        self.kill_all().await;
        for disk in self.processes.iter().filter_map(|it| it.disk.as_ref()) {
            if let Err(error) = disk.unmount() {
                eprintln!("still mounted until this program ends: {error:#}");
            }
        }
    }
}

impl Process {
    fn start(&self, dfsctl: &Path) -> Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())?;
        let mut command = match &self.namespace {
            // It becomes what it runs: the process that is killed is the right one.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(dfsctl);
                command
            }
            None => Command::new(dfsctl),
        };
        command.args(["serve", "--config"]).arg(self.config());
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

    pub(crate) fn standing(&self) -> Standing {
        *self.standing.lock()
    }

    pub(crate) fn stands(&self, standing: Standing) {
        *self.standing.lock() = standing;
    }

    fn joins(&self) -> bool {
        self.joins.load(Ordering::Relaxed)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn config(&self) -> PathBuf {
        self.dir.join(format!("{}.toml", self.name))
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// Its disk forgets what was not synced; whoever used it is dead.
    pub(crate) fn lose_power(&self) -> Result<()> {
        let disk = self.disk.as_ref().context("it has no disk of its own")?;
        disk.lose_power()?;
        disk.mount()
    }

    /// A sequencer whose journal is damaged: what it was is set aside, it comes back as another. What it
    /// has said of the damage is given, and no fault of this run.
    pub(crate) fn begin_anew(&self, times: usize) -> Result<String> {
        let said = self.said();
        let aside = |what: &str| self.dir.join(format!("{}.{what}-{times}", self.name));
        std::fs::rename(self.data(), aside("damaged"))?;
        std::fs::rename(self.log(), aside("log"))?;
        self.joins.store(true, Ordering::Relaxed);
        Ok(said)
    }

    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Of the operating system, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.lock().as_ref().and_then(Child::id)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.id().and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process(pid, signal); // it may have ended already
        }
    }

    /// Everything it has said, over all its lives.
    pub(crate) fn said(&self) -> String {
        let said = std::fs::read(self.log()).unwrap_or_default();
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
fn toml(process: &Process, sequencers: &[String], size: Size) -> String {
    let (name, role, address) = (&process.name, process.role, &process.address);
    let (data, word, joins) = (process.data(), role.word(), process.joins());
    let mut text = String::new();
    let _ = writeln!(text, "dir = {data:?}\nlisten = {address:?}\njoin = {joins}");
    let _ = writeln!(text, "roles = [{word:?}]\nsequencers = {sequencers:?}");
    let _ = writeln!(text, "insecure = true\nrack = {name:?}");
    if role == Role::Materializer {
        let rank = name.rsplit('-').next().unwrap_or_default();
        let _ = writeln!(text, "rank = {rank}");
    }
    let _ = writeln!(text, "\n[cluster]");
    let replicas = size.copies();
    let _ = writeln!(text, "log_replicas = {replicas}\nfile_copies = {replicas}");
    let _ = writeln!(text, "shard_replicas = {}", size.materializers);
    text
}

/// At least what a cluster needs.
pub(crate) fn check(size: Size) -> Result<()> {
    if size.sequencers == 0 || size.units == 0 || size.materializers == 0 {
        bail!("a cluster needs at least one of each role");
    }
    if size.processes() > 64 {
        bail!("at most 64 processes: they share one machine");
    }
    Ok(())
}
