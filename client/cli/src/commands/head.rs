//! `dfsctl head`: the beginning of files.
use crate::call::{Call, Place};
use crate::commands::cat;
use crate::failure::Outcome;
use crate::figures::parse_bytes;
use futures::StreamExt;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl head /demo/log.txt\n  dfsctl head -c 1KiB /demo/photo.jpg"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// So many lines
    #[arg(short = 'n', long, default_value_t = 10, conflicts_with = "bytes")]
    lines: u64,
    /// So many bytes: 512, 4KiB
    #[arg(short = 'c', long, value_parser = parse_bytes)]
    bytes: Option<u64>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| show(call, path, &args)).await
}

async fn show(call: &Call, path: &OsString, args: &Args) -> Outcome {
    let place = call.place(path).await?;
    match args.bytes {
        Some(bytes) => cat::copy_range(call, &place, Some(0..bytes)).await,
        None => first_lines(call, &place, args.lines).await,
    }
}

async fn first_lines(call: &Call, place: &Place, mut left: u64) -> Outcome {
    let mut reading = place.fs.read(&place.at, place.when, None).await?;
    while left > 0 {
        let Some(bytes) = reading.bytes.next().await else {
            break;
        };
        let bytes = bytes?;
        call.output.raw(&bytes[..end_of_lines(&bytes, &mut left)])?;
    }
    call.output.flush()
}

/// Where the last of `left` lines ends in `bytes`; `left` is what then remains.
fn end_of_lines(bytes: &[u8], left: &mut u64) -> usize {
    for (i, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            *left -= 1;
            if *left == 0 {
                return i + 1;
            }
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::end_of_lines;

    #[test]
    fn lines_are_counted_across_pieces() {
        let mut left = 3;
        assert_eq!(end_of_lines(b"a\nb\nc", &mut left), 5);
        assert_eq!(left, 1);
        assert_eq!(end_of_lines(b"c\nd\n", &mut left), 2);
        assert_eq!(left, 0);
    }
}
