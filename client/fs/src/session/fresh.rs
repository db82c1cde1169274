//! How well this client knows the settings of the cluster: by what the primary's answers carry anyway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Grant;

/// Settings are used without another question for so long after the primary was last asked anything:
/// half of the second within which a change is seen everywhere.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// A client that is busy hears of a change with its next answer; one that was idle asks first.
#[derive(Default)]
pub(crate) struct Fresh {
    /// The last change of a setting that a primary has told of.
    settings_lsn: AtomicU64,
    /// When the last question was sent that it has answered.
    asked: Mutex<Option<Instant>>,
}

impl Fresh {
    pub(crate) fn heard(&self, asked: Instant, settings_lsn: u64) {
        self.settings_lsn.fetch_max(settings_lsn, Ordering::Relaxed);
        let mut last = self.asked.lock();
        *last = Some(last.map_or(asked, |last| last.max(asked)));
    }

    pub(crate) fn knows(&self, grant: &Grant, now: Instant) -> bool {
        let last = *self.asked.lock();
        let is_young = last.is_some_and(|last| now.saturating_duration_since(last) <= TRUSTED_FOR);
        is_young && self.settings_lsn.load(Ordering::Relaxed) <= grant.settings_lsn
    }
}
