//! Shows that dashboards show and alerts fire: `cargo run -p dfs-seeing`; `--quick` for a short look.
//!
//! - `cluster.rs`: real `dfsctl serve` processes with ports of metrics; `prometheus.rs`: a real Prometheus
//! - `http.rs`: questions to it; `stand_in.rs`: a target that tells what it is told to; `load.rs`: clients
//! - `harm.rs`: the faults of [`dfs_seeing::faults`]; `watch.rs`: panels, looked at all the while; `run.rs`: one run
mod cluster;
mod disk;
mod harm;
mod http;
mod load;
mod prometheus;
mod run;
mod stand_in;
mod watch;

use anyhow::{Context, Error, Result, bail};
use clap::Parser;
use dfs_env::Env;
use dfs_seeing::faults;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Starts three sequencers, three units, two materializers and a Prometheus that scrapes them each second,
/// loads them, looks at every panel of every dashboard, and does what each alert is for: it has to fire, and
/// to clear when the fault is over. Exit 0: all of that; or there is no Prometheus here (it says so).
#[derive(Parser, Debug)]
#[command(name = "dfs-seeing")]
struct Arguments {
    /// Two faults only, and a shorter look at the panels
    #[arg(long)]
    quick: bool,
    /// Only the fault that has to fire this alert, and a shorter look at the panels; may be repeated
    #[arg(long, value_name = "ALERT")]
    only: Vec<String>,
    /// The binary under test; default: beside this one
    #[arg(long, value_name = "PATH")]
    dfsctl: Option<PathBuf>,
    /// Data, configurations, logs; default: a new one for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the directory of a run that passed, too
    #[arg(long)]
    keep: bool,
    /// Also write the JSON here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !runs(Command::new("prometheus").arg("--version")) {
        println!("skipped: prometheus is not installed (Debian: apt-get install prometheus)");
        return ExitCode::SUCCESS;
    }
    // Before there is a second thread.
    let disks = disk::own_mounts();
    if let Err(error) = &disks {
        println!("without disks of their own, so no disk is filled: {error:#}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = match runtime {
        Ok(runtime) => runtime.block_on(Box::pin(whole(&arguments, disks.is_ok()))),
        Err(error) => Err(error.into()),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn runs(command: &mut Command) -> bool {
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

async fn whole(arguments: &Arguments, disks: bool) -> Result<ExitCode> {
    let env = Env::real();
    let dir = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("dfs-seeing-{:08x}", env.random_u64() as u32)),
    };
    let options = run::Options {
        dfsctl: binary(arguments)?,
        dir: dir.clone(),
        quick: arguments.quick || !arguments.only.is_empty(),
        scenarios: faults::chosen(arguments.quick, &arguments.only).map_err(Error::msg)?,
        disks,
    };
    std::fs::create_dir_all(&dir)?;
    let report = Box::pin(run::run(&env, &options)).await;
    let report = report.with_context(|| format!("see the logs in {}", dir.display()))?;
    let text = format!("{:#}\n", report.to_json());
    print!("{text}");
    if let Some(out) = &arguments.out {
        std::fs::write(out, &text).context("cannot write the JSON")?;
    }
    let passed = report.passed();
    if passed && !arguments.keep {
        std::fs::remove_dir_all(&dir).context("cannot remove the directory")?;
    } else {
        println!("kept: {}", dir.display());
    }
    println!("{}", if passed { "passed" } else { "FAILED" });
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn binary(arguments: &Arguments) -> Result<PathBuf> {
    let beside = || -> Result<PathBuf> {
        let own = std::env::current_exe()?;
        Ok(own.parent().unwrap_or(Path::new(".")).join("dfsctl"))
    };
    let path = match &arguments.dfsctl {
        Some(path) => path.clone(),
        None => beside()?,
    };
    if !path.exists() {
        bail!("{} is not there: cargo build -p dfsctl", path.display());
    }
    Ok(path)
}
