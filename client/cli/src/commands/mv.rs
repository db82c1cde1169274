//! `dfsctl mv`: moves and renames, each in one record.
use crate::call::{Call, Place};
use crate::failure::Outcome;
use crate::target;
use crate::wrote::Wrote;
use dfs_fs::Committed;
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(override_usage = "dfsctl mv [OPTIONS] <FROM>... <TO>")]
#[command(
    after_help = "TO is the new name. With a / at its end, or with several FROM, it is a directory to move into.\n\n\
    Examples:\n  dfsctl mv /demo/a.txt /demo/b.txt\n  dfsctl mv /demo/a /demo/b /archive/"
)]
pub struct Args {
    #[arg(required = true, num_args = 2.., value_names = ["FROM", "TO"])]
    paths: Vec<OsString>,
    /// Refuse if there is something at the new place
    #[arg(short, long)]
    no_replace: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let (sources, target) = target::split(&args.paths)?;
    let target = call.target(target).await?;
    let (sources, several) = call.several(sources).await?;
    let into = target.typed.directory || several;
    call.each(&sources, |source| {
        rename(call, source, &target, into, args.no_replace)
    })
    .await
}

async fn rename(
    call: &Call,
    source: &OsString,
    target: &Place,
    into: bool,
    no_replace: bool,
) -> Outcome {
    let from = call.target(source).await?;
    let to = target::at(&from, target, into)?;
    target::same_cluster(&from, &to)?;
    let done = match call.globals.dry_run {
        true => {
            from.fs.stat(&from.at, from.when).await?;
            Committed::default()
        }
        false => from.fs.rename(&from.at, &to.at, no_replace).await?,
    };
    call.wrote(Wrote {
        kind: "Moved",
        did: "moved",
        place: &from,
        more: format!(" to {}", to.typed),
        fields: json!({ "to": String::from_utf8_lossy(&[b"/", to.at.path()].concat()), "inode": done.inode }),
        lsn: done.lsn,
    })
}
