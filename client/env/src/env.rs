//! `Env`: the clocks, chance, tasks and disks that a role is given.
#![allow(
    clippy::disallowed_methods,
    reason = "this file is what others are told to use instead"
)]

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::directory::Directory;
use crate::disk::{Disk, stale_handle};
#[cfg(feature = "sim")]
use crate::sim::Node;
use crate::task::{InGroup, Task};

/// Where a role runs: the machine, or a node of a simulated world; and a group of tasks in it.
/// Cloning is cheap and stays in the same group.
#[derive(Clone)]
pub struct Env {
    group: Arc<Group>,
}

struct Group {
    name: String,
    place: Place,
    crashed: AtomicBool,
    members: Mutex<Members>,
}

#[derive(Clone)]
enum Place {
    Machine,
    #[cfg(feature = "sim")]
    Node(Arc<Node>),
}

#[derive(Default)]
struct Members {
    tasks: Vec<AbortHandle>,
    groups: Vec<Weak<Group>>,
    disks: Vec<Weak<Directory>>,
    prune_at: usize,
}

/// Ended tasks and groups are forgotten when the lists have doubled since the last time, and not
/// before there are this many.
const PRUNE_FROM: usize = 64;

impl Members {
    fn prune(&mut self) {
        if self.tasks.len() + self.groups.len() < self.prune_at.max(PRUNE_FROM) {
            return;
        }
        self.tasks.retain(|task| !task.is_finished());
        self.groups.retain(|group| group.strong_count() > 0);
        self.disks.retain(|disk| disk.strong_count() > 0);
        self.prune_at = 2 * (self.tasks.len() + self.groups.len());
    }
}

impl Group {
    fn crash(&self) -> usize {
        let (tasks, groups, disks) = {
            let members = self.members.lock();
            self.crashed.store(true, Ordering::SeqCst);
            (
                members.tasks.clone(),
                members.groups.clone(),
                members.disks.clone(),
            )
        };
        let live = tasks.iter().filter(|task| !task.is_finished()).count();
        tasks.iter().for_each(AbortHandle::abort);
        disks
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|disk| disk.close());
        live + groups
            .iter()
            .filter_map(Weak::upgrade)
            .map(|group| group.crash())
            .sum::<usize>()
    }

    fn live_tasks(&self) -> usize {
        let members = self.members.lock();
        let own = members
            .tasks
            .iter()
            .filter(|task| !task.is_finished())
            .count();
        let groups: Vec<_> = members.groups.iter().filter_map(Weak::upgrade).collect();
        drop(members);
        own + groups.iter().map(|group| group.live_tasks()).sum::<usize>()
    }
}

impl Env {
    fn root(name: String, place: Place) -> Env {
        let (crashed, members) = (AtomicBool::new(false), Mutex::default());
        Env {
            group: Arc::new(Group {
                name,
                place,
                crashed,
                members,
            }),
        }
    }

    /// The machine's own clocks, chance, threads and directories, in a new group of tasks.
    pub fn real() -> Env {
        Env::root("process".into(), Place::Machine)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn on_node(node: Arc<Node>) -> Env {
        Env::root(node.name().into(), Place::Node(node))
    }

    /// A child group: what it spawns ends with its own `crash` and with that of every ancestor.
    /// A child of a crashed group is crashed from the start.
    pub fn group(&self, name: impl Into<String>) -> Env {
        let child = Env::root(name.into(), self.group.place.clone());
        let mut members = self.group.members.lock();
        child
            .group
            .crashed
            .store(self.is_crashed(), Ordering::SeqCst);
        members.prune();
        members.groups.push(Arc::downgrade(&child.group));
        child
    }

    /// The name given to this group.
    pub fn name(&self) -> &str {
        &self.group.name
    }

    /// True in a simulated world.
    pub fn is_simulated(&self) -> bool {
        !matches!(self.group.place, Place::Machine)
    }

    /// µs since the Unix epoch by the wall clock. It may step, also backwards.
    pub fn wall_us(&self) -> u64 {
        match &self.group.place {
            Place::Machine => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_or(0, |d| d.as_micros() as u64)
            }
            #[cfg(feature = "sim")]
            Place::Node(node) => node.wall_us(),
        }
    }

