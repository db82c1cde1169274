//! `dfsctl bench telemetry`: the same loops watched and not, in pairs on one system.
use super::Scratch;
use crate::system::{End, Signals};
use dfs_cli::output::Output;
use dfs_cli::{Call, Failure, Outcome};
use dfs_load::report::Machine;
use dfs_load::telemetry::{Report, Telemetry};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Watched: /metrics is asked for each second, and a part of the operations is traced through all roles.
The ratio is the median of those of the pairs; beside it stand the smallest and the largest, which tell
how still the machine was.

Examples:
  dfsctl bench telemetry
  dfsctl bench telemetry --trace-ratio 1 --rounds 15 --out telemetry.json"
)]
pub(crate) struct Args {
    /// A directory on the disk to be used, for the time of the run
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The part of the operations that is traced, 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.01, value_parser = part)]
    trace_ratio: f64,
    /// Pairs of each loop
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Length of each loop: 1s, 5s
    #[arg(long, value_name = "D", default_value = "2s", value_parser = dfs_cli::globals::parse_timeout)]
    length: Duration,
    /// Also keep the figures as JSON in this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text
        .parse()
        .map_err(|_| "use a number from 0 to 1".to_string())?;
    match (0.0..=1.0).contains(&part) {
        true => Ok(part),
        false => Err("use a number from 0 to 1".to_string()),
    }
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let scratch = Scratch::make(call, &args.dir)?;
    let mut signals = Signals::catch()?;
    let data = scratch.path.join("data");
    let node = match super::start(call, data, 1, &mut signals).await? {
        Ok(node) => node,
        Err(end) => return Ok(end),
    };
    let Some(metrics) = node.metrics_address() else {
        let why = "the system has no port for HTTP";
        return Err(Failure::usage("cannot measure", why, "Run it again"));
    };
    let telemetry = Telemetry {
        env: call.env.clone(),
        connector: node.connector(),
        metrics,
        trace_ratio: args.trace_ratio,
        rounds: u64::from(args.rounds),
        length: args.length,
    };
    let found = tokio::select! {
        biased;
        end = signals.next() => Err(end),
        found = Box::pin(telemetry.run()) => Ok(found),
    };
    node.stop().await;
    match found {
        Ok(found) => {
            let rows = found.map_err(|e| super::not_measured(&e))?;
            tell(call, &args, rows).map(|()| End::Done)
        }
        Err(end) => Ok(end),
    }
}

fn tell(call: &Call, args: &Args, rows: Vec<dfs_load::telemetry::Row>) -> Outcome {
    if !call.output.is_json() {
        let mut stdout = Output::stdout();
        for row in &rows {
            // Whoever stops reading still gets the file.
            let _ = writeln!(stdout, "{}", row.line());
        }
        let _ = stdout.flush();
    }
    let report = Report {
        api_version: "dfs/v1",
        command: super::command(),
        date: dfs_cli::format_time(call.env.wall_us()),
        machine: Machine::here(),
        trace_ratio: args.trace_ratio,
        rounds: u64::from(args.rounds),
        rows,
    };
    super::keep(call, report, args.out.as_deref())
}
