//! The simulated network: who answers where, and how long a message is under way.
mod early_seals;
mod far;
mod link;
mod peer;

use crate::trace::Trace;
use async_trait::async_trait;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_rpc::leading::{Dial, Leading};
use dfs_rpc::roles::{Connector, LogUnit, Materializer, Peer, PeerConnector, Sequencer};
use dfs_rpc::serve::{Roles, SharedRoles};
use dfs_wire::{Code, Refusal};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

use link::Link;

/// A message is under way for so many µs, evenly …
const UNDER_WAY_US: (u64, u64) = (40, 400);
/// … but one in so many is late, …
const LATE_ONE_IN: u64 = 64;
/// … by up to so many µs: beyond a fsync, below any time-out.
const LATE_US_MAX: u64 = 20_000;

/// In every so manieth seed one message in so many is very late, …
const SLOW_SEED_ONE_IN: u64 = 3;
/// … which holds up all behind it in its stream, …
const VERY_LATE_ONE_IN: u64 = 256;
/// … by up to so many µs: silent for longer than a member may be.
const VERY_LATE_US_MAX: u64 = 2_000_000;
/// What cannot get through is tried again so often.
const SENT_AGAIN_EVERY: Duration = Duration::from_millis(5);
/// Records that a broken build lets go of too early: about a cut.
const TRIMMED_EARLY: u64 = 5;
/// Where messages may arrive twice, one in so many does.
const DOUBLED_ONE_IN: u64 = 16;

/// Everything between the processes of one world. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    world: SimWorld,
    trace: Trace,
    start: Instant,
    hosts: Mutex<BTreeMap<String, Host>>,
    /// Processes that are cut off: from these, or from all.
    cut_off: Mutex<BTreeMap<String, Option<Vec<&'static str>>>>,
    frame_to_skip: AtomicBool,
    slots_forgotten: AtomicBool,
    trimmed_early: AtomicBool,
    copies_hollow: AtomicBool,
    /// No message is late.
    is_steady: AtomicBool,
    /// Processes whose messages, both ways, take longer.
    slowed: Mutex<BTreeMap<String, Duration>>,
    seals: early_seals::EarlySeals,
}

/// One incarnation of a process, as others reach it.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) env: Env,
    /// Held by the process alone, for they hold connections to other hosts, and to this one: they go with it.
    roles: Weak<RwLock<Roles>>,
}

impl Host {
    pub(crate) fn new(env: &Env, roles: &SharedRoles) -> Host {
        Host {
            env: env.clone(),
            roles: Arc::downgrade(roles),
        }
    }

    /// One of its roles, if it runs there now.
    pub(crate) fn role<T>(&self, pick: impl FnOnce(&Roles) -> Option<T>) -> Option<T> {
        let roles = self.roles.upgrade()?;
        let roles = roles.read();
        pick(&roles)
    }
}

impl Network {
    /// `env`: any of the world, for its clock.
    pub(crate) fn new(world: &SimWorld, env: &Env, trace: Trace) -> Network {
        let inner = Inner {
            world: world.clone(),
            trace,
            start: env.now(),
            hosts: Mutex::default(),
            cut_off: Mutex::default(),
            frame_to_skip: AtomicBool::new(false),
            slots_forgotten: AtomicBool::new(false),
            trimmed_early: AtomicBool::new(false),
            copies_hollow: AtomicBool::new(false),
            is_steady: AtomicBool::new(false),
            slowed: Mutex::default(),
            seals: early_seals::EarlySeals::default(),
        };
        Network {
            inner: Arc::new(inner),
        }
    }

    /// From now on this incarnation answers at `address`.
    pub(crate) fn answer_at(&self, address: &str, host: Host) {
        self.inner.hosts.lock().insert(address.into(), host);
    }

    pub(crate) fn host(&self, address: &str) -> Option<Host> {
        let host = self.inner.hosts.lock().get(address).cloned();
        host.filter(|host| !host.env.is_crashed())
    }

