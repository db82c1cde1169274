//! One run: brought up, pressed on, hurt, healed, read back, judged.
use crate::clients::Clients;
use crate::cluster::{Cluster, Role, Size};
use crate::cpu;
use crate::dice::Dice;
use crate::faults::{Mark, Nemesis};
use crate::found::read_back;
use crate::fsyncs::Fsyncs;
use crate::history::Operation;
use crate::judge::{Fault, Wrong, judge};
use crate::load::{Load, Pace};
use crate::network::Network;
use crate::readers;
use crate::report::{self, Counts, Gaps, Machine, Report};
use crate::said::said;
use crate::scenario::{Scenario, play};
use crate::settle::{Calm, Settled, settle};
use crate::witness::Witness;
use anyhow::{Context, Result, anyhow};
use dfs_env::{Env, Task};
use dfs_fs::Fs;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Processes of the load: each has a session and connections of its own.
const CLIENTS: usize = 8;
/// A client of one materializer that does not answer soon asks again: it is to meet its first moment awake.
const PINNED_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Reading everything back, and folding the log again.
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(120);

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) scenario: Scenario,
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    pub(crate) pace: Pace,
    /// Reads in flight beside the load.
    pub(crate) readers: u64,
    pub(crate) every: Option<Duration>,
    pub(crate) patience: Duration,
    pub(crate) dir: PathBuf,
    pub(crate) command: String,
}

/// What has been brought up, and has to come down whatever happens.
pub(crate) struct Stage {
    pub(crate) env: Env,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) network: Option<Arc<Network>>,
}

/// What is known when the load has ended and the cluster was healed.
struct Ended {
    history: Vec<Operation>,
    witness: Arc<Witness>,
    marks: Vec<Mark>,
    end_us: u64,
    unexpected: Vec<String>,
    fsyncs: Option<Arc<Fsyncs>>,
    cpu_us_per_operation: BTreeMap<String, f64>,
}

impl Stage {
    /// Everything down; also after an interruption.
    pub(crate) async fn down(&self) {
        self.cluster.down().await;
        if let Some(network) = &self.network {
            network.down().await;
        }
    }
}

pub(crate) async fn run(stage: &Stage, options: &Options) -> Result<Report> {
    stage.cluster.start_all()?;
    let clients = Clients {
        env: stage.env.clone(),
        sequencers: stage.cluster.sequencer_addresses(),
        patience: options.patience,
    };
    let eye = clients
        .looking()
        .await
        .context("the cluster does not come up")?;
    let settled = Box::pin(settle(&stage.env, &eye, &stage.cluster, Calm::Quiet)).await;
    settled.map_err(|ill| anyhow!("the cluster does not come up: {ill}"))?;
    let mut ended = Box::pin(press(stage, options, &clients, &eye)).await?;
    let settled = Box::pin(settle(&stage.env, &eye, &stage.cluster, Calm::Quiet)).await;
    let mut wrong = ended.witness.wrong();
    match &settled {
        Ok(settled) => {
            // Whoever comes now is configured for those that are there now.
            let clients = Clients {
                sequencers: stage.cluster.sequencer_addresses(),
                ..clients
            };
            let judged = Box::pin(examine(stage, &clients, *settled, &ended.history)).await;
            match judged {
                Ok(faults) => wrong.extend(faults),
                Err(error) => ended.unexpected.push(format!("{error:#}")),
            }
        }
        Err(ill) => ended.unexpected.push(format!("all is not well: {ill}")),
    }
    let well_after = settled.ok().map(|settled| settled.seconds);
    let report = compose(stage, options, &ended, wrong, well_after);
    write_down(options, &ended.history, &report)?;
    Ok(report)
}

/// Load and faults, until both are over and nothing is down or cut any more.
async fn press(stage: &Stage, options: &Options, clients: &Clients, eye: &Fs) -> Result<Ended> {
    let mut doors = Vec::new();
    for number in 0..CLIENTS {
        doors.push(clients.any(&format!("chaos-{number}")).await?);
    }
    let pinned = pinned(stage, clients, PINNED_TIMEOUT).await?;
    let length = Duration::from_secs(options.seconds);
    let is_inline = options.scenario.is_inline();
    let load = Load::prepare(&doors[0], stage.env.clone(), length, is_inline).await?;
    let cpu_before = cpu::used_us(&stage.cluster);
    let mut tasks = load.begin(&doors, options.pace, options.seed);
    for (number, (name, fs)) in pinned.into_iter().enumerate() {
        tasks.push(load.watch(name, fs, options.seed ^ number as u64));
    }
    let reading = readers::begin(&stage.cluster, clients, &load, options.readers).await?;
    tasks.extend(reading);
    let follows = options.scenario == Scenario::LeaderKill;
    let fsyncs = follows.then(Arc::<Fsyncs>::default);
    if let Some(fsyncs) = &fsyncs {
        let sampling = fsyncs
            .clone()
            .sample(clients.clone(), eye.clone(), load.clone());
        tasks.push(stage.env.spawn("fsyncs", sampling));
    }
    let nemesis = Nemesis {
        env: stage.env.clone(),
        cluster: stage.cluster.clone(),
        network: stage.network.clone(),
        load: load.clone(),
        clients: clients.clone(),
        eye: eye.clone(),
        dice: Mutex::new(Dice::new(options.seed)),
        marks: Mutex::default(),
        unasked: Mutex::default(),
    };
    Box::pin(play(&nemesis, options.scenario, options.every)).await;
    nemesis.heal();
    join(tasks).await?;
    nemesis.look_for_ended();
    let cpu_after = cpu::used_us(&stage.cluster);
    let history = load.history.all();
    let answered = history.iter().filter(|it| it.lsn().is_some()).count();
    let cpu_us_per_operation = match options.scenario {
        Scenario::Healthy => cpu::each_us(&cpu_before, &cpu_after, answered),
        _ => BTreeMap::new(), // of processes that were killed, only the last life is known
    };
    let (marks, unasked) = (nemesis.marks.lock().clone(), nemesis.unasked.lock().clone());
    Ok(Ended {
        history,
        witness: load.witness.clone(),
        marks,
        end_us: load.now_us(),
        unexpected: unasked,
        fsyncs,
        cpu_us_per_operation,
    })
}

