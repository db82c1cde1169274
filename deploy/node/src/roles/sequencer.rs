//! The sequencer's voters of a process: opened, watched, and opened again when their disk failed.
mod local;

use super::{Place, REPORT_EVERY, RETRY_EVERY};
use crate::directory::is_empty;
use anyhow::Context;
use dfs_env::{Env, Task};
use dfs_rpc::roles::PeerConnector;
use dfs_rpc::serve::SharedRoles;
use dfs_sequencer::{Seating, SequencerConfig, SequencerRole};
use dfs_wire::{Code, Refusal, v1};
use local::Local;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// The voters of this process: one in a cluster, one to five where the process is the cluster.
pub(super) struct Voters {
    env: Env,
    all: Vec<Arc<Voter>>,
}

/// One voter, in one incarnation after another.
struct Voter {
    env: Env,
    dir: PathBuf,
    config: SequencerConfig,
    peers: Arc<dyn PeerConnector>,
    shared: SharedRoles,
    /// Where it answers together with others.
    local: Option<Arc<Local>>,
    running: Mutex<Arc<SequencerRole>>,
    failed: watch::Sender<Option<Refusal>>,
}

impl Voters {
    /// Opens them. What cannot be opened at the start of the process is an error of the start.
    pub(super) async fn open(place: &Place) -> anyhow::Result<Arc<Voters>> {
        if place.config.join {
            return Box::pin(Voters::join(place)).await;
        }
        let (list, own) = place.config.voters(&place.address)?;
        if own.len() == list.len() {
            check_journals(place, own.len()).context("the sequencer does not start")?;
        }
        let local = (own.len() > 1).then(Arc::<Local>::default);
        if let Some(local) = &local {
            place.shared.write().sequencer = Some(local.clone());
        }
        let mut all = Vec::new();
        for (slot, voter) in (1..).zip(own) {
            let config = config(place, voter, &list);
            all.push(Voter::open(place, slot, config, local.clone()).await?);
        }
        let env = place.env.clone();
        Ok(Arc::new(Voters { env, all }))
    }

    /// One that has a seat in the group, or waits until it is given one.
    async fn join(place: &Place) -> anyhow::Result<Arc<Voters>> {
        let voter = Box::pin(take_seat(place))
            .await
            .context("the sequencer does not start")?;
        let mut config = config(place, voter, &BTreeMap::new());
        config.joining(voter);
        let all = vec![Voter::open(place, 1, config, None).await?];
        let env = place.env.clone();
        Ok(Arc::new(Voters { env, all }))
    }

    pub(super) fn running(&self) -> Vec<Arc<SequencerRole>> {
        let running = self.all.iter().map(|voter| voter.running.lock().clone());
        running.collect()
    }

    pub(super) fn ended(&self) -> Vec<Refusal> {
        let failed = self.all.iter().map(|voter| voter.failed.borrow().clone());
        failed.flatten().collect()
    }

    pub(super) fn supervise(&self) -> Vec<Task<()>> {
        let keep = |voter: &Arc<Voter>| {
            let voter = voter.clone();
            self.env.spawn(
                "sequencer-supervisor",
                async move { voter.keep_open().await },
            )
        };
        self.all.iter().map(keep).collect()
    }

    pub(super) async fn failed(&self) -> Refusal {
        let failures = self
            .all
            .iter()
            .map(|voter| Box::pin(super::told(&voter.failed)));
        futures::future::select_all(failures).await.0
    }

    /// Leadership is handed over, unless to one that stops as well.
    pub(super) async fn stop(&self) {
        let running = self.all.iter().map(|voter| voter.running.lock().clone());
        let running: Vec<_> = running.collect();
        if let [alone] = &running[..] {
            alone.hand_over().await;
        }
        futures::future::join_all(running.iter().map(|role| role.stop())).await;
    }
}

fn config(place: &Place, voter: u64, list: &BTreeMap<u64, String>) -> SequencerConfig {
    let (replicas, quorum) = (place.config.log_replicas(), place.config.log_write_quorum());
    let mut config = SequencerConfig::single(place.address.clone(), replicas, quorum);
    config.voter = voter;
    config.voters.clone_from(list);
    if let Some(held) = place.config.cluster.set_aside_from {
        config.set_aside_from = held;
    }
    config
}

