//! `dfsctl node add`: learner, caught up, voter.
use super::asked::Group;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::profile::check_sequencer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, v1};
use serde_json::json;
use std::time::Duration;

/// Each is one question; the deadline is for all of them.
const ASKED_FOR: Duration = Duration::from_secs(5);

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where the sequencer answers that was started with `join = true`
    #[arg(value_name = "HOST:PORT", value_parser = check_sequencer)]
    address: String,
    /// Leave it a learner: it gets everything and counts for nothing
    #[arg(long)]
    learner: bool,
    /// How long it may take to catch up: 30s, 5m
    #[arg(long, value_name = "D", default_value = "5m", value_parser = crate::globals::parse_timeout)]
    deadline: Duration,
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome {
    let group = Group::find(call).await?;
    let own = group.status_of(&args.address).await?;
    let (id, address) = (own.voter, args.address.clone());
    let status = group.status().await?;
    if !own.cluster_id.is_empty() && own.cluster_id != status.cluster_id {
        let what = format!("cannot add {address}");
        let why = "it is a sequencer of another cluster";
        return Err(Failure::new(
            Exit::Conflict,
            what,
            why,
            "Name another, or empty its directory",
        ));
    }
    if call.globals.dry_run {
        return told(call, &status, id, &address, "would be added");
    }
    let known = status.group.iter().find(|member| member.id == id);
    if known.is_none() {
        let add = Op::AddLearner(v1::AddLearner {
            id,
            address: address.clone(),
        });
        group.ask(add).await?;
        call.note(&format!("sequencer/{id} is a learner; it catches up"));
    }
    if known.is_some_and(|member| member.is_voter) {
        let what = format!("cannot add {address}");
        let why = format!("it is sequencer/{id} already, a voter");
        return Err(Failure::new(
            Exit::Conflict,
            what,
            why,
            "Nothing is to be done",
        ));
    }
    if args.learner {
        return told(call, &group.status().await?, id, &address, "is a learner");
    }
    catch_up(&group, id, args.deadline).await?;
    match group.try_ask(Op::Promote(v1::Promote { id })).await {
        // By an attempt whose answer was lost.
        Err(refusal) if refusal.code() == Code::Exists => {}
        done => drop(done?),
    }
    group.remember().await?;
    told(call, &group.status().await?, id, &address, "is a voter")
}

async fn catch_up(group: &Group<'_>, id: u64, within: Duration) -> Outcome {
    let env = &group.call.env;
    let deadline = env.now() + within;
    loop {
        let left = deadline.saturating_duration_since(env.now());
        let there = group.caught_up(id, left.min(ASKED_FOR)).await?;
        if there.caught_up {
            return Ok(());
        }
        if left.is_zero() {
            let what = format!("sequencer/{id} has not caught up");
            let (applied, of) = (there.applied_index, there.committed_index);
            let why = format!("it has applied {applied} of {of} entries");
            let advice = "It stays a learner and goes on; run the command again, or node remove it";
            return Err(Failure::new(Exit::TimedOut, what, why, advice));
        }
    }
}

fn told(call: &Call, status: &v1::GroupStatus, id: u64, address: &str, is: &str) -> Outcome {
    let voters = status.group.iter().filter(|member| member.is_voter).count();
    let name = format!("sequencer/{id}");
    let line = format!("{name} at {address} {is}  voters {voters}");
    let fields = json!({
        "name": name, "id": id, "address": address, "voters": voters,
        "dry_run": call.globals.dry_run,
    });
    let lsn = status.next_lsn.saturating_sub(1);
    call.output
        .told("NodeAdded", lsn, fields, name.as_bytes(), &line)
}
