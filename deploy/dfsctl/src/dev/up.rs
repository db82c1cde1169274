//! `dfsctl dev up`: starts a system, in the background unless told otherwise.
use super::before::Before;
use super::directory::{DevDirectory, Running};
use crate::system::{self, End, Nodes, Signals};
use dfs_cli::profile::{self, Profile, Profiles};
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_node::config::{ClusterConfig, NodeConfig, RoleName};
use dfs_node::directory::hex;
use rustix::process::{Pid, test_kill_process};
use serde_json::json;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;

/// The name under which the system is found.
pub(super) const PROFILE: &str = "dev";
/// On this machine nobody takes longer to answer.
const REACHED_WITHIN: Duration = Duration::from_millis(500);
/// How often the start in the background is looked at: a hundredth of what a start may take.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(clap::Args, Debug, Clone)]
#[command(
    after_help = "One process: sequencer, log units and a materializer on one port. It returns once the system serves, which
goes on in the background (its log: DIR/dev.log) until `dfsctl dev down`. The profile \"dev\" is written
and selected. Where a system runs in DIR already, it says where.

One or two units store everything once: one disk can promise no more. Three or more store each record
on three units, two of which must have it on disk, and each file three times.

Every materializer holds the whole tree; one of them, the primary, takes writes, and another takes over
when it ends. Further ones have a port and a directory of their own (DIR/replica-2 …).

Examples:
  dfsctl dev up
  dfsctl dev up --units 3 --sequencers 3 --materializers 3
  dfsctl dev up --units 6 --dir /data/dfs --port 9020
  dfsctl dev up --foreground        stays, and stops on Ctrl-C or SIGTERM"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) place: Place,
    /// Stay in the foreground until Ctrl-C or SIGTERM
    #[arg(short, long)]
    foreground: bool,
    /// In the background: taken for granted
    #[arg(short, long, conflicts_with = "foreground", hide = true)]
    detach: bool,
}

/// Where a system lies and answers.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Place {
    /// Its data; default $DFSCTL_DEV_DIR, else ~/.local/share/dfsctl/dev
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Log units, each with a directory and a writer of its own; default 1, or as it was made
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    units: Option<u32>,
    /// Sequencers, which elect one of them, each with a directory of its own: 1, 3 or 5; default 1, or
    /// as it was made
    #[arg(long, value_name = "N", value_parser = ["1", "3", "5"])]
    sequencers: Option<String>,
    /// Materializers, each of which holds the whole tree: 1 to 5; default 1, or as it was made
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5))]
    materializers: Option<u32>,
    /// How long the past stays readable; 0: for ever; default 604800, which is 7 days, or as it was made
    #[arg(long, value_name = "SECONDS")]
    retention: Option<u64>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "P", default_value_t = 9010)]
    port: u16,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let directory = DevDirectory::new(args.place.dir.clone())?;
    let numbers = args.place.numbers(&directory)?;
    if directory.is_served()? {
        let running = use_running(call, &directory).await?;
        tell(call, &directory, &running, "runs already")?;
        return Ok(End::Done);
    }
    if call.globals.dry_run {
        call.note(&format!(
            "would start {} units, {} sequencers and {} materializers in {}",
            numbers.units,
            numbers.sequencers,
            numbers.materializers,
            directory.path().display()
        ));
        return Ok(End::Done);
    }
    let before = known_profile();
    if !args.foreground {
        let running = in_background(call, &directory, &args.place, numbers).await?;
        tell(call, &directory, &running, "is ready")?;
        tell_replaced(call, before, &running).await;
        return Ok(End::Done);
    }
    let mut signals = Signals::catch()?;
    let Ok((nodes, running)) = here(call, &directory, &args.place, &mut signals).await? else {
        return Ok(End::Done);
    };
    tell(call, &directory, &running, "is ready")?;
    tell_replaced(call, before, &running).await;
    system::serve(nodes, &mut signals).await
}

async fn in_background(
    call: &Call,
    directory: &DevDirectory,
    place: &Place,
    numbers: Numbers,
) -> Outcome<Running> {
    let before = Before::look(directory)?;
    let child = detach(directory, place, numbers).inspect_err(|_| before.restore(directory))?;
    let started = ready(call, directory, Some(child)).await;
    // What is only slow goes on; what ended without a word has its log read.
    started.inspect_err(|failure| {
        if failure.exit != Exit::Unavailable && failure.advice != look_at(directory) {
            before.restore(directory);
        }
    })
}

/// Waits until the system that runs in the directory serves, and selects its profile.
pub(super) async fn use_running(call: &Call, directory: &DevDirectory) -> Outcome<Running> {
    let running = ready(call, directory, None).await?;
    remember(&running)?;
    Ok(running)
}

/// What a system is made of.
#[derive(Clone, Copy)]
struct Numbers {
    units: u32,
    sequencers: u32,
    materializers: u32,
}

