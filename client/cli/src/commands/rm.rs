//! `dfsctl rm`: removes files, and directories with all below them in one record.
use crate::ask;
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures;
use crate::walk;
use crate::wrote::Wrote;
use dfs_fs::Committed;
use serde_json::json;
use std::ffi::OsString;

/// A recursive removal of more than this asks first.
const ASK_ABOVE_ENTRIES: u64 = 1000;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl rm /demo/a.txt\n  dfsctl rm -r /demo/photos     one record, whatever lies below\n  \
    dfsctl ls /demo/photos@-1m    what was removed is still readable as it was\n  \
    dfsctl find /demo --name '*.tmp' -0 | xargs -0 dfsctl rm --literal"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Directories too, with all below them
    #[arg(short, long, visible_short_alias = 'R')]
    recursive: bool,
    /// What is not there is no error
    #[arg(short, long)]
    force: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| remove(call, path, &args)).await
}

async fn remove(call: &Call, path: &OsString, args: &Args) -> Outcome {
    let place = call.target(path).await?;
    match remove_at(call, &place, args).await {
        Err(failure) if args.force && failure.exit == Exit::NotFound => Ok(()),
        outcome => outcome,
    }
}

async fn remove_at(call: &Call, place: &Place, args: &Args) -> Outcome {
    check(call, place, args).await?;
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => place.fs.remove(&place.at, args.recursive).await?,
    };
    let more = match done.entries {
        0 => String::new(),
        n => format!("  {}", figures::count(n, "entry", "entries")),
    };
    call.wrote(Wrote {
        kind: "Removed",
        did: "removed",
        place,
        more,
        fields: json!({ "entries": done.entries }),
        lsn: done.lsn,
    })
}

/// Whether it may go on: asked about many entries, and on a dry run whether there is anything.
async fn check(call: &Call, place: &Place, args: &Args) -> Outcome {
    if !call.globals.dry_run && (!args.recursive || call.globals.yes) {
        return Ok(());
    }
    let seen = place.fs.stat(&place.at, place.when).await?;
    if !seen.value.is_directory() {
        return Ok(());
    }
    if !args.recursive {
        let what = format!("cannot remove {}", place.typed);
        return Err(Failure::new(
            Exit::Conflict,
            what,
            "it is a directory",
            "Add -r to remove it with all below it",
        ));
    }
    let count = walk::count_below(place, ASK_ABOVE_ENTRIES).await?;
    if count <= ASK_ABOVE_ENTRIES || call.globals.dry_run {
        return Ok(());
    }
    let many = figures::thousands(ASK_ABOVE_ENTRIES);
    ask::confirm(
        &format!(
            "remove {} with more than {many} entries below it?",
            place.typed
        ),
        false,
    )
}
