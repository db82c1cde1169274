//! `dfsctl serve`: roles of a cluster in this process, from one configuration.
use crate::system::{self, End, Signals};
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_node::config::{ConfigError, NodeConfig, RoleName};
use dfs_node::directory::hex;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "SIGTERM stops it in order, within 5 s; kill -9 is always safe. Log lines are JSON, on standard error.

Examples:
  dfsctl serve --config node.toml                      what the configuration says
  dfsctl serve sequencer --config node.toml
  dfsctl serve unit materializer --config node.toml"
)]
pub(crate) struct Args {
    /// sequencer, unit, materializer; none: those of the configuration
    #[arg(value_name = "ROLE")]
    roles: Vec<RoleName>,
    /// TOML: directory, address, sequencers, units (see deploy/config)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let mut config = NodeConfig::read(&args.config).map_err(|e| bad_config(&e))?;
    if !args.roles.is_empty() {
        config.roles = args.roles;
        config.check().map_err(|e| bad_config(&e))?;
    }
    let roles: Vec<&str> = config.roles.iter().map(|role| role.as_str()).collect();
    let roles = roles.join(", ");
    let mut signals = Signals::catch()?;
    let node = match system::start(call, config, &mut signals).await? {
        Ok(node) => node,
        Err(end) => return Ok(end),
    };
    let serving = &node.roles();
    let (address, cluster) = (node.address(), hex(&serving.cluster_id));
    call.note(&format!(
        "serving {roles} on {address}  cluster {cluster}  node {}",
        serving.owner.node_id
    ));
    system::serve(node, &mut signals).await
}

fn bad_config(error: &ConfigError) -> Failure {
    let exit = match error {
        ConfigError::Read { source, .. } => Exit::of_local(source.kind()),
        ConfigError::Parse { .. } | ConfigError::Value { .. } => Exit::Usage,
    };
    let why = error.to_string();
    Failure::new(
        exit,
        "cannot use the configuration",
        why,
        "Correct it; deploy/config has an example",
    )
}
