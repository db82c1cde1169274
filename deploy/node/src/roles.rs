//! The roles of one process, from its directory to running and registered; the same over TCP and simulated.
mod figures;
mod materializer;
mod sequencer;
mod unit;

use crate::config::{NodeConfig, RoleName};
use crate::directory::Directory;
use anyhow::Context;
use dfs_env::{Env, Task};
/// For whoever keeps folded state elsewhere than on disk.
pub use dfs_materializer::view;
use dfs_rpc::members::{BeatSource, keep_alive};
use dfs_rpc::roles::{Connector, PeerConnector};
use dfs_rpc::serve::SharedRoles;
use dfs_wire::limits::PROTOCOL_VERSION;
use dfs_wire::{Refusal, v1};
use materializer::Materializers;
use parking_lot::Mutex;
use sequencer::Voters;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use unit::Units;
use view::View;

/// Between attempts to join, and to open a role that ended.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// Later joining attempts that fail are reported, one in so many.
const REPORT_EVERY: u32 = 25;

/// Makes the store of folded state each time that a materializer is opened.
pub type Views = Arc<dyn Fn() -> Arc<dyn View> + Send + Sync>;

/// What a process needs before its roles can start.
pub struct Place {
    pub env: Env,
    pub config: NodeConfig,
    pub directory: Directory,
    /// Finds all roles, those of this process included.
    pub connector: Arc<dyn Connector>,
    /// Finds other voters of the sequencer.
    pub peers: Arc<dyn PeerConnector>,
    /// Where the roles of this process are found by others.
    pub shared: SharedRoles,
    /// host:port that others are told.
    pub address: String,
    /// `None`: folded state lies on disk, below the directory.
    pub views: Option<Views>,
}

/// Running roles.
pub struct RoleSet {
    env: Env,
    shared: SharedRoles,
    voters: Option<Arc<Voters>>,
    units: Arc<Units>,
    materializers: Arc<Materializers>,
    pub owner: v1::Owner,
    pub cluster_id: bytes::Bytes,
    members: watch::Receiver<Arc<v1::Members>>,
    tasks: Mutex<Vec<Task<()>>>,
    config: NodeConfig,
    /// N1: its lock is held for as long as the roles are.
    _directory: Directory,
}

impl RoleSet {
    /// Starts what the configuration names, in the order in which they need each other.
    ///
    /// # Errors
    /// When a directory cannot be used, or the cluster refuses this process.
    pub async fn start(mut place: Place) -> anyhow::Result<RoleSet> {
        let voters = open_voters(&place).await?;
        let units = Units::open(&place).await?;
        let incarnation = place.env.random_u64();
        let registered = join(&place, incarnation, units.slots()).await?;
        place
            .directory
            .joined(&registered.cluster_id, registered.node_id)
            .await?;
        let owner = v1::Owner {
            node_id: registered.node_id,
            incarnation,
        };
        identify(&place, &registered, incarnation);
        let units = units.start(&place, &registered, owner);
        let materializers = Materializers::new();
        let (members, beating) = {
            let source = beats(&place, owner, units.clone(), materializers.clone());
            keep_alive(&place.env, place.connector.clone(), source)
        };
        let mut tasks = vec![beating];
        tasks.extend(voters.iter().flat_map(|voters| voters.supervise()));
        tasks.extend(units.supervise(&place.env));
        if place.config.runs(RoleName::Materializer) {
            let cluster_id = registered.cluster_id.clone();
            tasks.push(materializers.supervise(&place, owner, cluster_id, members.clone()));
        }
        Ok(RoleSet {
            env: place.env,
            shared: place.shared,
            voters,
            units,
            materializers,
            owner,
            cluster_id: registered.cluster_id,
            members,
            tasks: Mutex::new(tasks),
            config: place.config,
            _directory: place.directory,
        })
    }

    /// The latest Members this process has heard.
    pub fn members(&self) -> Arc<v1::Members> {
        self.members.borrow().clone()
    }

