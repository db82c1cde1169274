//! The unit as a role: starts its parts, answers calls, stops in order.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfs_env::{Env, Space};
use dfs_rpc::roles::{Answers, Connector, LogUnit, Requests};
use dfs_rpc::trace::{Span, Who};
use dfs_wire::v1::store_part::Part;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};

use crate::config::UnitConfig;
use crate::extents::store::Extents;
use crate::failure::Failure;
use crate::log::append::append;
use crate::log::conversation::Conversation;
use crate::log::fetch::fetch;
use crate::log::ledger::Ledger;
use crate::log::owner::{Order, Owner, QUEUE_MAX};
use crate::log::repair::Repair;
use crate::log::scan::scan;
use crate::log::scrub::Scrub;
use crate::log::stream::open_log;
use crate::metrics;

/// An orderly stop takes at most so long; then it is as after a crash, which is always safe.
const STOP_WAIT: Duration = Duration::from_secs(4);
/// The first part of a store has to come this soon.
const HEADER_WAIT: Duration = Duration::from_secs(10);

/// A running log unit.
pub struct UnitRole {
    env: Env,
    ledger: Arc<Ledger>,
    queue: mpsc::Sender<Order>,
    extents: Extents,
}

impl UnitRole {
    /// Finds what the disks hold and begins to serve. It does not wait for the sequencer: until
    /// that has been heard, frames of known lanes are taken and scans are told to try again.
    ///
    /// # Errors
    /// A disk that cannot be read, or holds what this build does not know.
    pub async fn start(
        env: &Env,
        config: UnitConfig,
        connector: Arc<dyn Connector>,
    ) -> Result<Arc<UnitRole>, Refusal> {
        let env = env.group(format!("unit-{}", config.unit_id));
        let failure = Failure::new();
        let what = format!("start unit {}", config.unit_id);
        let (opened, state) = open_log(&env, &config)
            .await
            .map_err(|e| Refusal::new(Code::State, what.clone(), e.to_string()))?;
        let extents = Extents::open(&env, &config, failure.clone()).await;
        let extents = extents.map_err(|e| Refusal::new(Code::State, what, e.to_string()))?;
        let ledger = Arc::new(Ledger::new(config, state, opened.reader, failure));
        let (queue, orders) = mpsc::channel(QUEUE_MAX);
        env.spawn(
            "log",
            Owner::new(env.clone(), ledger.clone(), opened.writer).run(orders),
        );
        let failed = ledger.clone();
        env.spawn("failure", async move {
            failed.failure.wait().await;
            failed.stop(); // whoever waits for cuts or credits is let go
        });
        let conversation = Conversation {
            env: env.clone(),
            ledger: ledger.clone(),
            queue: queue.clone(),
            connector: connector.clone(),
        };
        env.spawn("sequencer", conversation.run());
        let repair = Repair {
            env: env.clone(),
            ledger: ledger.clone(),
            queue: queue.clone(),
            connector,
        };
        env.spawn("repair", repair.run());
        let scrub = Scrub {
            env: env.clone(),
            ledger: ledger.clone(),
        };
        env.spawn("scrub", scrub.run());
        Ok(Arc::new(UnitRole {
            env,
            ledger,
            queue,
            extents,
        }))
    }

    /// Ends only when the role has failed (LOG-U3), with why; who runs it starts it anew.
    pub async fn failed(&self) -> String {
        self.ledger.failure.wait().await
    }

    /// Stops taking work, writes and syncs what was taken, and ends every task, within 5 s.
    pub async fn stop(&self) {
        self.ledger.stop();
        let orderly = async {
            let (reply, stopped) = oneshot::channel();
            if self.queue.send(Order::Stop(reply)).await.is_ok() {
                let _ = stopped.await; // a failed owner has said why
            }
            self.extents.stop().await;
        };
        if self.env.timeout(STOP_WAIT, orderly).await.is_err() {
            tracing::warn!(
                unit_id = self.ledger.config.unit_id,
                "stop a unit: it took too long"
            );
        }
        self.env.crash();
    }
}

/// Several units may answer at one address.
pub(crate) fn check_unit(config: &UnitConfig, unit_id: u64) -> Result<(), Refusal> {
    if unit_id == config.unit_id {
        return Ok(());
    }
    let why = format!("this is unit {}", config.unit_id);
    Err(Refusal::new(Code::Mismatch, format!("unit {unit_id}"), why))
}

