//! The configuration of one process: one TOML, every key with its unit, default and bound.
use dfs_materializer::{RetentionPolicy, SnapshotPolicy};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Sequencers of a cluster: more would make every cut slower and no failure less likely.
const SEQUENCERS_MAX: usize = 7;
/// Slots of log units in one process: each has a directory and a writer of its own.
const UNITS_MAX: u32 = 64;
/// Seven days.
const RETENTION_S: u64 = 7 * 24 * 3600;

/// A role that a process can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    Sequencer,
    Unit,
    Materializer,
}

impl RoleName {
    pub const ALL: [RoleName; 3] = [RoleName::Sequencer, RoleName::Unit, RoleName::Materializer];

    /// As it stands in configurations and in Members.
    pub fn as_str(self) -> &'static str {
        match self {
            RoleName::Sequencer => "sequencer",
            RoleName::Unit => "unit",
            RoleName::Materializer => "materializer",
        }
    }
}

impl std::str::FromStr for RoleName {
    type Err = String;

    fn from_str(name: &str) -> Result<RoleName, String> {
        let found = RoleName::ALL.into_iter().find(|role| role.as_str() == name);
        found.ok_or_else(|| format!("{name} is no role: use sequencer, unit or materializer"))
    }
}

/// What one process runs, and where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The data directory of the process; made if it is missing.
    pub dir: PathBuf,
    /// host:port at which all roles of the process answer; port 0 takes a free one.
    #[serde(default = "default_listen")]
    pub listen: String,
    /// host:port that others are told; default: the address listened on.
    #[serde(default)]
    pub advertise: Option<String>,
    /// What runs here; default: everything.
    #[serde(default = "default_roles")]
    pub roles: Vec<RoleName>,
    /// host:port of each sequencer voter, the same list in all files: the place in it is the voter's id.
    /// May be empty where all sequencers run here.
    #[serde(default)]
    pub sequencers: Vec<String>,
    /// The sequencer of this process founds no cluster: it joins that of `sequencers`, and `dfsctl node add`
    /// makes it a voter. Its id is kept in its directory.
    #[serde(default)]
    pub join: bool,
    /// Sequencer voters in this process, 1, 3 or 5; more than one only where no other process runs one.
    #[serde(default = "default_voters")]
    pub voters: u32,
    /// Slots of log units in this process, 1…64.
    #[serde(default = "default_units")]
    pub units: u32,
    /// The rack this process stands in, for spreading copies; any text.
    #[serde(default)]
    pub rack: String,
    /// Who campaigns first for a shard: lower first.
    #[serde(default)]
    pub rank: u32,
    /// Needed for any address but loopback: nothing is encrypted or authenticated yet.
    #[serde(default)]
    pub insecure: bool,
    /// Only read when the cluster is made.
    #[serde(default)]
    pub cluster: ClusterConfig,
    /// When a materializer takes a snapshot of itself, which is what lets the log be trimmed.
    #[serde(default)]
    pub snapshots: SnapshotConfig,
    /// How much of the past stays readable.
    #[serde(default)]
    pub retention: RetentionConfig,
}

/// The past is readable as far back as both say. Of the materializer that is the primary.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Default: as the cluster was made, which is 7 days (604,800) where this names nothing then; 0: for ever.
    pub seconds: Option<u64>,
    /// MiB of log; default 0: without a bound.
    pub mib: Option<u64>,
}

impl RetentionConfig {
    /// What a cluster is made with.
    pub(crate) fn made_with_us(&self) -> u64 {
        self.seconds
            .unwrap_or(RETENTION_S)
            .saturating_mul(1_000_000)
    }

    pub(crate) fn policy(&self) -> RetentionPolicy {
        let bytes = self.mib.unwrap_or(0).saturating_mul(1 << 20);
        let time_us = self.seconds.map(|s| s.saturating_mul(1_000_000));
        RetentionPolicy { time_us, bytes }
    }
}

/// After so much log since the last snapshot, whichever comes first; 0: not by that.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Default 1,000,000.
    pub every_records: Option<u64>,
    /// MiB of log; default 256.
    pub every_mib: Option<u64>,
}

impl SnapshotConfig {
    pub(crate) fn policy(&self) -> SnapshotPolicy {
        let default = SnapshotPolicy::default();
        let bytes = self.every_mib.map(|mib| mib.saturating_mul(1 << 20));
        SnapshotPolicy {
            every_records: self.every_records.unwrap_or(default.every_records),
            every_bytes: bytes.unwrap_or(default.every_bytes),
        }
    }
}

/// More than replicas say in one round, else what they say about digests would be all that they compare.
const DIGEST_EVERY_MIN: u64 = 16;

