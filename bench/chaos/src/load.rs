//! The load: unique operations at a steady pace, all of them noted.
//!
//! Workers begin operations at fixed times whether the system answers or not, as far as there are
//! workers: latency counts from when an operation was due.
use crate::dice::Dice;
use crate::history::{Act, History, Operation, Outcome};
use crate::witness::Witness;
use anyhow::{Context, Result};
use bytes::Bytes;
use dfs_env::{Env, Task};
use dfs_fs::{Address, AppendOptions, Committed, Fs, Refusal, When, WriteOptions, source_of};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) const ROOT: &str = "/chaos";
/// Directories by what is made in them.
pub(crate) const ROOMS: [&str; 4] = ["directories", "lines", "large", "registers"];
pub(crate) const REGISTERS: u64 = 4;
/// Lines of one file: it stays below what a record holds, so that an append is one record.
const LINES: u64 = 128;
/// Above what a record holds.
const LARGE_BYTES: usize = 40 << 10;
/// Reads by a client that knows one materializer: often enough to meet its first moment awake.
const PINNED_READ_EVERY: Duration = Duration::from_millis(20);

/// What all workers share.
pub(crate) struct Load {
    pub(crate) env: Env,
    pub(crate) history: Arc<History>,
    pub(crate) witness: Arc<Witness>,
    /// All times count from here.
    pub(crate) start: Instant,
    pub(crate) until: Instant,
    /// Nothing is larger than a record.
    is_inline: bool,
    appended: AtomicU64,
    /// The file that lines go to now.
    file: Mutex<String>,
}

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) workers: u64,
    /// Operations of all workers in a second.
    pub(crate) per_second: f64,
}

struct Worker {
    load: Arc<Load>,
    fs: Fs,
    name: String,
    dice: Dice,
    count: u64,
}

impl Load {
    /// Makes what the load needs to stand on.
    pub(crate) async fn prepare(
        fs: &Fs,
        env: Env,
        length: Duration,
        is_inline: bool,
    ) -> Result<Arc<Load>> {
        for room in ROOMS {
            fs.mkdir(&Address::new(format!("{ROOT}/{room}"))?, None, true)
                .await
                .context("cannot make a directory")?;
        }
        let witness = Arc::<Witness>::default();
        for register in 0..REGISTERS {
            let (register, value) = (format!("r{register}"), String::new());
            let made = write(fs, "registers", &register, Bytes::new()).await?;
            let act = Act::Write { register, value };
            let known = witness.begins(&act);
            witness.ends(&act, known, &Outcome::Done { lsn: made.lsn });
        }
        write(fs, "lines", "f0", Bytes::new()).await?;
        let start = env.now();
        Ok(Arc::new(Load {
            env,
            history: Arc::default(),
            witness,
            start,
            until: start + length,
            is_inline,
            appended: AtomicU64::new(1),
            file: Mutex::new("f0".into()),
        }))
    }

    /// One task for each worker, over the clients in turn.
    pub(crate) fn begin(self: &Arc<Self>, clients: &[Fs], pace: Pace, seed: u64) -> Vec<Task<()>> {
        let period = Duration::from_secs_f64(pace.workers as f64 / pace.per_second.max(0.1));
        let begin = |number: u64| {
            let worker = Worker {
                load: self.clone(),
                fs: clients[number as usize % clients.len()].clone(),
                name: format!("w{number}"),
                dice: Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number)),
                count: 0,
            };
            let first = self.start + period.mul_f64(number as f64 / pace.workers as f64);
            self.env.spawn("chaos-worker", worker.work(first, period))
        };
        (0..pace.workers).map(begin).collect()
    }

    /// Reads through a client that knows one materializer only.
    pub(crate) fn watch(self: &Arc<Self>, name: String, fs: Fs, seed: u64) -> Task<()> {
        let worker = Worker {
            load: self.clone(),
            fs,
            name,
            dice: Dice::new(seed),
            count: 0,
        };
        let first = self.start;
        self.env.spawn("chaos-watcher", worker.watch(first))
    }

    pub(crate) fn now_us(&self) -> u64 {
        (self.env.now() - self.start).as_micros() as u64
    }
}

impl Worker {
    async fn work(mut self, first: Instant, period: Duration) {
        let mut due = first;
        while due < self.load.until {
            let wait = due.saturating_duration_since(self.load.env.now());
            self.load.env.sleep(wait).await;
            if self.load.env.now() >= self.load.until {
                return; // the last one took long
            }
            self.once(due).await;
            due += period;
        }
    }

    async fn watch(mut self, mut due: Instant) {
        while self.load.env.now() < self.load.until {
            let wait = due.saturating_duration_since(self.load.env.now());
            self.load.env.sleep(wait).await;
            self.read(due).await;
            due = self.load.env.now().max(due + PINNED_READ_EVERY);
        }
    }

