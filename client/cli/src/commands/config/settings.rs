//! `dfsctl config settings`: the reference of settings, as this program knows them.
use crate::call::Call;
use crate::failure::Outcome;
use dfs_fs::settings;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Asks no cluster: what is in force there, dfsctl config get shows.

Example:
  dfsctl config settings"
)]
pub struct Args {}

pub(super) fn run(call: &Call, _: &Args) -> Outcome {
    call.output.raw(settings::reference().as_bytes())
}
