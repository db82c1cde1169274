//! `dfsctl setfacl`: who else may do what with an entry, and with what is made in a directory.
use crate::acl::{self, Perms, Spec};
use crate::call::{Call, Place};
use crate::failure::{Failure, Outcome};
use crate::wrote::Wrote;
use crate::{figures, links};
use dfs_fs::{Entry, Kind, v1};
use futures::TryStreamExt;
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    group(clap::ArgGroup::new("what").required(true).multiple(true)),
    after_help = "Entries are u:NAME:rwx, g:NAME:rwx, u::rwx, g::rwx, o::rwx and m::rwx, d: before one means the default ACL of a
directory, which is what new entries in it inherit. The mask is the union of all that it bounds, unless it is
given; it is what chmod sets as the group's bits. ACLs are stored and shown; nobody enforces them yet, as mode
bits. Names are looked up on this machine, numbers are stored. Of a symlink, what it points to is changed.

Examples:
  dfsctl setfacl -m u:1000:rwx,g:100:rx /demo/a.txt
  dfsctl setfacl -R -m d:u:1000:rwx,u:1000:rwx /demo
  dfsctl setfacl -x u:1000 /demo/a.txt
  dfsctl setfacl -b /demo/a.txt                        nothing but the mode is left"
)]
pub struct Args {
    /// Add or change entries
    #[arg(short, long, group = "what", value_name = "ENTRIES")]
    modify: Option<String>,
    /// Remove entries, which have no permissions here: u:alice,d:g:dev
    #[arg(short = 'x', long, group = "what", value_name = "ENTRIES")]
    remove: Option<String>,
    /// Remove all but owner, group and others, and the default ACL
    #[arg(short = 'b', long, group = "what")]
    remove_all: bool,
    /// Remove the default ACL
    #[arg(short = 'k', long, group = "what")]
    remove_default: bool,
    /// These entries instead of all that are there; with u::, g:: and o::
    #[arg(long, group = "what", value_name = "ENTRIES", conflicts_with_all = ["modify", "remove", "remove_all"])]
    set: Option<String>,
    /// Also everything below; default entries go to directories only, symlinks are left out
    #[arg(short = 'R', long)]
    recursive: bool,
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let change = change_of(&args)?;
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| set(call, path, &change, args.recursive))
        .await
}

fn spec(text: &Option<String>, perms: Perms) -> Outcome<Spec> {
    let Some(text) = text else {
        return Ok(Spec::default());
    };
    acl::parse(text, perms).map_err(|why| {
        let what = format!("cannot understand the entries `{text}`");
        Failure::usage(what, why, "Write them as dfsctl setfacl --help shows")
    })
}

fn change_of(args: &Args) -> Outcome<v1::SetAcl> {
    let (modify, remove) = (
        spec(&args.modify, Perms::Given)?,
        spec(&args.remove, Perms::None)?,
    );
    let set = spec(&args.set, Perms::Given)?;
    Ok(v1::SetAcl {
        remove_access: args.remove_all || !set.access.is_empty(),
        remove_default: args.remove_all || args.remove_default || !set.default.is_empty(),
        remove: remove.access,
        modify: [modify.access, set.access].concat(),
        remove_in_default: remove.default,
        modify_in_default: [modify.default, set.default].concat(),
        ..v1::SetAcl::default()
    })
}

/// What of a change is for an entry of this kind; below a directory, files are no mistake.
fn for_kind(change: &v1::SetAcl, entry: &Entry) -> v1::SetAcl {
    let mut change = change.clone();
    if !entry.is_directory() {
        change.remove_in_default.clear();
        change.modify_in_default.clear();
    }
    change
}

async fn set(call: &Call, path: &OsString, change: &v1::SetAcl, recursive: bool) -> Outcome {
    if recursive {
        call.one_record("-R changes all below, too")?;
    }
    let (place, seen) = links::follow(call.target(path).await?).await?;
    let (entries, lsn) = match (call.globals.dry_run, recursive && seen.is_directory()) {
        (true, _) => (1, 0),
        (false, true) => {
            let first = place.fs.set_acl(&place.at, change.clone()).await?;
            let (below, lsn) = below(&place, change).await?;
            (below + 1, lsn.max(first.lsn))
        }
        (false, false) => {
            let wanted = match recursive {
                true => for_kind(change, &seen),
                false => change.clone(),
            };
            (1, place.fs.set_acl(&place.at, wanted).await?.lsn)
        }
    };
    let more = match recursive {
        true => format!("  {}", figures::count(entries, "entry", "entries")),
        false => String::new(),
    };
    call.wrote(Wrote {
        kind: "AclSet",
        did: "changed the ACL of",
        place: &place,
        more,
        fields: json!({ "entries": entries }),
        lsn,
    })
}

/// How many, and the last LSN.
async fn below(place: &Place, change: &v1::SetAcl) -> Outcome<(u64, u64)> {
    let walked = place.fs.walk(&place.at, place.when);
    let mut walked = std::pin::pin!(walked);
    let (mut entries, mut lsn) = (0, 0);
    while let Some(found) = walked.try_next().await? {
        if found.entry.kind == Kind::Symlink {
            continue;
        }
        let wanted = for_kind(change, &found.entry);
        lsn = place.fs.set_acl(&found.address, wanted).await?.lsn;
        entries += 1;
    }
    Ok((entries, lsn))
}
