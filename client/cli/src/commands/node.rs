//! `dfsctl node list|get|add|drain|remove|transfer-leader|wait`: what a cluster is made of.
mod add;
mod asked;
mod drain;
mod list;
mod named;
mod remove;
mod row;
mod transfer_leader;
mod wait;

use crate::call::Call;
use crate::failure::Outcome;
use clap::Subcommand;
use named::Named;

#[derive(Subcommand, Debug)]
pub enum Args {
    /// List sequencers, log units and materializers
    #[command(
        after_help = "LAG is what a sequencer or a materializer has not applied yet, of what is committed.

Examples:
  dfsctl node list
  dfsctl node list -o wide
  dfsctl node list -o name | grep sequencer"
    )]
    List,
    /// Show one of them
    #[command(after_help = "Examples:
  dfsctl node get sequencer/2
  dfsctl node get unit/3 -o json
  dfsctl node get 127.0.0.1:9101")]
    Get {
        /// sequencer/N, unit/N, materializer/N, node/N, or the address of a process with one role
        #[arg(value_name = "NAME")]
        name: Named,
    },
    /// Make a sequencer that was started with `join = true` a voter of the group
    #[command(
        after_help = "It is added as a learner, gets everything, and becomes a voter when it has applied what the
leader had committed. Interrupted, it is run again: it goes on where it was.
Log units and materializers need no such command: they belong to the cluster once they are started.

Examples:
  dfsctl serve sequencer --config joins.toml &    join = true, sequencers = [\"10.0.0.1:9010\"]
  dfsctl node add 10.0.0.4:9010
  dfsctl node add 10.0.0.4:9010 --learner"
    )]
    Add(add::Args),
    /// Move what lies on a log unit to others, so that it can be removed
    #[command(
        after_help = "It takes no new lanes, those that it has go on elsewhere, and what was written earlier is copied
until enough others hold it. Writers and readers do not notice. Interrupted, it goes on by itself;
run it again to see how far it is. Extents of files stay where they are.

Examples:
  dfsctl node drain unit/3
  dfsctl node drain unit/3 --no-wait
  dfsctl node drain unit/3 --undo         it takes new lanes again"
    )]
    Drain(drain::Args),
    /// Remove a sequencer from the group, or a process from the cluster, for good
    #[command(
        after_help = "A sequencer is removed only if most of those that are left answer; --force does not change that.
The last but one is removed with --force only: nothing survives the loss of the last.
The one that leads hands over first. A removed one never comes back under its number:
empty its directory, start it with join = true, and add it.
A log unit is removed when it is drained and holds no extents; one that will never come back, with --lost.

Examples:
  dfsctl node remove sequencer/2
  dfsctl node remove sequencer/2 --force     also if only one is left
  dfsctl node remove materializer/7
  dfsctl node drain unit/3 && dfsctl node remove unit/3"
    )]
    Remove(remove::Args),
    /// Let another sequencer lead
    #[command(after_help = "Examples:
  dfsctl node transfer-leader             to the one that is furthest
  dfsctl node transfer-leader --to 2")]
    TransferLeader(transfer_leader::Args),
    /// Wait until something is true of one of them
    #[command(after_help = "Exit code 7 when it is not true in time.

Examples:
  dfsctl node wait sequencer/4 --for caught-up
  dfsctl node wait sequencer/2 --for leader --deadline 10s
  dfsctl node wait unit/3 --for live
  dfsctl node wait materializer/7 --for caught-up && echo it has folded everything")]
    Wait(wait::Args),
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    match args {
        Args::List => list::list(call).await,
        Args::Get { name } => list::get(call, &name).await,
        Args::Add(args) => add::run(call, args).await,
        Args::Drain(args) => drain::run(call, args).await,
        Args::Remove(args) => remove::run(call, args).await,
        Args::TransferLeader(args) => transfer_leader::run(call, args).await,
        Args::Wait(args) => wait::run(call, args).await,
    }
}
