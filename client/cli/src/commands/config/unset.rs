//! `dfsctl config unset`: settings of the cluster are again what it was made with.
use super::{Elsewhere, change, named};
use crate::call::Call;
use crate::failure::Outcome;

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  dfsctl config unset replication
  dfsctl config unset retention_seconds retention_mib")]
pub struct Args {
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(call: &Call, args: Args, elsewhere: Elsewhere) -> Outcome {
    let names = args.names.iter();
    let changes = names.map(|name| Ok((named(name, elsewhere)?, None)));
    change(call, changes.collect::<Outcome<_>>()?).await
}
