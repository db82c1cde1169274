//! `dfsctl dev`: a whole system on this machine, in one process.
mod before;
mod demo;
mod directory;
mod down;
mod files;
mod reset;
mod up;

use crate::system::End;
use clap::Subcommand;
use dfs_cli::{Call, Outcome};

#[derive(Subcommand, Debug)]
pub(crate) enum Args {
    /// Start a system and return once it serves
    Up(up::Args),
    /// Stop it
    Down(down::Args),
    /// Delete all its data
    Reset(reset::Args),
    /// Show it at work on the files that git tracks here, then keep serving
    Demo(demo::Args),
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    match args {
        Args::Up(args) => Box::pin(up::run(call, args)).await,
        Args::Down(args) => down::run(call, args).await.map(|()| End::Done),
        Args::Reset(args) => reset::run(call, args).map(|()| End::Done),
        Args::Demo(args) => Box::pin(demo::run(call, args)).await,
    }
}
