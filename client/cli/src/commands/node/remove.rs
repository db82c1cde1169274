//! `dfsctl node remove`: out of the group, or out of the cluster.
use super::asked::Group;
use super::list::one;
use super::named::Named;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, v1};
use serde_json::json;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// sequencer/N, materializer/N, node/N, or the address of a process with one role
    #[arg(value_name = "NAME")]
    name: Named,
    /// Also where a single sequencer is left
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome {
    let group = Group::find(call).await?;
    let status = group.status().await?;
    let row = one(&status, &args.name)?;
    let name = row.name.to_string();
    let op = match row.name {
        Named::Sequencer(id) => Op::RemoveVoter(v1::RemoveVoter {
            id,
            force: args.force,
        }),
        Named::Materializer(node_id) | Named::Node(node_id) => {
            Op::RemoveNode(v1::RemoveNode { node_id })
        }
        Named::Unit(_) | Named::Address(_) => return Err(holds_bytes(&name)),
    };
    if !call.globals.dry_run {
        match group.try_ask(op).await {
            // By an attempt whose answer was lost: it was there a moment ago.
            Err(refusal) if refusal.code() == Code::NotFound => {}
            done => drop(done?),
        }
        if matches!(row.name, Named::Sequencer(_)) {
            group.remember().await?;
        }
    }
    let did = match call.globals.dry_run {
        true => "would be removed",
        false => "is removed; its process can be stopped",
    };
    let fields = json!({ "name": name, "address": row.address, "dry_run": call.globals.dry_run });
    let lsn = status.next_lsn.saturating_sub(1);
    let line = format!("{name} at {} {did}", row.address);
    call.output
        .told("NodeRemoved", lsn, fields, name.as_bytes(), &line)
}

fn holds_bytes(name: &str) -> Failure {
    let what = format!("cannot remove {name}");
    let why = "it holds bytes that are not moved away by this command";
    let advice = "Leave it; a unit whose directory is lost is replaced by an empty one in its slot";
    Failure::new(Exit::State, what, why, advice)
}
