//! What machinery counts: plain relaxed atomics, read when somebody asks. Never counted inside the rules.
//!
//! Each role has its table of [`Metric`]s and gives [`Sample`]s of them; `deploy/node` exports them.
use dfs_env::Env;
use dfs_wire::{Code, Refusal, v1};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// µs: from what memory answers to what a person gives up on.
const DURATION_BOUNDS_US: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000, 30_000_000,
];
/// Of things that come together: powers of two up to what one batch holds.
const SIZE_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Codes of refusals are numbered below it.
const CODES: usize = 32;

/// How a figure behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; begins at 0 when its role is opened.
    Counter,
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// One exported name.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// By Prometheus' conventions: `dfs_…_total`, `_seconds`, `_bytes`.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Metric {
    pub const fn of(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Metric {
        Metric {
            name,
            kind,
            labels,
            help,
        }
    }
}

/// A figure of one metric with the values of its labels.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub figure: Figure,
}

#[derive(Clone, Debug)]
pub enum Figure {
    Count(u64),
    Level(f64),
    Spread(SpreadRead),
}

impl Sample {
    /// As it goes over the wire.
    pub fn into_wire(self) -> v1::Figure {
        use v1::figure::Value;
        let labels = self.labels.into_iter();
        let value = match self.figure {
            Figure::Count(count) => Value::Count(count),
            Figure::Level(level) => Value::Level(level),
            Figure::Spread(spread) => {
                let (bounds, counts) = spread.buckets.into_iter().unzip();
                Value::Spread(v1::FigureSpread {
                    bounds,
                    counts,
                    count: spread.count,
                    sum: spread.sum,
                })
            }
        };
        v1::Figure {
            name: self.name.into(),
            labels: labels
                .map(|(name, value)| v1::FigureLabel {
                    name: name.into(),
                    value,
                })
                .collect(),
            value: Some(value),
        }
    }
}

/// A list of samples being made; all get the labels that it was begun with.
pub struct Samples {
    labels: Vec<(&'static str, String)>,
    pub all: Vec<Sample>,
}

impl Samples {
    pub fn of(label: &'static str, value: impl ToString) -> Samples {
        Samples {
            labels: vec![(label, value.to_string())],
            all: Vec::new(),
        }
    }

    pub fn add(&mut self, name: &'static str, more: &[(&'static str, &str)], figure: Figure) {
        let mut labels = self.labels.clone();
        labels.extend(
            more.iter()
                .map(|(label, value)| (*label, (*value).to_string())),
        );
        self.all.push(Sample {
            name,
            labels,
            figure,
        });
    }

    pub fn count(&mut self, name: &'static str, count: u64) {
        self.add(name, &[], Figure::Count(count));
    }

    pub fn level(&mut self, name: &'static str, level: u64) {
        self.add(name, &[], Figure::Level(level as f64));
    }

    /// A queue against its bound: two metrics.
    pub fn queue(
        &mut self,
        (depth, bound): (&'static str, &'static str),
        queue: &str,
        (used, most): (usize, usize),
    ) {
        let of = [("queue", queue)];
        self.add(depth, &of, Figure::Level(used as f64));
        self.add(bound, &of, Figure::Level(most as f64));
    }
}

/// Counts up.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Of a level that its owner knows.
    pub fn set(&self, level: u64) {
        self.0.store(level, Ordering::Relaxed);
    }
}

/// How often, and how much: a histogram with fixed bounds.
#[derive(Debug)]
pub struct Spread {
    bounds: &'static [u64],
    /// What a bound has to be divided by.
    scale: f64,
    /// One more than bounds: what lies above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram as it was at one moment.
#[derive(Clone, Debug)]
pub struct SpreadRead {
    /// (upper bound, how many up to it), cumulative, without what lies above them all.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    pub sum: f64,
}

impl Spread {
    /// Of durations, exported in seconds.
    pub fn durations() -> Spread {
        Spread::new(DURATION_BOUNDS_US, 1e6)
    }

