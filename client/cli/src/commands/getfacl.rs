//! `dfsctl getfacl`: who may do what with an entry, as getfacl(1) shows it.
use crate::acl;
use crate::call::{Call, Place};
use crate::entry;
use crate::failure::Outcome;
use crate::{address, links, quote};
use dfs_fs::{Entry, Kind};
use futures::TryStreamExt;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "As getfacl(1) shows it; names are those of this machine. Nobody enforces it yet.

Examples:
  dfsctl getfacl /demo/a.txt
  dfsctl getfacl -R /demo@-1h
  dfsctl getfacl -o json /demo"
)]
pub struct Args {
    /// Also everything below
    #[arg(short = 'R', long)]
    recursive: bool,
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| show(call, path, args.recursive))
        .await
}

async fn show(call: &Call, path: &OsString, recursive: bool) -> Outcome {
    let (place, seen) = links::follow(call.place(path).await?).await?;
    block(call, &seen.value, place.at.path(), seen.lsn)?;
    if !recursive || !seen.is_directory() {
        return Ok(());
    }
    let place: Place = place.pinned(seen.lsn);
    let walked = place.fs.walk(&place.at, place.when);
    let mut walked = std::pin::pin!(walked);
    while let Some(found) = walked.try_next().await? {
        if found.entry.kind != Kind::Symlink {
            block(call, &found.entry, found.address.path(), seen.lsn)?;
        }
    }
    Ok(())
}

fn block(call: &Call, of: &Entry, path: &[u8], lsn: u64) -> Outcome {
    let mut fields = entry::to_json(of, path);
    fields["acl"] = acl::to_json(of);
    let shown = quote::shown(&[b"/", path].concat());
    let text = acl::shown(of, &shown).join("\n") + "\n";
    let name = address::escape(path);
    call.output.data("Acl", lsn, fields, &name, &text)
}