/// What a cluster is made with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// R: log units that hold each record, 1…7; default: 3, or 1 where a process runs fewer than 3 units alone.
    pub log_replicas: Option<u32>,
    /// W: how many of them must have it on disk before it counts; default: more than half of R.
    pub log_write_quorum: Option<u32>,
    /// How many copies of a file are stored; default: R.
    pub file_copies: Option<u32>,
    /// How many materializers hold each shard; default 2.
    pub shard_replicas: Option<u32>,
    /// Log records from one digest that replicas compare to the next; default 4096.
    pub digest_every: Option<u64>,
    /// Cuts held before what waits for closed stripes is set aside; not in the file: a simulation sets it
    /// low, so that it happens at all.
    #[serde(skip)]
    pub set_aside_from: Option<usize>,
}

/// A configuration that cannot be used: where, what, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: {source}")]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{key} = {value}: {allowed}")]
    Value {
        key: &'static str,
        value: String,
        allowed: String,
    },
}

impl NodeConfig {
    /// Reads and checks one file.
    pub fn read(path: &Path) -> Result<NodeConfig, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let config: NodeConfig = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.into(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Everything in one process: the embedded default. One disk can promise no more than one copy,
    /// so R = W = 1 with one or two units, else R = 3, W = 2.
    pub fn embedded(dir: PathBuf, units: u32, port: u16) -> NodeConfig {
        NodeConfig {
            dir,
            listen: format!("127.0.0.1:{port}"),
            advertise: None,
            roles: default_roles(),
            sequencers: Vec::new(),
            join: false,
            voters: 1,
            units,
            rack: String::new(),
            rank: 0,
            insecure: false,
            cluster: ClusterConfig {
                shard_replicas: Some(1),
                ..ClusterConfig::default()
            },
            snapshots: SnapshotConfig::default(),
            retention: RetentionConfig::default(),
        }
    }

    pub fn runs(&self, role: RoleName) -> bool {
        self.roles.contains(&role)
    }

    /// All voters of the sequencer, and those of this process; `address` is where it answers.
    ///
    /// # Errors
    /// When the list of sequencers does not hold it.
    pub fn voters(&self, address: &str) -> Result<(BTreeMap<u64, String>, Vec<u64>), ConfigError> {
        if self.sequencers.len() < 2 {
            let own: Vec<u64> = (1..=u64::from(self.voters)).collect();
            let list = own.iter().map(|voter| (*voter, address.to_owned()));
            return Ok((list.collect(), own));
        }
        let list: BTreeMap<u64, String> = (1..).zip(self.sequencers.iter().cloned()).collect();
        let own = list.iter().find(|(_, at)| *at == address);
        let Some((own, _)) = own else {
            let allowed = format!("it must hold {address}, where this process answers (advertise)");
            return Err(value("sequencers", &self.sequencers.join(", "), &allowed));
        };
        Ok((list.clone(), vec![*own]))
    }

    /// R of the cluster that this process would make.
    pub fn log_replicas(&self) -> u32 {
        let alone = self.sequencers.len() <= 1 && !self.join && self.runs(RoleName::Unit);
        let possible = if alone && self.units < 3 { 1 } else { 3 };
        self.cluster.log_replicas.unwrap_or(possible)
    }

    /// W of the cluster that this process would make.
    pub fn log_write_quorum(&self) -> u32 {
        self.cluster
            .log_write_quorum
            .unwrap_or(self.log_replicas() / 2 + 1)
    }

    /// Copies of a file in the cluster that this process would make.
    pub fn file_copies(&self) -> u32 {
        self.cluster.file_copies.unwrap_or(self.log_replicas())
    }

    /// Every key within its bound.
    pub fn check(&self) -> Result<(), ConfigError> {
        bound("units", self.units, 1, UNITS_MAX)?;
        bound("cluster.log_replicas", self.log_replicas(), 1, 7)?;
        bound(
            "cluster.log_write_quorum",
            self.log_write_quorum(),
            1,
            self.log_replicas(),
        )?;
        bound("cluster.file_copies", self.file_copies(), 1, 7)?;
        bound(
            "cluster.shard_replicas",
            self.cluster.shard_replicas.unwrap_or(2),
            1,
            7,
        )?;
        if let Some(every) = self.cluster.digest_every.filter(|n| *n < DIGEST_EVERY_MIN) {
            let allowed = format!("{DIGEST_EVERY_MIN} and more is allowed");
            return Err(value("cluster.digest_every", &every.to_string(), &allowed));
        }
        self.check_voters()?;
        if self.roles.is_empty() {
            return Err(value(
                "roles",
                "[]",
                "name at least one of sequencer, unit, materializer",
            ));
        }
        if self.sequencers.is_empty() && !self.runs(RoleName::Sequencer) {
            return Err(value(
                "sequencers",
                "[]",
                "name the address of each sequencer",
            ));
        }
        self.check_address()
    }

    fn check_voters(&self) -> Result<(), ConfigError> {
        let listed = self.sequencers.len();
        if ![1, 3, 5].contains(&self.voters) {
            let given = self.voters.to_string();
            return Err(value("voters", &given, "1, 3 or 5 is allowed"));
        }
        if self.join && (listed == 0 || !self.runs(RoleName::Sequencer) || self.voters > 1) {
            let allowed = "for one sequencer, with the address of at least one of the cluster in `sequencers`";
            return Err(value("join", "true", allowed));
        }
        if self.voters > 1 && listed > 1 {
            let allowed =
                "1 where `sequencers` lists more than one: each runs in a process of its own";
            return Err(value("voters", &self.voters.to_string(), allowed));
        }
        let distinct: BTreeSet<&String> = self.sequencers.iter().collect();
        if distinct.len() < listed || listed > SEQUENCERS_MAX {
            let allowed = format!("each address once, at most {SEQUENCERS_MAX}");
            return Err(value("sequencers", &self.sequencers.join(", "), &allowed));
        }
        Ok(())
    }

    fn check_address(&self) -> Result<(), ConfigError> {
        let address: SocketAddr = self.listen.parse().map_err(|_| {
            value(
                "listen",
                &self.listen,
                "an IP address and a port, as 127.0.0.1:9010",
            )
        })?;
        if !address.ip().is_loopback() && !self.insecure {
            let allowed = "only loopback, unless insecure = true: nothing is encrypted yet";
            return Err(value("listen", &self.listen, allowed));
        }
        Ok(())
    }
}

fn bound(key: &'static str, given: u32, least: u32, most: u32) -> Result<(), ConfigError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(value(
        key,
        &given.to_string(),
        &format!("{least} to {most} is allowed"),
    ))
}

