//! `dfsctl config set`: settings of the cluster get other values, in one record.
use super::{Elsewhere, change, named};
use crate::call::Call;
use crate::failure::{Failure, Outcome};

#[derive(clap::Args, Debug)]
#[command(
    after_help = "All in one record of the log: everybody uses the new values within a second, and the past
keeps the old ones. What a process's own TOML says (dfsctl config view) is not set here.
With --if-lsn it is refused if one of them was changed after that LSN; 0: if one was ever changed.

Examples:
  dfsctl config set replication 3
  dfsctl config set retention_seconds 86400 retention_mib 4096
  dfsctl config set --if-lsn 1219 name_bytes_max 143"
)]
pub struct Args {
    /// What dfsctl config settings lists, each with its value
    #[arg(required = true, num_args = 2.., value_names = ["NAME", "VALUE"])]
    pairs: Vec<String>,
}

pub(super) async fn run(call: &Call, args: Args, elsewhere: Elsewhere) -> Outcome {
    let mut changes = Vec::new();
    for pair in args.pairs.chunks(2) {
        let [name, value] = pair else {
            let why = format!("{} has no value", pair.join(" "));
            let advice = "Give NAME VALUE [NAME VALUE ...]";
            return Err(Failure::usage("cannot change settings", why, advice));
        };
        let setting = named(name, elsewhere)?;
        let Ok(number) = value.parse::<u64>() else {
            let why = format!("{value} is not allowed: {}", setting.allowed());
            return Err(Failure::usage(format!("setting {name}"), why, setting.why));
        };
        setting.check(number)?;
        changes.push((setting, Some(number)));
    }
    change(call, changes).await
}