    /// What travels between `name` and these others, or all, waits from now on.
    pub(crate) fn cut_off(&self, name: &str, from: Option<Vec<&'static str>>) {
        self.inner.cut_off.lock().insert(name.into(), from);
    }

    pub(crate) fn heal(&self, name: &str) {
        self.inner.cut_off.lock().remove(name);
    }

    fn is_cut(&self, one: &str, other: &str) -> bool {
        let cut_off = self.inner.cut_off.lock();
        let between = |name: &str, far: &str| {
            let from = cut_off.get(name);
            from.is_some_and(|from| from.as_ref().is_none_or(|from| from.contains(&far)))
        };
        !cut_off.is_empty() && (between(one, other) || between(other, one))
    }

    /// The next frame that any materializer would scan is hidden from it (`Broken::SkippedFrame`).
    pub(crate) fn skip_a_frame(&self) {
        self.inner.frame_to_skip.store(true, Ordering::SeqCst);
    }

    fn takes_frame_to_skip(&self) -> bool {
        self.inner.frame_to_skip.swap(false, Ordering::SeqCst)
    }

    /// From now on what arrives twice looks like two requests (`Broken::ForgottenSlots`).
    pub(crate) fn forget_slots(&self) {
        self.inner.slots_forgotten.store(true, Ordering::SeqCst);
    }

    /// From now on units give each other nothing, and say that they hold all (`Broken::HollowCopies`).
    pub(crate) fn hollow_copies(&self) {
        self.inner.copies_hollow.store(true, Ordering::SeqCst);
    }

    fn has_hollow_copies(&self) -> bool {
        self.inner.copies_hollow.load(Ordering::SeqCst)
    }

    fn forgets_slots(&self) -> bool {
        self.inner.slots_forgotten.load(Ordering::SeqCst)
    }

    /// From now on units are told to let go of more than was trimmed (`Broken::EarlyTrim`).
    pub(crate) fn trim_early(&self) {
        self.inner.trimmed_early.store(true, Ordering::SeqCst);
    }

    /// What a unit is told instead.
    fn trimmed_to(&self, trim_lsn: u64) -> u64 {
        let early = self.inner.trimmed_early.load(Ordering::SeqCst) && trim_lsn > 1;
        trim_lsn + if early { TRIMMED_EARLY } else { 0 }
    }

    /// From now on seals are told that nobody has applied (`Broken::EarlyResend`).
    pub(crate) fn tell_seals_early(&self) {
        self.inner.seals.begin();
    }

    fn early_seals(&self) -> &early_seals::EarlySeals {
        &self.inner.seals
    }

    fn doubles(&self) -> bool {
        self.forgets_slots() || self.world().below(DOUBLED_ONE_IN) == 0
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.inner.trace
    }

    pub(crate) fn world(&self) -> &SimWorld {
        &self.inner.world
    }

    /// µs since the start; `env` has the clock.
    pub(crate) fn now_us(&self, env: &Env) -> u64 {
        (env.now() - self.inner.start).as_micros() as u64
    }

    pub(crate) fn note(&self, env: &Env, what: &str, who: &str, bytes: &[u8]) {
        self.trace().note(self.now_us(env), what, who, bytes);
    }

    /// Waits while the two are cut off from each other, as what is sent again and again does.
    async fn passes(&self, env: &Env, one: &str, other: &str) {
        while self.is_cut(one, other) {
            env.sleep(SENT_AGAIN_EVERY).await;
        }
    }

    /// For figures: they compare what is slow on purpose with what is not.
    pub(crate) fn keep_steady(&self) {
        self.inner.is_steady.store(true, Ordering::SeqCst);
    }

    /// From now on these, and nobody else.
    pub(crate) fn slow_down(&self, names: &[&str], by: Duration) {
        let slowed = names.iter().map(|name| (name.to_string(), by));
        *self.inner.slowed.lock() = slowed.collect();
    }

