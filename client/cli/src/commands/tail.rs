//! `dfsctl tail`: the end of files, and what comes to it.
use crate::call::{Call, Place};
use crate::commands::cat;
use crate::failure::{Failure, Outcome};
use crate::figures::parse_bytes;
use dfs_wire::limits::EXTENT_BYTES_MAX;
use futures::TryStreamExt;
use std::ffi::OsString;
use std::time::Duration;

/// What is read at first to find the last lines; each further step doubles it.
const STEP_BYTES: u64 = 64 << 10;
/// How often `-f` looks: soon enough for a person, cheap enough for a cluster.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  dfsctl tail /demo/log.txt
  dfsctl tail -n 100 /demo/log.txt@-1h
  dfsctl tail -c 1KiB /demo/data
  dfsctl tail -f /demo/log.txt")]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// So many lines
    #[arg(short = 'n', long, default_value_t = 10, conflicts_with = "bytes")]
    lines: u64,
    /// So many bytes: 512, 4KiB
    #[arg(short = 'c', long, value_parser = parse_bytes)]
    bytes: Option<u64>,
    /// Go on with what is appended, until interrupted
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    if args.follow && paths.len() > 1 {
        let what = "cannot follow several files";
        let why = "their bytes would be mixed";
        return Err(Failure::usage(
            what,
            why,
            "Follow each in a terminal of its own",
        ));
    }
    call.each(&paths, |path| show(call, path, &args)).await
}

async fn show(call: &Call, path: &OsString, args: &Args) -> Outcome {
    let place = match args.follow {
        true => call.target(path).await?,
        false => call.place(path).await?,
    };
    let seen = place.fs.stat(&place.at, place.when).await?;
    // The size and the bytes must be of one version.
    let then = place.pinned(seen.lsn);
    let size = seen.size;
    let from = match args.bytes {
        Some(bytes) => size.saturating_sub(bytes),
        None => start_of_lines(&then, size, args.lines).await?,
    };
    if args.follow {
        return follow(call, &place, from).await;
    }
    cat::copy_range(call, &then, Some(from..size)).await
}

async fn follow(call: &Call, place: &Place, from: u64) -> Outcome {
    let mut bytes = place.fs.follow(&place.at, from, FOLLOW_EVERY);
    while let Some(bytes) = bytes.try_next().await? {
        call.output.raw(&bytes)?;
        call.output.flush()?;
    }
    Ok(())
}

/// Where the last `lines` begin: reads backwards in growing steps.
async fn start_of_lines(place: &Place, size: u64, lines: u64) -> Outcome<u64> {
    if lines == 0 {
        return Ok(size);
    }
    let (mut end, mut step, mut left) = (size, STEP_BYTES, lines);
    while end > 0 {
        let start = end.saturating_sub(step);
        let reading = place.fs.read(&place.at, place.when, Some(start..end));
        let piece = reading.await?.collect().await?;
        if let Some(at) = last_lines(&piece, end == size, &mut left) {
            return Ok(start + at as u64);
        }
        end = start;
        step = (2 * step).min(EXTENT_BYTES_MAX as u64);
    }
    Ok(0)
}

/// Where the last `left` lines begin in `piece`, if they begin in it; else `left` is what remains.
fn last_lines(piece: &[u8], is_last: bool, left: &mut u64) -> Option<usize> {
    for (at, byte) in piece.iter().enumerate().rev() {
        // The break that ends the last line begins no further one.
        if *byte == b'\n' && !(is_last && at + 1 == piece.len()) {
            *left -= 1;
            if *left == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn lines_are_counted_backwards_across_pieces() {
        let mut left = 2;
        assert_eq!(last_lines(b"a\nb\nc\n", true, &mut left), Some(2));
        let mut left = 3;
        assert_eq!(last_lines(b"b\nc\n", true, &mut left), None);
        assert_eq!(left, 2);
        assert_eq!(last_lines(b"x\na\n", false, &mut left), Some(2));
    }
}
