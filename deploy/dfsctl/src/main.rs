//! `dfsctl`, the one binary: client/cli's commands, and `dev` and `serve`, which run a system.
//!
//! - `arguments.rs`: the tree of commands
//! - `dev/`: a system on this machine: up, down, reset, demo
//! - `batch.rs`: many command lines in one process
//! - `bench/`: bench/load on a system of its own
//! - `config/`: settings of the cluster, configurations of processes
//! - `serve.rs`: roles of a cluster; `system.rs`: a system in this process, from start to stop
//! - `completions.rs`, `man.rs`: what shells and manuals are given
//! - `traces.rs`: where spans go; `logging.rs`: what goes to standard error; `usage.rs`: command lines that are not understood
mod arguments;
mod batch;
mod bench;
mod completions;
mod config;
mod dev;
mod logging;
mod man;
mod serve;
mod system;
mod traces;
mod usage;

use arguments::{Arguments, Command};
use clap::Parser;
use dfs_cli::output::Output;
use dfs_cli::{Call, Exit};
use dfs_env::Env;
use logging::Lines;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What an interrupted command has begun to write on this machine is taken back by then.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(1);
const INTERRUPTED: &str =
    "interrupted: what was reported is done; the same command again does the rest";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::told(&error).into(),
    };
    let globals = &arguments.globals;
    logging::start(lines(&arguments.command), globals.quiet, globals.verbose);
    let leaves_files = match &arguments.command {
        Command::Client(command) => command.leaves_files(),
        Command::Run(_) => true,
        _ => false,
    };
    let runtime = match runtime(&arguments.command) {
        Ok(runtime) => runtime,
        Err(error) => {
            dfs_cli::say(&format!("error: no threads: {error}"));
            return Exit::Other.into();
        }
    };
    let exit = runtime.block_on(run(arguments));
    // A thread that still waits for a terminal or a disk does not hold up the end, unless it may
    // have a file to take back.
    match leaves_files && exit == Exit::Interrupted {
        true => runtime.shutdown_timeout(TAKEN_BACK_WITHIN),
        false => runtime.shutdown_background(),
    }
    exit.into()
}

fn lines(command: &Command) -> Lines {
    match command {
        Command::Serve(_) => Lines::Json,
        Command::Dev(_) | Command::Bench(_) => Lines::Short,
        Command::Client(_)
        | Command::Run(_)
        | Command::Completions(_)
        | Command::Config(_)
        | Command::Man(_) => Lines::IfAsked,
    }
}

/// Plain commands start fastest on one thread; what runs roles or moves many bytes takes all cores.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let many = match command {
        Command::Client(command) => command.is_bulk(),
        Command::Dev(_) | Command::Serve(_) | Command::Bench(_) | Command::Run(_) => true,
        Command::Completions(_) | Command::Config(_) | Command::Man(_) => false,
    };
    let mut builder = match many {
        true => Builder::new_multi_thread(),
        false => Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

async fn run(arguments: Arguments) -> Exit {
    let call = Call::new(Env::real(), arguments.globals, Output::stdout());
    match arguments.command {
        Command::Client(command) => {
            let said = if command.only_shows() {
                ""
            } else {
                INTERRUPTED
            };
            traced(&call, said, dfs_cli::run(&call, command)).await
        }
        Command::Run(args) => traced(&call, INTERRUPTED, batch::run(&call, args)).await,
        Command::Completions(args) => call.end(completions::run(&args)),
        Command::Config(args) => interruptible(&call, INTERRUPTED, config::run(&call, args)).await,
        Command::Man(args) => call.end(man::run(&args)),
        // These stop what they started before they end, and watch for signals themselves.
        Command::Serve(args) => {
            let done = Box::pin(serve::run(&call, args)).await;
            system::end(&call, done)
        }
        Command::Bench(args) => {
            let done = Box::pin(bench::run(&call, args)).await;
            system::end(&call, done)
        }
        Command::Dev(args) => {
            let done = Box::pin(dev::run(&call, args)).await;
            system::end(&call, done)
        }
    }
}

/// What it sees goes to a collector, if there is one.
async fn traced(call: &Call, said: &str, command: impl Future<Output = Exit>) -> Exit {
    let traces = traces::start(&call.env);
    let exit = Box::pin(interruptible(call, said, command)).await;
    traces::stop(traces).await;
    exit
}

/// A hang-up is left to the kernel, so that `nohup` means what it says.
async fn interruptible(call: &Call, said: &str, command: impl Future<Output = Exit>) -> Exit {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return call.end(Err(system::no_signals(&error))),
    };
    tokio::select! {
        biased;
        exit = command => return exit,
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    if !said.is_empty() {
        dfs_cli::say(said);
    }
    Exit::Interrupted
}
