//! `dfsctl mkdir`: makes directories.
use crate::call::Call;
use crate::failure::Outcome;
use crate::wrote::Wrote;
use dfs_fs::Committed;
use serde_json::json;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl mkdir /demo\n  dfsctl mkdir -p /demo/2026/11 /demo/2026/12"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    directories: Vec<OsString>,
    /// Also make the missing ones above; one that exists is no error
    #[arg(short, long)]
    parents: bool,
    /// Permission bits in octal
    #[arg(short, long, default_value = "755", value_parser = crate::mode::parse_octal)]
    mode: u32,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    if args.parents {
        call.one_record("-p may make several")?;
    }
    call.each(&args.directories, |directory| make(call, directory, &args))
        .await
}

async fn make(call: &Call, directory: &OsString, args: &Args) -> Outcome {
    let place = call.target(directory).await?;
    let done = match call.globals.dry_run {
        true => Committed::default(),
        false => {
            let mkdir = place.fs.mkdir(&place.at, Some(args.mode), args.parents);
            mkdir.await?
        }
    };
    call.wrote(Wrote {
        kind: "Made",
        did: "made",
        place: &place,
        more: String::new(),
        fields: json!({ "inode": done.inode }),
        lsn: done.lsn,
    })
}
