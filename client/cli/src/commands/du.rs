//! `dfsctl du`: how much lies below a path.
use crate::address;
use crate::call::{Call, Place};
use crate::failure::Outcome;
use crate::json;
use crate::output::{Column, Item};
use crate::{figures, quote};
use dfs_fs::Usage;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Bytes of contents, each as often as it is named; copies by reference are counted in full.

Examples:
  dfsctl du /demo
  dfsctl du -d 1 /             each directory of the root
  dfsctl du /demo@-1d -o json"
)]
pub struct Args {
    #[arg(value_name = "ADDRESS", default_value = "/")]
    paths: Vec<OsString>,
    /// Also each directory down to this depth
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    depth: usize,
    /// Only the sum of each path (as without -d)
    #[arg(short, long, conflicts_with = "depth")]
    summarize: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let columns = vec![
        Column::figure("SIZE"),
        Column::figure("BYTES"),
        Column::figure("FILES"),
        Column::figure("DIRECTORIES"),
        Column::text("PATH"),
    ];
    let mut list = call.output.list("UsageList", columns);
    let mut last_lsn = 0;
    for path in &call.meant(&args.paths).await? {
        match sums(call, path, args.depth).await {
            Ok((lsn, sums)) => {
                last_lsn = lsn;
                for (path, usage) in &sums {
                    list.push(lsn, item(path, usage))?;
                }
            }
            Err(failure) => call.failed(&failure),
        }
    }
    list.end(last_lsn, false)
}

/// By path: the one asked about, and those below it down to `depth`.
async fn sums(
    call: &Call,
    path: &OsString,
    depth: usize,
) -> Outcome<(u64, BTreeMap<Vec<u8>, Usage>)> {
    let place: Place = call.place(path).await?;
    let moment = place.fs.resolve(place.when).await?;
    let root = place.fs.stat(&place.at, moment.when()).await?;
    let base = place.at.path();
    let mut sums = BTreeMap::from([(base.to_vec(), Usage::default())]);
    sums.entry(base.to_vec()).or_default().add(&root);
    if root.is_directory() {
        let mut walk = place.fs.walk(&place.at, moment.when());
        while let Some(walked) = walk.try_next().await? {
            let path = walked.address.path();
            let holds = walked.entry.is_directory();
            for above in directories_of(base, path, depth, holds) {
                sums.entry(above.to_vec()).or_default().add(&walked.entry);
            }
        }
    }
    Ok((moment.lsn, sums))
}

/// `base` and the directories between it and `path`, down to `depth`; `path` too if it `holds` others.
fn directories_of<'a>(base: &'a [u8], path: &'a [u8], depth: usize, holds: bool) -> Vec<&'a [u8]> {
    let first = if base.is_empty() { 0 } else { base.len() + 1 };
    let below = path.iter().enumerate().skip(first);
    let ends = below.filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let last = holds.then_some(path.len());
    let inner = ends.chain(last).take(depth).map(|end| &path[..end]);
    std::iter::once(base).chain(inner).collect()
}

fn item(path: &[u8], usage: &Usage) -> Item {
    let mut fields = json::at_path(path);
    fields["bytes"] = usage.bytes.into();
    fields["files"] = usage.files.into();
    fields["directories"] = usage.directories.into();
    fields["symlinks"] = usage.symlinks.into();
    Item {
        json: fields,
        name: address::escape(path),
        cells: vec![
            figures::bytes(usage.bytes),
            usage.bytes.to_string(),
            usage.files.to_string(),
            usage.directories.to_string(),
            quote::shown(&[b"/", path].concat()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::directories_of;

    #[test]
    fn an_entry_counts_for_every_directory_above_it() {
        let of = |base: &'static str, path: &'static str, depth, holds| {
            directories_of(base.as_bytes(), path.as_bytes(), depth, holds)
        };
        assert_eq!(of("", "a/b/c", 0, false), [b"".as_slice()]);
        assert_eq!(of("", "a/b/c", 1, false), [b"".as_slice(), b"a"]);
        assert_eq!(of("", "a/b/c", 9, false), [b"".as_slice(), b"a", b"a/b"]);
        assert_eq!(of("a", "a/b/c", 9, false), [b"a".as_slice(), b"a/b"]);
        assert_eq!(of("a", "a/b", 1, true), [b"a".as_slice(), b"a/b"]);
    }
}
