//! One seed from birth to verdict.
use crate::alarms;
use crate::client::{Client, address};
use crate::cluster::{self, Cluster, SEQUENCERS};
use crate::ending;
use crate::faults::{self, Fault};
use crate::history::History;
use crate::judge;
use crate::leaving;
use crate::network::Network;
use crate::states;
use crate::stuck;
use crate::trace::Trace;
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use dfs_fs::{Entry, Fs, FsConfig, Seen, When};
use dfs_wire::v1;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: [&str; 2] = ["c1", "c2"];
/// Tasks that share one client.
const WORKERS: u32 = 2;
/// Of each of them, unless told otherwise.
const OPERATIONS: u32 = 25;
/// Of simulated time: every fault is over after seconds, so what takes longer hangs.
const WITHIN: Duration = Duration::from_secs(300);
/// Records from one snapshot to the next, where the log has to be trimmed for sure.
const TRIM_EVERY: u64 = 8;
/// Between two looks at a cluster that is being made.
const BIRTH_EVERY: Duration = Duration::from_millis(5);
/// Longer than any fault, so that no outcome stays unknown.
const PATIENCE: Duration = Duration::from_secs(120);

/// Builds that are broken on purpose (M3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The disks of all units say that they have synced, and lose power together.
    LyingDisks,
    /// A replica is told that a frame is not for it.
    SkippedFrame,
    /// A request that is sent twice counts as two.
    ForgottenSlots,
    /// A lane's successor is opened, and a length told as its final one, before it is sealed (LOG-I7).
    EarlyResend,
    /// A sequencer that lost its journal votes on as the one it was.
    ForgetfulVoter,
    /// Units let go of records that the sequencer still keeps (LOG-I11).
    EarlyTrim,
    /// A unit that was asked to copy a stripe says that it has, and holds nothing of it (LOG.md §6).
    HollowCopies,
    /// Replicas of a shard do not hear that their states differ (FOLD-X4b).
    DeafReplicas,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub broken: Option<Broken>,
    /// Of each worker; the number is a part of what a seed means.
    pub operations: u32,
    /// Every event on standard error, with warnings of the roles.
    pub traces: bool,
}

impl Broken {
    pub const ALL: [Broken; 8] = [
        Broken::LyingDisks,
        Broken::SkippedFrame,
        Broken::ForgottenSlots,
        Broken::EarlyResend,
        Broken::ForgetfulVoter,
        Broken::EarlyTrim,
        Broken::HollowCopies,
        Broken::DeafReplicas,
    ];

    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Broken::LyingDisks => "lying-disks",
            Broken::SkippedFrame => "skipped-frame",
            Broken::ForgottenSlots => "forgotten-slots",
            Broken::EarlyResend => "early-resend",
            Broken::ForgetfulVoter => "forgetful-voter",
            Broken::EarlyTrim => "early-trim",
            Broken::HollowCopies => "hollow-copies",
            Broken::DeafReplicas => "deaf-replicas",
        }
    }
}

impl FromStr for Broken {
    type Err = String;

    fn from_str(name: &str) -> Result<Broken, String> {
        let found = Broken::ALL.into_iter().find(|broken| broken.name() == name);
        found.ok_or_else(|| format!("use one of {:?}", Broken::ALL.map(Broken::name)))
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            broken: None,
            operations: OPERATIONS,
            traces: false,
        }
    }
}

/// What a good run has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub hash: u64,
    /// Messages and other events in the hash.
    pub events: u64,
    /// Judged operations of clients, the final reading included.
    pub operations: usize,
    pub simulated: Duration,
}

/// What does not hold, and how to see it again.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub options: Options,
    pub faults: Vec<String>,
    pub last_lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.last_lines {
            writeln!(f, "  {line}")?;
        }
        for fault in &self.faults {
            writeln!(f, "seed {}: {fault}", self.seed)?;
        }
        let (seed, operations) = (self.seed, self.options.operations);
        write!(
            f,
            "replay: cargo run --release -p dfs-sim -- --seeds 1 --seed {seed} --operations {operations} --trace"
        )?;
        match self.options.broken {
            Some(broken) => write!(f, " --broken {}", broken.name()),
            None => Ok(()),
        }
    }
}

