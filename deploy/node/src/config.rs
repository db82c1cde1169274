//! The configuration of one process. What each key means, may be, and is by default: `config/keys.rs`.
//!
//! - [`keys`]: the table of keys, from which help, defaults and checks are made
//! - [`kind`]: what a value may be
//! - [`load`]: flags over environment over file over default, each with the place it comes from
//! - [`mistake`]: what is wrong, where, and what is allowed
//! - `rules.rs`: keys that contradict each other; [`shown`]: a configuration as text
pub mod keys;
pub mod kind;
pub mod load;
pub mod mistake;
mod rules;
pub mod shown;

use dfs_materializer::{RetentionPolicy, SnapshotPolicy};
pub use mistake::ConfigError;
use mistake::{Mistake, Place};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

const DEFAULT_PORT: u16 = 9010;
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

/// What one process runs, and where. What each key means, with its bound: [`keys::KEYS`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    pub dir: PathBuf,
    #[serde(default = "default_listen")]
    pub listen: String,
    #[serde(default)]
    pub advertise: Option<String>,
    #[serde(default)]
    pub metrics: Option<String>,
    #[serde(default)]
    pub traces: Option<String>,
    #[serde(default = "default_roles")]
    pub roles: Vec<RoleName>,
    /// The place in it is the voter's id.
    #[serde(default)]
    pub sequencers: Vec<String>,
    #[serde(default)]
    pub join: bool,
    #[serde(default = "default_voters")]
    pub voters: u32,
    #[serde(default = "default_units")]
    pub units: u32,
    #[serde(default)]
    pub rack: String,
    #[serde(default)]
    pub rank: u32,
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
    pub seconds: Option<u64>,
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
    pub every_records: Option<u64>,
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

/// What a cluster is made with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// R.
    pub log_replicas: Option<u32>,
    /// W.
    pub log_write_quorum: Option<u32>,
    pub file_copies: Option<u32>,
    pub shard_replicas: Option<u32>,
    pub digest_every: Option<u64>,
    /// Cuts held before what waits for closed stripes is set aside; not in the file: a simulation sets it
    /// low, so that it happens at all.
    #[serde(skip)]
    pub set_aside_from: Option<usize>,
}

impl NodeConfig {
    /// Only what must be said; all else is the default.
    pub(crate) fn named(dir: PathBuf) -> NodeConfig {
        NodeConfig {
            cluster: ClusterConfig::default(),
            ..NodeConfig::embedded(dir, default_units(), DEFAULT_PORT)
        }
    }

    /// Everything in one process: the embedded default. One disk can promise no more than one copy,
    /// so R = W = 1 with one or two units, else R = 3, W = 2.
    pub fn embedded(dir: PathBuf, units: u32, port: u16) -> NodeConfig {
        NodeConfig {
            dir,
            listen: format!("127.0.0.1:{port}"),
            advertise: None,
            metrics: None,
            traces: None,
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
            let mistake = Mistake {
                place: Place::Nowhere,
                key: "sequencers".into(),
                found: format!(" = {:?}", self.sequencers),
                allowed: format!("it must hold {address}, where this process answers (advertise)"),
            };
            return Err(mistake.into());
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

    /// Every key within its bound, and none against another.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut mistakes = keys::out_of_bounds(self);
        mistakes.extend(
            rules::contradictions(self)
                .into_iter()
                .map(|wrong| Mistake {
                    place: Place::Nowhere,
                    key: wrong.key().into(),
                    found: wrong.found,
                    allowed: wrong.allowed,
                }),
        );
        ConfigError::of(mistakes)
    }
}

fn default_listen() -> String {
    format!("127.0.0.1:{DEFAULT_PORT}")
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
#[path = "config/tests.rs"]
mod tests;
