//! A simulated world: nodes, clocks, chance and disks made from one seed, on paused tokio time.
#![allow(clippy::disallowed_methods, reason = "its clocks are tokio's, paused")]

mod disk;
mod platter;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::time::Instant;

use crate::disk::Disk;
use crate::env::Env;
pub use disk::SimDisk;

/// Wall clocks of a new world stand at 2026-01-01T00:00:00Z.
const WALL_START_US: i64 = 1_767_225_600_000_000;
/// Unless told otherwise, one poll in this many is put off to the end of the queue.
const PUT_OFF_ONE_IN: u32 = 8;

/// Seeded streams of random numbers; what one draws does not disturb the other.
pub(crate) struct Chance {
    seed: u64,
    drawn: Mutex<SmallRng>,
    scheduling: Mutex<SmallRng>,
    put_off_one_in: AtomicU32,
    started: OnceLock<Instant>,
}

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance {
            seed,
            drawn: Mutex::new(SmallRng::seed_from_u64(seed)),
            scheduling: Mutex::new(SmallRng::seed_from_u64(!seed)),
            put_off_one_in: AtomicU32::new(PUT_OFF_ONE_IN),
            started: OnceLock::new(),
        }
    }

    /// A stream of its own for the thing of this name.
    fn stream(&self, name: &str) -> SmallRng {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
        SmallRng::seed_from_u64(self.seed ^ hash)
    }
}

/// One machine of a simulated world, across all its incarnations.
pub(crate) struct Node {
    name: String,
    chance: Arc<Chance>,
    clock_offset_us: AtomicI64,
    paused_until: Mutex<Option<Instant>>,
    disks: Mutex<BTreeMap<String, SimDisk>>,
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn wall_us(&self) -> u64 {
        let started = *self.chance.started.get_or_init(Instant::now);
        let elapsed = Instant::now().duration_since(started).as_micros() as i64;
        let offset = self.clock_offset_us.load(Ordering::SeqCst);
        (WALL_START_US + elapsed + offset).max(0) as u64
    }

    pub(crate) fn random_u64(&self) -> u64 {
        self.chance.drawn.lock().next_u64()
    }

    pub(crate) fn puts_poll_off(&self) -> bool {
        let one_in = self.chance.put_off_one_in.load(Ordering::Relaxed);
        one_in > 0 && self.chance.scheduling.lock().random_range(0..one_in) == 0
    }

    pub(crate) fn paused_until(&self) -> Option<Instant> {
        let mut paused = self.paused_until.lock();
        *paused = paused.filter(|until| Instant::now() < *until);
        *paused
    }

    fn sim_disk(&self, dir: &Path) -> SimDisk {
        let dir = dir.to_string_lossy().into_owned();
        let stream = self.chance.stream(&format!("{}:{dir}", self.name));
        self.disks
            .lock()
            .entry(dir)
            .or_insert_with(|| SimDisk::with_rng(stream))
            .clone()
    }

    pub(crate) fn disk(&self, dir: &Path, owner: Env) -> Arc<dyn Disk> {
        self.sim_disk(dir).opened_by(Some(owner))
    }
}

/// The world. Clones are the same world. It is meant for one thread (E6).
#[derive(Clone)]
pub struct SimWorld {
    chance: Arc<Chance>,
    nodes: Arc<Mutex<BTreeMap<String, Machine>>>,
}

/// What is left of a world: it holds nothing itself.
pub struct Remains(Weak<Chance>);

impl Remains {
    /// How many nodes, which every `Env` holds, and clones of the world there still are.
    pub fn holders(&self) -> usize {
        self.0.strong_count()
    }
}

struct Machine {
    node: Arc<Node>,
    incarnation: Option<Env>,
}

impl SimWorld {
    /// A world whose every choice follows from `seed`.
    pub fn new(seed: u64) -> SimWorld {
        SimWorld {
            chance: Arc::new(Chance::new(seed)),
            nodes: Arc::default(),
        }
    }

