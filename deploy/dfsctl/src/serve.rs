//! `dfsctl serve`: roles of a cluster in this process, from one configuration.
use crate::config::{Set, loaded, sources};
use crate::system::{self, End, Signals};
use dfs_cli::{Call, Outcome};
use dfs_node::config::RoleName;
use dfs_node::config::load::Flag;
use dfs_node::directory::hex;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "SIGTERM stops it in order, within 5 s; kill -9 is always safe. Log lines are JSON, on standard error.
Flags override the environment (DFS_UNITS, DFS_RETENTION__SECONDS), that the file, that the default; all keys:
dfsctl config view --defaults.

Examples:
  dfsctl serve --config node.toml                      what the configuration says
  dfsctl serve sequencer --config node.toml --set listen=127.0.0.1:9101
  dfsctl serve unit materializer --config node.toml"
)]
pub(crate) struct Args {
    /// sequencer, unit, materializer; none: those of the configuration
    #[arg(value_name = "ROLE")]
    roles: Vec<RoleName>,
    /// TOML: directory, address, sequencers, units (see deploy/config)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Overrides a key of the configuration: --set units=3 --set retention.seconds=86400
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Set>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let mut sources = sources(Some(&args.config), &args.set);
    if !args.roles.is_empty() {
        let names: Vec<&str> = args.roles.iter().map(|role| role.as_str()).collect();
        sources.flags.push(Flag {
            typed: format!("serve {}", names.join(" ")),
            key: "roles".into(),
            value: names.join(","),
        });
    }
    let config = loaded(&sources)?.config;
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
    if let Some(address) = node.metrics_address() {
        call.note(&format!("metrics on http://{address}/metrics"));
    }
    system::serve(node, &mut signals).await
}
