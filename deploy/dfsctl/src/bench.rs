//! `dfsctl bench`: what a system on this disk can do, beside what the disk itself can.
use crate::system::{self, End, Signals};
use clap::Subcommand;
use dfs_cli::output::Output;
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_load::quick::{Found, Quick};
use dfs_load::report::{Machine, Report};
use dfs_node::config::NodeConfig;
use dfs_node::process::Node;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub(crate) enum Args {
    /// The main figures in about a minute
    #[command(
        after_help = "Starts a system of its own in one process, measures it through the client, and removes it. The raw
figures are of the same disk in the same run. CPU is that of client and all roles together.

Examples:
  dfsctl bench quick
  dfsctl bench quick --units 3 --dir /data --out quick.json"
    )]
    Quick(QuickArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct QuickArgs {
    /// Where the data go for the time of the run: a directory on the disk to be measured
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Log units; three or more store everything three times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    units: u32,
    /// Length of each loop: 1s, 5s
    #[arg(long, value_name = "D", default_value = "3s", value_parser = dfs_cli::globals::parse_timeout)]
    length: Duration,
    /// Bytes of the large file: 64MiB, 1GiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = dfs_cli::parse_bytes)]
    large: u64,
    /// Also keep the figures as JSON in this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let Args::Quick(args) = args;
    let scratch = args
        .dir
        .join(format!(".dfsctl-bench-{:016x}", call.env.random_u64()));
    let scratch =
        std::path::absolute(&scratch).map_err(|e| Failure::local("find", &scratch, &e))?;
    let ended = Box::pin(measured(call, &args, &scratch)).await;
    // It is ours alone, and may be gone already.
    let _ = std::fs::remove_dir_all(&scratch);
    ended
}

async fn measured(call: &Call, args: &QuickArgs, scratch: &Path) -> Outcome<End> {
    let mut signals = Signals::catch()?;
    let config = NodeConfig::embedded(scratch.join("data"), args.units, 0);
    std::fs::create_dir_all(scratch).map_err(|e| Failure::local("make", scratch, &e))?;
    let node = match system::start(call, config, &mut signals).await? {
        Ok(node) => node,
        Err(end) => return Ok(end),
    };
    node.ready().await;
    let quick = quick(call, args, &node, scratch);
    let found = tokio::select! {
        biased;
        end = signals.next() => Err(end),
        found = Box::pin(quick.run()) => Ok(found),
    };
    node.stop().await;
    match found {
        Ok(found) => tell(call, args, found.map_err(|e| not_measured(&e))?).map(|()| End::Done),
        Err(end) => Ok(end),
    }
}

fn quick(call: &Call, args: &QuickArgs, node: &Node, scratch: &Path) -> Quick {
    let as_they_come = !call.output.is_json();
    Quick {
        env: call.env.clone(),
        connector: node.connector(),
        dir: scratch.to_path_buf(),
        length: args.length,
        large_bytes: args.large,
        owner: node.roles().owner,
        tell: Box::new(move |line| {
            if as_they_come {
                let mut stdout = Output::stdout();
                // Whoever stops reading still gets the file.
                let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
            }
        }),
    }
}

fn tell(call: &Call, args: &QuickArgs, found: Found) -> Outcome {
    let copies = if args.units < 3 { 1 } else { 3 };
    let words: Vec<String> = std::env::args().skip(1).collect();
    let report = Report {
        api_version: "dfs/v1",
        command: format!("dfsctl {}", words.join(" ")),
        date: dfs_cli::format_time(call.env.wall_us()),
        machine: Machine::here(),
        system: format!("embedded, units {}, copies {copies}", args.units),
        raw_disk: found.raw_disk,
        figures: found.figures,
    };
    let errors: u64 = report.figures.iter().map(|figure| figure.errors).sum();
    let value = serde_json::to_value(&report).unwrap_or_else(|e| json!({ "error": e.to_string() }));
    if let Some(out) = &args.out {
        let written = std::fs::write(out, format!("{value:#}\n"));
        written.map_err(|e| Failure::local("write", out, &e))?;
    }
    if call.output.is_json() {
        call.output.data("Bench", 0, value, b"", "")?;
    }
    if errors == 0 {
        return Ok(());
    }
    let why = format!("{errors} operations failed; each figure says how many");
    Err(Failure::new(
        Exit::Partial,
        "the figures are not whole",
        why,
        "See the first errors in the JSON",
    ))
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
