//! Opens the store of folded state. What cannot be read is deleted and folded again: it is a cache of the log.
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use dfs_env::{Disk, Env};
use dfs_wire::{Code, Refusal};

use super::config::Store;
use super::suspect::{self, Suspect};
use crate::state;
use crate::view::{LsmView, Stamp, View, ViewError};

/// Inside the role's directory, so that the directory's own lock stays when the store is deleted.
const VIEW_DIR: &str = "view";

/// The store, and the disk it lies on.
pub(crate) struct Opened {
    pub(crate) view: Arc<dyn View>,
    pub(crate) disk: Option<Arc<dyn Disk>>,
    pub(crate) suspect: Option<Suspect>,
    /// The LSN of the snapshot that the state was begun from.
    pub(crate) begun_lsn: u64,
}

/// `suspect`: the state that lies there is wrong.
pub(crate) async fn open(
    env: &Env,
    store: Store,
    suspect: Option<Suspect>,
    cluster_id: &[u8],
) -> Result<Opened, Refusal> {
    let opened = match store {
        Store::Given(view) => {
            if suspect.is_some() {
                tracing::warn!("empty a store in memory: its state was wrong");
                let emptied = view
                    .begin_load()
                    .and_then(|()| view.end_load(Stamp::default()));
                emptied.map_err(view_failed)?;
            }
            Opened {
                view,
                disk: None,
                suspect,
                begun_lsn: 0, // one that is given with rows in it was folded from LSN 1
            }
        }
        Store::Directory(dir) => {
            let disk = env.disk(&dir).map_err(|e| unusable(&dir, &e.to_string()))?;
            let path = dir.join(VIEW_DIR);
            let opening = move || {
                let settled = suspect::settle(&dir, &path, suspect);
                let suspect = settled.map_err(|e| unusable(&dir, &e.to_string()))?;
                let begun_lsn = suspect::begun(&dir).map_err(|e| unusable(&dir, &e.to_string()))?;
                Ok::<_, Refusal>((open_or_rebuild(&path)?, suspect, begun_lsn))
            };
            let (view, suspect, begun_lsn) = env.blocking(opening).await?;
            Opened {
                view: Arc::new(view),
                disk: Some(disk),
                suspect,
                begun_lsn,
            }
        }
    };
    check_cluster(&*opened.view, cluster_id)?;
    Ok(opened)
}

fn open_or_rebuild(path: &Path) -> Result<LsmView, Refusal> {
    match LsmView::open(path) {
        Err(error) if error.wants_refold() => {
            tracing::warn!(path = %path.display(), %error, "delete the store and fold the log again");
            delete(path).map_err(|e| unusable(path, &e.to_string()))?;
            LsmView::open(path).map_err(|e| unusable(path, &e.to_string()))
        }
        opened => opened.map_err(|e| unusable(path, &e.to_string())),
    }
}

fn delete(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        deleted => deleted,
    }
}

fn check_cluster(view: &dyn View, cluster_id: &[u8]) -> Result<(), Refusal> {
    let cluster = state::cluster(&view.snapshot()).map_err(view_failed)?;
    match cluster {
        Some(cluster) if cluster.cluster_id != cluster_id => Err(Refusal::new(
            Code::Mismatch,
            "the materializer's store",
            "it was folded from another cluster's log",
        )),
        _ => Ok(()),
    }
}

pub(crate) fn view_failed(error: ViewError) -> Refusal {
    let code = if error.wants_refold() {
        Code::Corrupt
    } else {
        Code::Unavailable
    };
    Refusal::new(code, "the materializer's store", error.to_string())
}

fn unusable(path: &Path, why: &str) -> Refusal {
    Refusal::new(Code::Unavailable, path.display().to_string(), why)
        .advice("Look at the disk; a materializer's directory may be deleted, it is folded again")
}