    /// Waits until the materializer of this process serves reads; at once where there is none.
    pub async fn serving(&self) {
        self.materializers.serving(&self.env).await;
    }

    /// Waits until a role has ended in a way that no restart can cure, and says why.
    pub async fn failed(&self) -> Refusal {
        let Some(voters) = &self.voters else {
            return self.materializers.failed().await;
        };
        tokio::select! {
            biased;
            refusal = voters.failed() => refusal,
            refusal = self.materializers.failed() => refusal,
        }
    }

    /// Orderly: the materializer first, the sequencer last.
    pub async fn stop(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        self.materializers.stop().await;
        self.units.stop().await;
        if let Some(voters) = &self.voters {
            voters.stop().await;
        }
        let mut shared = self.shared.write();
        shared.peers.clear();
        (shared.sequencer, shared.materializer, shared.figures) = (None, None, None);
        shared.units.clear();
    }
}

async fn open_voters(place: &Place) -> anyhow::Result<Option<Arc<Voters>>> {
    if !place.config.runs(RoleName::Sequencer) {
        return Ok(None);
    }
    Voters::open(place).await.map(Some)
}

/// Waits until a role has said why it stops for good.
async fn told(failed: &watch::Sender<Option<Refusal>>) -> Refusal {
    let mut failed = failed.subscribe();
    loop {
        if let Some(refusal) = failed.borrow_and_update().clone() {
            return refusal;
        }
        if failed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Registers until the sequencer answers; only a refusal that no waiting can cure ends it.
async fn join(
    place: &Place,
    incarnation: u64,
    units: Vec<v1::UnitSlot>,
) -> anyhow::Result<v1::Registered> {
    let request = v1::RegisterRequest {
        node_nonce: place.directory.nonce(),
        incarnation,
        roles: place
            .config
            .roles
            .iter()
            .map(|role| role.as_str().to_string())
            .collect(),
        address: place.address.clone(),
        rack: place.config.rack.clone(),
        rank: place.config.rank,
        units,
        node_id: place.directory.identity.node_id,
    };
    let mut attempts = 0;
    loop {
        match register(&*place.connector, request.clone()).await {
            Ok(registered) => return Ok(registered),
            Err(refusal) if !refusal.is_retryable() => {
                return Err(refusal).context("the cluster does not take this process");
            }
            Err(refusal) => {
                if attempts % REPORT_EVERY == REPORT_EVERY - 1 {
                    tracing::warn!(%refusal, "cannot register with the sequencer yet; trying on");
                }
                attempts += 1;
                place.env.sleep(RETRY_EVERY).await;
            }
        }
    }
}

async fn register(
    connector: &dyn Connector,
    request: v1::RegisterRequest,
) -> Result<v1::Registered, Refusal> {
    connector.sequencer().await?.register(request).await
}

fn identify(place: &Place, registered: &v1::Registered, incarnation: u64) {
    place.shared.write().identity = v1::Greeted {
        cluster_id: registered.cluster_id.clone(),
        protocol: PROTOCOL_VERSION,
        node_id: registered.node_id,
        incarnation,
        roles: place
            .config
            .roles
            .iter()
            .map(|role| role.as_str().to_string())
            .collect(),
    };
}

/// What this process says of itself ten times a second.
fn beats(
    place: &Place,
    owner: v1::Owner,
    units: Arc<Units>,
    materializers: Arc<Materializers>,
) -> BeatSource {
    let (env, address) = (place.env.clone(), place.address.clone());
    Arc::new(move || {
        let progress = materializers.progress();
        v1::Beat {
            node_id: owner.node_id,
            incarnation: owner.incarnation,
            wall_us: env.wall_us(),
            units: units.space(),
            stepped_down: progress.stepped_down,
            replica_of: progress.replica_of,
            ready_for: progress.ready_for,
            applied_lsn: progress.applied_lsn,
            durable_lsn: progress.durable_lsn,
            address: address.clone(),
        }
    })
}
