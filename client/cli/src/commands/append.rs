//! `dfsctl append`: bytes of local files, or of standard input, at the end of a file.
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::figures;
use crate::local::{self, Local};
use crate::target;
use crate::wrote::Wrote;
use dfs_fs::{AppendOptions, Committed, Refusal, WriteOptions};
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(override_usage = "dfsctl append [OPTIONS] <LOCAL>... <ADDRESS>")]
#[command(
    after_help = "Each source is one atomic append: readers see all of it or nothing. LOCAL - is standard input.

Examples:
  echo line | dfsctl append - /demo/log.txt
  dfsctl append --create a.txt b.txt /demo/all.txt"
)]
pub struct Args {
    #[arg(required = true, num_args = 2.., value_names = ["LOCAL", "ADDRESS"])]
    paths: Vec<OsString>,
    /// Make the file if there is none
    #[arg(long)]
    create: bool,
    /// Refuse unless the file has so many bytes (of the first append)
    #[arg(long, value_name = "BYTES", value_parser = figures::parse_bytes)]
    if_size: Option<u64>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let (sources, target) = target::split(&args.paths)?;
    let place = call.target(target).await?;
    if sources.len() > 1 {
        call.one_record("several are appended")?;
    }
    let mut if_size = args.if_size;
    for source in sources {
        append(call, source, &place, if_size.take(), args.create).await?;
    }
    Ok(())
}

async fn append(
    call: &Call,
    source: &OsString,
    place: &Place,
    if_size: Option<u64>,
    create: bool,
) -> Outcome {
    let local = Local::parse(source);
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => append_at(call, &local, place, if_size, create).await?,
    };
    call.wrote(Wrote {
        kind: "Appended",
        did: "appended to",
        place,
        more: String::new(),
        fields: json!({ "inode": done.inode, "from": local.shown() }),
        lsn: done.lsn,
    })
}

async fn append_at(
    call: &Call,
    local: &Local,
    place: &Place,
    if_size: Option<u64>,
    create: bool,
) -> Outcome<Committed> {
    let missing = create && place.fs.find(&place.at, place.when).await?.is_none();
    let source = local::source(call, local).await?;
    if missing {
        let options = WriteOptions {
            create_only: true,
            ..WriteOptions::default()
        };
        return Ok(place.fs.write(&place.at, source, options).await?);
    }
    let options = AppendOptions {
        if_size,
        ..AppendOptions::default()
    };
    let appended = place.fs.append(&place.at, source, options).await;
    appended.map_err(|refusal: Refusal| {
        let mut failure = crate::Failure::from(refusal);
        if failure.exit == Exit::NotFound {
            failure.advice = "Make it first (dfsctl put), or add --create".into();
        }
        failure
    })
}
