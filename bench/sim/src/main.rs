//! Runs seeds: `cargo run --release -p dfs-sim -- --seeds 100`.
use clap::Parser;
use dfs_env::Env;
use dfs_sim::{Broken, Options, run, slow_parts, soak};
use std::process::ExitCode;
use std::time::Duration;

/// Runs the whole system from seeds, and judges it.
#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 16)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Of each of four workers.
    #[arg(long, default_value_t = Options::default().operations)]
    operations: u32,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Instead of seeds: so many simulated minutes of overwrites, with what has to stay flat.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
    /// Instead of seeds: appends while one unit, one stripe or one appender is slow, beside the healthy run (E5).
    #[arg(long, conflicts_with = "soak")]
    slow_parts: bool,
    /// Run a build that is broken on purpose: it must fail.
    #[arg(long)]
    broken: Option<Broken>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(minutes) = arguments.soak {
        return soaked(arguments.seed, minutes);
    }
    if arguments.slow_parts {
        return compared(arguments.seed);
    }
    let options = Options {
        traces: arguments.trace,
        broken: arguments.broken,
        operations: arguments.operations,
    };
    let clock = Env::real();
    let start = clock.now();
    let mut failed = 0;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        match run(seed, &options) {
            Ok(report) => println!(
                "seed {seed} ok trace {:016x} events {} operations {} simulated {:.3} s",
                report.hash,
                report.events,
                report.operations,
                report.simulated.as_secs_f64()
            ),
            Err(failure) => {
                failed += 1;
                println!("{failure}");
            }
        }
    }
    let seconds = (clock.now() - start).as_secs_f64();
    let per_minute = arguments.seeds as f64 * 60.0 / seconds;
    eprintln!(
        "{} seeds, {failed} failed, {seconds:.1} s: {per_minute:.0} seeds per minute",
        arguments.seeds
    );
    ExitCode::from(u8::from(failed > 0))
}

fn soaked(seed: u64, minutes: u64) -> ExitCode {
    let soaked = soak(seed, Duration::from_secs(60 * minutes));
    for look in soaked.looks.iter().step_by(6) {
        println!("{look:?}");
    }
    println!("empty replicas served after {:?}", soaked.served_after);
    soaked.faults.iter().for_each(|fault| println!("{fault}"));
    ExitCode::from(u8::from(!soaked.faults.is_empty()))
}

fn compared(seed: u64) -> ExitCode {
    let compared = match slow_parts(seed) {
        Ok(compared) => compared,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "{:<38} {:>17} {:>17} {:>6}",
        "", "healthy p50, p99", "slow p50, p99", "p99"
    );
    for one in compared {
        let (healthy, slow) = (one.healthy, one.slow);
        let times = |us: u64| us as f64 / 1e3;
        println!(
            "{:<38} {:>6.2} {:>7.2} ms {:>6.2} {:>7.2} ms {:>5.2}x",
            one.what,
            times(healthy.p50_us),
            times(healthy.p99_us),
            times(slow.p50_us),
            times(slow.p99_us),
            slow.p99_us as f64 / healthy.p99_us as f64,
        );
    }
    ExitCode::SUCCESS
}
