//! `dfsctl diff`: in what two trees differ: two moments, two places, local against remote.
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::filter::Filter;
use crate::output::Column;
use crate::sides::{self, Become};
use dfs_fs::compare::{CompareOptions, Pair, Side, compare};
use futures::TryStreamExt;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "A and B are addresses, which begin with / or a name and :/, or local files: plain paths, or file:/PATH
where they begin with /. Lines are `+ path` only in B, `- path` only in A, and `~ path (how)`, in the
order of names, from the roots down. Between addresses contents differ by size or by the checksums
that the records have; else by size or mtime, or with --checksum by size or checksum.
Exit code 0: no difference. 1: some. Anything else: it could not be told.

Examples:
  dfsctl diff /demo@1219 /demo               what has changed since LSN 1219
  dfsctl diff /demo@-1d /demo@-1h -o jsonl
  dfsctl diff ./photos /demo/photos
  dfsctl diff --checksum file:/srv/photos /demo/photos"
)]
pub struct Args {
    #[arg(value_name = "A")]
    left: OsString,
    #[arg(value_name = "B")]
    right: OsString,
    /// Compare checksums; local files are read for it
    #[arg(short, long)]
    checksum: bool,
    /// Mode, owner and time count too, also of directories
    #[arg(short, long)]
    attributes: bool,
    #[command(flatten)]
    filter: Filter,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let left = call.side(&args.left, false).await?;
    let right = call.side(&args.right, false).await?;
    let options = CompareOptions {
        checksum: args.checksum,
        keep: args.filter.keep(),
    };
    let (left, right) = (left.side(), right.side());
    for (side, typed) in [(&left, &args.left), (&right, &args.right)] {
        exists(call, side, typed, "compare").await?;
    }
    let counts = print(call, left, right, options, args.attributes, true).await?;
    call.note(&sides::sum(counts));
    if counts.iter().any(|count| *count > 0) {
        call.verdict(Exit::Other);
    }
    Ok(())
}

/// What is not there is a mistake, not an empty tree.
pub(crate) async fn exists(
    call: &Call,
    side: &Side,
    typed: &OsString,
    verb: &'static str,
) -> Outcome {
    match side {
        Side::Local(path) => {
            let path = path.clone();
            let found = call.env.blocking(move || std::fs::symlink_metadata(path));
            let found = found.await.map(drop);
            found.map_err(|e| Failure::local(verb, typed.as_ref(), &e))
        }
        Side::Remote(fs, at, when) => Ok(fs.stat(at, *when).await.map(drop)?),
    }
}

/// Prints every difference as it comes; how many were added, removed, changed. `removals`: also those.
pub(crate) async fn print(
    call: &Call,
    left: Side,
    right: Side,
    options: CompareOptions,
    attributes: bool,
    removals: bool,
) -> Outcome<[u64; 3]> {
    let mut list = call.output.list("DifferenceList", vec![Column::text("")]);
    let mut pairs = compare(&call.env, left, right, options);
    let (mut counts, mut lsn, mut untold): ([u64; 3], u64, Option<Vec<u8>>) = ([0; 3], 0, None);
    while let Some(pair) = pairs.try_next().await? {
        if untold
            .as_ref()
            .is_some_and(|above| is_below(&pair.path, above))
        {
            continue;
        }
        if let Some(failure) = unreadable(&pair) {
            call.failed(&failure);
            untold = Some(pair.path);
            continue;
        }
        let nodes = [&pair.left, &pair.right].into_iter().flatten();
        lsn = nodes.map(|node| node.seen_lsn).fold(lsn, u64::max);
        let Some(became) = sides::become_of(&pair, attributes) else {
            continue;
        };
        if became == Become::Removed && !removals {
            continue;
        }
        counts[became as usize] += 1;
        list.push(lsn, sides::item(&pair, became, attributes))?;
    }
    list.end(lsn, false)?;
    Ok(counts)
}

fn is_below(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| above.is_empty() || rest.first() == Some(&b'/'))
}

fn unreadable(pair: &Pair) -> Option<Failure> {
    let nodes = [&pair.left, &pair.right].into_iter().flatten();
    let refusal = nodes.filter_map(|node| node.unreadable.clone()).next()?;
    Some(Failure {
        exit: Exit::Partial,
        ..Failure::from(refusal)
    })
}
