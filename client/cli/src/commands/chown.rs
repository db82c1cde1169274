//! `dfsctl chown`: owner and group, as numbers or as names of this machine.
use crate::attributes;
use crate::call::Call;
use crate::failure::Outcome;
use crate::figures;
use crate::links;
use crate::owner::Owner;
use crate::wrote::Wrote;
use dfs_fs::AttrChange;
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Numbers are stored; names are looked up on this machine. Of a symlink, what it points to is
changed; with --no-dereference the symlink itself. -R changes symlinks below as they are and follows none.

Examples:
  dfsctl chown alice /demo/a.txt
  dfsctl chown 1000:1000 /demo/a.txt
  dfsctl chown -R :staff /demo/photos"
)]
pub struct Args {
    /// OWNER, OWNER:GROUP or :GROUP
    #[arg(value_name = "OWNER[:GROUP]")]
    owner: Owner,
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Also everything below
    #[arg(short = 'R', long)]
    recursive: bool,
    /// The symlink itself, not what it points to
    #[arg(long)]
    no_dereference: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| change(call, path, &args)).await
}

async fn change(call: &Call, path: &OsString, args: &Args) -> Outcome {
    let named = call.target(path).await?;
    let (place, seen) = match args.no_dereference {
        true => {
            let seen = named.fs.stat(&named.at, named.when).await?;
            (named, seen)
        }
        false => links::follow(named).await?,
    };
    let (uid, gid) = (args.owner.uid, args.owner.gid);
    let wanted = |_: &dfs_fs::Entry| AttrChange {
        uid,
        gid,
        ..AttrChange::default()
    };
    let changed = attributes::change(call, &place, &seen, args.recursive, true, wanted).await?;
    let (uid, gid) = (uid.unwrap_or(seen.uid), gid.unwrap_or(seen.gid));
    let more = match args.recursive {
        true => format!("  {}", figures::count(changed.entries, "entry", "entries")),
        false => format!(" to {uid}:{gid}"),
    };
    call.wrote(Wrote {
        kind: "AttrSet",
        did: "changed",
        place: &place,
        more,
        fields: json!({ "uid": uid, "gid": gid, "entries": changed.entries }),
        lsn: changed.lsn,
    })
}
