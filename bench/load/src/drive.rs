//! Closed and open loops over any operation; latencies count from the moment an operation was due.
use anyhow::Result;
use async_trait::async_trait;
use dfs_env::Env;
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Latencies are kept with three digits, up to a minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// One kind of operation, done again and again by many workers at once.
#[async_trait]
pub trait Operation: Send + Sync + 'static {
    /// `worker` < the number in flight; `n` counts operations over all workers, each number once.
    async fn once(&self, worker: u64, n: u64) -> Result<()>;
}

/// What a loop has seen.
pub struct Measured {
    pub operations: u64,
    pub errors: u64,
    pub first_error: Option<String>,
    pub seconds: f64,
    /// CPU seconds of this process (user + system) while it ran.
    pub cpu_seconds: f64,
    /// µs from due to done.
    pub latencies: Histogram<u64>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    /// µs at a quantile, as 0.99.
    pub fn latency_us(&self, quantile: f64) -> u64 {
        self.latencies.value_at_quantile(quantile)
    }

    pub fn cpu_us_per_operation(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.operations.max(1) as f64
    }
}

/// `in_flight` workers, each beginning its next operation when its last has ended: the most that
/// so many clients can get. Every latency is one that a client has waited.
pub async fn closed(
    env: &Env,
    operation: Arc<dyn Operation>,
    in_flight: u64,
    length: Duration,
) -> Result<Measured> {
    let until = env.now() + length;
    let pace = Pace {
        first: env.now(),
        every: None,
        until,
    };
    run(env, operation, in_flight, pace).await
}

/// Operations begin at a fixed rate whether earlier ones have ended or not (up to `in_flight_max`, whose
/// queueing counts as latency): free of coordinated omission.
pub async fn open(
    env: &Env,
    operation: Arc<dyn Operation>,
    per_second: f64,
    in_flight_max: u64,
    length: Duration,
) -> Result<Measured> {
    let every = Duration::from_secs_f64(1.0 / per_second.max(1e-3));
    let first = env.now();
    let pace = Pace {
        first,
        every: Some(every),
        until: first + length,
    };
    run(env, operation, in_flight_max, pace).await
}

/// When operations are due.
#[derive(Clone, Copy)]
struct Pace {
    first: Instant,
    every: Option<Duration>,
    until: Instant,
}

impl Pace {
    /// When operation `n` is due; None when the loop is over by then.
    fn due(&self, n: u64, now: Instant) -> Option<Instant> {
        let due = match self.every {
            Some(every) => self.first + every.mul_f64(n as f64),
            None => now,
        };
        (due < self.until).then_some(due)
    }
}

struct Worker {
    env: Env,
    operation: Arc<dyn Operation>,
    pace: Pace,
    next: Arc<AtomicU64>,
}

struct Seen {
    latencies: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

async fn run(
    env: &Env,
    operation: Arc<dyn Operation>,
    workers: u64,
    pace: Pace,
) -> Result<Measured> {
    let cpu_before = cpu_seconds();
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..workers)
        .map(|id| {
            let worker = Worker {
                env: env.clone(),
                operation: operation.clone(),
                pace,
                next: next.clone(),
            };
            env.spawn("load-worker", worker.run(id))
        })
        .collect();
    let mut all = Seen {
        latencies: latencies()?,
        errors: 0,
        first_error: None,
    };
    for task in tasks {
        let seen = task
            .await
            .map_err(|error| anyhow::anyhow!("a worker died: {error:?}"))??;
        all.latencies.add(&seen.latencies)?;
        all.errors += seen.errors;
        all.first_error = all.first_error.or(seen.first_error);
    }
    Ok(Measured {
        operations: all.latencies.len(),
        errors: all.errors,
        first_error: all.first_error,
        seconds: (env.now() - pace.first).as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu_before,
        latencies: all.latencies,
    })
}

impl Worker {
    async fn run(self, id: u64) -> Result<Seen> {
        let mut seen = Seen {
            latencies: latencies()?,
            errors: 0,
            first_error: None,
        };
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(due) = self.pace.due(n, self.env.now()) else {
                return Ok(seen);
            };
            let wait = due.saturating_duration_since(self.env.now());
            if !wait.is_zero() {
                self.env.sleep(wait).await;
            }
            match self.operation.once(id, n).await {
                Ok(()) => seen
                    .latencies
                    .saturating_record((self.env.now() - due).as_micros() as u64),
                Err(error) => {
                    seen.errors += 1;
                    seen.first_error.get_or_insert(format!("{error:#}"));
                }
            }
        }
    }
}

fn latencies() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?)
}

/// CPU seconds of this process so far, user and system.
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
