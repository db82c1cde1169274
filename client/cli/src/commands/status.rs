//! `dfsctl status`: what every role says of itself, and what is not as it should be.
use crate::call::Call;
use crate::failure::{Failure, Outcome};
use crate::status;
use std::time::Duration;

/// As `watch` has it.
const EVERY: Duration = Duration::from_secs(2);

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl status\n  dfsctl status --watch\n  dfsctl status -o json"
)]
pub struct Args {
    /// Ask again every two seconds, until interrupted
    #[arg(short, long)]
    watch: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    loop {
        match once(call).await {
            Err(failure) if args.watch && !failure.silent => call.failed(&failure),
            outcome => outcome?,
        }
        if !args.watch {
            return Ok(());
        }
        call.env.sleep(EVERY).await;
    }
}

async fn once(call: &Call) -> Outcome {
    let asked = call.cluster().await?.fs.status().await;
    let asked = asked.map_err(Failure::from)?;
    let lsn = asked.sequencer.next_lsn.saturating_sub(1);
    let fields = status::to_json(&asked);
    let text = status::to_text(&asked, call.output.is_wide());
    let name = crate::quote::hex(&asked.sequencer.cluster_id);
    call.output
        .data("Status", lsn, fields, name.as_bytes(), &text)
}