/// Runs one seed on the calling thread.
///
/// # Errors
/// When a checker is not content.
pub fn run(seed: u64, options: &Options) -> Result<Report, Box<Failure>> {
    let options = *options;
    alarms::take();
    let mut remains = None;
    let (mut faults, last_lines, report) = alarms::listening(options.traces, || {
        SimWorld::run(seed, |world| {
            remains = Some(world.remains());
            live(world, options)
        })
    });
    faults.extend(alarms::take());
    let held = remains.map_or(0, |remains| remains.holders());
    if held > 0 {
        let why = "nodes and clones of it are still held";
        faults.push(format!("M4: the world is over, and {held} {why}"));
    }
    if faults.is_empty() {
        return Ok(report);
    }
    Err(Box::new(Failure {
        seed,
        options,
        faults,
        last_lines,
    }))
}

async fn live(world: SimWorld, options: Options) -> (Vec<String>, Vec<String>, Report) {
    let env = world.node("judge");
    let network = Network::new(&world, &env, Trace::new(options.traces));
    let sequencers = match options.broken {
        Some(Broken::ForgetfulVoter) => &SEQUENCERS,
        _ => faults::sequencers(&world),
    };
    let cluster = Cluster {
        snapshot_every: match options.broken {
            Some(Broken::EarlyTrim) => TRIM_EVERY,
            Some(Broken::HollowCopies) => 0, // what is trimmed need not be held
            _ => cluster::snapshot_every(&world),
        },
        retention_s: cluster::retention_s(&world),
        deaf_replicas: options.broken == Some(Broken::DeafReplicas),
        ..Cluster::new(network.clone(), sequencers)
    };
    let scenario = Scenario {
        world,
        cluster: cluster.clone(),
        env: env.clone(),
        options,
        history: Arc::default(),
    };
    let task = env.spawn("scenario", scenario.play());
    let (mut faults, operations) = match env.timeout(WITHIN, task).await {
        Ok(Ok(played)) => played,
        Ok(Err(end)) => (vec![end.to_string()], 0),
        Err(_) => {
            let mut faults = vec![format!("it hangs: not over after {WITHIN:?}")];
            faults.extend(stuck::describe(&cluster, &env).await);
            (faults, 0)
        }
    };
    faults.truncate(20); // more say nothing new
    let (hash, events) = network.trace().so_far();
    let simulated = Duration::from_micros(network.now_us(&env));
    let report = Report {
        hash,
        events,
        operations,
        simulated,
    };
    (faults, network.trace().last_lines(), report)
}

struct Scenario {
    world: SimWorld,
    cluster: Cluster,
    env: Env,
    options: Options,
    history: Arc<History>,
}

impl Scenario {
    /// (faults, operations).
    async fn play(self) -> (Vec<String>, usize) {
        self.cluster.start_all();
        let (clients, root) = match self.connect().await {
            Ok(connected) => connected,
            Err(why) => return (vec![why], 0),
        };
        let mut working = Vec::new();
        for plan in self.plans() {
            let strike = faults::strike(self.cluster.clone(), self.env.clone(), plan);
            working.push(self.env.spawn("faults", strike));
        }
        for client in clients
            .iter()
            .cycle()
            .take(clients.len() * WORKERS as usize)
        {
            let work = client.clone().work(self.options.operations);
            working.push(client.fs.env().spawn("worker", work));
        }
        let mut faults = Vec::new();
        for task in working {
            if let Err(end) = task.await {
                faults.push(end.to_string());
            }
        }
        let birth_lsn = clients[0].birth_lsn;
        let last_us = self.end(&clients, &mut faults).await;
        let history = self.history.take();
        let kept = (self.cluster.retention_s * 1_000_000, last_us);
        // Disks are filled only where there are others; for a moment, nobody has room that is known.
        let may_be_full = cluster::has_six_units(&self.world);
        let judged = judge::judge(&history, birth_lsn, root, kept, may_be_full);
        faults.extend(judged);
        (faults, history.len())
    }

