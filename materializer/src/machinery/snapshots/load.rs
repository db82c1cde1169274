//! A store that holds nothing is filled from the newest snapshot that is whole; else the log is folded from 1.
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use prost::Message;

use super::holders::{self, Listed};
use crate::machinery::config::{SHARD, TURN};
use crate::machinery::hub::Hub;
use crate::machinery::open::view_failed;
use crate::snapshot::{Decoder, Piece};
use crate::view::{Stamp, View, ViewError};

/// A list names as many extents as a record can: more would not have been taken.
const LIST_BYTES_MAX: u64 = 8 << 20;

/// What blocks on the disk.
type OnView = Box<dyn FnOnce(&dyn View) -> Result<(), ViewError> + Send>;

/// Fills `view` if it stands at nothing.
///
/// # Errors
/// The log begins later than 1, and no snapshot can be loaded now.
pub(crate) async fn bootstrap(hub: &Arc<Hub>, view: &Arc<dyn View>) -> Result<(), Refusal> {
    if view.snapshot().stamp.lsn > 0 || hub.units.is_none() {
        return Ok(());
    }
    let history = history(hub).await?;
    if !history.snapshots.is_empty() {
        hub.begin_from(u64::MAX).await?; // if it ends in between, nobody's own
    }
    let suspect = hub.suspect();
    let lsn_max = suspect.map_or(u64::MAX, |suspect| suspect.snapshot_max());
    let loaded = match newest(hub, view, &history, lsn_max).await {
        // FOLD-X4b: if it holds the same mistake, most others tell.
        Err(_) if suspect.is_some_and(|suspect| suspect.by_majority) => {
            let lsns = history.snapshots.iter().map(|row| row.lsn);
            newest(hub, view, &history, lsns.min().unwrap_or(0)).await
        }
        loaded => loaded,
    };
    let loaded = loaded?;
    hub.begin_from(loaded.unwrap_or(0)).await?;
    match loaded {
        Some(lsn) => hub.durable_lsn.fetch_max(lsn, Ordering::Relaxed),
        None => 0,
    };
    Ok(())
}

/// Fills `view` from the newest snapshot at or below `lsn_max` that is whole; its LSN. `None`: there is
/// none, and the log goes back to 1.
pub(crate) async fn newest(
    hub: &Arc<Hub>,
    view: &Arc<dyn View>,
    history: &v1::HistoryAnswer,
    lsn_max: u64,
) -> Result<Option<u64>, Refusal> {
    let mut failed = None;
    let usable = |row: &&v1::SnapshotRow| row.shard == SHARD && row.lsn <= lsn_max;
    for row in history.snapshots.iter().rev().filter(usable) {
        match fill(hub, view, row).await {
            Ok(()) => {
                tracing::info!(lsn = row.lsn, "loaded a snapshot");
                return Ok(Some(row.lsn));
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "cannot load a snapshot; try an older one, or the log");
                failed = Some(refusal);
            }
        }
    }
    if history.trim_lsn > 1 {
        return Err(failed.unwrap_or_else(|| {
            let why = format!("the log begins at LSN {}", history.trim_lsn);
            Refusal::new(Code::Trimmed, "state of that time", why).at(history.trim_lsn)
        }));
    }
    if failed.is_some() {
        let view = view.clone();
        let emptied = move || {
            view.begin_load()?;
            view.end_load(Stamp::default())
        };
        hub.env.blocking(emptied).await.map_err(view_failed)?;
    }
    Ok(None)
}

/// Waits until the sequencer answers: without it nothing is folded either.
pub(crate) async fn history(hub: &Hub) -> Result<v1::HistoryAnswer, Refusal> {
    loop {
        match hub.log.history().await {
            Err(refusal) if refusal.is_retryable() => hub.env.sleep(TURN).await,
            answered => return answered,
        }
    }
}

async fn fill(hub: &Arc<Hub>, view: &Arc<dyn View>, row: &v1::SnapshotRow) -> Result<(), Refusal> {
    let list = list(hub, row).await?;
    let placer = Listed {
        hub: hub.clone(),
        groups: list.groups,
    };
    let extents = holders::extents(hub, Arc::new(placer))?;
    let mut stream = extents.read(&list.extents, 0..list.bytes);
    let on_view = |work: OnView| {
        let view = view.clone();
        let done = hub.env.blocking(move || work(&*view));
        async { done.await.map_err(view_failed) }
    };
    on_view(Box::new(|view| view.begin_load())).await?;
    let (mut decoder, mut stamp) = (Decoder::default(), Stamp::default());
    while let Some(bytes) = stream.next().await {
        decoder.push(&bytes?);
        while let Some(piece) = decoder.next().map_err(|e| damaged(row, e.to_string()))? {
            match piece {
                Piece::Head(head) => {
                    stamp = head.stamp;
                    let told = (row.shard, row.lsn, row.digest);
                    if (head.shard, stamp.lsn, stamp.digest) != told {
                        return Err(damaged(row, "it is of another state than it is said to be"));
                    }
                }
                Piece::Rows(rows) => on_view(Box::new(|view| view.load(rows))).await?,
                Piece::End => {}
            }
        }
    }
    decoder.finish().map_err(|e| damaged(row, e.to_string()))?;
    on_view(Box::new(move |view| view.end_load(stamp))).await
}

async fn list(hub: &Arc<Hub>, row: &v1::SnapshotRow) -> Result<v1::SnapshotList, Refusal> {
    let location = v1::SnapshotLocation::decode(row.location.clone());
    let location = location.map_err(|e| damaged(row, format!("its location: {e}")))?;
    if location.list_bytes > LIST_BYTES_MAX {
        return Err(damaged(row, "its list cannot be that long"));
    }
    let placer = Listed {
        hub: hub.clone(),
        groups: location.groups,
    };
    let extents = holders::extents(hub, Arc::new(placer))?;
    let mut bytes = Vec::with_capacity(location.list_bytes as usize);
    let mut stream = extents.read(&location.list, 0..location.list_bytes);
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part?);
    }
    let list = v1::SnapshotList::decode(bytes.as_slice());
    let list = list.map_err(|e| damaged(row, format!("its list: {e}")))?;
    if (list.shard, list.lsn) != (row.shard, row.lsn) {
        return Err(damaged(row, "its list is that of another"));
    }
    Ok(list)
}

fn damaged(row: &v1::SnapshotRow, why: impl Into<String>) -> Refusal {
    let what = format!("snapshot of shard {} at LSN {}", row.shard, row.lsn);
    Refusal::new(Code::Corrupt, what, why)
}
