//! `dfsctl doctor`: looks at everything that commonly goes wrong, and says what to do.
use crate::call::Call;
use crate::doctor::{self, Finding, Verdict, local};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Item};
use crate::status::gather;
use crate::tellers::ask_all;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Looks at: health (as status has it, copies included), version, clock (of each member against this
machine), reach (the port of each), disk (fsync times that members measure; a slow one is named), lag,
limits (open files), memory, space. What is fine is told with -o wide or json; else only counted.

Exit codes: 0 nothing is bad (warnings are told), 1 something is bad, 6 no cluster answers.

Examples:
  dfsctl doctor
  dfsctl doctor -o wide                also what is fine
  dfsctl doctor -o json
  dfsctl doctor --local /var/lib/dfs   this machine and that disk, before anything is started"
)]
pub struct Args {
    /// Look at this machine and the disk of this directory instead; nothing has to run
    #[arg(long, value_name = "DIR")]
    local: Option<PathBuf>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let (lsn, findings) = match &args.local {
        Some(dir) => (0, local::examine(&call.env, dir)?),
        None => cluster(call).await?,
    };
    tell(call, lsn, &findings)?;
    if findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad)
    {
        call.verdict(Exit::Other);
    }
    Ok(())
}

async fn cluster(call: &Call) -> Outcome<(u64, Vec<Finding>)> {
    let connector = call.connector().await?;
    let (seen, told) = futures::join!(
        gather::gather(&call.env, &connector),
        ask_all(&call.env, &connector)
    );
    let (seen, told) = (seen.map_err(Failure::from)?, told.map_err(Failure::from)?);
    let findings = doctor::examine(&seen, &told, env!("CARGO_PKG_VERSION"));
    Ok((seen.last_lsn(), findings))
}

fn tell(call: &Call, lsn: u64, findings: &[Finding]) -> Outcome {
    let columns = ["VERDICT", "CHECK", "OF", "SEEN", "DO"].map(Column::text);
    let mut list = call.output.list("FindingList", columns.to_vec());
    let all = !call.output.is_table() || call.output.is_wide();
    let fine = |finding: &&Finding| finding.verdict == Verdict::Ok;
    for finding in findings.iter().filter(|finding| all || !fine(finding)) {
        list.push(lsn, item(finding))?;
    }
    list.end(lsn, false)?;
    let fine = findings.iter().filter(fine).count();
    if call.output.is_table() {
        call.note(&format!("{fine} of {} checks are fine", findings.len()));
    }
    Ok(())
}

fn item(finding: &Finding) -> Item {
    let verdict = finding.verdict.word();
    Item {
        json: json!({
            "check": finding.check, "of": finding.of, "verdict": verdict,
            "seen": finding.seen, "do": finding.act,
        }),
        name: format!("{verdict} {} {}", finding.check, finding.of).into_bytes(),
        cells: vec![
            verdict.into(),
            finding.check.into(),
            finding.of.clone(),
            finding.seen.clone(),
            finding.act.clone(),
        ],
    }
}
