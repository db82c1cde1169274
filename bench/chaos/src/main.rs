//! Hurts a real cluster while it works, and judges it: `cargo run --release -p dfs-chaos -- kill`.
//!
//! - `cluster.rs`: real `dfsctl serve` processes; `network.rs`: a namespace each, and the switch between them; `disk.rs`: a disk each
//! - `scenario.rs`, `faults.rs`, `harm.rs`, `dice.rs`: what is done to them, from one seed
//! - `load.rs`, `clients.rs`, `history.rs`: unique operations through `client/fs`, all noted
//! - `readers.rs`, `witness.rs`: reads by the million, judged as they are answered
//! - `settle.rs`, `found.rs`: healed and read back; `judge.rs`: what does not agree (pure)
//! - `gaps.rs`, `fsyncs.rs`, `cpu.rs`, `said.rs`, `report.rs`: figures; `run.rs`: one run
//!
//! 1. Every operation that was begun stands in the history, and only what was told to a client counts.
//! 2. A run takes everything down that it brought up, however it ends.
mod clients;
mod cluster;
mod cpu;
mod dice;
mod disk;
mod faults;
mod found;
mod fsyncs;
mod gaps;
mod harm;
mod history;
mod judge;
mod load;
mod network;
mod readers;
mod report;
mod run;
mod said;
mod scenario;
mod settle;
mod witness;

use anyhow::{Context, Result, bail};
use clap::Parser;
use cluster::{Cluster, Ground, Size};
use dfs_env::Env;
use load::Pace;
use network::Network;
use report::Report;
use run::{Options, Stage, run};
use scenario::Scenario;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const EXIT_INTERRUPTED: u8 = 130;

