//! The processes: one or three with a sequencer each, three or six with a unit each, two or three with materializers.
use crate::alarms;
use crate::faults::SEEDS_TO_A_ROUND;
use crate::leaving::Leaving;
use crate::network::{Host, Network, SimConnector};
use bytes::Bytes;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_node::config::{ClusterConfig, NodeConfig, RetentionConfig, RoleName, SnapshotConfig};
use dfs_node::directory::Directory;
use dfs_node::roles::view::MemoryView;
use dfs_node::roles::{Place, RoleSet, Views};
use dfs_rpc::roles::{Connector, LogUnit, Materializer};
use dfs_rpc::serve::SharedRoles;
use dfs_wire::v1;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const SEQUENCERS: [&str; 3] = ["s1", "s2", "s3"];
/// Those that join while the others run.
const JOINERS: [&str; 2] = ["s4", "s5"];
pub(crate) const UNITS: [&str; 6] = ["u1", "u2", "u3", "u4", "u5", "u6"];
/// Of every so many rounds of faults, the last has six units: two stripes.
const SIX_UNITS_ONE_IN: u64 = 2;
pub(crate) const MATERIALIZERS: [&str; 3] = ["m1", "m2", "m3"];
/// Of every so many rounds of faults, the last has all of them, and they compare digests: the odd one is found.
const THREE_MATERIALIZERS_ONE_IN: u64 = 3;
/// There: a run has some tens of records.
const DIGEST_EVERY: u64 = 16;
/// Any one that waits for a closed stripe.
const CUTS_HELD_FEW: usize = 1;
/// The data directory of each process, on disks of its own.
const DIR: &str = "d";
/// Clocks of processes differ by up to so much, µs.
const CLOCK_OFF_US_MAX: u64 = 50_000;

/// Starts and crashes processes. Clones are the same cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) network: Network,
    /// One or three of [`SEQUENCERS`].
    pub(crate) sequencers: &'static [&'static str],
    pub(crate) leaving: Arc<Leaving>,
    /// Those that have joined, also under a name that was there before.
    pub(crate) joined: Arc<Mutex<BTreeSet<&'static str>>>,
    /// Of log records, 0: never. Small, so that one run sees several, and the log trimmed.
    pub(crate) snapshot_every: u64,
    /// Of history, s; 0: for ever.
    pub(crate) retention_s: u64,
    /// Broken on purpose: digests are compared so rarely that no run sees it.
    pub(crate) deaf_replicas: bool,
    pub(crate) states: Arc<States>,
}

/// Folded state of the processes that run, by name.
#[derive(Default)]
pub(crate) struct States {
    pub(crate) newest: Mutex<BTreeMap<&'static str, Arc<MemoryView>>>,
    /// Those that were damaged on purpose: none of them may be in use at the end.
    pub(crate) damaged: Mutex<Vec<Damaged>>,
}

/// A state with a row that is not what was folded.
pub(crate) struct Damaged {
    pub(crate) name: &'static str,
    pub(crate) view: Arc<MemoryView>,
    /// The row, of a slot, and what was made of it.
    pub(crate) key: Bytes,
    pub(crate) rotten: Bytes,
}

/// Every third seed lets go of history while it runs.
pub(crate) fn retention_s(world: &SimWorld) -> u64 {
    u64::from(world.below(3) == 0)
}

/// Half of all seeds have snapshots. Where digests are compared they are further apart than those, as they
/// always should be: a refold begins from a snapshot that all agreed on.
pub(crate) fn snapshot_every(world: &SimWorld) -> u64 {
    let apart = match has_three_materializers(world) {
        true => 4 * DIGEST_EVERY,
        false => 0,
    };
    match world.below(2) {
        0 => 0,
        _ => apart + 5 + world.below(40),
    }
}

pub(crate) fn address(name: &str) -> String {
    format!("{name}:9010")
}

