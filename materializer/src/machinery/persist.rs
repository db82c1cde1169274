//! Makes folded state durable, beside the loop, and watches its disk (FOLD-P0).
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dfs_env::Disk;

use super::open::view_failed;
use super::shared::Shared;
use crate::view::View;

/// What a crash costs: a second of the log to fold again.
const EVERY: Duration = Duration::from_secs(1);
/// FOLD-P0: kept free on the store's disk: one part in twenty, at least 64 MiB.
const HEADROOM_PART: u64 = 20;
const HEADROOM_BYTES: u64 = 64 << 20;

pub(crate) async fn run(shared: Arc<Shared>, view: Arc<dyn View>, disk: Option<Arc<dyn Disk>>) {
    loop {
        shared.env.sleep(EVERY).await;
        if let Some(disk) = &disk {
            match disk.space().await {
                Ok(space) => {
                    let headroom = (space.total / HEADROOM_PART).max(HEADROOM_BYTES);
                    shared
                        .store_full
                        .store(space.available < headroom, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(%error, "cannot ask the store's disk for its space"),
            }
        }
        let applied = shared.published.applied_lsn();
        if applied > shared.durable_lsn.load(Ordering::Relaxed)
            && let Err(refusal) = persist(&shared, &view).await
        {
            return shared.fail(refusal);
        }
    }
}

/// Everything that is applied now becomes durable.
pub(crate) async fn persist(
    shared: &Shared,
    view: &Arc<dyn View>,
) -> Result<(), dfs_wire::Refusal> {
    let (applied, view) = (shared.published.applied_lsn(), view.clone());
    shared
        .env
        .blocking(move || view.persist())
        .await
        .map_err(view_failed)?;
    shared.durable_lsn.fetch_max(applied, Ordering::Relaxed);
    Ok(())
}
