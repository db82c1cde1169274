//! Makes folded state durable, beside the loop, and watches its disk (FOLD-P0).
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dfs_env::Disk;

use super::hub::Hub;
use super::open::view_failed;
use crate::view::View;

/// What a crash costs: a second of the log to fold again.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(hub: Arc<Hub>, view: Arc<dyn View>, disk: Option<Arc<dyn Disk>>) {
    loop {
        hub.env.sleep(EVERY).await;
        if let Some(disk) = &disk {
            match disk.space().await {
                // FOLD-P0
                Ok(space) => hub
                    .store_full
                    .store(space.beyond_headroom() == 0, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "cannot ask the store's disk for its space"),
            }
        }
        let applied = hub.published.applied_lsn();
        if applied > hub.durable_lsn.load(Ordering::Relaxed)
            && let Err(refusal) = persist(&hub, &view).await
        {
            return hub.fail(refusal);
        }
    }
}

/// Everything that is applied now becomes durable.
pub(crate) async fn persist(hub: &Hub, view: &Arc<dyn View>) -> Result<(), dfs_wire::Refusal> {
    let (applied, view) = (hub.published.applied_lsn(), view.clone());
    hub.env
        .blocking(move || view.persist())
        .await
        .map_err(view_failed)?;
    hub.durable_lsn.fetch_max(applied, Ordering::Relaxed);
    Ok(())
}