fn config(name: &str, cluster: &Cluster) -> NodeConfig {
    let (role, rank) = match name {
        name if SEQUENCERS.contains(&name) || JOINERS.contains(&name) => (RoleName::Sequencer, 0),
        name if UNITS.contains(&name) => (RoleName::Unit, 0),
        name => {
            let rank = MATERIALIZERS.iter().position(|other| *other == name);
            (RoleName::Materializer, rank.unwrap_or(0) as u32)
        }
    };
    let compares = cluster.materializers().len() > 2 && !cluster.deaf_replicas;
    NodeConfig {
        dir: PathBuf::from(DIR),
        listen: "127.0.0.1:9010".into(),
        advertise: Some(address(name)),
        metrics: None,
        traces: None,
        roles: vec![role],
        sequencers: cluster.addresses(),
        join: cluster.joined.lock().contains(name),
        voters: 1,
        units: 1,
        rack: String::new(),
        rank,
        insecure: false,
        cluster: ClusterConfig {
            log_replicas: Some(3),
            log_write_quorum: Some(2),
            file_copies: Some(3),
            shard_replicas: Some(cluster.materializers().len() as u32),
            digest_every: compares.then_some(DIGEST_EVERY),
            set_aside_from: set_aside_from(cluster.network.world()),
        },
        snapshots: SnapshotConfig {
            every_records: Some(cluster.snapshot_every),
            every_mib: Some(0),
        },
        retention: RetentionConfig {
            seconds: Some(cluster.retention_s),
            mib: None,
        },
    }
}

/// By the seed.
pub(crate) fn has_six_units(world: &SimWorld) -> bool {
    let round = world.seed() / SEEDS_TO_A_ROUND;
    round % SIX_UNITS_ONE_IN == SIX_UNITS_ONE_IN - 1
}

/// By the seed.
pub(crate) fn has_three_materializers(world: &SimWorld) -> bool {
    let round = world.seed() / SEEDS_TO_A_ROUND;
    round % THREE_MATERIALIZERS_ONE_IN == THREE_MATERIALIZERS_ONE_IN - 1
}

/// Of seeds with six units, in which stripes are closed, half set aside what these wait for almost at once
/// (LOG-U6).
fn set_aside_from(world: &SimWorld) -> Option<usize> {
    let rounds = world.seed() / SEEDS_TO_A_ROUND / SIX_UNITS_ONE_IN;
    (has_six_units(world) && rounds.is_multiple_of(2)).then_some(CUTS_HELD_FEW)
}

pub(crate) fn units(world: &SimWorld) -> &'static [&'static str] {
    &UNITS[..if has_six_units(world) { 6 } else { 3 }]
}