    /// The faults to come; and what is broken on purpose is broken from now on.
    fn plans(&self) -> Vec<Vec<Fault>> {
        let network = &self.cluster.network;
        match self.options.broken {
            None => faults::plans(&self.world),
            Some(Broken::LyingDisks) => {
                let parts = ["d/unit-1/log", "d/unit-1/extents"];
                let units = self.cluster.units().iter();
                for (unit, part) in units.flat_map(|unit| parts.map(|part| (unit, part))) {
                    self.world.disk(unit, part).pretend_syncs();
                }
                vec![vec![Fault::PowerLossOfUnits]]
            }
            Some(Broken::SkippedFrame) => {
                network.skip_a_frame();
                Vec::new()
            }
            Some(Broken::ForgottenSlots) => {
                network.forget_slots();
                Vec::new()
            }
            Some(Broken::EarlyTrim) => {
                network.trim_early();
                Vec::new()
            }
            Some(Broken::EarlyResend) => {
                network.tell_seals_early();
                Vec::new()
            }
            Some(Broken::ForgetfulVoter) => vec![vec![Fault::Wipe { forgetful: true }]],
            Some(Broken::HollowCopies) => {
                network.hollow_copies();
                vec![vec![Fault::DrainInUse]]
            }
            Some(Broken::DeafReplicas) => vec![vec![Fault::OddReplica]],
        }
    }

    /// The clients, and what the root was like before anything was done.
    async fn connect(&self) -> Result<(Vec<Client>, v1::Attr), String> {
        let mut connected = Vec::new();
        for name in CLIENTS {
            let env = self.world.node(name);
            let config = FsConfig {
                actor: name.into(),
                timeout: PATIENCE,
                ..FsConfig::default()
            };
            let connector = self.cluster.outsider(&env, name);
            let fs = Fs::connect(env, connector, config).await;
            connected.push(fs.map_err(|refusal| format!("{name} cannot connect: {refusal:?}"))?);
        }
        let root = self.birth(&connected[0]).await?;
        self.history.tell((root.lsn, root.log_time_us));
        let clients = connected.into_iter().zip(CLIENTS).map(|(fs, name)| Client {
            name: name.into(),
            fs,
            world: self.world.clone(),
            history: self.history.clone(),
            birth_lsn: root.lsn,
            birth_us: root.log_time_us,
        });
        let mode = root.mode;
        let attr = v1::Attr {
            mode,
            ..v1::Attr::default()
        };
        Ok((clients.collect(), attr))
    }

    /// A log that holds nothing yet has no root: it is made by the first primary.
    async fn birth(&self, fs: &Fs) -> Result<Seen<Entry>, String> {
        loop {
            match fs.find(&address(""), When::Head).await {
                Ok(Some(root)) => return Ok(root),
                Ok(None) => self.env.sleep(BIRTH_EVERY).await,
                Err(refusal) => return Err(format!("no root: {refusal:?}")),
            }
        }
    }

    /// The last log time, if it can be told.
    async fn end(&self, clients: &[Client], faults: &mut Vec<String>) -> u64 {
        let client = &clients[0];
        let operator = self.cluster.outsider(&self.env, "operator");
        let left = leaving::leave(&self.cluster, &self.env, &operator).await;
        faults.extend(left.err());
        let reader = client.clone();
        let reading =
            client.fs.env().spawn(
                "reading",
                async move { ending::read_everything(&reader).await },
            );
        if let Err(end) = reading.await {
            faults.push(end.to_string());
        }
        let connector = self.cluster.outsider(&self.env, "judge");
        if self.cluster.has_damaged() {
            for client in clients {
                // What the slots of its session hold goes, and so is compared.
                faults.extend(client.fs.close().await.err().map(|why| why.to_string()));
            }
            let found = states::damage_is_found(&self.cluster, &self.env, &connector).await;
            faults.extend(found.err());
        }
        let told_lsn = self.history.told_lsn();
        let compared =
            ending::compare_replicas(&self.cluster, &self.env, connector, told_lsn).await;
        faults.extend(compared.err());
        faults.extend(states::rows_are_equal(&self.cluster).err());
        let held = leaving::closed_stripes_are_held(&self.cluster, &self.env, &operator).await;
        if let Err(why) = held {
            faults.push(why);
            return 0; // what is missing would be waited for
        }
        ending::units_are_whole(&self.cluster, &self.env).await;
        let connector = self.cluster.outsider(&self.env, "judge");
        ending::group_is_settled(&self.cluster, &self.env, connector).await;
        let whole = ending::log_is_whole(&self.cluster, &self.env).await;
        if let Err(refusal) = client.fs.close().await {
            faults.push(format!("the session does not close: {refusal:?}"));
        }
        whole.unwrap_or_else(|fault| {
            faults.push(fault);
            u64::MAX
        })
    }
}