/// Starts a cluster of real processes, kills, pauses, cuts off and delays them under load, and
/// judges whether every promise was kept. Exit 0: they were, or the machine cannot run the scenario
/// (it says so).
#[derive(Parser, Debug)]
#[command(name = "dfs-chaos")]
struct Arguments {
    /// What is done to the processes
    #[arg(value_enum)]
    scenario: Scenario,
    /// How long the load goes on
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    seconds: u64,
    /// Of the faults and of the load: the same seed does the same, as far as the machine does
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The binary under test; default: beside this one
    #[arg(long, value_name = "PATH")]
    dfsctl: Option<PathBuf>,
    /// Data, configurations, logs, history; default: a new one for temporary files. It is kept on a failure
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the directory of a run that passed, too
    #[arg(long)]
    keep: bool,
    /// Voters; default 1, for stale-reads 3
    #[arg(long)]
    sequencers: Option<usize>,
    /// Log units, a process each
    #[arg(long, default_value_t = 4)]
    units: usize,
    /// Each of which holds the shard
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=5))]
    materializers: u64,
    /// Linearizable reads in flight beside the load, of clients that know one materializer each; default
    /// 0, for stale-reads 96
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=1_024))]
    readers: Option<u64>,
    /// Operations that wait at once; default 64, for leader-kill 256
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    workers: Option<u64>,
    /// Operations per second of all workers
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Seconds from one fault to the next; default: as the scenario says
    #[arg(long)]
    every: Option<f64>,
    /// How long a client waits for one attempt before it makes another, ms
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(10..=30_000))]
    patience_ms: u64,
    /// All on loopback, without namespaces of their own
    #[arg(long)]
    no_network: bool,
    /// Also write the JSON here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.scenario.needs_disks()
        && let Err(error) = disk::own_mounts()
    {
        println!(
            "skipped: {:?} needs disks of its own: {error:#}",
            arguments.scenario
        );
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = match runtime {
        Ok(runtime) => runtime.block_on(Box::pin(whole(&arguments))),
        Err(error) => Err(error.into()),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn whole(arguments: &Arguments) -> Result<ExitCode> {
    let env = Env::real();
    let scenario = arguments.scenario;
    let size = Size {
        sequencers: arguments.sequencers.unwrap_or(scenario.sequencers()),
        units: arguments.units,
        materializers: arguments.materializers as usize,
    };
    cluster::check(size)?;
    if size.sequencers < scenario.sequencers() {
        bail!("one of fewer than three sequencers cannot be outvoted by the others");
    }
    let dfsctl = binary(arguments)?;
    let network = network(&env, arguments, size).await;
    if network.is_none() && arguments.scenario.needs_network() {
        println!("skipped: {:?} needs network namespaces", arguments.scenario);
        return Ok(ExitCode::SUCCESS);
    }
    let dir = directory(&env, arguments)?;
    let options = options(arguments, size, dir);
    let ground = Ground {
        network: network.as_ref(),
        disks: arguments.scenario.needs_disks(),
        spares: arguments.scenario.needs_spares(),
    };
    let cluster = Cluster::prepare(&dfsctl, &options.dir, size, &ground);
    let stage = match cluster {
        Ok(cluster) => Stage {
            env: env.clone(),
            cluster: Arc::new(cluster),
            network: network.map(Arc::new),
        },
        Err(error) => {
            if let Some(network) = network {
                network.down().await;
            }
            return Err(error);
        }
    };
    let ran = until_interrupted(run(&stage, &options)).await;
    stage.down().await;
    match ran {
        Some(Ok(report)) => told(arguments, &options, &report),
        Some(Err(error)) => {
            eprintln!("kept: {}", options.dir.display());
            Err(error)
        }
        None => {
            eprintln!(
                "interrupted; everything is down; {} is kept",
                options.dir.display()
            );
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
    }
}

/// None: a signal came first.
async fn until_interrupted<T>(doing: impl Future<Output = T>) -> Option<T> {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => None,
        () = terminated => None,
        done = Box::pin(doing) => Some(done),
    }
}

fn told(arguments: &Arguments, options: &Options, report: &Report) -> Result<ExitCode> {
    print!("{}", report.table());
    if let Some(out) = &arguments.out {
        std::fs::copy(options.dir.join("report.json"), out)
            .with_context(|| format!("cannot write {}", out.display()))?;
    }
    if !report.passed {
        println!("kept: {}", options.dir.display());
        println!("again: {}", options.command);
        return Ok(ExitCode::FAILURE);
    }
    if !arguments.keep {
        std::fs::remove_dir_all(&options.dir)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn binary(arguments: &Arguments) -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("dfsctl"));
    let found = arguments.dfsctl.clone().or_else(beside).unwrap_or_default();
    if !found.is_file() {
        bail!(
            "no dfsctl at {}: cargo build --release, or --dfsctl PATH",
            found.display()
        );
    }
    Ok(std::path::absolute(found)?)
}

async fn network(env: &Env, arguments: &Arguments, size: Size) -> Option<Network> {
    let scenario = arguments.scenario;
    if arguments.no_network || scenario.needs_disks() {
        return None;
    }
    let names = size.names(scenario.needs_spares());
    let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    match Network::up(env, &names).await {
        Ok(network) => Some(network),
        Err(error) => {
            eprintln!("no network of their own, all on loopback: {error:#}");
            None
        }
    }
}

/// An empty one: what a run finds is what it made.
fn directory(env: &Env, arguments: &Arguments) -> Result<PathBuf> {
    let new = || std::env::temp_dir().join(format!("dfs-chaos-{:016x}", env.random_u64()));
    let dir = arguments.dir.clone().unwrap_or_else(new);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if std::fs::read_dir(&dir)?.next().is_some() {
        bail!("{} is not empty: name another", dir.display());
    }
    Ok(std::path::absolute(&dir)?)
}

fn options(arguments: &Arguments, size: Size, dir: PathBuf) -> Options {
    let workers = arguments.workers;
    Options {
        scenario: arguments.scenario,
        seconds: arguments.seconds,
        seed: arguments.seed,
        size,
        pace: Pace {
            workers: workers.unwrap_or(arguments.scenario.workers()),
            per_second: arguments.rate,
        },
        readers: arguments.readers.unwrap_or(arguments.scenario.readers()),
        every: arguments.every.map(Duration::from_secs_f64),
        patience: Duration::from_millis(arguments.patience_ms),
        dir,
        command: command(),
    }
}

/// As it was typed, but for where it writes: so it can be typed again.
fn command() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    let mut command = name.to_string_lossy().into_owned();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--dir" | "--out" => drop(words.next()),
            word if word.starts_with("--dir=") || word.starts_with("--out=") => {}
            word => {
                command.push(' ');
                command.push_str(word);
            }
        }
    }
    command
}