    /// The monotonic clock.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Waits for `d` on the monotonic clock.
    pub async fn sleep(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    /// Runs `f` for at most `d`.
    pub async fn timeout<F: Future>(&self, d: Duration, f: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(d, f).await
    }

    /// 64 random bits: of the operating system's quality, or from the world's seed.
    pub fn random_u64(&self) -> u64 {
        match &self.group.place {
            Place::Machine => rand::random(),
            #[cfg(feature = "sim")]
            Place::Node(node) => node.random_u64(),
        }
    }

    /// 128 random bits, for nonces and incarnations.
    pub fn random_u128(&self) -> u128 {
        (u128::from(self.random_u64()) << 64) | u128::from(self.random_u64())
    }

    /// Starts a task in this group. It runs on when the `Task` is dropped.
    /// In a crashed group it never runs, and joining it answers `TaskEnd`.
    pub fn spawn<F>(&self, name: &'static str, f: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut members = self.group.members.lock();
        let handle = tokio::spawn(InGroup::new(self.clone(), f));
        if self.is_crashed() {
            handle.abort();
        } else {
            members.prune();
            members.tasks.push(handle.abort_handle());
        }
        Task::new(name, handle)
    }

    /// Runs `f` where it may block: on a thread of tokio's pool; inline in a simulated world.
    pub async fn blocking<T, F>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.is_simulated() {
            return f();
        }
        match tokio::task::spawn_blocking(f).await {
            Ok(value) => value,
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => std::future::pending().await, // the runtime is shutting down
        }
    }

    /// Ends every task of this group and of its child groups at its next await, closes their
    /// disks, and returns how many tasks were alive. The group stays crashed: restart in a new one.
    pub fn crash(&self) -> usize {
        self.group.crash()
    }

    /// `crash`, then waits until every task has really ended. Not to be called by one of them.
    pub async fn stop(&self) -> usize {
        let live = self.crash();
        while self.group.live_tasks() > 0 {
            self.sleep(Duration::from_millis(1)).await;
        }
        live
    }

    /// True once `crash` was called on this group or on an ancestor.
    pub fn is_crashed(&self) -> bool {
        self.group.crashed.load(Ordering::SeqCst)
    }

    /// True when a simulated world wants this poll later (E6).
    pub(crate) fn puts_poll_off(&self) -> bool {
        match &self.group.place {
            Place::Machine => false,
            #[cfg(feature = "sim")]
            Place::Node(node) => node.puts_poll_off(),
        }
    }

    /// Until when nothing of this process runs, because a simulated world has paused it.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        match &self.group.place {
            Place::Machine => None,
            #[cfg(feature = "sim")]
            Place::Node(node) => node.paused_until(),
        }
    }

    /// Opens the directory `dir` as a disk, making it if it is missing; its owner is this group.
    ///
    /// On the machine it takes an flock on the directory: `ResourceBusy` when another process or
    /// incarnation still owns it after 2 s (E2). In a simulated world the disk of this name on this
    /// node outlives the group.
    pub fn disk(&self, dir: &Path) -> io::Result<Arc<dyn Disk>> {
        if self.is_crashed() {
            return Err(stale_handle());
        }
        match &self.group.place {
            Place::Machine => {
                let disk = Directory::open(dir)?;
                self.group.members.lock().disks.push(Arc::downgrade(&disk));
                if self.is_crashed() {
                    disk.close();
                }
                Ok(Arc::new(disk))
            }
            #[cfg(feature = "sim")]
            Place::Node(node) => Ok(node.disk(dir, self.clone())),
        }
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env")
            .field("group", &self.group.name)
            .finish_non_exhaustive()
    }
}
