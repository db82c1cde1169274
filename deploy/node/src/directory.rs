//! The directory of a process: its lock, its identity, and where its roles keep their own.
use crate::config::{NodeConfig, RoleName};
use anyhow::{Context, bail};
use bytes::Bytes;
use dfs_env::{Disk, Env};
use dfs_wire::{Code, Refusal};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const IDENTITY: &str = "IDENTITY";
const FORMAT: u32 = 1;
const RESTORE_IDENTITY: &str = "Restore the file from a backup, or start with another, empty directory; the data stays as it is";

/// What a process is, for good; kept outside its roles' directories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    pub format: u32,
    /// 32 hex digits, made when the directory was.
    pub nonce: String,
    /// 0 until the sequencer has given one.
    pub node_id: u64,
    /// Hex; empty until the process has joined a cluster.
    pub cluster_id: String,
    /// Role directory → device of its parent: one that is missing because its disk is not mounted
    /// is an error, never a format.
    pub devices: BTreeMap<String, u64>,
}

/// A process's directory, held alone.
pub struct Directory {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    pub identity: Identity,
    _lock: Option<File>,
}

impl Directory {
    /// Opens or makes the directory and takes its lock.
    ///
    /// # Errors
    /// When another process holds it, when it cannot be read, or when a role's disk is not mounted.
    pub async fn open(env: &Env, config: &NodeConfig) -> anyhow::Result<Directory> {
        let root = config.dir.clone();
        let disk = env
            .disk(&root)
            .with_context(|| format!("cannot open the data directory {}", root.display()))?;
        let lock = if env.is_simulated() {
            None
        } else {
            Some(take_lock(&root)?)
        };
        let kept = disk
            .read_small(IDENTITY)
            .await
            .context("cannot read IDENTITY")?;
        let identity = match kept {
            Some(text) => parse(&text, &root)?,
            None if !env.is_simulated() && holds_roles(&root)? => return Err(no_identity(&root)),
            None => Identity {
                format: FORMAT,
                nonce: hex(&env.random_u128().to_be_bytes()),
                node_id: 0,
                cluster_id: String::new(),
                devices: BTreeMap::new(),
            },
        };
        let mut directory = Directory {
            root,
            disk,
            identity,
            _lock: lock,
        };
        if !env.is_simulated() {
            directory.check_devices(config)?;
        }
        directory.save().await?;
        Ok(directory)
    }

    /// `slot` from 1; it names the place, not the voter's id.
    pub fn sequencer(&self, slot: u32) -> PathBuf {
        self.root.join(format!("sequencer-{slot}"))
    }

    /// `slot` from 1; it names the place, not the unit's id.
    pub fn unit(&self, slot: u32) -> PathBuf {
        self.root.join(format!("unit-{slot}"))
    }

    pub fn materializer(&self) -> PathBuf {
        self.root.join("materializer-1")
    }

    /// The nonce as bytes.
    pub fn nonce(&self) -> Bytes {
        unhex(&self.identity.nonce).unwrap_or_default().into()
    }

    pub fn cluster_id(&self) -> Bytes {
        unhex(&self.identity.cluster_id).unwrap_or_default().into()
    }

    /// Remembers the cluster and the node id for good.
    pub async fn joined(&mut self, cluster_id: &[u8], node_id: u64) -> anyhow::Result<()> {
        let joined = Identity {
            node_id,
            cluster_id: hex(cluster_id),
            ..self.identity.clone()
        };
        if joined == self.identity {
            return Ok(());
        }
        self.identity = joined;
        self.save().await
    }

    async fn save(&self) -> anyhow::Result<()> {
        let text = toml::to_string(&self.identity).context("cannot write IDENTITY")?;
        self.disk
            .replace_small(IDENTITY, text.into())
            .await
            .context("cannot write IDENTITY")
    }

    /// A role's directory that is gone may be made anew only on the disk where it was.
    fn check_devices(&mut self, config: &NodeConfig) -> anyhow::Result<()> {
        let device = std::fs::metadata(&self.root)?.dev();
        for path in self.role_directories(config) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let known = self.identity.devices.get(&name).copied();
            if !path.exists() && known.is_some_and(|known| known != device) {
                bail!(
                    "{} is missing and its disk is not mounted: mount it",
                    path.display()
                );
            }
            self.identity.devices.insert(name, device);
        }
        Ok(())
    }

    fn role_directories(&self, config: &NodeConfig) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        if config.runs(RoleName::Sequencer) {
            paths.extend((1..=config.voters).map(|slot| self.sequencer(slot)));
        }
        if config.runs(RoleName::Unit) {
            paths.extend((1..=config.units).map(|slot| self.unit(slot)));
        }
        if config.runs(RoleName::Materializer) {
            paths.push(self.materializer());
        }
        paths
    }
}

/// An flock on DIR/LOCK, held until the process ends however it ends.
fn take_lock(root: &Path) -> anyhow::Result<File> {
    let path = root.join("LOCK");
    let file = File::options().create(true).append(true).open(&path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .with_context(|| format!("another process uses {}", root.display()))?;
    Ok(file)
}

fn parse(text: &[u8], root: &Path) -> anyhow::Result<Identity> {
    let damaged = |why: String| {
        let what = format!("{}/{IDENTITY}", root.display());
        let why = format!("it is damaged: {why}");
        let refusal = Refusal::new(Code::Corrupt, what, why).advice(RESTORE_IDENTITY);
        anyhow::Error::new(refusal).context("cannot use the data directory")
    };
    let text = std::str::from_utf8(text).map_err(|e| damaged(e.to_string()))?;
    let identity: Identity = toml::from_str(text).map_err(|e| damaged(e.message().to_string()))?;
    if identity.format != FORMAT {
        let what = format!("{}/{IDENTITY}", root.display());
        let why = format!(
            "its format is {}, this build knows {FORMAT}",
            identity.format
        );
        let refusal = Refusal::new(Code::State, what, why);
        let refusal = refusal.advice("Start it with a build that knows it");
        return Err(anyhow::Error::new(refusal).context("cannot use the data directory"));
    }
    Ok(identity)
}

/// A directory of a role with anything in it.
fn holds_roles(root: &Path) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_a_role = ["sequencer-", "unit-", "materializer-"]
            .iter()
            .any(|role| name.starts_with(role));
        if of_a_role && entry.file_type()?.is_dir() && !is_empty(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// No file below; a missing directory is as empty.
pub(crate) fn is_empty(dir: &Path) -> std::io::Result<bool> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let is_lock = entry.file_name() == "LOCK";
        if !is_lock && (!entry.file_type()?.is_dir() || !is_empty(&entry.path())?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Made anew it would be another process, to which none of this data belongs.
fn no_identity(root: &Path) -> anyhow::Error {
    let what = format!("{}/{IDENTITY}", root.display());
    let why = "it is gone, but the directory holds data of roles; nothing was changed";
    let refusal = Refusal::new(Code::Corrupt, what, why).advice(RESTORE_IDENTITY);
    anyhow::Error::new(refusal).context("cannot use the data directory")
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of an even number of hex digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
