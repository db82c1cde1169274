//! `dfsctl node transfer-leader`: another sequencer leads from now on.
use super::asked::Group;
use super::named;
use crate::call::Call;
use crate::failure::Outcome;
use dfs_wire::v1;
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use serde_json::json;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The number of the sequencer that is to lead; default: the one that is furthest
    #[arg(long, value_name = "N", value_parser = named::sequencer)]
    to: Option<u64>,
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome {
    let group = Group::find(call).await?;
    let before = group.status().await?;
    let (from, to) = match call.globals.dry_run {
        true => (before.leader, args.to.unwrap_or(0)),
        false => {
            let to = args.to.unwrap_or(0);
            let moved = group
                .ask(Op::MoveLeadership(v1::MoveLeadership { to }))
                .await?;
            match moved {
                Answer::LeadershipMoved(moved) => (before.leader, moved.to),
                _ => (before.leader, to),
            }
        }
    };
    let line = match (call.globals.dry_run, from == to) {
        (true, _) => format!("sequencer/{from} would hand over"),
        (false, true) => format!("sequencer/{to} leads already"),
        (false, false) => format!("sequencer/{to} leads; sequencer/{from} did"),
    };
    let fields = json!({ "from": from, "to": to, "dry_run": call.globals.dry_run });
    let (lsn, name) = (before.next_lsn.saturating_sub(1), format!("sequencer/{to}"));
    call.output
        .told("LeaderTransferred", lsn, fields, name.as_bytes(), &line)
}
