//! `dfsctl chmod`: permission bits, in octal or as in `u+x,go-w`.
use crate::attributes;
use crate::call::Call;
use crate::failure::Outcome;
use crate::figures;
use crate::links;
use crate::mode::Mode;
use crate::wrote::Wrote;
use dfs_fs::{AttrChange, Entry};
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(after_help = "Of a symlink, what it points to is changed.

Examples:
  dfsctl chmod 600 /demo/key.pem
  dfsctl chmod u+x,go-w /demo/run.sh
  dfsctl chmod -R a+rX /demo          X: only directories, and files that somebody may run")]
pub struct Args {
    /// 644, 0755, u+x, go-w, a=rX
    #[arg(allow_hyphen_values = true)]
    mode: Mode,
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Also everything below; symlinks there are left out
    #[arg(short = 'R', long)]
    recursive: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| change(call, path, &args)).await
}

async fn change(call: &Call, path: &OsString, args: &Args) -> Outcome {
    // A symlink has no mode that means anything: what it points to is changed, as everywhere.
    let (place, seen) = links::follow(call.target(path).await?).await?;
    let after = |entry: &Entry| args.mode.apply(entry.mode, entry.is_directory());
    let wanted = |entry: &Entry| AttrChange {
        mode: Some(after(entry)),
        ..AttrChange::default()
    };
    let changed = attributes::change(call, &place, &seen, args.recursive, false, wanted).await?;
    let mode = after(&seen);
    let more = match args.recursive {
        true => format!("  {}", figures::count(changed.entries, "entry", "entries")),
        false => format!(" to {mode:04o}"),
    };
    call.wrote(Wrote {
        kind: "AttrSet",
        did: "changed",
        place: &place,
        more,
        fields: json!({ "mode": mode, "entries": changed.entries }),
        lsn: changed.lsn,
    })
}
