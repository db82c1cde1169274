//! The log units of a process, one for each slot: opened, watched, and opened again when they end.
use super::{Place, RETRY_EVERY};
use crate::config::RoleName;
use anyhow::Context;
use dfs_env::{Disk, Env, Task};
use dfs_log_units::{Identity, UnitConfig, UnitRole, bind, format_or_open};
use dfs_rpc::roles::{Connector, LogUnit as _};
use dfs_rpc::serve::SharedRoles;
use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often a unit is asked for the space on its disks.
const SPACE_EVERY: Duration = Duration::from_secs(1);

/// Frames that all units of a process keep in memory for followers: a second of a busy log. The
/// process's own materializer never reads them.
const FRAMES_KEPT_BYTES: usize = 32 << 20;
/// Of one unit, however many share a process: some full frames for each of a few followers.
const FRAMES_KEPT_BYTES_MIN: usize = 4 << 20;

/// One slot: a directory with a unit in it.
struct Slot {
    number: u32,
    dir: PathBuf,
    nonce: bytes::Bytes,
}

/// All slots of a process before they have their ids.
pub(super) struct Formatted {
    slots: Vec<Slot>,
}

/// The units that run here, by slot.
pub(super) struct Units {
    connector: Arc<dyn Connector>,
    shared: SharedRoles,
    cluster_id: bytes::Bytes,
    owner: v1::Owner,
    slots: Vec<(u64, Slot)>,
    running: Mutex<Vec<Option<Arc<UnitRole>>>>,
    /// What each running unit last said of its disks.
    space: Mutex<BTreeMap<u64, v1::UnitSpace>>,
}

impl Units {
    /// Reads who the unit in each slot is; an empty directory becomes a new unit.
    pub(super) async fn open(place: &Place) -> anyhow::Result<Formatted> {
        let count = if place.config.runs(RoleName::Unit) {
            place.config.units
        } else {
            0
        };
        let mut slots = Vec::new();
        for number in 1..=count {
            let dir = place.directory.unit(number);
            let identified = identify(&place.env, &dir).await;
            let (identity, _, _) = identified
                .map_err(|error| unusable(&dir, error))
                .with_context(|| format!("cannot use the unit in {}", dir.display()))?;
            slots.push(Slot {
                number,
                dir,
                nonce: identity.nonce,
            });
        }
        Ok(Formatted { slots })
    }

    /// One task a slot, each keeping its unit open.
    pub(super) fn supervise(self: &Arc<Self>, env: &Env) -> Vec<Task<()>> {
        (0..self.slots.len())
            .map(|at| {
                let (own, slot_env) = (self.clone(), env.clone());
                env.spawn("unit-supervisor", async move {
                    own.keep_open(at, slot_env).await
                })
            })
            .collect()
    }

    /// A failed disk ends the unit (LOG-U3); it is opened again, and what it holds is read anew.
    async fn keep_open(&self, at: usize, env: Env) {
        let unit_id = self.slots[at].0;
        loop {
            // Its disks end with it: a reader that is slow to leave must not keep the directories.
            let life = env.group("unit-life");
            let why = match self.start(at, &life).await {
                Ok(role) => {
                    self.running.lock()[at] = Some(role.clone());
                    self.shared.write().units.insert(unit_id, role.clone());
                    let why = self.watch(unit_id, &role, &env).await;
                    self.shared.write().units.remove(&unit_id);
                    self.space.lock().remove(&unit_id);
                    self.running.lock()[at] = None;
                    role.stop().await;
                    why
                }
                Err(refusal) => refusal.to_string(),
            };
            life.crash();
            tracing::warn!(unit_id, why, "the unit ended; opening it again");
            env.sleep(RETRY_EVERY).await;
        }
    }

