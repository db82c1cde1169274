//! `dfsctl dev reset`: deletes all data of a system that does not run.
use super::directory::DevDirectory;
use super::up::PROFILE;
use dfs_cli::{Call, Exit, Failure, Outcome, ask};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "It asks for the name of the system, which is \"dev\", unless it is given.

Examples:
  dfsctl dev down; dfsctl dev reset
  dfsctl dev reset --name dev --dir /data/dfs"
)]
pub(crate) struct Args {
    /// Its data; default $DFSCTL_DEV_DIR, else ~/.local/share/dfsctl/dev
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The name of the system, in place of the question
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(crate) fn run(call: &Call, args: Args) -> Outcome {
    let directory = DevDirectory::new(args.dir)?;
    let path = directory.path().display().to_string();
    if directory.state()?.is_none() {
        let what = format!("cannot reset {path}");
        let advice = "Name the directory of a system: --dir DIR";
        return Err(Failure::new(
            Exit::NotFound,
            what,
            "no system was made there",
            advice,
        ));
    }
    let Some(lock) = directory.lock()? else {
        let what = format!("cannot reset {path}");
        let advice = "Stop it first: dfsctl dev down";
        return Err(Failure::new(
            Exit::State,
            what,
            "a system runs there",
            advice,
        ));
    };
    let question = format!("delete every file and the whole log in {path}?");
    if !call.globals.dry_run {
        ask::confirm_name(&question, PROFILE, args.name.as_deref())?;
        directory.remove(lock)?;
    }
    let fields = json!({ "dir": path, "dry_run": call.globals.dry_run });
    let did = if call.globals.dry_run {
        "would have deleted"
    } else {
        "deleted"
    };
    call.output.told(
        "DevReset",
        0,
        fields,
        path.as_bytes(),
        &format!("{did} {path}"),
    )
}