impl Place {
    /// As many as it was made with, if it was.
    fn numbers(&self, directory: &DevDirectory) -> Outcome<Numbers> {
        let made = directory.state()?;
        let asked = self.sequencers.as_ref().and_then(|n| n.parse().ok());
        let of = |state: fn(&Running) -> u32| made.as_ref().map(state);
        Ok(Numbers {
            units: as_made(directory, "units", self.units, of(|state| state.units))?,
            sequencers: as_made(directory, "sequencers", asked, of(|state| state.sequencers))?,
            materializers: as_made(
                directory,
                "materializers",
                self.materializers,
                of(|state| state.materializers),
            )?,
        })
    }
}

fn as_made(
    directory: &DevDirectory,
    name: &str,
    asked: Option<u32>,
    made: Option<u32>,
) -> Outcome<u32> {
    match (asked, made) {
        (Some(asked), Some(made)) if asked != made => {
            let path = directory.path().display();
            let what = format!("cannot run {path} with --{name} {asked}");
            let why = format!("it was made with {made}");
            let advice = format!("Leave --{name} out, choose another --dir, or dfsctl dev reset");
            Err(Failure::new(Exit::State, what, why, advice))
        }
        (asked, made) => Ok(asked.or(made).unwrap_or(1)),
    }
}

/// Starts the system in this process; `Err` when a signal came first.
pub(super) async fn here(
    call: &Call,
    directory: &DevDirectory,
    place: &Place,
    signals: &mut Signals,
) -> Outcome<Result<(Nodes, Running), End>> {
    let before = Before::look(directory)?;
    let started = Box::pin(start_here(call, directory, place, signals)).await;
    started.inspect_err(|_| before.restore(directory))
}

async fn start_here(
    call: &Call,
    directory: &DevDirectory,
    place: &Place,
    signals: &mut Signals,
) -> Outcome<Result<(Nodes, Running), End>> {
    let Numbers {
        units,
        sequencers,
        materializers,
    } = place.numbers(directory)?;
    let mut config = NodeConfig::embedded(directory.path().into(), units, place.port);
    config.voters = sequencers;
    config.retention.seconds = place.retention;
    config.cluster.shard_replicas = Some(materializers);
    let node = match system::start(call, config.clone(), signals).await? {
        Ok(node) => node,
        Err(end) => return Ok(Err(end)),
    };
    let mut running = Running {
        pid: std::process::id(),
        address: node.address().to_string(),
        units,
        sequencers,
        materializers,
        cluster_id: hex(&node.roles().cluster_id),
        ready: false,
    };
    // The node holds the lock now: nobody else writes this file.
    directory.write_state(&running)?;
    let mut nodes = Nodes::from(node);
    let address = &running.address;
    let others = (2..=materializers).map(|number| replica(directory, &config, address, number));
    let completed = complete(call, &mut nodes, others.collect(), signals).await;
    if !matches!(completed, Ok(None)) {
        nodes.stop().await;
        return completed.map(|end| Err(end.unwrap_or(End::Done)));
    }
    remember(&running)?;
    running.ready = true;
    directory.write_state(&running)?;
    Ok(Ok((nodes, running)))
}

/// Starts the others and waits until all serve; `Some` when a signal came first.
async fn complete(
    call: &Call,
    nodes: &mut Nodes,
    others: Vec<NodeConfig>,
    signals: &mut Signals,
) -> Outcome<Option<End>> {
    for config in others {
        match system::start(call, config, signals).await? {
            Ok(node) => nodes.others.push(node),
            Err(end) => return Ok(Some(end)),
        }
    }
    tokio::select! {
        biased;
        () = nodes.ready() => Ok(None),
        refusal = nodes.failed() => Err(refusal.into()),
        end = signals.next() => Ok(Some(end)),
    }
}

/// A further materializer: a node of its own, as in a process of its own.
fn replica(directory: &DevDirectory, first: &NodeConfig, address: &str, number: u32) -> NodeConfig {
    NodeConfig {
        dir: directory.replica(number),
        listen: "127.0.0.1:0".into(),
        roles: vec![RoleName::Materializer],
        sequencers: vec![address.into()],
        voters: 1,
        rank: number - 1,
        // Whoever is the first to fold an empty log makes the cluster: by the same numbers.
        cluster: ClusterConfig {
            log_replicas: Some(first.log_replicas()),
            log_write_quorum: Some(first.log_write_quorum()),
            file_copies: Some(first.file_copies()),
            ..first.cluster.clone()
        },
        ..first.clone()
    }
}

fn remember(running: &Running) -> Outcome {
    let profile = Profile {
        sequencers: vec![running.address.clone()],
        cluster_id: running.cluster_id.clone(),
    };
    profile::remember(PROFILE, profile)
}

/// What the profile meant until now.
fn known_profile() -> Option<Profile> {
    let profiles = Profiles::load(&profile::path().ok()?).ok()?;
    profiles.profiles.get(PROFILE).cloned()
}

