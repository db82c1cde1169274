//! `dfsctl cp`: copies by reference, also from the past: no byte moves.
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures;
use crate::target;
use crate::wrote::Wrote;
use dfs_fs::{Committed, Entry, Kind, When};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(override_usage = "dfsctl cp [OPTIONS] <FROM>... <TO>")]
#[command(
    after_help = "TO is the new name; directories are copied with all below them into what is there. With a / at
its end, or with several FROM, TO is a directory to copy into. Every file is one record; the
bytes stay where they are and are shared.

Examples:
  dfsctl cp /demo/a.txt /demo/b.txt
  dfsctl cp /demo/a.txt@-1h /demo/a.txt      bring back what it was an hour ago
  dfsctl cp /demo@1219 /restored"
)]
pub struct Args {
    #[arg(required = true, num_args = 2.., value_names = ["FROM", "TO"])]
    paths: Vec<OsString>,
    /// Refuse if there is a file at the new place
    #[arg(short, long)]
    no_replace: bool,
    /// Copies in flight
    #[arg(short, long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Taken for granted; here for the habit
    #[arg(short, long, hide = true)]
    recursive: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let (sources, target) = target::split(&args.paths)?;
    let target = call.target(target).await?;
    let (sources, several) = call.several(sources).await?;
    let into = target.typed.directory || several;
    call.each(&sources, |source| copy(call, source, &target, into, &args))
        .await
}

async fn copy(call: &Call, source: &OsString, target: &Place, into: bool, args: &Args) -> Outcome {
    let from = call.place(source).await?;
    let to = target::at(&from, target, into)?;
    target::same_cluster(&from, &to)?;
    let seen = from.fs.stat(&from.at, from.when).await?;
    if seen.is_directory() {
        refuse_into_itself(&from, &to)?;
        call.one_record("a directory is copied entry by entry")?;
    }
    let from = from.pinned(seen.lsn);
    let copied = match seen.is_directory() {
        true => copy_tree(call, &from, &seen, &to, args).await?,
        false => Copied {
            files: 1,
            lsn: copy_one(call, &from, &from.at, &seen, &to.at, args)
                .await?
                .lsn,
        },
    };
    let more = match seen.is_directory() {
        true => format!("  {}", figures::count(copied.files, "file", "files")),
        false => String::new(),
    };
    call.wrote(Wrote {
        kind: "Copied",
        did: "copied",
        place: &from,
        more: format!(" to {}{more}", to.typed),
        fields: json!({ "to": to.typed.to_string(), "files": copied.files }),
        lsn: copied.lsn,
    })
}

/// What it was in the past may well be copied into what it is now.
fn refuse_into_itself(from: &Place, to: &Place) -> Outcome {
    if from.when != When::Head || !from.at.contains(&to.at) {
        return Ok(());
    }
    let what = format!("cannot copy {} to {}", from.typed, to.typed);
    let why = "a directory cannot be copied into itself";
    let advice = "Choose a place outside of it";
    Err(Failure::new(Exit::Conflict, what, why, advice))
}

#[derive(Clone, Copy, Default)]
struct Copied {
    files: u64,
    lsn: u64,
}

async fn copy_tree(
    call: &Call,
    from: &Place,
    root: &Entry,
    to: &Place,
    args: &Args,
) -> Outcome<Copied> {
    let made = copy_one(call, from, &from.at, root, &to.at, args).await?;
    // Directories come before what they hold, but files must not wait for each other.
    let (mut directories, mut others) = (Vec::new(), Vec::new());
    let mut walk = from.fs.walk(&from.at, from.when);
    while let Some(walked) = walk.try_next().await? {
        match walked.entry.is_directory() {
            true => directories.push(walked),
            false => others.push(walked),
        }
    }
    let files = others.len() as u64;
    let mut lsn = made.lsn;
    for walked in directories {
        let place = moved(from, &walked.address, to)?;
        let made = copy_one(call, from, &walked.address, &walked.entry, &place, args).await?;
        lsn = lsn.max(made.lsn);
    }
    let copies = stream::iter(others).map(|walked| async move {
        let place = moved(from, &walked.address, to)?;
        copy_one(call, from, &walked.address, &walked.entry, &place, args).await
    });
    let mut copies = copies.buffer_unordered(usize::from(args.jobs));
    while let Some(copied) = copies.next().await {
        match copied {
            Ok(done) => lsn = lsn.max(done.lsn),
            Err(failure) => call.failed(&failure),
        }
    }
    Ok(Copied { files, lsn })
}

/// Where what lies at `at` below `from` comes to lie below `to`.
fn moved(from: &Place, at: &dfs_fs::Address, to: &Place) -> Outcome<dfs_fs::Address> {
    Ok(to.at.join(&at.path()[from.at.path().len()..])?)
}

async fn copy_one(
    call: &Call,
    from: &Place,
    at: &dfs_fs::Address,
    entry: &Entry,
    to: &dfs_fs::Address,
    args: &Args,
) -> Outcome<Committed> {
    if call.globals.dry_run {
        return Ok(Committed::default());
    }
    let fs = &from.fs;
    Ok(match entry.kind {
        Kind::File => fs.copy(at, from.when, to, args.no_replace).await?,
        Kind::Directory => fs.mkdir(to, Some(entry.mode), true).await?,
        Kind::Symlink => fs.symlink(to, &entry.link_target, !args.no_replace).await?,
    })
}
