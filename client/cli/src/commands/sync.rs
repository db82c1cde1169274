//! `dfsctl sync`: makes one tree like another, one way.
use crate::call::{Call, Place};
use crate::commands::diff;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::filter::Filter;
use crate::sides::{self, Named};
use crate::transfer::{self, Found};
use dfs_fs::compare::CompareOptions;
use dfs_fs::transfer::{Progress, SyncOptions, TransferOptions, sync};
use std::ffi::OsString;
use std::sync::Arc;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "DST becomes like SRC: contents, links, modes, owners and times. SRC and DST are addresses, which begin
with / or a name and :/, or local files: plain paths, or file:/PATH where they begin with /; one of
them at least is an address. Only what differs in size or mtime moves, so the same again moves
nothing, and after an interruption only what was missing. Within a cluster files are copied by
reference. What is excluded is neither moved nor removed. --dry-run prints the lines of dfsctl diff.

Examples:
  dfsctl sync ./photos /demo/photos
  dfsctl sync --delete --dry-run ./photos /demo/photos
  dfsctl sync --exclude target/ --exclude '*.o' . /backup/project
  dfsctl sync /demo/photos@-1d ./yesterday
  dfsctl sync --delete dev:/demo other:/demo"
)]
pub struct Args {
    #[arg(value_name = "SRC")]
    from: OsString,
    #[arg(value_name = "DST")]
    to: OsString,
    /// Remove from DST what is not in SRC, and what is of another kind
    #[arg(long)]
    delete: bool,
    /// Compare checksums instead of times; local files are read for it
    #[arg(short, long)]
    checksum: bool,
    #[command(flatten)]
    filter: Filter,
    /// Files in flight at most
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let from = call.side(&args.from, false).await?;
    let to = call.side(&args.to, true).await?;
    if let (Some(from), Some(to)) = (from.place(), to.place()) {
        refuse_overlap(call, from, to).await?;
    }
    let Some(place) = to.place().or(from.place()) else {
        let what = "cannot sync two local directories";
        let why = "neither side is an address: those begin with /";
        let advice = "Name one side as an address; what is local and begins with / is file:/PATH";
        return Err(Failure::usage(what, why, advice));
    };
    match call.globals.dry_run {
        true => show(call, &from, &to, &args).await,
        false => transfer(call, &from, &to, place, &args).await,
    }
}

/// A tree that grows while it is read would never be equal.
async fn refuse_overlap(call: &Call, from: &Place, to: &Place) -> Outcome {
    let contains = from.at.contains(&to.at) || to.at.contains(&from.at);
    if !contains || !are_in_one_cluster(call, from, to).await? {
        return Ok(());
    }
    if from.at == to.at && from.typed.moment.is_some() {
        return Ok(()); // what it was
    }
    let what = format!("cannot sync {} to {}", from.typed, to.typed);
    let advice = "Choose places outside of each other";
    Err(Failure::new(
        Exit::Conflict,
        what,
        "one lies in the other",
        advice,
    ))
}

/// Two profiles may be of the same one.
async fn are_in_one_cluster(call: &Call, from: &Place, to: &Place) -> Outcome<bool> {
    if from.profile == to.profile {
        return Ok(true);
    }
    let from = call.cluster_of(from.profile.as_deref()).await?;
    let to = call.cluster_of(to.profile.as_deref()).await?;
    Ok(from.id().await? == to.id().await?)
}

async fn show(call: &Call, from: &Named, to: &Named, args: &Args) -> Outcome {
    let options = CompareOptions {
        checksum: args.checksum,
        keep: args.filter.keep(),
    };
    diff::exists(call, &from.side(), &args.from, "sync").await?;
    let counts = diff::print(call, to.side(), from.side(), options, true, args.delete).await?;
    call.note(&format!("would have synced  {}", sides::sum(counts)));
    Ok(())
}

async fn transfer(call: &Call, from: &Named, to: &Named, place: &Place, args: &Args) -> Outcome {
    let (progress, began) = (Arc::new(Progress::default()), call.env.now());
    let default = TransferOptions::default();
    let options = SyncOptions {
        transfer: TransferOptions {
            jobs: args.jobs.map_or(default.jobs, usize::from),
            ..default
        },
        checksum: args.checksum,
        delete: args.delete,
        keep: args.filter.keep(),
    };
    let syncing = sync(&call.env, from.side(), to.side(), options, progress.clone());
    // How much there is, the comparison finds out on its way.
    let unknown = async { Ok(Found::default()) };
    let summary = transfer::watched(call, &progress, unknown, Box::pin(syncing)).await?;
    let took = call.env.now() - began;
    transfer::tell(call, "Synced", "synced", place, &summary, took)
}
