//! `dfsctl checksum`: what the records say that bytes sum to, or what they do.
use crate::address;
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::json;
use crate::output::{Column, Item};
use crate::quote;
use dfs_fs::{Checksum, Seen};
use futures::TryStreamExt;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "The sum of a file is CRC-32C (Castagnoli) of its bytes, made by the client that wrote
them. That of a directory is over paths, kinds, sizes, targets and sums of all below it:
equal trees have equal ones.

Examples:
  dfsctl checksum /demo/a.txt
  dfsctl checksum /demo /demo@-1h       is it what it was an hour ago?
  dfsctl checksum --read /demo/a.txt    load every byte and compare"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Load every byte and compare it with the record (files only)
    #[arg(long)]
    read: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let columns = ["CRC32C", "SIZE", "FILES", "PATH"];
    let columns = columns.map(|title| match title {
        "CRC32C" | "PATH" => Column::text(title),
        _ => Column::figure(title),
    });
    let mut list = call.output.list("ChecksumList", columns.to_vec());
    let mut lsn = 0;
    for path in &call.meant(&args.paths).await? {
        match sum(call, path, args.read).await {
            Ok((at, item)) => {
                lsn = at;
                list.push(at, item)?;
            }
            Err(failure) => call.failed(&failure),
        }
    }
    list.end(lsn, false)
}

async fn sum(call: &Call, path: &OsString, read: bool) -> Outcome<(u64, Item)> {
    let place = call.place(path).await?;
    let sum = place.fs.checksum(&place.at, place.when).await?;
    if read {
        compare(&place.pinned(sum.lsn)).await?;
    }
    Ok((sum.lsn, item(&place, sum, read)))
}

fn item(place: &Place, sum: Seen<Checksum>, read: bool) -> Item {
    let path = place.at.path();
    let hex = format!("{:08x}", sum.crc32c);
    let mut fields = json::at_path(path);
    fields["crc32c"] = hex.clone().into();
    fields["size"] = sum.size.into();
    fields["files"] = sum.files.into();
    fields["read"] = read.into();
    let shown = quote::shown(&[b"/", path].concat());
    Item {
        json: fields,
        name: address::escape(path),
        cells: vec![hex, sum.size.to_string(), sum.files.to_string(), shown],
    }
}

/// A whole file that is read is compared with its record on the way.
async fn compare(place: &Place) -> Outcome {
    let entry = place.fs.stat(&place.at, place.when).await?;
    if !entry.is_file() {
        let what = format!("cannot read {}", place.typed);
        let why = format!("it is a {}", entry.kind.name());
        return Err(Failure::new(
            Exit::Conflict,
            what,
            why,
            "Name a file, or leave --read out",
        ));
    }
    let mut reading = place.fs.read(&place.at, place.when, None).await?;
    while reading.bytes.try_next().await?.is_some() {}
    Ok(())
}
