//! What one client process shares for all its files: budgets, placement, health of units.

use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::roles::Connector;
use dfs_wire::{Refusal, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::health::Health;
use crate::placement::PlacementCache;
use crate::placer::Placer;

/// One permit of a budget: 4 KiB, so that 64 MiB and a small file are both whole numbers of them.
const PERMIT_BYTES: u64 = 4096;

/// Bounds of one client process.
#[derive(Clone, Debug)]
pub struct ExtentsConfig {
    /// Bytes read from sources and not yet on units, in all: eight whole extents.
    pub write_bytes: u64,
    /// Bytes loaded ahead of readers, in all: four whole extents.
    pub ahead_bytes: u64,
    /// A member that has not stored an extent after this long drags: the extent goes elsewhere.
    pub store_timeout: Duration,
    /// A member that sends nothing for this long is left for another.
    pub part_timeout: Duration,
    /// How long to go on asking when nobody can store or serve an extent.
    pub timeout: Duration,
}

impl Default for ExtentsConfig {
    fn default() -> Self {
        ExtentsConfig {
            write_bytes: 64 << 20,
            ahead_bytes: 32 << 20,
            store_timeout: Duration::from_secs(10),
            part_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// The door to all units. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Extents {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) placer: Arc<dyn Placer>,
    pub(crate) placement: PlacementCache,
    pub(crate) health: Health,
    pub(crate) config: ExtentsConfig,
    write_budget: Arc<Semaphore>,
    ahead_budget: Arc<Semaphore>,
}

impl Extents {
    pub fn new(
        env: Env,
        connector: Arc<dyn Connector>,
        placer: Arc<dyn Placer>,
        config: ExtentsConfig,
    ) -> Extents {
        let budget = |bytes| Arc::new(Semaphore::new(permits(bytes) as usize));
        Extents {
            shared: Arc::new(Shared {
                placement: PlacementCache::new(env.clone(), placer.clone()),
                health: Health::new(env.clone()),
                write_budget: budget(config.write_bytes),
                ahead_budget: budget(config.ahead_bytes),
                env,
                connector,
                placer,
                config,
            }),
        }
    }
}

impl Shared {
    /// W2: waits until `bytes` more may be on their way. More than the whole budget is all of it.
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Refusal> {
        let wanted = permits(bytes.min(self.config.write_bytes));
        let reserved = self.write_budget.clone().acquire_many_owned(wanted).await;
        reserved.map_err(|_| crate::store::stopped())
    }

    /// R3: a share of the read-ahead budget, if there is one now.
    pub(crate) fn try_ahead(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let budget = self.ahead_budget.clone();
        budget.try_acquire_many_owned(permits(bytes)).ok()
    }

    pub(crate) async fn unit(
        &self,
        unit: &v1::UnitRef,
    ) -> Result<Arc<dyn dfs_rpc::roles::LogUnit>, Refusal> {
        self.connector.unit(unit.unit_id, &unit.address).await
    }

    /// A pause before trying again: doubling from 20 ms to 1 s, the upper half of it by chance, so
    /// that many clients do not come back at once.
    pub(crate) async fn pause(&self, round: u32) {
        let full_us = (20_000u64 << round.min(6)).min(1_000_000);
        let us = full_us / 2 + self.env.random_u64() % (full_us / 2);
        self.env.sleep(Duration::from_micros(us)).await;
    }
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES))
        .unwrap_or(u32::MAX)
        .max(1)
}