    /// Until it fails, and why.
    async fn watch(&self, unit_id: u64, role: &UnitRole, env: &Env) -> String {
        let asking = async {
            loop {
                if let Ok(status) = role.status(v1::UnitStatusRequest { unit_id }).await {
                    let space = v1::UnitSpace {
                        unit_id,
                        total_bytes: status.total_bytes,
                        available_bytes: status.available_bytes,
                        full: status.full,
                        extents: status.extents,
                        extent_bytes: status.extent_bytes,
                    };
                    self.space.lock().insert(unit_id, space);
                }
                env.sleep(SPACE_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            why = role.failed() => why,
            () = asking => unreachable!("it asks for ever"),
        }
    }

    async fn start(&self, at: usize, env: &Env) -> Result<Arc<UnitRole>, Refusal> {
        let (unit_id, slot) = &self.slots[at];
        let unusable = |error: std::io::Error| {
            Refusal::new(
                dfs_wire::Code::Unavailable,
                format!("unit {unit_id}"),
                error.to_string(),
            )
        };
        let (identity, log, extents) = identify(env, &slot.dir).await.map_err(unusable)?;
        bind(&identity, &self.cluster_id, &*log, &*extents)
            .await
            .map_err(unusable)?;
        let nonce = slot.nonce.clone();
        // LOG-D1: an emptied directory is another unit, and only a registration gives it an id.
        if identity.nonce != nonce {
            let why = "its directory is not the one that was registered: start the process again";
            return Err(Refusal::new(
                dfs_wire::Code::Mismatch,
                format!("unit {unit_id}"),
                why,
            ));
        }
        let cluster_id = self.cluster_id.clone();
        let mut config = UnitConfig::new(*unit_id, nonce, cluster_id, self.owner, log, extents);
        let shared = FRAMES_KEPT_BYTES / self.slots.len().max(1);
        config.cache_bytes = shared.max(FRAMES_KEPT_BYTES_MIN);
        if env.is_simulated() {
            // Small, so that minutes of a simulated log pass through several.
            (config.segment_bytes_min, config.segment_bytes_max) = (1 << 20, 1 << 20);
        }
        UnitRole::start(env, config, self.connector.clone()).await
    }

    /// By id; `None` while it is opened again.
    pub(super) fn running(&self) -> Vec<(u64, Option<Arc<UnitRole>>)> {
        let ids = self.slots.iter().map(|(id, _)| *id);
        ids.zip(self.running.lock().iter().cloned()).collect()
    }

    /// For the keep-alive.
    pub(super) fn space(&self) -> Vec<v1::UnitSpace> {
        self.space.lock().values().cloned().collect()
    }

    pub(super) async fn stop(&self) {
        let running: Vec<_> = self
            .running
            .lock()
            .iter_mut()
            .filter_map(Option::take)
            .collect();
        for role in running {
            role.stop().await;
        }
    }
}

impl Formatted {
    /// For Register, in the order of the slots.
    pub(super) fn slots(&self) -> Vec<v1::UnitSlot> {
        let slot = |slot: &Slot| v1::UnitSlot {
            slot: slot.number,
            nonce: slot.nonce.clone(),
        };
        self.slots.iter().map(slot).collect()
    }

    pub(super) fn start(
        self,
        place: &Place,
        registered: &v1::Registered,
        owner: v1::Owner,
    ) -> Arc<Units> {
        let running = Mutex::new(self.slots.iter().map(|_| None).collect());
        Arc::new(Units {
            connector: place.connector.clone(),
            shared: place.shared.clone(),
            cluster_id: registered.cluster_id.clone(),
            owner,
            slots: registered
                .unit_ids
                .iter()
                .copied()
                .zip(self.slots)
                .collect(),
            running,
            space: Mutex::default(),
        })
    }
}

type Disks = (Identity, Arc<dyn Disk>, Arc<dyn Disk>);

async fn identify(env: &Env, dir: &std::path::Path) -> std::io::Result<Disks> {
    let (log, extents) = (env.disk(&dir.join("log"))?, env.disk(&dir.join("extents"))?);
    let identity = format_or_open(env, &*log, &*extents).await?;
    Ok((identity, log, extents))
}

/// Data that does not belong together, or without the file that says whose it is, is damage, not misuse.
fn unusable(dir: &std::path::Path, error: std::io::Error) -> anyhow::Error {
    if error.kind() != std::io::ErrorKind::InvalidData {
        return error.into();
    }
    let what = format!("{}/log and {0}/extents", dir.display());
    let advice = "Restore their IDENTITY files from a backup, or move the whole directory away: then an empty unit takes its place";
    let refusal = Refusal::new(dfs_wire::Code::Corrupt, what, error.to_string());
    refusal.advice(advice).into()
}