#[async_trait]
impl LogUnit for UnitRole {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        self.counted(metrics::APPEND, async {
            self.check_running()?;
            Ok(append(&self.env, &self.ledger, &self.queue, frames))
        })
        .await
    }

    async fn scan(&self, request: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        self.counted(metrics::SCAN, async {
            self.check_running()?;
            check_unit(&self.ledger.config, request.unit_id)?;
            Ok(scan(&self.env, &self.ledger, request))
        })
        .await
    }

    async fn store(&self, parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        let span = self.span("unit.store");
        let stored = span.run(self.counted(metrics::STORE, self.store_parts(&span, parts)));
        stored.await.inspect_err(|refusal| span.refused(refusal))
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        let load = self.counted(metrics::LOAD, async {
            self.check_running()?;
            check_unit(&self.ledger.config, request.unit_id)?;
            self.extents.load(request).await
        });
        self.span("unit.load").covers(load).await
    }

    async fn status(
        &self,
        request: v1::UnitStatusRequest,
    ) -> Result<v1::UnitStatusAnswer, Refusal> {
        check_unit(&self.ledger.config, request.unit_id)?;
        self.described().await
    }

    async fn fetch(&self, request: v1::FetchRequest) -> Result<Answers<v1::FetchBatch>, Refusal> {
        self.counted(metrics::FETCH, async {
            self.check_running()?;
            check_unit(&self.ledger.config, request.unit_id)?;
            fetch(&self.ledger, request)
        })
        .await
    }
}

impl UnitRole {
    /// Counts a request and how long it took.
    async fn counted<T>(
        &self,
        kind: usize,
        asked: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        self.ledger
            .metrics
            .calls
            .counted(&self.env, kind, asked)
            .await
    }

    fn span(&self, name: &'static str) -> Span {
        let config = &self.ledger.config;
        let who = Who::log_unit(config.node.node_id);
        Span::here(&self.env, name, who).with("unit", config.unit_id)
    }

    async fn store_parts(
        &self,
        span: &Span,
        mut parts: Requests<v1::StorePart>,
    ) -> Result<v1::Stored, Refusal> {
        self.check_running()?;
        let first = self
            .env
            .timeout(HEADER_WAIT, parts.next())
            .await
            .ok()
            .flatten();
        let Some(Part::Header(header)) = first.and_then(|first| first.part) else {
            return Err(Refusal::new(
                Code::Invalid,
                "store",
                "it does not begin with a header",
            ));
        };
        check_unit(&self.ledger.config, header.unit_id)?;
        span.set("group", header.group);
        span.set("bytes", header.length);
        self.extents.store(header, parts).await
    }

    pub(crate) async fn described(&self) -> Result<v1::UnitStatusAnswer, Refusal> {
        let space = self.ledger.config.log.space().await;
        let space =
            space.map_err(|e| Refusal::new(Code::Unavailable, "the unit's disk", e.to_string()))?;
        Ok(self.describe(space))
    }

    /// Orders to the log's writer, and how many may wait.
    pub(crate) fn counts(&self) -> (&Ledger, &Extents, (usize, usize)) {
        let most = self.queue.max_capacity();
        let waiting = most - self.queue.capacity();
        (&self.ledger, &self.extents, (waiting, most))
    }

    /// Whether the sequencer has told it where the log stands.
    pub fn has_heard(&self) -> bool {
        self.ledger.state.lock().is_based()
    }

    fn describe(&self, space: Space) -> v1::UnitStatusAnswer {
        let (config, metrics) = (&self.ledger.config, &self.ledger.metrics);
        let (extents, extent_bytes) = self.extents.index.totals();
        let (damaged_extents, nameless_damage) = self.extents.index.damage();
        let state = self.ledger.state.lock();
        let (lanes_behind, records_behind) = state.behind();
        v1::UnitStatusAnswer {
            unit_id: config.unit_id,
            nonce: config.nonce.clone(),
            log_bytes: self.ledger.log_bytes(),
            extent_bytes,
            extents,
            fsyncs: metrics.log_syncs.count() + self.extents.syncs.count(),
            appended_frames: metrics.frames.get(),
            appended_records: metrics.records.get(),
            full: state.is_full(),
            bad_ranges: state.bad_ranges(),
            heard_cut_seq: state.heard().cut_seq,
            stamped_through: state.stamped_through(),
            total_bytes: space.total,
            available_bytes: space.available,
            lanes_behind,
            records_behind,
            bytes_to_fetch: metrics.bytes_to_fetch.get(),
            fetched_bytes: metrics.fetched_bytes.get(),
            mended_frames: metrics.mended_frames.get(),
            scrubbed_bytes: metrics.scrubbed_bytes.get(),
            scrub_rounds: metrics.scrub_rounds.get(),
            scrub_found: metrics.scrub_found.get(),
            damaged_extents,
            nameless_damage,
        }
    }

    fn check_running(&self) -> Result<(), Refusal> {
        if self.ledger.is_stopping() {
            let what = format!("unit {}", self.ledger.config.unit_id);
            return Err(Refusal::new(Code::Unavailable, what, "it is stopping"));
        }
        Ok(())
    }
}
