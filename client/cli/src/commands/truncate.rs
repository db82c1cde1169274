//! `dfsctl truncate`: shortens files, and lengthens them by zeros.
use crate::call::Call;
use crate::failure::Outcome;
use crate::figures::{self, parse_bytes};
use crate::wrote::Wrote;
use dfs_fs::Committed;
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "What was cut off stays readable at earlier moments. Beyond the end there are zeros, which take no room.\n\n\
    Examples:\n  dfsctl truncate -s 0 /demo/log.txt\n  dfsctl truncate --size 4KiB /demo/a /demo/b"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Bytes that it has then: 0, 512, 4KiB
    #[arg(short, long, value_parser = parse_bytes)]
    size: u64,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| cut(call, path, args.size)).await
}

async fn cut(call: &Call, path: &OsString, size: u64) -> Outcome {
    let place = call.target(path).await?;
    let done = match call.globals.dry_run {
        true => {
            place.fs.stat(&place.at, place.when).await?;
            Committed::default()
        }
        false => place.fs.truncate(&place.at, size).await?,
    };
    call.wrote(Wrote {
        kind: "Truncated",
        did: "truncated",
        place: &place,
        more: format!(" to {}", figures::bytes(size)),
        fields: json!({ "size": size, "inode": done.inode }),
        lsn: done.lsn,
    })
}
