//! `dfsctl chmod`: permission bits, in octal or as in `u+x,go-w`.
use crate::call::{Call, Place};
use crate::failure::Outcome;
use crate::mode::Mode;
use crate::wrote::Wrote;
use dfs_fs::{AttrChange, Committed, Entry, Kind};
use futures::TryStreamExt;
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  dfsctl chmod 600 /demo/key.pem
  dfsctl chmod u+x,go-w /demo/run.sh
  dfsctl chmod -R a+rX /demo          X: only directories, and files that somebody may run")]
pub struct Args {
    /// 644, 0755, u+x, go-w, a=rX
    #[arg(allow_hyphen_values = true)]
    mode: Mode,
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Also everything below; symlinks are left out
    #[arg(short = 'R', long)]
    recursive: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    call.each(&args.paths, |path| change(call, path, &args))
        .await
}

async fn change(call: &Call, path: &OsString, args: &Args) -> Outcome {
    let place = call.target(path).await?;
    let seen = place.fs.stat(&place.at, place.when).await?;
    let done = change_one(call, &place, &place.at, &seen, &args.mode).await?;
    let (mut entries, mut lsn) = (1, done.lsn);
    if args.recursive && seen.is_directory() {
        let mut walk = place.fs.walk(&place.at, place.when);
        while let Some(walked) = walk.try_next().await? {
            if walked.entry.kind == Kind::Symlink {
                continue;
            }
            let done = change_one(call, &place, &walked.address, &walked.entry, &args.mode).await?;
            entries += 1;
            lsn = lsn.max(done.lsn);
        }
    }
    let mode = args.mode.apply(seen.mode, seen.is_directory());
    let more = match args.recursive {
        true => format!("  {}", crate::figures::count(entries, "entry", "entries")),
        false => format!(" to {mode:04o}"),
    };
    call.wrote(Wrote {
        kind: "AttrSet",
        did: "changed",
        place: &place,
        more,
        fields: json!({ "mode": mode, "entries": entries }),
        lsn,
    })
}

async fn change_one(
    call: &Call,
    place: &Place,
    at: &dfs_fs::Address,
    entry: &Entry,
    mode: &Mode,
) -> Outcome<Committed> {
    if call.globals.dry_run {
        return Ok(Committed::default());
    }
    let change = AttrChange {
        mode: Some(mode.apply(entry.mode, entry.is_directory())),
        ..AttrChange::default()
    };
    Ok(place.fs.set_attr(at, change).await?)
}
