//! What the tasks of a unit's log share: the state, the newest frames, and who waits for what.

use std::sync::Arc;

use dfs_rpc::trace::FRAMES_FOLLOWED_MAX;
use dfs_segment::Reader;
use dfs_wire::v1;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::config::UnitConfig;
use crate::failure::Failure;
use crate::log::cache::Cache;
use crate::metrics::Metrics;
use crate::unit::state::Unit;

/// Bytes of frames that were received and are not durable yet, of all lanes together: several times
/// what one fdatasync covers; past it appenders wait.
pub(crate) const STAGED_BYTES_MAX: usize = 64 << 20;

pub(crate) struct Ledger {
    pub(crate) config: UnitConfig,
    /// Changed by the owner task; scans read it and mark what they found damaged, the conversation
    /// notes what it has told.
    pub(crate) state: Mutex<Unit>,
    pub(crate) cache: Cache,
    pub(crate) reader: Reader,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) failure: Failure,
    /// Durable frames of sampled requests, that the sequencer has not been told of.
    traces: Mutex<Vec<v1::FrameTrace>>,
    /// Something that a scan may wait for has changed.
    readable: watch::Sender<u64>,
    /// Something that the sequencer has to be told has changed.
    tellable: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

impl Ledger {
    pub(crate) fn new(config: UnitConfig, state: Unit, reader: Reader, failure: Failure) -> Ledger {
        Ledger {
            cache: Cache::new(config.cache_bytes),
            config,
            state: Mutex::new(state),
            reader,
            room: Arc::new(Semaphore::new(STAGED_BYTES_MAX)),
            metrics: Metrics::default(),
            failure,
            traces: Mutex::default(),
            readable: watch::Sender::new(0),
            tellable: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
        }
    }

    /// Passed over when nobody has fetched what is there: the sequencer is away.
    pub(crate) fn trace(&self, frame: v1::FrameTrace) {
        let mut traces = self.traces.lock();
        if traces.len() < FRAMES_FOLLOWED_MAX {
            traces.push(frame);
        }
    }

    pub(crate) fn take_traces(&self) -> Vec<v1::FrameTrace> {
        std::mem::take(&mut self.traces.lock())
    }

    pub(crate) fn now_readable(&self) {
        self.readable.send_modify(|times| *times += 1);
    }

    pub(crate) fn watch_readable(&self) -> watch::Receiver<u64> {
        self.readable.subscribe()
    }

    pub(crate) fn now_tellable(&self) {
        self.tellable.send_modify(|times| *times += 1);
    }

    pub(crate) fn watch_tellable(&self) -> watch::Receiver<u64> {
        self.tellable.subscribe()
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        self.now_readable();
        self.now_tellable();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.failure.is_set()
    }

    /// Waits until the role stops or has failed.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = self.failure.wait() => {}
        }
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.reader.end().0 - self.reader.start().0
    }
}