    /// Of one message between the two.
    fn delay(&self, one: &str, other: &str) -> Duration {
        let by = |name: &str| self.inner.slowed.lock().get(name).copied();
        self.usual_delay() + by(one).max(by(other)).unwrap_or_default()
    }

    fn usual_delay(&self) -> Duration {
        let world = self.world();
        let (least, most) = UNDER_WAY_US;
        let mut us = least + world.below(most - least);
        if self.inner.is_steady.load(Ordering::SeqCst) {
            return Duration::from_micros(us);
        }
        if world.below(LATE_ONE_IN) == 0 {
            us += world.below(LATE_US_MAX);
        }
        let slow = world.seed() % SLOW_SEED_ONE_IN == 2;
        if slow && world.below(VERY_LATE_ONE_IN) == 0 {
            us += world.below(VERY_LATE_US_MAX);
        }
        Duration::from_micros(us)
    }

    /// For the process `name`, whose own roles are called directly.
    pub(crate) fn connector(
        &self,
        name: &str,
        own: Host,
        sequencers: Vec<String>,
    ) -> Arc<SimConnector> {
        Arc::new(SimConnector {
            network: self.clone(),
            name: name.into(),
            own,
            sequencers,
            leading: Leading::default(),
        })
    }
}

/// Finds roles through the network.
pub(crate) struct SimConnector {
    network: Network,
    name: String,
    own: Host,
    sequencers: Vec<String>,
    leading: Leading,
}

impl SimConnector {
    fn is_own(&self, address: &str) -> bool {
        let host = self.network.host(address);
        host.is_some_and(|host| Weak::ptr_eq(&host.roles, &self.own.roles))
    }

    /// Connects: a way there and back.
    async fn link(&self, address: &str) -> Result<Link, Refusal> {
        let env = &self.own.env;
        let far = address.split(':').next().unwrap_or_default();
        env.sleep(self.network.delay(&self.name, far)).await;
        self.network.passes(env, &self.name, far).await;
        let host = self.network.host(address);
        env.sleep(self.network.delay(&self.name, far)).await;
        let refused = || Refusal::new(Code::Unavailable, address, "connection refused");
        Ok(Link {
            network: self.network.clone(),
            from: env.clone(),
            ends: (self.name.clone(), far.to_owned()),
            who: format!("{}>{address}", self.name),
            to: host.ok_or_else(refused)?,
        })
    }
}

#[async_trait]
impl Dial for SimConnector {
    async fn dial(&self, address: &str) -> Result<Arc<dyn Sequencer>, Refusal> {
        let local = self.own.role(|roles| roles.sequencer.clone());
        if let Some(local) = local.filter(|_| self.is_own(address)) {
            return Ok(local);
        }
        Ok(Arc::new(far::FarSequencer(self.link(address).await?)))
    }

    /// Nothing is kept.
    fn hang_up(&self, _address: &str) {}
}

#[async_trait]
impl PeerConnector for SimConnector {
    async fn peer(&self, voter: u64, address: &str) -> Result<Arc<dyn Peer>, Refusal> {
        let link = self.link(address).await?;
        Ok(Arc::new(peer::FarPeer { link, voter }))
    }
}

#[async_trait]
impl Connector for SimConnector {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        let env = &self.own.env;
        self.leading.find(env, self, &self.sequencers).await
    }

    async fn unit(&self, unit_id: u64, address: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        let local = self.own.role(|roles| roles.units.get(&unit_id).cloned());
        if let Some(local) = local {
            return Ok(local);
        }
        Ok(Arc::new(far::FarUnit {
            link: self.link(address).await?,
            unit_id,
        }))
    }

    async fn materializer(&self, address: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        let local = self.own.role(|roles| roles.materializer.clone());
        if let Some(local) = local.filter(|_| self.is_own(address)) {
            return Ok(local);
        }
        Ok(Arc::new(far::FarMaterializer(self.link(address).await?)))
    }
}
