//! Pauses between attempts: doubling, with chance in them, so that many clients do not come back at once.

use std::time::Duration;

use dfs_env::Env;
use tokio::time::Instant;

/// The first pause: shorter than a fail-over, longer than a busy moment.
const FIRST_US: u64 = 5_000;
/// No pause is longer: it is part of the gap that a fail-over leaves.
const LONGEST_US: u64 = 250_000;

pub(crate) struct Backoff {
    env: Env,
    next_us: u64,
}

impl Backoff {
    pub(crate) fn new(env: Env) -> Backoff {
        Backoff {
            env,
            next_us: FIRST_US,
        }
    }

    /// Waits, at most until the deadline; false when that has come.
    pub(crate) async fn pause(&mut self, deadline: Instant) -> bool {
        let us = self.next_us / 2 + self.env.random_u64() % (self.next_us / 2);
        self.next_us = (self.next_us * 2).min(LONGEST_US);
        let left = deadline.saturating_duration_since(self.env.now());
        self.env.sleep(Duration::from_micros(us).min(left)).await;
        self.env.now() < deadline
    }
}
