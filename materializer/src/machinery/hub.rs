//! What the tasks of one role hold in common.
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use dfs_env::Env;
use dfs_log::SharedLog;
use dfs_rpc::roles::Connector;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::config::{RetentionPolicy, SHARD, SnapshotPolicy};
use super::metrics::Metrics;
use super::open::view_failed;
use super::ops::{Answered, Arrival, Asker, By, Waiter, Work};
use super::published::{Published, stopped};
use super::suspect::{self, Suspect};
use crate::state::{self, Term};
use crate::view::Snapshot;

pub(crate) struct Hub {
    pub(crate) env: Env,
    pub(crate) owner: v1::Owner,
    pub(crate) log: Arc<dyn SharedLog>,
    pub(crate) members: watch::Receiver<Arc<v1::Members>>,
    pub(crate) units: Option<Arc<dyn Connector>>,
    pub(crate) snapshot_policy: SnapshotPolicy,
    pub(crate) retention: RetentionPolicy,
    pub(crate) published: Published,
    pub(crate) standing: ArcSwap<Standing>,
    pub(crate) arrivals: mpsc::Sender<Vec<Arrival>>,
    pub(crate) commands: mpsc::Sender<super::shard::Command>,
    /// Unanswered requests of all streams.
    pub(crate) room: Arc<Semaphore>,
    /// One refold at a time: each holds a whole namespace in memory.
    pub(crate) refolds: Semaphore,
    pub(crate) durable_lsn: AtomicU64,
    /// The last change of a setting that is folded; told with every answer.
    pub(crate) settings_lsn: Arc<AtomicU64>,
    /// FOLD-P0: the disk of the store has no headroom left.
    pub(crate) store_full: AtomicBool,
    /// Of those that `census.rs` looks for; as counted last.
    pub(crate) empty_groups: ArcSwap<BTreeSet<u64>>,
    /// FOLD-T4: told in the keep-alive.
    pub(crate) stepped_down: AtomicBool,
    /// FOLD-X4b: of the state here, or of the one that has to be folded next.
    suspect: Mutex<Option<Suspect>>,
    /// The LSN of the snapshot that the state was begun from; 0: from LSN 1.
    begun_lsn: AtomicU64,
    /// The role's directory, if it has one.
    dir: Option<PathBuf>,
    failed: watch::Sender<Option<Refusal>>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the shard loop is, for status and for those who turn askers away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) role: &'static str,
    pub(crate) term: Option<Term>,
    pub(crate) halted: String,
}

impl Hub {
    pub(crate) fn new(
        env: Env,
        owner: v1::Owner,
        log: Arc<dyn SharedLog>,
        members: watch::Receiver<Arc<v1::Members>>,
        (suspect, begun_lsn, dir): (Option<Suspect>, u64, Option<PathBuf>),
        (units, snapshot_policy, retention): (
            Option<Arc<dyn Connector>>,
            SnapshotPolicy,
            RetentionPolicy,
        ),
        (arrivals, commands): (
            mpsc::Sender<Vec<Arrival>>,
            mpsc::Sender<super::shard::Command>,
        ),
    ) -> Hub {
        Hub {
            env,
            owner,
            log,
            members,
            units,
            snapshot_policy,
            retention,
            published: Published::default(),
            standing: ArcSwap::from_pointee(Standing {
                role: "catching up",
                ..Standing::default()
            }),
            arrivals,
            commands,
            room: Arc::new(Semaphore::new(super::config::REQUESTS_MAX)),
            refolds: Semaphore::new(1),
            durable_lsn: AtomicU64::new(0),
            settings_lsn: Arc::default(),
            store_full: AtomicBool::new(false),
            empty_groups: ArcSwap::default(),
            // It leaves the shard to another until it has proved itself.
            stepped_down: AtomicBool::new(suspect.is_some()),
            suspect: Mutex::new(suspect),
            begun_lsn: AtomicU64::new(begun_lsn),
            dir,
            failed: watch::channel(None).0,
            metrics: Arc::default(),
        }
    }

    pub(crate) fn suspect(&self) -> Option<Suspect> {
        *self.suspect.lock()
    }

    pub(crate) fn suspect_state(&self, suspect: Suspect) {
        *self.suspect.lock() = Some(suspect);
    }

    /// A row of it cannot be read: it begins anew, and has nothing to prove.
    pub(crate) fn suspect_store(&self) {
        let mut suspect = self.suspect.lock();
        let known = suspect.unwrap_or(Suspect {
            lsn: 0,
            agreed_lsn: u64::MAX,
            by_majority: true,
            attempt: 0,
        });
        *suspect = Some(Suspect {
            attempt: known.attempt + 1,
            ..known
        });
    }

