//! `dfsctl put`: local files, directories and standard input into the system.
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::local::{self, Local};
use crate::quote;
use crate::target;
use crate::transfer::{self, Tuning};
use crate::wrote::Wrote;
use dfs_fs::transfer::Progress;
use dfs_fs::{Committed, WriteOptions};
use serde_json::json;
use std::ffi::OsString;
use std::fs::FileType;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

#[derive(clap::Args, Debug)]
#[command(override_usage = "dfsctl put [OPTIONS] <LOCAL>... <ADDRESS>")]
#[command(
    after_help = "ADDRESS is the new name: a directory is put with all below it into what is there, so that the same
command again puts only what is missing. With a / at its end, or with several LOCAL, ADDRESS is a
directory to put into. Files are taken with mode and mtime, symlinks as they are. LOCAL - is
standard input.

Interrupted, the same again goes on: what is stored is not sent again, of a file above 128 MiB whole pieces
of 128 MiB (they lie in a .dfs-unfinished-… beside it until it is whole).

Examples:
  dfsctl put a.txt /demo/a.txt
  dfsctl put ./photos /demo/photos
  dfsctl put a.txt b.txt /demo/
  tar c . | dfsctl put - /demo/all.tar
  dfsctl put --if-lsn 1219 a.txt /demo/a.txt     only if nobody has changed it since"
)]
pub struct Args {
    #[arg(required = true, num_args = 2.., value_names = ["LOCAL", "ADDRESS"])]
    paths: Vec<OsString>,
    #[command(flatten)]
    tuning: Tuning,
    /// Refuse unless the version of the file is this LSN (0: unless there is none); one file only
    #[arg(long, value_name = "LSN")]
    if_lsn: Option<u64>,
    /// Refuse if there is something at the place; one file only
    #[arg(short, long)]
    no_replace: bool,
    /// Taken for granted; here for the habit
    #[arg(short, long, hide = true)]
    recursive: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let (sources, target) = target::split(&args.paths)?;
    let target = call.target(target).await?;
    let into = target.typed.directory || sources.len() > 1;
    call.each(sources, |source| put(call, source, &target, into, &args))
        .await
}

async fn put(call: &Call, source: &OsString, target: &Place, into: bool, args: &Args) -> Outcome {
    let local = Local::parse(source);
    let place = place(&local, target, into)?;
    let Local::Path(path) = &local else {
        return put_one(call, &local, &place, WriteOptions::default(), args).await;
    };
    let metadata = std::fs::symlink_metadata(path).map_err(|e| Failure::local("read", path, &e))?;
    refuse_special(path, metadata.file_type(), &place)?;
    if args.if_lsn.is_some() || args.no_replace {
        return put_conditionally(call, path, &metadata, &place, args).await;
    }
    if !metadata.is_dir() {
        refuse_onto_directory(&place).await?;
    }
    put_tree(call, path, &place, args).await
}

/// A pipe would be waited for, a device read for ever.
fn refuse_special(path: &Path, kind: FileType, place: &Place) -> Outcome {
    let name = match () {
        () if kind.is_fifo() => "pipe",
        () if kind.is_socket() => "socket",
        () if kind.is_block_device() || kind.is_char_device() => "device",
        () => return Ok(()),
    };
    let shown = quote::shown(path.as_os_str().as_bytes());
    let why = format!("it is a {name}: only files, directories and symlinks are stored");
    let advice = match name {
        "socket" => "Leave it out".to_string(),
        _ => format!(
            "To store what comes out of it: dfsctl put - {} < {shown}",
            place.typed
        ),
    };
    Err(Failure::new(
        Exit::Conflict,
        format!("cannot put {shown}"),
        why,
        advice,
    ))
}

/// `target`, or in it the name of the source.
fn place(local: &Local, target: &Place, into: bool) -> Outcome<Place> {
    match local {
        _ if !into => Ok(target.clone()),
        Local::Path(path) => target.join(local::name_of(path)?.as_bytes()),
        Local::Standard => {
            let what = format!("no name for standard input in {}", target.typed);
            let advice = "Name the file: dfsctl put - /demo/name";
            Err(Failure::usage(what, "the target is a directory", advice))
        }
    }
}

async fn refuse_onto_directory(place: &Place) -> Outcome {
    let found = place.fs.find(&place.at, place.when).await?;
    if !found.is_some_and(|entry| entry.is_directory()) {
        return Ok(());
    }
    let what = format!("cannot put a file onto {}", place.typed);
    let advice = "End the address with / to put it into the directory";
    Err(Failure::new(
        Exit::Conflict,
        what,
        "it is a directory",
        advice,
    ))
}

async fn put_conditionally(
    call: &Call,
    path: &Path,
    metadata: &std::fs::Metadata,
    place: &Place,
    args: &Args,
) -> Outcome {
    if !metadata.is_file() {
        let what = format!("cannot put {} on a condition", path.display());
        let advice = "Leave --if-lsn and --no-replace out";
        return Err(Failure::usage(
            what,
            "only single files have conditions",
            advice,
        ));
    }
    let options = WriteOptions {
        mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        mtime_ns: Some(local::mtime_ns(path, metadata)),
        size: Some(metadata.len()),
        ..WriteOptions::default()
    };
    put_one(call, &Local::Path(path.into()), place, options, args).await
}

async fn put_one(
    call: &Call,
    local: &Local,
    place: &Place,
    options: WriteOptions,
    args: &Args,
) -> Outcome {
    let options = WriteOptions {
        if_lsn: args.if_lsn,
        create_only: args.no_replace,
        ..options
    };
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => {
            let source = local::source(call, local).await?;
            place.fs.write(&place.at, source, options).await?
        }
    };
    call.wrote(Wrote {
        kind: "Put",
        did: "put",
        place,
        more: String::new(),
        fields: json!({ "from": local.shown(), "inode": done.inode }),
        lsn: done.lsn,
    })
}

async fn put_tree(call: &Call, path: &Path, place: &Place, args: &Args) -> Outcome {
    let (progress, began) = (Arc::new(Progress::default()), call.env.now());
    if call.globals.dry_run {
        let found = transfer::count_local(&call.env, path).await?;
        return transfer::would(call, "Put", "put", place, found);
    }
    let options = args.tuning.options();
    let put = place
        .fs
        .put_tree(path, &place.at, options, progress.clone());
    let summary =
        transfer::watched(call, &progress, transfer::count_local(&call.env, path), put).await?;
    transfer::tell(call, "Put", "put", place, &summary, call.env.now() - began)
}
