//! `dfsctl node remove`: out of the group, or out of the cluster.
use super::asked::Group;
use super::list::one;
use super::named::Named;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use dfs_rpc::roles::Sequencer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, v1};
use serde_json::json;
use std::sync::Arc;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// sequencer/N, unit/N, materializer/N, node/N, or the address of a process with one role
    #[arg(value_name = "NAME")]
    name: Named,
    /// Also where a single sequencer is left
    #[arg(long)]
    force: bool,
    /// The unit will never come back: what only it held is given up
    #[arg(long)]
    lost: bool,
}

/// How it is asked for.
enum Removal {
    Of(Op),
    OfUnit(v1::RemoveUnitRequest),
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome {
    let group = Group::find(call).await?;
    let status = group.status().await?;
    let row = one(&status, &args.name)?;
    let name = row.name.to_string();
    let removal = removal(&row.name, &args)?;
    if !call.globals.dry_run {
        let done = match removal {
            Removal::Of(op) => group.try_ask(op).await.map(drop),
            Removal::OfUnit(unit) => {
                let ask = async |leader: Arc<dyn Sequencer>| leader.remove_unit(unit).await;
                group.try_with(ask).await.map(drop)
            }
        };
        match done {
            // By an attempt whose answer was lost: it was there a moment ago.
            Err(refusal) if refusal.code() == Code::NotFound => {}
            done => done?,
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

fn removal(name: &Named, args: &Args) -> Outcome<Removal> {
    let (force, lost) = (args.force, args.lost);
    if lost && !matches!(name, Named::Unit(_)) {
        let what = format!("cannot remove {name} as lost");
        let why = "only a log unit holds what could be lost with it";
        return Err(Failure::usage(what, why, "Leave out --lost"));
    }
    Ok(match *name {
        Named::Sequencer(id) => Removal::Of(Op::RemoveVoter(v1::RemoveVoter { id, force })),
        Named::Materializer(node_id) | Named::Node(node_id) => {
            Removal::Of(Op::RemoveNode(v1::RemoveNode { node_id }))
        }
        Named::Unit(unit_id) => Removal::OfUnit(v1::RemoveUnitRequest { unit_id, lost }),
        Named::Address(ref address) => {
            let what = format!("cannot remove {address}");
            let why = "it is an address, and no role answers there that can be removed";
            let advice = "Name it as `dfsctl node list` does";
            return Err(Failure::new(Exit::NotFound, what, why, advice));
        }
    })
}
