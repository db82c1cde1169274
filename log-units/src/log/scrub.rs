//! Damage looked for before somebody needs what it hit (LOG-U7): the stream, read through now and then.

use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_segment::Scanned;

use crate::log::ledger::{Ledger, STAGED_BYTES_MAX};

/// Read at once, between two pauses.
const STEP_BYTES: u64 = 256 << 10;
/// While frames wait for the disk it is left to them, and looked at again after so long …
const BUSY_WAIT: Duration = Duration::from_millis(20);
/// … but a step waits no longer than this: a disk that is always busy is damaged, too.
const BUSY_WAITS_MAX: u32 = 50;

pub(crate) struct Scrub {
    pub(crate) env: Env,
    pub(crate) ledger: Arc<Ledger>,
}

impl Scrub {
    /// Until the role stops.
    pub(crate) async fn run(self) {
        let ledger = self.ledger.clone();
        tokio::select! {
            biased;
            () = ledger.stopped() => {}
            () = self.scrub_for_ever() => {}
        }
    }

    async fn scrub_for_ever(&self) {
        if self.ledger.config.scrub_bytes_per_s == 0 {
            return std::future::pending().await;
        }
        loop {
            self.env.sleep(self.ledger.config.scrub_every).await;
            if let Err(e) = self.round().await {
                let unit_id = self.ledger.config.unit_id;
                tracing::warn!(unit_id, "read the log through: {e}");
            }
        }
    }

    /// All that is in the stream when it begins.
    async fn round(&self) -> std::io::Result<()> {
        let reader = &self.ledger.reader;
        let metrics = &self.ledger.metrics;
        let end = reader.end();
        let mut scan = reader.scan(reader.start());
        let mut step_bytes = 0;
        while let Some(scanned) = scan.next().await? {
            let (at, bytes) = match scanned {
                Scanned::Entry(at, entry) => (at, entry.bytes.len() as u64),
                Scanned::Corrupt(damage) => {
                    self.found(damage.start.0..damage.end.0);
                    (damage.start, damage.end.0 - damage.start.0)
                }
            };
            metrics.scrubbed_bytes.add(bytes);
            step_bytes += bytes;
            if at >= end {
                break;
            }
            if step_bytes >= STEP_BYTES {
                self.pause(std::mem::take(&mut step_bytes)).await;
            }
        }
        metrics.scrub_rounds.add(1);
        Ok(())
    }

    /// What is known already, or was mended elsewhere, is not found again.
    fn found(&self, positions: std::ops::Range<u64>) {
        let frames = self.ledger.state.lock().forget_positions(&positions);
        if frames == 0 {
            return;
        }
        let unit_id = self.ledger.config.unit_id;
        let (from, to) = (positions.start, positions.end);
        tracing::error!(unit_id, from, to, frames, "read the log through: damage");
        let metrics = &self.ledger.metrics;
        metrics.scrub_found.add(frames);
        self.ledger.now_readable(); // what repairs it waits for this, too
        self.ledger.now_tellable();
    }

    async fn pause(&self, bytes: u64) {
        let us = bytes.saturating_mul(1_000_000) / self.ledger.config.scrub_bytes_per_s;
        self.env.sleep(Duration::from_micros(us)).await;
        for _ in 0..BUSY_WAITS_MAX {
            if self.ledger.room.available_permits() >= STAGED_BYTES_MAX {
                return;
            }
            self.env.sleep(BUSY_WAIT).await;
        }
    }
}