    pub(crate) fn begun_lsn(&self) -> u64 {
        self.begun_lsn.load(Ordering::Relaxed)
    }

    /// Before anything is folded on top of it.
    pub(crate) async fn begin_from(&self, lsn: u64) -> Result<(), Refusal> {
        self.begun_lsn.store(lsn, Ordering::Relaxed);
        let Some(dir) = self.dir.clone() else {
            return Ok(());
        };
        let noted = self.env.blocking(move || suspect::note_begun(&dir, lsn));
        noted.await.map_err(|error| {
            Refusal::new(
                Code::Unavailable,
                "the materializer's store",
                error.to_string(),
            )
        })
    }

    /// The state in place of a wrong one agrees with that of the others.
    pub(crate) fn proved(&self) {
        let was_suspect = self.suspect.lock().take().is_some();
        if let (true, Some(dir)) = (was_suspect, self.dir.clone()) {
            let env = self.env.clone();
            self.env.spawn("clear mark", async move {
                if let Err(error) = env.blocking(move || suspect::clear(&dir)).await {
                    tracing::warn!(%error, "cannot remove the mark of a state that was wrong");
                }
            });
        }
    }

    /// In force at what is folded; of retention, where nobody has set it in the log, as this process is configured.
    pub(crate) fn settings(&self, folded: &Snapshot) -> Result<v1::Settings, Refusal> {
        let made = state::made_with(folded).map_err(view_failed)?;
        let own = self.retention;
        let configured = v1::Settings {
            retention_us: own.time_us.unwrap_or(made.retention_us),
            retention_bytes: own.bytes,
            ..made
        };
        state::over(configured, folded).map_err(view_failed)
    }

    pub(crate) fn members(&self) -> Arc<v1::Members> {
        self.members.borrow().clone()
    }

    /// The role ends: nothing more is folded or answered.
    pub(crate) fn fail(&self, refusal: Refusal) {
        let mut standing = (**self.standing.load()).clone();
        standing.halted = refusal.to_string();
        self.standing.store(Arc::new(standing));
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert(refusal);
            first
        });
        self.published.close();
    }

    pub(crate) async fn failed(&self) -> Refusal {
        let mut failed = self.failed.subscribe();
        let told = failed.wait_for(Option::is_some).await;
        told.ok()
            .and_then(|failed| failed.clone())
            .unwrap_or_else(stopped)
    }

    /// The end of the log, asked for now (LOG-I10); what it says also serves bounded reads.
    pub(crate) async fn end(&self) -> Result<v1::EndAnswer, Refusal> {
        let sent = self.env.now();
        let end = self.log.end(true).await?;
        self.published.heard_end(sent, end.next_lsn);
        Ok(end)
    }

    /// Lets the shard loop do something for a task of this role.
    pub(crate) async fn ask_loop(
        &self,
        work: Work,
        deadline: Instant,
    ) -> Result<Answered, Refusal> {
        let (tell, told) = oneshot::channel();
        let waiter = Some(Waiter {
            asker: Asker::Task(tell),
            deadline,
        });
        let arrival = Arrival {
            work,
            by: By::default(),
            waiter,
        };
        self.arrivals
            .send(vec![arrival])
            .await
            .map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }

    /// Empty while the node has not registered one.
    pub(crate) fn address_of(&self, node_id: u64) -> String {
        let members = self.members();
        let member = members
            .members
            .iter()
            .find(|member| member.node_id == node_id);
        member.map_or_else(String::new, |member| member.address.clone())
    }

    pub(crate) fn progress(&self) -> super::role::Progress {
        let own = self.owner.node_id;
        let stepped_down = self.stepped_down.load(Ordering::Relaxed);
        let newest = self.published.newest();
        let is_in_set = |newest: &Snapshot| state::is_replica(newest, SHARD, own).unwrap_or(false);
        let is_replica = newest.is_ok_and(|newest| is_in_set(&newest));
        let standing = self.standing.load_full();
        let serves = ["primary", "replica"].contains(&standing.role) && standing.halted.is_empty();
        let is_ready = is_replica && serves && !stepped_down && self.published.doubt().is_none();
        let of_shard = |yes: bool| if yes { vec![SHARD] } else { Vec::new() };
        super::role::Progress {
            applied_lsn: self.published.applied_lsn(),
            durable_lsn: self.durable_lsn.load(Ordering::Relaxed),
            stepped_down: of_shard(stepped_down),
            replica_of: of_shard(is_replica),
            ready_for: of_shard(is_ready),
        }
    }
}