async fn join(tasks: Vec<Task<()>>) -> Result<()> {
    for task in tasks {
        task.await.map_err(|end| anyhow!("{end}"))?;
    }
    Ok(())
}

/// One client for each materializer, named after it.
async fn pinned(stage: &Stage, clients: &Clients, timeout: Duration) -> Result<Vec<(String, Fs)>> {
    let mut pinned = Vec::new();
    for process in stage.cluster.of(Role::Materializer) {
        let name = format!("pinned-{}", process.name);
        let fs = clients.pinned(&name, &process.address, timeout).await?;
        pinned.push((name, fs));
    }
    Ok(pinned)
}

/// Every materializer shows the same, and it is what was promised; the log folds to it once more.
async fn examine(
    stage: &Stage,
    clients: &Clients,
    settled: Settled,
    history: &[Operation],
) -> Result<Vec<Fault>> {
    let mut faults: BTreeSet<(Wrong, String)> = BTreeSet::new();
    let mut first = None;
    for (name, fs) in pinned(stage, clients, READ_BACK_TIMEOUT).await? {
        let found = Box::pin(read_back(&fs, settled.lsn)).await;
        let found = found.with_context(|| format!("{name} cannot read back"))?;
        let judged = judge(history, &found);
        faults.extend(judged.into_iter().map(|fault| (fault.wrong, fault.what)));
        let digest = fs.digest(Some(settled.lsn)).await;
        let digest = digest.with_context(|| format!("{name} does not fold again"))?;
        if digest.digest != settled.digest {
            let (again, was) = (digest.digest, settled.digest);
            let what = format!("{name}: the log folds to {again:016x}, the state is {was:016x}");
            faults.insert((Wrong::Torn, what));
        }
        let other = first.get_or_insert_with(|| found.clone());
        if *other != found {
            faults.insert((Wrong::Torn, format!("{name} shows another tree")));
        }
    }
    let faults = faults.into_iter();
    Ok(faults.map(|(wrong, what)| Fault { wrong, what }).collect())
}

fn compose(
    stage: &Stage,
    options: &Options,
    ended: &Ended,
    wrong: Vec<Fault>,
    well_after_seconds: Option<f64>,
) -> Report {
    let (history, marks) = (&ended.history, &ended.marks);
    let rise = |from, until| ended.fsyncs.as_ref()?.rise(from, until);
    let faults = report::injected(history, marks, ended.end_us, rise);
    let said = said(&stage.cluster, options.scenario.expects());
    let mut unexpected = ended.unexpected.clone();
    unexpected.extend(said.errors);
    let reads = ended.witness.reads();
    unexpected.extend(reads.answered_apart());
    Report {
        api_version: "dfs/v1",
        command: options.command.clone(),
        date: date(&stage.env),
        machine: Machine::here(),
        system: system(stage, options.size),
        scenario: format!("{:?}", options.scenario),
        seed: options.seed,
        seconds: options.seconds,
        passed: wrong.is_empty() && unexpected.is_empty(),
        counts: Counts::of(history, &wrong),
        gaps: Gaps::of(history, &faults, ended.end_us),
        reads,
        latencies: report::latencies(history),
        phases: match options.scenario {
            Scenario::SlowUnit => report::phases(history, marks),
            _ => Vec::new(),
        },
        faults,
        cpu_us_per_operation: ended.cpu_us_per_operation.clone(),
        well_after_seconds,
        refusals: report::refusals(history),
        warnings: said.warnings,
        wrong,
        unexpected,
    }
}

fn system(stage: &Stage, size: Size) -> String {
    let Size {
        sequencers,
        units,
        materializers,
    } = size;
    let place = match stage.network {
        Some(_) => "a network namespace each",
        None => "on loopback",
    };
    format!("sequencers {sequencers}, units {units}, materializers {materializers}, {place}")
}

fn date(env: &Env) -> String {
    let now = std::time::UNIX_EPOCH + Duration::from_micros(env.wall_us());
    humantime::format_rfc3339_seconds(now).to_string()
}

/// Beside the configurations and what the processes said.
fn write_down(options: &Options, history: &[Operation], report: &Report) -> Result<()> {
    let mut text = String::new();
    for operation in history {
        text.push_str(&serde_json::to_string(operation)?);
        text.push('\n');
    }
    std::fs::write(options.dir.join("history.jsonl"), text)?;
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(options.dir.join("report.json"), json + "\n")?;
    Ok(())
}
