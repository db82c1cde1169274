//! `dfsctl why REQUEST|PATH|LSN`: what it waits for, or where its time went.
mod lsn;
mod path;
mod request;
mod spans;

use crate::call::Call;
use crate::failure::Outcome;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "A request is the 32 hex digits that stand in every error and in JSON. Members keep the newest spans of
sampled requests (4,096 each); those of a command that was faster than 100 ms and succeeded end with it.
Of an LSN it is told where its record lies, or what lags if it is not there yet; of a path, whose it is and which
of its units are away. Spans, their fields and their bounds: deploy/TRACES.md.

Examples:
  dfsctl why 0af7651916cd43dd8448eb211c80319c
  dfsctl why 1219
  dfsctl why /demo/a.txt -o json"
)]
pub struct Args {
    /// A request's id, an LSN, or an address
    #[arg(value_name = "REQUEST|PATH|LSN")]
    what: OsString,
}

/// As ids of requests are printed.
const ID_DIGITS: usize = 32;

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let text = args.what.to_str().unwrap_or_default();
    if text.len() == ID_DIGITS
        && let Ok(trace_id) = u128::from_str_radix(text, 16)
    {
        return Box::pin(request::why(call, trace_id)).await;
    }
    match text.parse() {
        Ok(lsn) => Box::pin(lsn::why(call, lsn)).await,
        Err(_) => Box::pin(path::why(call, &args.what)).await,
    }
}
