//! Where a command's own spans go: to a collector, if the environment names one.
use dfs_env::Env;
use dfs_node::traces::Traces;
use std::time::Duration;

/// The first one that is set. The second is what OpenTelemetry calls it everywhere.
const VARIABLES: [&str; 2] = ["DFSCTL_TRACES", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// A command does not last longer for a collector that is away.
const SENT_WITHIN: Duration = Duration::from_millis(500);

/// `None`: to nobody. What is no address is told and passed over.
pub(crate) fn start(env: &Env) -> Option<Traces> {
    for name in VARIABLES {
        let set = std::env::var(name).ok();
        let Some(collector) = set.filter(|collector| !collector.is_empty()) else {
            continue;
        };
        match Traces::start(env, &collector, "dfsctl") {
            Ok(traces) => return Some(traces),
            Err(error) => dfs_cli::say(&format!("{name} is passed over: {error}")),
        }
    }
    None
}

pub(crate) async fn stop(traces: Option<Traces>) {
    if let Some(traces) = traces {
        traces.stop(SENT_WITHIN).await;
    }
}
