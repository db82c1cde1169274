//! `dfsctl cat`: contents of files, now or as they were, to standard output.
use crate::call::{Call, Place};
use crate::failure::Outcome;
use futures::StreamExt;
use std::ffi::OsString;
use std::ops::Range;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl cat /demo/a.txt\n  dfsctl cat /demo/a.txt@-1m      as it was a minute ago\n  \
    dfsctl cat /demo/a.txt@1219     as it was after LSN 1219"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| show(call, path)).await
}

async fn show(call: &Call, path: &OsString) -> Outcome {
    let place = call.place(path).await?;
    copy_range(call, &place, None).await
}

/// The bytes of the range, or all, to standard output, as they come.
pub(crate) async fn copy_range(call: &Call, place: &Place, range: Option<Range<u64>>) -> Outcome {
    let mut reading = place.fs.read(&place.at, place.when, range).await?;
    while let Some(bytes) = reading.bytes.next().await {
        call.output.raw(&bytes?)?;
    }
    call.output.flush()
}
