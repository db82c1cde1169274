//! `dfsctl bench`: what a system on this disk can do, beside what the disk itself can.
mod fsyncs;
mod quick;
mod telemetry;

use crate::system::{self, End, Signals};
use clap::Subcommand;
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_node::config::NodeConfig;
use dfs_node::process::Node;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Subcommand, Debug)]
pub(crate) enum Args {
    /// The main figures in about a minute
    Quick(quick::Args),
    /// What each of the two fsyncs of an append costs
    Fsyncs(fsyncs::Args),
    /// What it costs to be scraped and traced
    Telemetry(telemetry::Args),
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    match args {
        Args::Quick(args) => Box::pin(quick::run(call, args)).await,
        Args::Fsyncs(args) => Box::pin(fsyncs::run(call, args)).await,
        Args::Telemetry(args) => Box::pin(telemetry::run(call, args)).await,
    }
}

/// A directory of this run alone, removed with all in it at the end.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn make(call: &Call, below: &Path) -> Outcome<Scratch> {
        let path = below.join(format!(".dfsctl-bench-{:016x}", call.env.random_u64()));
        let path = std::path::absolute(&path).map_err(|e| Failure::local("find", &path, &e))?;
        std::fs::create_dir_all(&path).map_err(|e| Failure::local("make", &path, &e))?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is ours alone, and may be gone already.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A system of its own, in `dir`; a signal that comes first ends the run.
async fn start(
    call: &Call,
    dir: PathBuf,
    units: u32,
    signals: &mut Signals,
) -> Outcome<Result<Node, End>> {
    let config = NodeConfig {
        metrics: Some("127.0.0.1:0".to_string()),
        ..NodeConfig::embedded(dir, units, 0)
    };
    let started = system::start(call, config, signals).await?;
    if let Ok(node) = &started {
        node.ready().await;
    }
    Ok(started)
}

/// As it was typed, for the report.
fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("dfsctl {}", words.join(" "))
}

/// What was found, as JSON into the file if there is one, and to standard output where that is asked for.
fn keep(call: &Call, report: impl serde::Serialize, out: Option<&Path>) -> Outcome {
    let value = serde_json::to_value(&report).unwrap_or_else(|e| json!({ "error": e.to_string() }));
    if let Some(out) = out {
        let written = std::fs::write(out, format!("{value:#}\n"));
        written.map_err(|e| Failure::local("write", out, &e))?;
    }
    if call.output.is_json() {
        call.output.data("Bench", 0, value, b"", "")?;
    }
    Ok(())
}

fn not_measured(error: &anyhow::Error) -> Failure {
    if let Some(refusal) = error.downcast_ref::<dfs_wire::Refusal>() {
        return refusal.clone().into();
    }
    let why = error.root_cause().to_string();
    Failure::new(
        Exit::Other,
        format!("cannot measure {error}"),
        why,
        "Mend it, and run it again",
    )
}