/// The id that its directory has, or is given now by the sequencer that leads.
async fn take_seat(place: &Place) -> Result<u64, Refusal> {
    let mut seating = Seating::open(&place.env, &place.directory.sequencer(1)).await?;
    let seated = match seating.voter() {
        Some(voter) => Ok(voter),
        None => ask_for_seat(place, &mut seating).await,
    };
    seating.end().await;
    seated
}

async fn ask_for_seat(place: &Place, seating: &mut Seating) -> Result<u64, Refusal> {
    let request = seating.request()?;
    for attempt in 1.. {
        let asked = async {
            let sequencer = place.connector.sequencer().await?;
            sequencer.administer(request.clone()).await
        };
        match asked.await.map(|answer| answer.answer) {
            Ok(Some(v1::admin_answer::Answer::Seated(seated))) => {
                seating.take(&seated).await?;
                return Ok(seated.id);
            }
            Err(refusal) if !refusal.is_retryable() => return Err(refusal),
            Err(refusal) if attempt % REPORT_EVERY == 0 => {
                tracing::warn!(%refusal, "the sequencer has no seat in the group yet; trying on");
            }
            _ => {}
        }
        place.env.sleep(RETRY_EVERY).await;
    }
    unreachable!("attempts do not end")
}

impl Voter {
    async fn open(
        place: &Place,
        slot: u32,
        config: SequencerConfig,
        local: Option<Arc<Local>>,
    ) -> anyhow::Result<Arc<Voter>> {
        let dir = place.directory.sequencer(slot);
        let role = SequencerRole::start(&place.env, &dir, config.clone(), place.peers.clone())
            .await
            .context("the sequencer does not start")?;
        let voter = Arc::new(Voter {
            env: place.env.clone(),
            dir,
            config,
            peers: place.peers.clone(),
            shared: place.shared.clone(),
            local,
            running: Mutex::new(role.clone()),
            failed: watch::Sender::new(None),
        });
        voter.show(Some(role));
        Ok(voter)
    }

    /// Others find it from now on, or do not any more.
    fn show(&self, role: Option<Arc<SequencerRole>>) {
        let mut shared = self.shared.write();
        let voter = self.config.voter;
        match &role {
            Some(role) => drop(shared.peers.insert(voter, role.clone())),
            None => drop(shared.peers.remove(&voter)),
        }
        match &self.local {
            Some(local) => local.show(voter, role),
            None => shared.sequencer = role.map(|role| role as _),
        }
    }

    /// A failed disk ends the role (LOG-U3); a damaged journal ends it for good.
    async fn keep_open(&self) {
        loop {
            let role = self.running.lock().clone();
            let why = role.stopped().await;
            tracing::warn!(why, "the sequencer ended; opening it again");
            self.show(None);
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
            let (config, peers) = (self.config.clone(), self.peers.clone());
            match SequencerRole::start(&self.env, &self.dir, config, peers).await {
                Ok(role) => {
                    *self.running.lock() = role.clone();
                    self.show(Some(role));
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
}

/// Where all voters are here, their journals are the order of the whole log: made anew, they would be the
/// begin of another cluster.
fn check_journals(place: &Place, voters: usize) -> anyhow::Result<()> {
    let identity = &place.directory.identity;
    if place.env.is_simulated() || identity.cluster_id.is_empty() {
        return Ok(());
    }
    let dirs: Vec<PathBuf> = (1..)
        .take(voters)
        .map(|slot| place.directory.sequencer(slot))
        .collect();
    for dir in &dirs {
        if !is_empty(dir)? {
            return Ok(());
        }
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
    let what = format!("the sequencer's journal in {}", dirs[0].display());
    let why = format!(
        "it is gone, and with it the order of the log of cluster {cluster}; the bytes are still in {held}; nothing was changed"
    );
    let advice = "Put the directory back as it was at the last stop; to begin anew, choose an empty data directory";
    Err(Refusal::new(Code::Lost, what, why).advice(advice).into())
}
