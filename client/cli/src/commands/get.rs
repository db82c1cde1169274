//! `dfsctl get`: files and directories out of the system, now or as they were.
use crate::call::{Call, Place};
use crate::commands::cat;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::local::{self, Local};
use crate::transfer::{self, Found, Tuning};
use dfs_fs::transfer::Progress;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args, Debug)]
#[command(override_usage = "dfsctl get [OPTIONS] <ADDRESS>... [LOCAL]")]
#[command(
    after_help = "LOCAL is the new name: a directory is got with all below it into what is there, so that the same
command again gets only what is missing. With a / at its end, as . and with several ADDRESS, LOCAL is
a directory to go into. LOCAL - is standard output. Modes, times and symlinks come back as they were
put; a tree is read at one LSN.

Examples:
  dfsctl get /demo/a.txt                     into the working directory
  dfsctl get /demo/photos ./photos
  dfsctl get /demo/photos@-1h ./earlier
  dfsctl get /demo/a.txt - | less"
)]
pub struct Args {
    #[arg(required = true, num_args = 1.., value_names = ["ADDRESS", "LOCAL"])]
    paths: Vec<OsString>,
    #[command(flatten)]
    tuning: Tuning,
    /// Taken for granted; here for the habit
    #[arg(short, long, hide = true)]
    recursive: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let here: &OsStr = OsStr::new(".");
    let (sources, target) = match args.paths.as_slice() {
        [source] => (std::slice::from_ref(source), here),
        [sources @ .., target] => (sources, target.as_os_str()),
        [] => (&[] as &[OsString], here),
    };
    let target = Local::parse(target);
    let (sources, many) = call.several(sources).await?;
    call.each(&sources, |source| get(call, source, &target, many, &args))
        .await
}

async fn get(call: &Call, source: &OsString, target: &Local, many: bool, args: &Args) -> Outcome {
    let place = call.place(source).await?;
    let Local::Path(target) = target else {
        return cat::copy_range(call, &place, None).await;
    };
    let seen = place.fs.stat(&place.at, place.when).await?;
    let into = many || local::is_directory_to_enter(target);
    let path = local_path(&place, target, into)?;
    if !seen.is_directory() && path.is_dir() {
        let what = format!("cannot get {} onto {}", place.typed, path.display());
        let advice = "End the local path with / to get it into the directory";
        return Err(Failure::new(
            Exit::Conflict,
            what,
            "it is a directory",
            advice,
        ));
    }
    get_tree(call, &place.pinned(seen.lsn), &path, args).await
}

fn local_path(place: &Place, target: &Path, into: bool) -> Outcome<PathBuf> {
    if !into {
        return Ok(target.to_path_buf());
    }
    // The root has no name: its entries go into the directory itself.
    Ok(match place.typed.name() {
        Some(name) => target.join(OsStr::from_bytes(name)),
        None => target.to_path_buf(),
    })
}

async fn get_tree(call: &Call, place: &Place, path: &Path, args: &Args) -> Outcome {
    let (progress, began) = (Arc::new(Progress::default()), call.env.now());
    if call.globals.dry_run {
        let found = count(place).await?;
        return transfer::would(call, "Got", "got", place, found);
    }
    let options = args.tuning.options();
    let get = place
        .fs
        .get_tree(&place.at, place.when, path, options, progress.clone());
    let summary = transfer::watched(call, &progress, Box::pin(count(place)), get).await?;
    transfer::tell(call, "Got", "got", place, &summary, call.env.now() - began)
}

async fn count(place: &Place) -> Outcome<Found> {
    let usage = place.fs.du(&place.at, place.when).await?;
    Ok(Found {
        files: usage.files + usage.symlinks,
        bytes: usage.bytes,
    })
}