fn value(key: &'static str, given: &str, allowed: &str) -> ConfigError {
    ConfigError::Value {
        key,
        value: given.to_string(),
        allowed: allowed.to_string(),
    }
}

fn default_listen() -> String {
    "127.0.0.1:9010".to_string()
}

fn default_roles() -> Vec<RoleName> {
    RoleName::ALL.to_vec()
}

fn default_units() -> u32 {
    1
}

fn default_voters() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, NodeConfig, RoleName};

    fn parse(text: &str) -> Result<NodeConfig, String> {
        let config: NodeConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config
            .check()
            .map_err(|error: ConfigError| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn the_smallest_configuration_runs_everything() {
        let config = parse("dir = '/d'").expect("valid");
        assert_eq!(config.roles, RoleName::ALL);
        assert_eq!((config.log_replicas(), config.log_write_quorum()), (1, 1));
        let three = parse("dir = '/d'\nunits = 3").expect("valid");
        assert_eq!(
            (
                three.log_replicas(),
                three.log_write_quorum(),
                three.file_copies()
            ),
            (3, 2, 3)
        );
    }

    #[test]
    fn a_voter_is_known_by_the_place_of_its_address() {
        let config = parse("dir = '/d'\nsequencers = ['a:1', 'b:1', 'c:1']").expect("valid");
        let (list, own) = config.voters("b:1").expect("it is listed");
        assert_eq!((list.len(), own), (3, vec![2]));
        assert!(config.voters("d:1").is_err());
        let config = parse("dir = '/d'\nvoters = 3").expect("valid");
        let (list, own) = config.voters("a:1").expect("all are here");
        assert_eq!((list.len(), own), (3, vec![1, 2, 3]));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, said) in [
            ("dir = '/d'\nunit = 3", "unit"),
            ("dir = '/d'\nunits = 0", "units = 0"),
            ("dir = '/d'\nunits = 'x'", "line 2"),
            ("dir = '/d'\nlisten = 'here'", "listen = here"),
            ("dir = '/d'\nlisten = '0.0.0.0:1'", "insecure"),
            ("dir = '/d'\nroles = ['unit']", "sequencers"),
            ("dir = '/d'\nroles = ['cook']", "cook"),
            ("dir = '/d'\nvoters = 2", "voters = 2"),
            ("dir = '/d'\njoin = true", "join = true"),
            (
                "dir = '/d'\nvoters = 3\nsequencers = ['a:1', 'b:1']",
                "voters = 3",
            ),
            (
                "dir = '/d'\nsequencers = ['a:1', 'a:1']",
                "each address once",
            ),
            (
                "dir = '/d'\n[cluster]\nlog_replicas = 3\nlog_write_quorum = 4",
                "log_write_quorum = 4",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(said), "{text:?} says {error:?}");
        }
    }
}
