//! `dfsctl dev down`: stops a system in order.
use super::directory::DevDirectory;
use dfs_cli::{Call, Exit, Failure, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// An orderly stop takes 5 s at most; a busy machine may need some more.
const STOPPED_WITHIN: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(clap::Args, Debug)]
#[command(
    after_help = "The data stay: `dfsctl dev up` goes on with them.\n\nExample:\n  dfsctl dev down"
)]
pub(crate) struct Args {
    /// Its data; default $DFSCTL_DEV_DIR, else ~/.local/share/dfsctl/dev
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let directory = DevDirectory::new(args.dir)?;
    if !directory.is_served()? {
        return tell(call, &directory, "does not run", None);
    }
    let pid = directory.state()?.map(|state| state.pid);
    let Some(process) = pid.and_then(|pid| Pid::from_raw(pid as i32)) else {
        let what = format!("cannot stop {}", directory.path().display());
        let why = "the process that uses it has not said who it is";
        return Err(Failure::new(
            Exit::State,
            what,
            why,
            "Try again in a moment",
        ));
    };
    if call.globals.dry_run {
        return tell(call, &directory, "would be stopped", pid);
    }
    if let Err(error) = kill_process(process, Signal::TERM) {
        return Err(Failure::local("stop", directory.path(), &error.into()));
    }
    let gone = call.env.timeout(STOPPED_WITHIN, async {
        while directory.is_served()? {
            call.env.sleep(LOOK_EVERY).await;
        }
        Ok(())
    });
    match gone.await {
        Ok(gone) => gone.and_then(|()| tell(call, &directory, "is stopped", pid)),
        Err(_) => {
            let what = format!("{} still runs", directory.path().display());
            let why = format!("process {} does not end", process.as_raw_nonzero());
            let advice = format!("kill -9 {}: that is always safe", process.as_raw_nonzero());
            Err(Failure::new(Exit::TimedOut, what, why, advice))
        }
    }
}

fn tell(call: &Call, directory: &DevDirectory, how: &str, pid: Option<u32>) -> Outcome {
    let path = directory.path().display().to_string();
    let line = format!("system {how}  data {path}");
    let fields = json!({ "dir": path, "pid": pid, "state": how });
    call.output
        .told("DevSystem", 0, fields, path.as_bytes(), &line)
}
