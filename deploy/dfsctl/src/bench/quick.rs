//! `dfsctl bench quick`: the main figures of one system beside those of its disk.
use super::Scratch;
use crate::system::{End, Signals};
use dfs_cli::output::Output;
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_load::quick::{Found, Part, Quick};
use dfs_load::report::{Machine, Report};
use dfs_node::process::Node;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Starts a system of its own in one process, measures it through the client, and removes it. The raw
figures are of the same disk in the same run. CPU is that of client and all roles together.

Examples:
  dfsctl bench quick
  dfsctl bench quick --units 3 --dir /data --out quick.json
  perf record -g dfsctl bench quick --only creates     one loop, under a profiler"
)]
pub(crate) struct Args {
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
    /// Only these figures; again for more of them
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part)]
    only: Vec<Part>,
    /// Also keep the figures as JSON in this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn part(name: &str) -> Result<Part, String> {
    let known: Vec<&str> = Part::ALL.iter().map(|part| part.as_str()).collect();
    let found = Part::ALL.into_iter().find(|part| part.as_str() == name);
    found.ok_or_else(|| format!("use one of {}", known.join(", ")))
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let scratch = Scratch::make(call, &args.dir)?;
    let mut signals = Signals::catch()?;
    let data = scratch.path.join("data");
    let node = match super::start(call, data, args.units, &mut signals).await? {
        Ok(node) => node,
        Err(end) => return Ok(end),
    };
    let quick = quick(call, &args, &node, &scratch);
    let found = tokio::select! {
        biased;
        end = signals.next() => Err(end),
        found = Box::pin(quick.run()) => Ok(found),
    };
    node.stop().await;
    match found {
        Ok(found) => {
            tell(call, &args, found.map_err(|e| super::not_measured(&e))?).map(|()| End::Done)
        }
        Err(end) => Ok(end),
    }
}

fn quick(call: &Call, args: &Args, node: &Node, scratch: &Scratch) -> Quick {
    let as_they_come = !call.output.is_json();
    Quick {
        env: call.env.clone(),
        connector: node.connector(),
        dir: scratch.path.clone(),
        length: args.length,
        large_bytes: args.large,
        only: args.only.clone(),
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

fn tell(call: &Call, args: &Args, found: Found) -> Outcome {
    let copies = if args.units < 3 { 1 } else { 3 };
    let report = Report {
        api_version: "dfs/v1",
        command: super::command(),
        date: dfs_cli::format_time(call.env.wall_us()),
        machine: Machine::here(),
        system: format!("embedded, units {}, copies {copies}", args.units),
        raw_disk: found.raw_disk,
        figures: found.figures,
    };
    let errors: u64 = report.figures.iter().map(|figure| figure.errors).sum();
    super::keep(call, report, args.out.as_deref())?;
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
