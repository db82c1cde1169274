//! `dfsctl bench fsyncs`: an append waits for two fsyncs in series; what each of them costs.
use super::Scratch;
use crate::system::{End, Signals};
use dfs_cli::output::Output;
use dfs_cli::{Call, Failure, Outcome};
use dfs_load::fsyncs::{Placing, Report, appends, rows};
use dfs_load::report::{Figure, Machine};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As in `bench quick --units 3`: R = 3, W = 2.
const UNITS: u32 = 3;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "A record is durable on its units first (one fsync), and then ordered by the sequencer (a second one).
Four systems, one after another and again in each round, have the logs of their three units and the
journal of their sequencer on the disk or in memory, where an fsync costs nothing. The medians of all
rounds stand beside those of both on the disk, which is how it is used.

Examples:
  dfsctl bench fsyncs
  dfsctl bench fsyncs --dir /data --rounds 5 --out fsyncs.json"
)]
pub(crate) struct Args {
    /// A directory on the disk to be measured, for the time of the run
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// A directory in memory, for the time of the run
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    memory: PathBuf,
    /// How often each system is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Length of each loop: 1s, 5s
    #[arg(long, value_name = "D", default_value = "1s", value_parser = dfs_cli::globals::parse_timeout)]
    length: Duration,
    /// Also keep the figures as JSON in this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let mut signals = Signals::catch()?;
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let mut round = Vec::new();
        for placing in Placing::ALL {
            match measured(call, &args, placing, &mut signals).await? {
                Ok(figures) => round.push((placing, figures)),
                Err(end) => return Ok(end),
            }
        }
        rounds.push(round);
    }
    let report = Report {
        api_version: "dfs/v1",
        command: super::command(),
        date: dfs_cli::format_time(call.env.wall_us()),
        machine: Machine::here(),
        rounds: rounds.len(),
        rows: rows(&rounds),
    };
    if !call.output.is_json() {
        let mut stdout = Output::stdout();
        for row in &report.rows {
            // Whoever stops reading still gets the file.
            let _ = writeln!(stdout, "{}", row.line());
        }
        let _ = stdout.flush();
    }
    super::keep(call, report, args.out.as_deref())?;
    Ok(End::Done)
}

/// One system of its own, once.
async fn measured(
    call: &Call,
    args: &Args,
    placing: Placing,
    signals: &mut Signals,
) -> Outcome<Result<Vec<Figure>, End>> {
    let disk = Scratch::make(call, &args.dir)?;
    let memory = Scratch::make(call, &args.memory)?;
    let data = disk.path.join("data");
    std::fs::create_dir(&data).map_err(|e| Failure::local("make", &data, &e))?;
    if placing.journal_in_memory {
        lay(&memory.path, &data, "sequencer-1")?;
    }
    if placing.units_in_memory {
        for unit in 1..=UNITS {
            lay(&memory.path, &data, &format!("unit-{unit}"))?;
        }
    }
    let node = match super::start(call, data, UNITS, signals).await? {
        Ok(node) => node,
        Err(end) => return Ok(Err(end)),
    };
    let appended = appends(&call.env, node.connector(), node.roles().owner, args.length);
    let found = tokio::select! {
        biased;
        end = signals.next() => Err(end),
        found = Box::pin(appended) => Ok(found),
    };
    node.stop().await;
    match found {
        Ok(found) => Ok(Ok(found.map_err(|e| super::not_measured(&e))?)),
        Err(end) => Ok(Err(end)),
    }
}

/// The directory of a role, elsewhere.
fn lay(memory: &Path, data: &Path, name: &str) -> Outcome {
    let place = memory.join(name);
    let made = std::fs::create_dir(&place).and_then(|()| symlink(&place, data.join(name)));
    made.map_err(|e| Failure::local("make", &place, &e))
}
