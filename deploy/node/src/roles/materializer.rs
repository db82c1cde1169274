//! The materializer of a process: opened, watched, and opened again when it ends.
use super::{Place, RETRY_EVERY, Views};
use crate::config::NodeConfig;
use dfs_env::{Env, Task};
use dfs_log::ClusterLog;
use dfs_materializer::{
    MaterializerConfig, MaterializerRole, Progress, RetentionPolicy, SnapshotPolicy, Store, Suspect,
};
use dfs_rpc::roles::{Connector, Materializer as _};
use dfs_rpc::serve::SharedRoles;
use dfs_wire::limits::{INLINE_BYTES_DEFAULT, SESSION_LEASE_US};
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The one there is.
const SHARD: u64 = 0;
/// How often a starting materializer is asked whether it serves.
const SERVING_EVERY: Duration = Duration::from_millis(5);

/// The one materializer that may run here now.
pub(super) struct Materializers {
    running: Mutex<Option<Arc<MaterializerRole>>>,
    /// What the one that ran before said of its state (FOLD-X4b).
    suspect: Mutex<Option<Suspect>>,
    failed: watch::Sender<Option<Refusal>>,
}

/// What every attempt to open it needs.
struct Opening {
    env: Env,
    store: PathBuf,
    views: Option<Views>,
    owner: v1::Owner,
    rank: u32,
    cluster_id: bytes::Bytes,
    settings: v1::Settings,
    members: watch::Receiver<Arc<v1::Members>>,
    connector: Arc<dyn Connector>,
    snapshots: SnapshotPolicy,
    retention: RetentionPolicy,
    log: Arc<ClusterLog>,
    shared: SharedRoles,
}

impl Materializers {
    pub(super) fn new() -> Arc<Materializers> {
        Arc::new(Materializers {
            running: Mutex::default(),
            suspect: Mutex::default(),
            failed: watch::Sender::new(None),
        })
    }

    pub(super) fn supervise(
        self: &Arc<Self>,
        place: &Place,
        owner: v1::Owner,
        cluster_id: bytes::Bytes,
        members: watch::Receiver<Arc<v1::Members>>,
    ) -> Task<()> {
        let opening = Opening {
            env: place.env.clone(),
            store: place.directory.materializer(),
            views: place.views.clone(),
            owner,
            rank: place.config.rank,
            cluster_id,
            settings: settings(&place.config),
            members,
            connector: place.connector.clone(),
            snapshots: place.config.snapshots.policy(),
            retention: place.config.retention.policy(),
            log: ClusterLog::open(place.env.clone(), place.connector.clone(), owner),
            shared: place.shared.clone(),
        };
        let own = self.clone();
        place.env.spawn("materializer-supervisor", async move {
            own.keep_open(opening).await
        })
    }

    /// A failed store or a lost disk ends the role; it is opened again, and folds again what it lost.
    async fn keep_open(&self, opening: Opening) {
        loop {
            let suspect = *self.suspect.lock();
            let refusal = match opening.open(suspect).await {
                Ok(role) => {
                    *self.running.lock() = Some(role.clone());
                    opening.shared.write().materializer = Some(role.clone());
                    let refusal = role.failed().await;
                    *self.suspect.lock() = role.suspect();
                    opening.shared.write().materializer = None;
                    *self.running.lock() = None;
                    role.stop().await;
                    refusal
                }
                Err(refusal) => refusal,
            };
            if matches!(
                refusal.code(),
                Code::LogWentBack | Code::Mismatch | Code::State
            ) {
                tracing::error!(%refusal, "the materializer stops for good: a person must look");
                self.failed.send_replace(Some(refusal));
                return;
            }
            tracing::warn!(%refusal, "the materializer ended; opening it again");
            opening.env.sleep(RETRY_EVERY).await;
        }
    }

    pub(super) fn running(&self) -> Option<Arc<MaterializerRole>> {
        self.running.lock().clone()
    }

    pub(super) fn ended(&self) -> Option<Refusal> {
        self.failed.borrow().clone()
    }

    pub(super) fn progress(&self) -> Progress {
        let running = self.running.lock().clone();
        let suspect = *self.suspect.lock();
        match (running, suspect) {
            (Some(role), _) => role.progress(),
            // FOLD-X4b: it takes as long as it takes to fold the state anew; the others need not wait.
            (None, Some(_)) => Progress {
                stepped_down: vec![SHARD],
                ..Progress::default()
            },
            (None, None) => Progress::default(),
        }
    }

    /// Also when nothing but a person's help makes it serve: it answers with what is lost (LOG-R3).
    pub(super) async fn serving(&self, env: &Env) {
        loop {
            let running = self.running.lock().clone();
            if let Some(role) = running
                && (role.lost().is_some()
                    || role.status().await.is_ok_and(|status| serves(&status)))
            {
                return;
            }
            env.sleep(SERVING_EVERY).await;
        }
    }

    pub(super) async fn failed(&self) -> Refusal {
        super::told(&self.failed).await
    }

    pub(super) async fn stop(&self) {
        let running = self.running.lock().take();
        if let Some(role) = running {
            role.stop().await;
        }
    }
}

impl Opening {
    async fn open(&self, suspect: Option<Suspect>) -> Result<Arc<MaterializerRole>, Refusal> {
        let config = MaterializerConfig {
            owner: self.owner,
            rank: self.rank,
            cluster_id: self.cluster_id.clone(),
            store: self.store(),
            settings: self.settings,
            members: self.members.clone(),
            units: Some(self.connector.clone()),
            snapshots: self.snapshots,
            retention: self.retention,
            suspect,
        };
        MaterializerRole::start(self.env.clone(), config, self.log.clone()).await
    }

    /// The store on disk has threads and files of its own, which no seed decides: a simulated process
    /// keeps folded state in memory, and folds the log again after a restart.
    fn store(&self) -> Store {
        match &self.views {
            Some(views) => Store::Given(views()),
            None => Store::Directory(self.store.clone()),
        }
    }
}

/// As primary or replica, with a term that somebody holds.
pub(super) fn serves(status: &v1::MaterializerStatusAnswer) -> bool {
    status.term > 0 && status.role != "catching up"
}

/// What a cluster is made with; later changes are records.
fn settings(config: &NodeConfig) -> v1::Settings {
    let rule = v1::redundancy::Rule::Replicated(config.file_copies());
    v1::Settings {
        replicas: config.cluster.shard_replicas.unwrap_or(2),
        redundancy: Some(v1::Redundancy { rule: Some(rule) }),
        inline_bytes_max: INLINE_BYTES_DEFAULT as u32,
        retention_us: config.retention.made_with_us(),
        lease_us: SESSION_LEASE_US,
        digest_every: config.cluster.digest_every.unwrap_or(0),
        ..v1::Settings::default()
    }
}