    /// A name, line or value that nobody else has.
    fn unique(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    async fn once(&mut self, due: Instant) {
        match self.dice.below(20) {
            0..=5 => self.make_directory(due).await,
            6..=10 => self.append(due).await,
            11..=14 => self.overwrite(due).await,
            15 if !self.load.is_inline => self.write_large(due).await,
            _ => self.read(due).await,
        }
    }

    fn register(&mut self) -> String {
        format!("r{}", self.dice.below(REGISTERS))
    }

    async fn note(&self, due: Instant, act: Act, doing: BoxFuture<'_, Outcome>) {
        let since = |at: Instant| (at - self.load.start).as_micros() as u64;
        let start_us = self.load.now_us();
        let known = self.load.witness.begins(&act);
        let outcome = doing.await;
        self.load.witness.ends(&act, known, &outcome);
        self.load.history.add(Operation {
            client: self.name.clone(),
            due_us: since(due).min(start_us),
            start_us,
            end_us: self.load.now_us(),
            act,
            outcome,
        });
    }

    async fn make_directory(&mut self, due: Instant) {
        let name = self.unique();
        let path = format!("{ROOT}/directories/{name}");
        let fs = self.fs.clone();
        let doing = async { outcome(fs.mkdir(&Address::new(path)?, None, false).await) };
        let act = Act::MakeDirectory(name);
        self.note(due, act, boxed(doing)).await;
    }

    async fn append(&mut self, due: Instant) {
        let before = self.load.appended.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(LINES) {
            return self.make_file(due).await;
        }
        let line = self.unique();
        let file = self.load.file.lock().clone();
        let (path, bytes) = (format!("{ROOT}/lines/{file}"), format!("{line}\n"));
        let fs = self.fs.clone();
        let doing = async {
            let (at, source) = (Address::new(path)?, source_of(bytes));
            outcome(fs.append(&at, source, AppendOptions::default()).await)
        };
        let act = Act::Append { file, line };
        self.note(due, act, boxed(doing)).await;
    }

    /// The file that later lines go to.
    async fn make_file(&mut self, due: Instant) {
        let (name, fs, load) = (self.unique(), self.fs.clone(), self.load.clone());
        let (path, file) = (format!("{ROOT}/lines/{name}"), name.clone());
        let doing = async {
            let options = WriteOptions {
                create_only: true,
                ..WriteOptions::default()
            };
            let (at, source) = (Address::new(path)?, source_of(Bytes::new()));
            let made = fs.write(&at, source, options).await;
            if made.is_ok() {
                *load.file.lock() = file;
            }
            outcome(made)
        };
        self.note(due, Act::MakeFile(name), boxed(doing)).await;
    }

    async fn overwrite(&mut self, due: Instant) {
        let (register, value) = (self.register(), self.unique());
        let (name, bytes) = (register.clone(), Bytes::from(value.clone()));
        let fs = self.fs.clone();
        let doing = async { outcome(write(&fs, "registers", &name, bytes).await) };
        let act = Act::Write { register, value };
        self.note(due, act, boxed(doing)).await;
    }

    async fn write_large(&mut self, due: Instant) {
        let (name, fs) = (self.unique(), self.fs.clone());
        let (file, bytes) = (name.clone(), large(&name));
        let doing = async { outcome(write(&fs, "large", &file, bytes).await) };
        self.note(due, Act::WriteLarge(name), boxed(doing)).await;
    }

    async fn read(&mut self, due: Instant) {
        let (register, fs) = (self.register(), self.fs.clone());
        let name = register.clone();
        let doing = read(&fs, &name);
        self.note(due, Act::Read { register }, doing).await;
    }
}

/// One register, linearizable.
pub(crate) fn read<'a>(fs: &'a Fs, register: &'a str) -> BoxFuture<'a, Outcome> {
    boxed(async move {
        let path = format!("{ROOT}/registers/{register}");
        saw(fs, &Address::new(path)?).await
    })
}

async fn write(fs: &Fs, room: &str, name: &str, bytes: Bytes) -> Result<Committed, Refusal> {
    let at = Address::new(format!("{ROOT}/{room}/{name}"))?;
    fs.write(&at, source_of(bytes), WriteOptions::default())
        .await
}

async fn saw(fs: &Fs, at: &Address) -> Result<Outcome, Refusal> {
    let reading = fs.read(at, When::Head, None).await?;
    let (lsn, version) = (reading.entry.lsn, reading.entry.value.lsn);
    let bytes = reading.collect().await?;
    Ok(Outcome::Saw {
        lsn,
        version,
        value: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn outcome(ended: Result<Committed, Refusal>) -> Result<Outcome, Refusal> {
    ended.map(|committed| Outcome::Done { lsn: committed.lsn })
}

/// On the heap: operations are large futures.
fn boxed<'a>(
    doing: impl Future<Output = Result<Outcome, Refusal>> + Send + 'a,
) -> BoxFuture<'a, Outcome> {
    Box::pin(settled(Box::pin(doing)))
}

async fn settled(doing: impl Future<Output = Result<Outcome, Refusal>>) -> Outcome {
    match doing.await {
        Ok(outcome) => outcome,
        Err(refusal) if refusal.get().not_done => Outcome::Refused(format!("{refusal:?}")),
        Err(refusal) => Outcome::Unknown(format!("{refusal:?}")),
    }
}

/// The bytes of the large file of this name, and of no other.
pub(crate) fn large(name: &str) -> Bytes {
    let seed = name
        .bytes()
        .fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut dice = Dice::new(seed);
    (0..LARGE_BYTES).map(|_| dice.below(256) as u8).collect()
}