/// Another system that runs, and has lost its name, is told of: nobody would find it again.
async fn tell_replaced(call: &Call, before: Option<Profile>, running: &Running) {
    let Some(before) = before.filter(|profile| profile.cluster_id != running.cluster_id) else {
        return;
    };
    let Some(address) = before.sequencers.first() else {
        return;
    };
    let reached = call
        .env
        .timeout(REACHED_WITHIN, TcpStream::connect(address.as_str()));
    if address != &running.address && matches!(reached.await, Ok(Ok(_))) {
        call.note(&format!(
            "the profile \"{PROFILE}\" meant another system until now, which still runs at {address}; \
            it can be kept: dfsctl connect {address} --name NAME"
        ));
    }
}

/// The same program in the background, in a process group that Ctrl-C in this terminal does not reach.
fn detach(directory: &DevDirectory, place: &Place, numbers: Numbers) -> Outcome<Child> {
    let failed = |e: &io::Error| Failure::local("start", directory.path(), e);
    std::fs::create_dir_all(directory.path()).map_err(|e| failed(&e))?;
    let log = File::create(directory.log_path()).map_err(|e| failed(&e))?;
    let program = std::env::current_exe().map_err(|e| failed(&e))?;
    let mut command = Command::new(program);
    command
        .args(["dev", "up", "--foreground", "--dir"])
        .arg(directory.path());
    command.args([
        "--units",
        &numbers.units.to_string(),
        "--sequencers",
        &numbers.sequencers.to_string(),
        "--materializers",
        &numbers.materializers.to_string(),
        "--port",
        &place.port.to_string(),
    ]);
    if let Some(seconds) = place.retention {
        command.args(["--retention", &seconds.to_string()]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0);
    command.spawn().map_err(|e| failed(&e))
}

/// Waits until the process that serves the directory says that it is ready.
async fn ready(
    call: &Call,
    directory: &DevDirectory,
    mut child: Option<Child>,
) -> Outcome<Running> {
    let waited = call.env.timeout(call.globals.timeout(), async {
        loop {
            if let Some(running) = directory.state()?.filter(|state| state.ready) {
                let ours = match &child {
                    Some(child) => child.id() == running.pid,
                    // What a killed process wrote is not said by the one that starts now.
                    None => is_alive(running.pid),
                };
                if ours && directory.is_served()? {
                    return Ok(running);
                }
            }
            if let Some(status) = child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten())
            {
                return Err(told_by_child(directory, status.code()));
            }
            call.env.sleep(LOOK_EVERY).await;
        }
    });
    waited.await.unwrap_or_else(|_| {
        let what = format!("{} does not serve yet", directory.path().display());
        let why = "it may be folding a long log again";
        let advice = format!(
            "Wait with dfsctl status; its log is {}",
            directory.log_path().display()
        );
        Err(Failure::new(Exit::Unavailable, what, why, advice))
    })
}

fn is_alive(pid: u32) -> bool {
    let pid = Pid::from_raw(pid as i32);
    pid.is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// The three lines that the background process wrote, as if this one had.
fn told_by_child(directory: &DevDirectory, code: Option<i32>) -> Failure {
    let text = std::fs::read_to_string(directory.log_path()).unwrap_or_default();
    let line = |start: &str| text.lines().rev().find_map(|line| line.strip_prefix(start));
    let exit = code
        .and_then(|code| Exit::from_number(code as u8))
        .unwrap_or(Exit::Other);
    let what = line("error: ").unwrap_or("the system ended while it started");
    let last = text.lines().last().unwrap_or("it said nothing");
    let why = line("  why: ").unwrap_or(last);
    let look = look_at(directory);
    let advice = line("  do:  ").unwrap_or(&look);
    Failure::new(exit, what, why, advice)
}

fn look_at(directory: &DevDirectory) -> String {
    format!("Look at {}", directory.log_path().display())
}

fn tell(call: &Call, directory: &DevDirectory, running: &Running, how: &str) -> Outcome {
    let Running {
        pid,
        address,
        units,
        sequencers,
        materializers,
        cluster_id,
        ..
    } = running;
    let path = directory.path().display();
    let stored = if *units < 3 {
        "everything stored once"
    } else {
        "records and files stored on three"
    };
    let text = format!(
        "system {how} at {address}  process {pid}\n  profile \"{PROFILE}\" written and selected\n  \
        data    {path}  units {units}, {stored}  sequencers {sequencers}  materializers {materializers}\n  \
        cluster {cluster_id}\n  stop    dfsctl dev down{}",
        dir_flag(directory)
    );
    let fields = json!({
        "pid": pid, "address": address, "units": units, "sequencers": sequencers,
        "materializers": materializers, "cluster_id": cluster_id, "dir": path.to_string(), "profile": PROFILE,
    });
    call.output
        .told("DevSystem", 0, fields, address.as_bytes(), &text)
}

/// What has to be said again to mean the same directory.
pub(super) fn dir_flag(directory: &DevDirectory) -> String {
    match DevDirectory::new(None) {
        Ok(default) if default.path() == directory.path() => String::new(),
        _ => format!(" --dir {}", directory.path().display()),
    }
}
