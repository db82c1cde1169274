//! Slow parts stay local (E5): appends while one unit, one stripe or one appender is slow, beside the healthy run.
use crate::alarms;
use crate::cluster::{Cluster, SEQUENCERS};
use crate::network::Network;
use crate::trace::Trace;
use bytes::Bytes;
use dfs_env::sim::SimWorld;
use dfs_env::{Env, Task};
use dfs_log::{Appender, ClusterLog, Draft, SharedLog};
use dfs_rpc::members::keep_alive;
use dfs_rpc::roles::Connector;
use dfs_wire::{Refusal, Tag, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Each with a lane of its own; there are two stripes.
const APPENDERS: [&str; 4] = ["a1", "a2", "a3", "a4"];
const RECORD_BYTES: usize = 1_000;
/// Of one appender. Latency counts from when a record was due.
const APPEND_EVERY: Duration = Duration::from_millis(10);
/// An appender that is stalled has so many under way before it waits for them.
const IN_FLIGHT_MAX: usize = 4_096;
const PHASE: Duration = Duration::from_secs(2);
/// A role that is not there yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Between two phases everything becomes as it was.
const REST: Duration = Duration::from_secs(1);
/// Each message of what is slow takes so much longer.
const SLOWER: Duration = Duration::from_millis(50);

/// Appends of one phase, µs from when they were due.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub appends: usize,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// The same lanes healthy, and while something was slow.
#[derive(Clone, Debug)]
pub struct Compared {
    pub what: &'static str,
    pub healthy: Figure,
    pub slow: Figure,
}

struct Lanes {
    world: SimWorld,
    cluster: Cluster,
    env: Env,
    connector: Arc<dyn Connector>,
    appenders: BTreeMap<&'static str, (Env, Arc<Appender>)>,
    /// Whoever beats for the appenders.
    _beating: Vec<Task<()>>,
}

type Latencies = BTreeMap<&'static str, Vec<u64>>;

/// Runs on the calling thread.
///
/// # Errors
/// What went wrong on the way, in words.
pub fn slow_parts(seed: u64) -> Result<Vec<Compared>, String> {
    alarms::take();
    let compared = alarms::listening(false, || {
        SimWorld::run(seed, |world| async move {
            let env = world.node("judge");
            let network = Network::new(&world, &env, Trace::new(false));
            network.keep_steady();
            let cluster = Cluster::new(network, &SEQUENCERS);
            // Nobody folds: records mean nothing here.
            let folds = |name: &&str| cluster.materializers().contains(name);
            cluster
                .names()
                .filter(|name| !folds(name))
                .for_each(|name| cluster.start(name));
            let task = env.spawn("slow parts", measured(world, cluster, env.clone()));
            task.await.map_err(|end| end.to_string())?
        })
    });
    let raised = alarms::take();
    match raised.is_empty() {
        true => compared,
        false => Err(raised.join("; ")),
    }
}

async fn measured(world: SimWorld, cluster: Cluster, env: Env) -> Result<Vec<Compared>, String> {
    let lanes = Lanes::open(world, cluster, env)
        .await
        .map_err(|refusal| format!("no lanes: {refusal:?}"))?;
    let (here, elsewhere) = lanes.by_stripe().await?;
    let units = lanes.units_of(here[0]).await?;
    let others: Vec<&str> = APPENDERS[1..].to_vec();
    let network = lanes.cluster.network.clone();
    let healthy = lanes.phase().await;
    network.slow_down(&units[..1], SLOWER);
    let one_unit = lanes.phase().await;
    network.slow_down(&units, SLOWER);
    let stripe = lanes.phase().await;
    network.slow_down(&[], SLOWER);
    lanes.env.sleep(REST).await;
    lanes.world.pause(APPENDERS[0], PHASE);
    let stalled = lanes.phase().await;
    let compare = |what, of: &[&str], slow: &Latencies| Compared {
        what,
        healthy: figure(&healthy, of),
        slow: figure(slow, of),
    };
    Ok(vec![
        compare("one unit slow: lanes on its stripe", &here, &one_unit),
        compare("one stripe slow: its own lanes", &here, &stripe),
        compare("one stripe slow: lanes elsewhere", &elsewhere, &stripe),
        compare("one appender stalled: the others", &others, &stalled),
    ])
}

fn figure(latencies: &Latencies, of: &[&str]) -> Figure {
    let of = of.iter().filter_map(|name| latencies.get(name));
    let mut all: Vec<u64> = of.flatten().copied().collect();
    all.sort_unstable();
    let at = |percent: usize| all.get(all.len() * percent / 100).copied();
    Figure {
        appends: all.len(),
        p50_us: at(50).unwrap_or(0),
        p99_us: at(99).unwrap_or(0),
    }
}

impl Lanes {
    async fn open(world: SimWorld, cluster: Cluster, env: Env) -> Result<Lanes, Refusal> {
        let mut lanes = Lanes {
            connector: cluster.outsider(&env, "judge"),
            world,
            cluster,
            env,
            appenders: BTreeMap::new(),
            _beating: Vec::new(),
        };
        for name in APPENDERS {
            lanes.join(name).await?;
        }
        Ok(lanes)
    }

    /// A process that owns a lane and does nothing else.
    async fn join(&mut self, name: &'static str) -> Result<(), Refusal> {
        let env = self.world.node(name);
        let connector = self.cluster.outsider(&env, name);
        let owner = until_answered(&self.env, || register(&env, &*connector)).await?;
        let clock = env.clone();
        let beat = move || v1::Beat {
            node_id: owner.node_id,
            incarnation: owner.incarnation,
            wall_us: clock.wall_us(),
            ..Default::default()
        };
        let (_, beating) = keep_alive(&env, connector.clone(), Arc::new(beat));
        self._beating.push(beating);
        let log = ClusterLog::open(env.clone(), connector, owner);
        let appender = until_answered(&self.env, || log.appender(owner)).await?;
        self.appenders.insert(name, (env, Arc::new(appender)));
        Ok(())
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, String> {
        let asked = async { self.connector.sequencer().await?.status().await };
        asked
            .await
            .map_err(|refusal| format!("no status: {refusal:?}"))
    }

    async fn stripe_of(&self, name: &str) -> Result<v1::StripeState, String> {
        let status = self.status().await?;
        let lane = self.appenders.get(name).map(|(_, it)| it.lane());
        let mut lanes = status.lanes.iter();
        let lane = lanes.find(|it| Some(it.lane) == lane).ok_or("no lane")?;
        let mut stripes = status.stripes.into_iter();
        let stripe = stripes.find(|it| it.stripe == lane.stripe);
        stripe.ok_or("no stripe".into())
    }

    /// Appenders on the stripe of the first one, and the others.
    async fn by_stripe(&self) -> Result<(Vec<&'static str>, Vec<&'static str>), String> {
        let first = self.stripe_of(APPENDERS[0]).await?.stripe;
        let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
        for name in APPENDERS {
            match self.stripe_of(name).await?.stripe == first {
                true => here.push(name),
                false => elsewhere.push(name),
            }
        }
        if elsewhere.is_empty() {
            return Err("all lanes lie on one stripe".into());
        }
        Ok((here, elsewhere))
    }

    async fn units_of(&self, name: &str) -> Result<Vec<&'static str>, String> {
        let stripe = self.stripe_of(name).await?;
        let is_of = |unit: &&&str| {
            let address = crate::cluster::address(unit);
            stripe.units.iter().any(|it| it.address == address)
        };
        Ok(self.cluster.units().iter().filter(is_of).copied().collect())
    }

    /// All append at their pace, until each has heard of all that it appended.
    async fn phase(&self) -> Latencies {
        self.env.sleep(REST).await;
        let tasks: Vec<_> = self
            .appenders
            .iter()
            .map(|(name, (env, appender))| {
                let appending = append(env.clone(), appender.clone());
                (*name, env.spawn("appending", appending))
            })
            .collect();
        let mut latencies = BTreeMap::new();
        for (name, task) in tasks {
            latencies.insert(name, task.await.unwrap_or_default());
        }
        latencies
    }
}

/// While the cluster comes up.
async fn until_answered<T, F>(env: &Env, ask: impl Fn() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    loop {
        match ask().await {
            Err(refusal) if refusal.is_retryable() => env.sleep(ASK_AGAIN).await,
            answered => return answered,
        }
    }
}

async fn register(env: &Env, connector: &dyn Connector) -> Result<v1::Owner, Refusal> {
    let incarnation = env.random_u64();
    let request = v1::RegisterRequest {
        node_nonce: env.random_u128().to_be_bytes().to_vec().into(),
        incarnation,
        ..Default::default()
    };
    let registered = connector.sequencer().await?.register(request).await?;
    Ok(v1::Owner {
        node_id: registered.node_id,
        incarnation,
    })
}

async fn append(env: Env, appender: Arc<Appender>) -> Vec<u64> {
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let (mut due, until) = (env.now(), env.now() + PHASE);
    let mut waiting = Vec::new();
    while due < until && waiting.len() < IN_FLIGHT_MAX {
        env.sleep(due.saturating_duration_since(env.now())).await;
        let draft = Draft {
            tags: vec![Tag(1)],
            record: Bytes::from(vec![7; RECORD_BYTES]),
            ..Draft::default()
        };
        let Ok(ticket) = appender.append(draft).await else {
            break;
        };
        let (clock, noted) = (env.clone(), latencies.clone());
        waiting.push(env.spawn("waiting", async move {
            if ticket.committed().await.is_ok() {
                noted.lock().push((clock.now() - due).as_micros() as u64);
            }
        }));
        due += APPEND_EVERY;
    }
    for waiter in waiting {
        let _ended = waiter.await; // what is not committed is not counted
    }
    let noted = latencies.lock();
    noted.clone()
}
