//! `dfsctl touch`: makes empty files, and sets the time of what is there.
use crate::calendar;
use crate::call::{Call, Place};
use crate::failure::{Failure, Outcome};
use crate::links;
use crate::local::{self, Local};
use crate::moment::Moment;
use crate::wrote::Wrote;
use dfs_fs::{AttrChange, Code, Committed, Refusal, WriteOptions, source_of};
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "A file that is not there is made, empty; of anything else only the time is set. Of a symlink,
what it points to is meant.

Examples:
  dfsctl touch /demo/done
  dfsctl touch -c -d 2026-11-19T10:00Z /demo/a.txt
  dfsctl touch -d -1h '/demo/*.txt'
  dfsctl touch -r /demo/a.txt@1219 /demo/a.txt     the time that it had then"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Make nothing; what is not there is no error
    #[arg(short = 'c', long)]
    no_create: bool,
    /// The time: 2026-11-19T10:00Z, or -5m for so long ago; default now, by this machine's clock
    #[arg(
        short,
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with = "reference"
    )]
    date: Option<Moment>,
    /// The time of another: an address, or a local file as file:PATH
    #[arg(short, long, value_name = "ADDRESS")]
    reference: Option<OsString>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let mtime_ns = mtime(call, &args).await?;
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| touch(call, path, mtime_ns, args.no_create))
        .await
}

async fn mtime(call: &Call, args: &Args) -> Outcome<i64> {
    let now_us = call.env.wall_us();
    let ns = |us: u64| i64::try_from(us).unwrap_or(i64::MAX).saturating_mul(1000);
    if let Some(reference) = &args.reference {
        return reference_mtime(call, reference).await;
    }
    match args.date {
        None => Ok(ns(now_us)),
        Some(Moment::TimeUs(us)) => Ok(ns(us)),
        Some(Moment::AgoUs(us)) => Ok(ns(now_us.saturating_sub(us))),
        Some(other @ (Moment::Head | Moment::Lsn(_))) => {
            let why = "it is a moment of the log, not a time";
            let advice =
                "Write 2026-11-19T10:00Z or -5m; for the time of a file at an LSN, --reference";
            Err(Failure::usage(format!("bad --date `{other}`"), why, advice))
        }
    }
}

async fn reference_mtime(call: &Call, reference: &OsString) -> Outcome<i64> {
    if let Some(Local::Path(path)) = local::explicit(reference) {
        let found = std::fs::symlink_metadata(&path);
        let found = found.map_err(|e| Failure::local("look at", &path, &e))?;
        return Ok(local::mtime_ns(&path, &found));
    }
    let place = call.place(reference).await?;
    Ok(place.fs.stat(&place.at, place.when).await?.mtime_ns)
}

async fn touch(call: &Call, path: &OsString, mtime_ns: i64, no_create: bool) -> Outcome {
    let place = call.target(path).await?;
    let there = place.fs.find(&place.at, place.when).await?.is_some();
    if !there && no_create {
        return Ok(());
    }
    if there || place.typed.directory {
        return set(call, place, mtime_ns).await;
    }
    let made = match call.globals.dry_run {
        true => Ok(Committed::default()),
        false => make(&place, mtime_ns).await,
    };
    match made {
        Ok(done) => tell(call, &place, "made", mtime_ns, done),
        // Somebody else was quicker.
        Err(refusal) if refusal.code() == Code::Exists => set(call, place, mtime_ns).await,
        Err(refusal) => Err(refusal.into()),
    }
}

async fn make(place: &Place, mtime_ns: i64) -> Result<Committed, Refusal> {
    let options = WriteOptions {
        create_only: true,
        mtime_ns: Some(mtime_ns),
        ..WriteOptions::default()
    };
    place
        .fs
        .write(&place.at, source_of(Vec::new()), options)
        .await
}

async fn set(call: &Call, place: Place, mtime_ns: i64) -> Outcome {
    let (place, _) = links::follow(place).await?;
    let change = AttrChange {
        mtime_ns: Some(mtime_ns),
        ..AttrChange::default()
    };
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => place.fs.set_attr(&place.at, change).await?,
    };
    tell(call, &place, "touched", mtime_ns, done)
}

fn tell(call: &Call, place: &Place, did: &str, mtime_ns: i64, done: Committed) -> Outcome {
    call.wrote(Wrote {
        kind: "Touched",
        did,
        place,
        more: format!("  {}", calendar::format_mtime(mtime_ns)),
        fields: json!({ "mtime_ns": mtime_ns, "made": did == "made" }),
        lsn: done.lsn,
    })
}
