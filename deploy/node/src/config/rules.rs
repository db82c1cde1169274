//! Keys that contradict each other, each alone being allowed.
use crate::config::{NodeConfig, RoleName};
use std::net::SocketAddr;

/// Keys that do not go together.
pub(crate) struct Contradiction {
    /// The first is the one to blame; a message points at the first of them that somebody wrote.
    pub(crate) keys: &'static [&'static str],
    pub(crate) found: String,
    pub(crate) allowed: String,
}

impl Contradiction {
    pub(crate) fn key(&self) -> &'static str {
        self.keys.first().copied().unwrap_or_default()
    }
}

pub(crate) fn contradictions(config: &NodeConfig) -> Vec<Contradiction> {
    let mut found = Vec::new();
    roles(config, &mut found);
    voters(config, &mut found);
    own_address(config, &mut found);
    metrics(config, &mut found);
    copies(config, &mut found);
    found
}

fn say(
    found: &mut Vec<Contradiction>,
    keys: &'static [&'static str],
    value: impl std::fmt::Display,
    allowed: impl Into<String>,
) {
    found.push(Contradiction {
        keys,
        found: format!(" = {value}"),
        allowed: allowed.into(),
    });
}

fn roles(config: &NodeConfig, found: &mut Vec<Contradiction>) {
    if config.roles.is_empty() {
        let allowed = format!("name at least one of {}", super::keys::role_names());
        say(found, &["roles"], "[]", allowed);
    } else if config.sequencers.is_empty() && !config.runs(RoleName::Sequencer) {
        let allowed = "name the address of each sequencer: none runs here";
        say(found, &["sequencers", "roles"], "[]", allowed);
    }
}

fn voters(config: &NodeConfig, found: &mut Vec<Contradiction>) {
    let listed = config.sequencers.len();
    if config.voters > 1 && listed > 1 {
        let allowed = format!(
            "allowed is 1, as `sequencers` lists {listed}: each runs in a process of its own"
        );
        say(found, &["voters", "sequencers"], config.voters, allowed);
    }
    if !config.join {
        return;
    }
    if !config.runs(RoleName::Sequencer) {
        let allowed = "allowed is false, as no sequencer runs here: other roles join by themselves";
        say(found, &["join", "roles"], "true", allowed);
    } else if listed == 0 {
        let allowed = "name at least one sequencer of the cluster in `sequencers`, or leave it out";
        say(found, &["join", "sequencers"], "true", allowed);
    } else if config.voters > 1 {
        let allowed = "allowed is 1, as join = true: one sequencer joins at a time";
        say(found, &["voters", "join"], config.voters, allowed);
    }
}

fn own_address(config: &NodeConfig, found: &mut Vec<Contradiction>) {
    let Ok(listen) = config.listen.parse::<SocketAddr>() else {
        return; // its kind says so
    };
    let shown = format!("\"{}\"", config.listen);
    if !listen.ip().is_loopback() && !config.insecure {
        let allowed = "allowed is only loopback, unless insecure = true: nothing is encrypted yet";
        say(found, &["listen", "insecure"], &shown, allowed);
    }
    if listen.ip().is_unspecified() && config.advertise.is_none() {
        let allowed = "say in `advertise` where others find this process: nobody can dial this";
        say(found, &["listen", "advertise"], &shown, allowed);
    }
    let founds = config.runs(RoleName::Sequencer) && !config.join && config.sequencers.len() > 1;
    let own = config.advertise.as_ref().unwrap_or(&config.listen);
    let is_known = config.advertise.is_some() || listen.port() != 0;
    if founds && is_known && !config.sequencers.contains(own) {
        let keys = &["sequencers", "advertise", "listen"];
        let allowed = format!("it must hold {own}, where the sequencer of this process answers");
        say(found, keys, list(&config.sequencers), allowed);
    }
}

/// The port of metrics is open to whoever reaches it, too.
fn metrics(config: &NodeConfig, found: &mut Vec<Contradiction>) {
    let Some(Ok(address)) = config.metrics.as_ref().map(|at| at.parse::<SocketAddr>()) else {
        return;
    };
    let shown = format!("\"{address}\"");
    if !address.ip().is_loopback() && !config.insecure {
        let allowed = "allowed is only loopback, unless insecure = true: nothing is encrypted yet";
        say(found, &["metrics", "insecure"], &shown, allowed);
    }
    if address.port() != 0 && config.listen == address.to_string() {
        let allowed = "allowed is another port than that of `listen`";
        say(found, &["metrics", "listen"], &shown, allowed);
    }
}

fn list(elements: &[String]) -> toml::Value {
    elements
        .iter()
        .cloned()
        .map(toml::Value::from)
        .collect::<Vec<_>>()
        .into()
}

fn copies(config: &NodeConfig, found: &mut Vec<Contradiction>) {
    let (r, w) = (config.log_replicas(), config.log_write_quorum());
    if w > r {
        let keys = &["cluster.log_write_quorum", "cluster.log_replicas"];
        let allowed = format!("allowed is at most {r}, which is cluster.log_replicas");
        say(found, keys, w, allowed);
    }
}