    /// Runs `f` in a new world, on a runtime of one thread whose time jumps to the next timer
    /// whenever nothing else is to be done. The main future is not part of any node.
    pub fn run<F, Fut>(seed: u64, f: F) -> Fut::Output
    where
        F: FnOnce(SimWorld) -> Fut,
        Fut: Future,
    {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true);
        seed_runtime(&mut builder, seed);
        let runtime = builder
            .build()
            .expect("a runtime without I/O needs nothing that can fail");
        runtime.block_on(f(SimWorld::new(seed)))
    }

    /// For a look at what is left of it once it is over.
    pub fn remains(&self) -> Remains {
        Remains(Arc::downgrade(&self.chance))
    }

    /// The seed, to be printed with a failure.
    pub fn seed(&self) -> u64 {
        self.chance.seed
    }

    fn with_machine<T>(&self, name: &str, f: impl FnOnce(&mut Machine) -> T) -> T {
        let mut nodes = self.nodes.lock();
        f(nodes.entry(name.into()).or_insert_with(|| {
            let chance = self.chance.clone();
            let (clock_offset_us, disks) = (AtomicI64::new(0), Mutex::default());
            let paused_until = Mutex::default();
            let node = Node {
                name: name.into(),
                chance,
                clock_offset_us,
                paused_until,
                disks,
            };
            Machine {
                node: Arc::new(node),
                incarnation: None,
            }
        }))
    }

    /// Starts a new incarnation of a node: a fresh group over the same clock and disks. An earlier
    /// incarnation is crashed first.
    pub fn node(&self, name: &str) -> Env {
        let (env, former) = self.with_machine(name, |machine| {
            let env = Env::on_node(machine.node.clone());
            (env.clone(), machine.incarnation.replace(env))
        });
        former.map(|former| former.crash());
        env
    }

    /// Crashes the node's process: tasks end where they are, handles go stale, the page cache
    /// stays. Returns how many tasks were alive.
    pub fn crash(&self, name: &str) -> usize {
        let former = self.with_machine(name, |machine| {
            *machine.node.paused_until.lock() = None;
            machine.incarnation.take()
        });
        former.map_or(0, |env| env.crash())
    }

    /// Crashes the node and takes its power away: each of its disks keeps any subset of what was
    /// not synced.
    pub fn power_loss(&self, name: &str) -> usize {
        let live = self.crash(name);
        let node = self.with_machine(name, |machine| machine.node.clone());
        node.disks.lock().values().for_each(SimDisk::power_loss);
        live
    }

    /// Nothing of the node's process runs for so long; what others send it waits. Its clocks go on.
    pub fn pause(&self, name: &str, time: Duration) {
        let node = self.with_machine(name, |machine| machine.node.clone());
        *node.paused_until.lock() = Some(Instant::now() + time);
    }

    /// The controls of a node's disk; made empty if nothing has opened it yet.
    pub fn disk(&self, node: &str, dir: impl AsRef<Path>) -> SimDisk {
        self.with_machine(node, |machine| machine.node.clone())
            .sim_disk(dir.as_ref())
    }

    /// Steps a node's wall clock to `offset_us` from the world's.
    pub fn set_clock_offset_us(&self, node: &str, offset_us: i64) {
        let node = self.with_machine(node, |machine| machine.node.clone());
        node.clock_offset_us.store(offset_us, Ordering::SeqCst);
    }

    /// One poll in `n` is put off; 0 turns it off.
    pub fn put_off_one_poll_in(&self, n: u32) {
        self.chance.put_off_one_in.store(n, Ordering::Relaxed);
    }

    /// A number drawn from the world's seed, in `0..bound`; `bound` ≥ 1.
    pub fn below(&self, bound: u64) -> u64 {
        self.chance.drawn.lock().random_range(0..bound)
    }

    /// 64 bits drawn from the world's seed.
    pub fn random_u64(&self) -> u64 {
        self.chance.drawn.lock().next_u64()
    }
}

/// tokio's own choices (select!, watch) follow the seed when it is built with `tokio_unstable`.
#[allow(unexpected_cfgs)]
fn seed_runtime(builder: &mut tokio::runtime::Builder, seed: u64) {
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = (builder, seed);
}