impl Cluster {
    /// That takes no snapshots and lets go of nothing; nothing runs yet.
    pub(crate) fn new(network: Network, sequencers: &'static [&'static str]) -> Cluster {
        Cluster {
            network,
            sequencers,
            leaving: Arc::default(),
            joined: Arc::default(),
            snapshot_every: 0,
            retention_s: 0,
            deaf_replicas: false,
            states: Arc::default(),
        }
    }

    pub(crate) fn units(&self) -> &'static [&'static str] {
        units(self.network.world())
    }

    pub(crate) fn staying_units(&self) -> Vec<&'static str> {
        let units = self.units().iter().copied();
        units.filter(|name| !self.leaving.is_gone(name)).collect()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let sequencers = self.all_sequencers().into_iter();
        let units = self.units().iter().copied();
        sequencers
            .chain(units)
            .chain(self.materializers().iter().copied())
    }

    pub(crate) fn materializers(&self) -> &'static [&'static str] {
        let three = has_three_materializers(self.network.world());
        &MATERIALIZERS[..if three { 3 } else { 2 }]
    }

    /// Folded state is lost with the process, and made anew whenever its materializer is opened.
    fn views(&self, name: &'static str) -> Views {
        let states = self.states.clone();
        Arc::new(move || {
            let view = Arc::new(MemoryView::new());
            states.newest.lock().insert(name, view.clone());
            view
        })
    }

    fn all_sequencers(&self) -> BTreeSet<&'static str> {
        let joined = self.joined.lock();
        self.sequencers
            .iter()
            .chain(joined.iter())
            .copied()
            .collect()
    }

    /// Starts one more sequencer, which waits to be added; none: there is no other.
    pub(crate) fn join_another(&self) -> Option<&'static str> {
        let joined = self.joined.lock().clone();
        let name = JOINERS.into_iter().find(|name| !joined.contains(name))?;
        self.start_joining(name);
        Some(name)
    }

    pub(crate) fn start_joining(&self, name: &'static str) {
        self.joined.lock().insert(name);
        self.start(name);
    }

    /// The id of the sequencer of a process, once it has one; looked up without the network.
    pub(crate) async fn voter_id(&self, name: &str) -> Option<u64> {
        let host = self.network.host(&address(name))?;
        let role = host.role(|roles| roles.sequencer.clone())?;
        role.status().await.ok().map(|status| status.node_id)
    }

    fn addresses(&self) -> Vec<String> {
        self.sequencers.iter().map(|name| address(name)).collect()
    }

    pub(crate) fn start_all(&self) {
        let world = self.network.world();
        for name in self.names() {
            let off = world.below(CLOCK_OFF_US_MAX) as i64;
            world.set_clock_offset_us(name, off);
            self.start(name);
        }
    }

    /// A new incarnation, over the disks as they are.
    /// Nobody starts what has left for good.
    pub(crate) fn start(&self, name: &'static str) {
        if self.leaving.is_gone(name) {
            return;
        }
        let env = self.network.world().node(name);
        self.network.note(&env, "start", name, &[]);
        let roles = SharedRoles::default();
        let host = Host::new(&env, &roles);
        self.network.answer_at(&address(name), host.clone());
        let connector = self.network.connector(name, host, self.addresses());
        let (own, config, views) = (env.clone(), config(name, self), self.views(name));
        env.spawn("process", async move {
            let started = process(own, name, config, views, (connector, roles));
            if let Err(error) = started.await {
                alarms::raise(format!("{name} ended: {error:#}"));
            }
        });
    }

    pub(crate) fn crash(&self, env: &Env, name: &str) {
        self.network.note(env, "crash", name, &[]);
        self.network.world().crash(name);
    }

    pub(crate) fn power_loss(&self, env: &Env, name: &str) {
        self.network.note(env, "power loss", name, &[]);
        self.network.world().power_loss(name);
    }

    /// The connector of a process without roles.
    pub(crate) fn outsider(&self, env: &Env, name: &str) -> Arc<dyn Connector> {
        let host = Host::new(env, &SharedRoles::default());
        self.network.connector(name, host, self.addresses())
    }

    /// Looked up without the network.
    pub(crate) fn materializer(&self, name: &str) -> Option<Arc<dyn Materializer>> {
        let host = self.network.host(&address(name))?;
        host.role(|roles| roles.materializer.clone())
    }

    /// The log unit of a process, looked up without the network.
    pub(crate) fn unit(&self, name: &str) -> Option<(u64, Arc<dyn LogUnit>)> {
        let host = self.network.host(&address(name))?;
        host.role(|roles| {
            let unit = roles.units.first_key_value();
            unit.map(|(id, role)| (*id, role.clone()))
        })
    }

    /// The sequencer that leads now; the first one when none does.
    pub(crate) async fn leader(&self) -> &'static str {
        let leading = self.leading().await;
        leading.map_or(self.sequencers[0], |(name, _)| name)
    }

    pub(crate) async fn leading(&self) -> Option<(&'static str, v1::SequencerStatusAnswer)> {
        for name in self.all_sequencers() {
            let host = self.network.host(&address(name));
            let role = host.and_then(|host| host.role(|roles| roles.sequencer.clone()));
            if let Some(role) = role
                && let Ok(status) = role.status().await
                && status.role == "leader"
            {
                return Some((name, status));
            }
        }
        None
    }

    /// Processes whose units are a stripe that has lanes, the one opened last first.
    pub(crate) async fn stripe_in_use(&self) -> Vec<&'static str> {
        let Some((_, status)) = self.leading().await else {
            return Vec::new();
        };
        let has_lanes = |stripe: &&v1::StripeState| {
            let mut lanes = status.lanes.iter();
            lanes.any(|lane| !lane.sealed && lane.stripe == stripe.stripe)
        };
        let stripe = status.stripes.iter().rev().find(has_lanes);
        let units = stripe
            .map(|stripe| stripe.units.clone())
            .unwrap_or_default();
        let is_of = |name: &&&str| units.iter().any(|unit| unit.address == address(name));
        self.units().iter().filter(is_of).copied().collect()
    }

    /// Who says so now; the first one when nobody does.
    pub(crate) async fn primary(&self) -> &'static str {
        for name in self.materializers().iter().copied() {
            if let Some(role) = self.materializer(name)
                && role
                    .status()
                    .await
                    .is_ok_and(|status| status.role == "primary")
            {
                return name;
            }
        }
        MATERIALIZERS[0]
    }
}

/// As `dfsctl serve` does it, but for the port.
async fn process(
    env: Env,
    name: &str,
    config: NodeConfig,
    views: Views,
    (connector, shared): (Arc<SimConnector>, SharedRoles),
) -> anyhow::Result<()> {
    config.check()?;
    let directory = Directory::open(&env, &config).await?;
    let place = Place {
        env,
        config,
        directory,
        peers: connector.clone(),
        connector,
        shared,
        address: address(name),
        views: Some(views),
    };
    let roles = RoleSet::start(place).await?;
    let why = roles.failed().await;
    anyhow::bail!("a role ended for good: {why}")
}
