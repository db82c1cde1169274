//! The sequencer's voter of a process: opened, watched, and opened again when its disk failed.
use super::{Place, RETRY_EVERY};
use crate::directory::is_empty;
use anyhow::Context;
use dfs_env::{Env, Task};
use dfs_rpc::serve::SharedRoles;
use dfs_sequencer::{SequencerConfig, SequencerRole};
use dfs_wire::{Code, Refusal};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The one voter that may run here now.
pub(super) struct Voter {
    env: Env,
    dir: PathBuf,
    config: SequencerConfig,
    shared: SharedRoles,
    running: Mutex<Arc<SequencerRole>>,
    failed: watch::Sender<Option<Refusal>>,
}

impl Voter {
    /// Opens it. What it cannot open at the start of the process is an error of the start.
    pub(super) async fn open(place: &Place) -> anyhow::Result<Arc<Voter>> {
        let (replicas, quorum) = (place.config.log_replicas(), place.config.log_write_quorum());
        let config = SequencerConfig::single(place.address.clone(), replicas, quorum);
        let dir = place.directory.sequencer();
        check_journal(place, &dir).context("the sequencer does not start")?;
        let role = SequencerRole::start(&place.env, &dir, config.clone())
            .await
            .context("the sequencer does not start")?;
        place.shared.write().sequencer = Some(role.clone());
        Ok(Arc::new(Voter {
            env: place.env.clone(),
            dir,
            config,
            shared: place.shared.clone(),
            running: Mutex::new(role),
            failed: watch::Sender::new(None),
        }))
    }

    pub(super) fn supervise(self: &Arc<Self>) -> Task<()> {
        let own = self.clone();
        self.env
            .spawn("sequencer-supervisor", async move { own.keep_open().await })
    }

    /// A failed disk ends the role (LOG-U3); a damaged journal ends it for good.
    async fn keep_open(&self) {
        loop {
            let role = self.running.lock().clone();
            let why = role.stopped().await;
            tracing::warn!(why, "the sequencer ended; opening it again");
            self.shared.write().sequencer = None;
            role.stop().await;
            drop(role);
            if !self.open_again().await {
                return;
            }
        }
    }

    /// False: no further attempt can help.
    async fn open_again(&self) -> bool {
        loop {
            self.env.sleep(RETRY_EVERY).await;
            let config = self.config.clone();
            match SequencerRole::start(&self.env, &self.dir, config).await {
                Ok(role) => {
                    *self.running.lock() = role.clone();
                    self.shared.write().sequencer = Some(role);
                    return true;
                }
                Err(refusal) if refusal.code() == Code::Corrupt => {
                    tracing::error!(%refusal, "the sequencer stops for good: a person must look");
                    self.failed.send_replace(Some(refusal));
                    return false;
                }
                Err(refusal) => tracing::warn!(%refusal, "the sequencer does not open yet"),
            }
        }
    }

    pub(super) async fn failed(&self) -> Refusal {
        super::told(&self.failed).await
    }

    pub(super) async fn stop(&self) {
        let role = self.running.lock().clone();
        role.stop().await;
    }
}

/// The only voter's journal is the order of the whole log: made anew, it would be the begin of another cluster.
fn check_journal(place: &Place, dir: &Path) -> anyhow::Result<()> {
    let identity = &place.directory.identity;
    let is_only = place.config.sequencers.len() <= 1;
    if place.env.is_simulated() || !is_only || identity.cluster_id.is_empty() || !is_empty(dir)? {
        return Ok(());
    }
    let cluster = &identity.cluster_id;
    let units = (1..=place.config.units).map(|slot| place.directory.unit(slot));
    let held: Vec<String> = units
        .filter(|unit| !is_empty(unit).unwrap_or(true))
        .map(|unit| unit.display().to_string())
        .collect();
    let held = if held.is_empty() {
        "the log units of the cluster".to_string()
    } else {
        held.join(", ")
    };
    let what = format!("the sequencer's journal in {}", dir.display());
    let why = format!(
        "it is gone, and with it the order of the log of cluster {cluster}; the bytes are still in {held}; nothing was changed"
    );
    let advice = "Put the directory back as it was at the last stop; to begin anew, choose an empty data directory";
    Err(Refusal::new(Code::Lost, what, why).advice(advice).into())
}
