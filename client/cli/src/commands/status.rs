//! `dfsctl status`: a cluster on one screen, and in its exit code.
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::screen::Screen;
use crate::status::{self, Health, Seen, gather};
use dfs_rpc::connector::NodeConnector;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "healthy: nothing is known to be wrong. degraded: everything is served, but something is not as it
should be, and another loss may stop it. unavailable: reads or writes are refused or wait.
Each problem that does not mend itself has the command that mends it. END is the last LSN that a
materializer has folded, or the last raft entry that a sequencer has; LAG is what it has not.

Exit codes: 0 healthy, 1 degraded, 6 unavailable; with --watch of the last look. Ctrl-C ends with 130.

Examples:
  dfsctl status
  dfsctl status --watch                 drawn again every two seconds
  dfsctl status --watch 10 -o jsonl     a line every ten seconds, for programs
  dfsctl status -o wide                 also stripes that are closed, and groups
  dfsctl status -q >/dev/null || echo look at it"
)]
pub struct Args {
    /// Look again every so many seconds, until interrupted
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = parse_seconds)]
    watch: Option<Duration>,
    /// With --watch: end after so many looks
    #[arg(short = 'n', long, value_name = "COUNT", requires = "watch",
          value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Seconds, with a fraction if need be.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write seconds: 2, 0.5")?;
    // Faster than that nobody reads, and members would be busy with telling.
    let within = (0.1..=86_400.0).contains(&seconds);
    within
        .then(|| Duration::from_secs_f64(seconds))
        .ok_or_else(|| "from 0.1 to 86400 seconds".into())
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let Some(every) = args.watch else {
        let looked = match call.connector().await {
            Ok(connector) => look(call, &connector).await,
            Err(failure) => Err(failure),
        };
        let seen = looked.inspect_err(|failure| nobody(call, failure))?;
        return told(call, &seen).map(|health| call.verdict(health.exit()));
    };
    let (screen, mut connector, mut looks) = (Screen::open(call)?, None, 0);
    loop {
        let health = watched(call, &screen, &mut connector).await?;
        looks += 1;
        if args.count.is_some_and(|count| looks >= count) {
            call.verdict(health.exit());
            return Ok(());
        }
        call.env.sleep(every).await;
    }
}

async fn look(call: &Call, connector: &Arc<NodeConnector>) -> Outcome<Seen> {
    let seen = gather::gather(&call.env, connector).await;
    seen.map_err(|refusal| {
        let mut failure = Failure::from(refusal);
        // Nothing was to be done, so nothing about it is unknown.
        if failure.exit == Exit::TimedOut {
            failure.exit = Exit::Unavailable;
        }
        failure
    })
}

fn told(call: &Call, seen: &Seen) -> Outcome<Health> {
    let fields = status::to_json(seen);
    let text = status::to_text(seen, call.output.is_wide());
    let health = status::health(seen);
    let name = health.word().as_bytes();
    call.output
        .data("Status", seen.last_lsn(), fields, name, &text)?;
    Ok(health)
}

/// Programs read standard output also where nobody answers; people are told by the failure.
fn nobody(call: &Call, failure: &Failure) {
    if failure.exit == Exit::Unavailable && call.output.is_json() {
        let _ = call
            .output
            .data("Status", 0, nothing(failure), b"unavailable", "");
    }
}

fn nothing(failure: &Failure) -> serde_json::Value {
    let problem = json!({ "what": failure.what, "do": failure.advice, "stops": true });
    json!({ "health": Health::Unavailable.word(), "problems": [problem] })
}

/// One look of many: who cannot be reached is told, and looked for again.
async fn watched(
    call: &Call,
    screen: &Screen,
    connector: &mut Option<Arc<NodeConnector>>,
) -> Outcome<Health> {
    let looked = async {
        let known = match connector.clone() {
            Some(known) => known,
            None => call.connector().await?,
        };
        *connector = Some(known.clone());
        look(call, &known).await
    };
    match looked.await {
        Ok(seen) => {
            let text = status::to_text(&seen, call.output.is_wide());
            if !screen.draw(call, &text)? {
                told(call, &seen)?;
                blank(call)?;
            }
            Ok(status::health(&seen))
        }
        Err(failure) if failure.exit == Exit::Unavailable => {
            let (what, why, act) = (&failure.what, &failure.why, &failure.advice);
            let word = Health::Unavailable.word();
            let text = format!("health        {word}\nproblem: {what}: {why}\n  do: {act}");
            if !screen.draw(call, &text)? {
                let name = word.as_bytes();
                call.output
                    .data("Status", 0, nothing(&failure), name, &text)?;
                blank(call)?;
            }
            Ok(Health::Unavailable)
        }
        Err(failure) => Err(failure),
    }
}

/// Between blocks of text that follow each other.
fn blank(call: &Call) -> Outcome {
    match call.output.is_table() {
        true => call.output.raw(b"\n").and_then(|()| call.output.flush()),
        false => Ok(()),
    }
}