    /// Of how many come together.
    pub fn sizes() -> Spread {
        Spread::new(SIZE_BOUNDS, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Spread {
        Spread {
            bounds,
            scale,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    pub fn took(&self, duration: Duration) {
        self.note(duration.as_micros() as u64);
    }

    pub fn note(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|n| n.load(Ordering::Relaxed));
        counts.sum()
    }

    pub fn read(&self) -> SpreadRead {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (bucket, bound) in self.buckets.iter().zip(self.bounds) {
            count += bucket.load(Ordering::Relaxed);
            buckets.push((*bound as f64 / self.scale, count));
        }
        let above = self.buckets.last().map_or(0, |n| n.load(Ordering::Relaxed));
        SpreadRead {
            buckets,
            count: count + above,
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.scale,
        }
    }
}

/// Requests by kind and outcome, and how long each kind took.
#[derive(Debug)]
pub struct Calls {
    kinds: &'static [&'static str],
    calls: Box<[Call]>,
}

#[derive(Debug)]
struct Call {
    /// By the code of the refusal; 0: done.
    outcomes: [AtomicU64; CODES],
    took: Spread,
}

/// Where a kind stands in its list; for constants: one that is not in it does not compile.
pub const fn place_of(kinds: &[&str], name: &str) -> usize {
    let mut at = 0;
    while at < kinds.len() {
        if is_same(kinds[at].as_bytes(), name.as_bytes()) {
            return at;
        }
        at += 1;
    }
    panic!("a kind that is not in the list")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

impl Calls {
    pub fn of(kinds: &'static [&'static str]) -> Calls {
        let call = |_: &&str| Call {
            outcomes: std::array::from_fn(|_| AtomicU64::new(0)),
            took: Spread::durations(),
        };
        Calls {
            kinds,
            calls: kinds.iter().map(call).collect(),
        }
    }

    /// `kind`: its place in the list of kinds.
    pub fn ended(&self, kind: usize, took: Duration, refused: Option<Code>) {
        let Some(call) = self.calls.get(kind) else {
            return;
        };
        let code = refused.map_or(0, |code| code as usize).min(CODES - 1);
        call.outcomes[code].fetch_add(1, Ordering::Relaxed);
        call.took.took(took);
    }

    /// Counts a request, how it ended and how long it took.
    pub async fn counted<T>(
        &self,
        env: &Env,
        kind: usize,
        asked: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let began = env.now();
        let told = asked.await;
        let took = env.now().saturating_duration_since(began);
        self.ended(kind, took, told.as_ref().err().map(Refusal::code));
        told
    }

    /// Every kind as done, also while it is 0; refusals where there were any.
    pub fn sample(&self, total: &'static str, seconds: &'static str, into: &mut Samples) {
        for (kind, call) in self.kinds.iter().zip(&self.calls) {
            for (code, count) in call.outcomes.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if code == 0 || count > 0 {
                    let outcome = outcome(code);
                    let labels = [("kind", *kind), ("outcome", outcome.as_str())];
                    into.add(total, &labels, Figure::Count(count));
                }
            }
            let took = Figure::Spread(call.took.read());
            into.add(seconds, &[("kind", kind)], took);
        }
    }
}

fn outcome(code: usize) -> String {
    match Code::try_from(code as i32) {
        _ if code == 0 => "ok".into(),
        Ok(code) => {
            let name = code.as_str_name();
            name.trim_start_matches("REFUSAL_CODE_")
                .to_ascii_lowercase()
        }
        Err(_) => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, Code, Duration, Figure, Samples, Spread};

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let spread = Spread::durations();
        for us in [100, 101, 60_000_000] {
            spread.took(Duration::from_micros(us));
        }
        let read = spread.read();
        assert_eq!((read.count, spread.count()), (3, 3));
        assert_eq!(read.buckets[0], (0.0001, 1));
        assert_eq!(read.buckets[1], (0.00025, 2));
        assert_eq!(read.buckets.last().map(|(_, n)| *n), Some(2));
        assert!((read.sum - 60.000201).abs() < 1e-9, "{}", read.sum);
    }

    #[test]
    fn every_code_of_the_wire_has_its_outcome() {
        let calls = Calls::of(&["stat"]);
        let codes: Vec<Code> = (0..256).filter_map(|n| Code::try_from(n).ok()).collect();
        for code in &codes {
            calls.ended(0, Duration::ZERO, Some(*code));
        }
        let mut samples = Samples::of("voter", 1);
        calls.sample("total", "seconds", &mut samples);
        let counted = samples.all.iter().filter(|sample| sample.name == "total");
        let outcomes: Vec<&Figure> = counted.map(|sample| &sample.figure).collect();
        assert_eq!(outcomes.len(), codes.len(), "two codes share an outcome");
        assert!(
            outcomes
                .iter()
                .all(|figure| matches!(figure, Figure::Count(1)))
        );
    }
}
