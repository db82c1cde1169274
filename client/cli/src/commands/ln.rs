//! `dfsctl ln`: one more name for a file, or a symbolic link.
use crate::call::{Call, Place};
use crate::failure::{Failure, Outcome};
use crate::quote;
use crate::target;
use crate::wrote::Wrote;
use dfs_fs::Committed;
use serde_json::json;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Without -s LINK becomes one more name of the file at the address TARGET: both are the same file from
then on, and its bytes stay until the last name is removed. Directories have one name only.

With -s TARGET is stored as it is typed, byte for byte, and need not exist: no address, no moment, no
@@. Readers resolve it from the directory of the link.

With a / at its end LINK is a directory to make the link in, by the last name of TARGET.

Examples:
  dfsctl ln /demo/a.txt /demo/same.txt
  dfsctl ln -s a.txt /demo/latest
  dfsctl ln -sf b.txt /demo/latest          point it elsewhere, in one record
  dfsctl ln -s ../photos/1.jpg /demo/"
)]
pub struct Args {
    /// The file; with -s what the link says
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// Where the link is made
    #[arg(value_name = "LINK")]
    link: OsString,
    /// A symbolic link
    #[arg(short, long)]
    symbolic: bool,
    /// Replace a file or a link that is there (only with -s)
    #[arg(short, long, requires = "symbolic")]
    force: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    match args.symbolic {
        true => symbolic(call, &args).await,
        false => hard(call, &args).await,
    }
}

async fn hard(call: &Call, args: &Args) -> Outcome {
    let from = call.target(&args.target).await?;
    let to = place(call.target(&args.link).await?, from.at.path())?;
    target::same_cluster(&from, &to)?;
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => from.fs.link(&from.at, &to.at).await?,
    };
    let target = from.typed.to_string();
    linked(call, &to, (&target, &target), done)
}

async fn symbolic(call: &Call, args: &Args) -> Outcome {
    let target = args.target.as_bytes();
    let shown = quote::shown(target);
    let place = place(call.target(&args.link).await?, target)?;
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => place.fs.symlink(&place.at, target, args.force).await?,
    };
    let raw = String::from_utf8_lossy(target);
    linked(call, &place, (&shown, &raw), done)
}

/// `target`: as people read it, and as programs do.
fn linked(call: &Call, place: &Place, target: (&str, &str), done: Committed) -> Outcome {
    call.wrote(Wrote {
        kind: "Linked",
        did: "linked",
        place,
        more: format!(" to {}", target.0),
        fields: json!({ "target": target.1, "inode": done.inode }),
        lsn: done.lsn,
    })
}

/// `link`, or in it the last name of the target.
fn place(link: Place, target: &[u8]) -> Outcome<Place> {
    if !link.typed.directory {
        return Ok(link);
    }
    let name = target.rsplit(|b| *b == b'/').find(|name| !name.is_empty());
    match name {
        Some(name) if name != b"." && name != b".." => link.join(name),
        _ => {
            let what = format!("no name for the link in {}", link.typed);
            let advice = "Say the name of the link, without a / at its end";
            Err(Failure::usage(what, "the target has no last name", advice))
        }
    }
}
