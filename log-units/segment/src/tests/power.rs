//! Crashes at any await, power losses, failed syncs: what was acknowledged is there.

use std::time::Duration;

use dfs_env::sim::SimWorld;
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::{prop_assert_eq, proptest};

use super::judge::{Fault, Ledger, reopen};
use super::{Machine, NODE, Sabotage, entry, options};
use crate::{CommitError, Opened, Position};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Append {
        count: u8,
        len: u16,
    },
    Commit,
    Idle,
    /// Releases the front; in 255ths of what is kept.
    Trim(u8),
    /// A sync fails; the process then crashes or loses power.
    FailedSync {
        power: bool,
    },
    /// The machine stops this many µs into a commit.
    CrashInCommit {
        us: u16,
        power: bool,
    },
    Crash {
        power: bool,
    },
    /// Opens that are themselves cut short after so many µs, each by a power loss or a crash.
    CrashInOpens(Vec<(u16, bool)>),
    Stop,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..6u8, 0..9000u16).prop_map(|(count, len)| Step::Append { count, len }),
        6 => proptest::strategy::Just(Step::Commit),
        2 => proptest::strategy::Just(Step::Idle),
        1 => any::<u8>().prop_map(Step::Trim),
        1 => any::<bool>().prop_map(|power| Step::FailedSync { power }),
        2 => (0..700u16, any::<bool>()).prop_map(|(us, power)| Step::CrashInCommit { us, power }),
        1 => any::<bool>().prop_map(|power| Step::Crash { power }),
        1 => prop::collection::vec((0..1500u16, any::<bool>()), 1..4).prop_map(Step::CrashInOpens),
        1 => proptest::strategy::Just(Step::Stop),
    ];
    prop::collection::vec(step, 1..60)
}

/// Runs steps and judges every recovery.
pub(super) struct Run {
    pub(super) machine: Machine,
    pub(super) ledger: Ledger,
    pub(super) opened: Option<Opened>,
    sabotage: Option<Sabotage>,
    appended: u32,
}

impl Run {
    pub(super) fn new(world: &SimWorld, sabotage: Option<Sabotage>) -> Run {
        let (machine, ledger) = (Machine::start(world), Ledger::default());
        Run {
            machine,
            ledger,
            opened: None,
            sabotage,
            appended: 0,
        }
    }

    pub(super) async fn opened(&mut self) -> Result<&mut Opened, String> {
        if self.opened.is_none() {
            let options = options(self.sabotage);
            let opened = reopen(&self.machine, &mut self.ledger, &options, Fault::Crash).await?;
            self.opened = Some(opened);
        }
        self.opened.as_mut().ok_or_else(|| "opened above".into())
    }

    pub(super) fn restart(&mut self, power: bool) {
        self.opened = None;
        let world = self.machine.world.clone();
        if power {
            world.power_loss(NODE)
        } else {
            world.crash(NODE)
        };
        self.machine = Machine::start(&world);
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Append { count, len } => self.append(*count, *len).await,
            Step::Commit => self.commit().await,
            Step::Idle => {
                let idle = self.opened().await?.writer.idle().await;
                idle.map_err(|e| e.to_string())
            }
            Step::Trim(part) => self.trim(*part).await,
            Step::FailedSync { power } => self.failed_sync(*power).await,
            Step::CrashInCommit { us, power } => {
                let env = self.machine.env.clone();
                let commit = self.commit();
                if let Ok(committed) = env
                    .timeout(Duration::from_micros((*us).into()), commit)
                    .await
                {
                    committed?;
                }
                self.restart(*power);
                self.opened().await.map(drop)
            }
            Step::Crash { power } => {
                self.restart(*power);
                self.opened().await.map(drop)
            }
            Step::CrashInOpens(crashes) => self.crash_in_opens(crashes).await,
            Step::Stop => self.stop().await,
        }
    }

    async fn append(&mut self, count: u8, len: u16) -> Result<(), String> {
        for _ in 0..count {
            self.appended += 1;
            let (kind, seed) = ((self.appended % 200) as u8, self.appended);
            let bytes: Vec<u8> = (0..u32::from(len))
                .map(|i| (i.wrapping_mul(seed) >> 3) as u8)
                .collect();
            let entry = entry(kind, bytes);
            let at = self
                .opened()
                .await?
                .writer
                .append(entry.clone())
                .map_err(|e| e.to_string())?;
            self.ledger.entries.push((at, entry));
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), String> {
        let committed = self.opened().await?.writer.commit().await;
        self.ledger.acknowledged = committed.map_err(|e| e.to_string())?;
        Ok(())
    }

    async fn trim(&mut self, part: u8) -> Result<(), String> {
        let writer = &mut self.opened().await?.writer;
        let (start, end) = (writer.start().0, writer.end().0);
        let before = Position(start + (end - start) * u64::from(part) / 255);
        let kept = writer.trim(before).await.map_err(|e| e.to_string())?;
        if kept > before {
            Err(format!("asked to trim {before}, trimmed {kept}"))
        } else {
            Ok(())
        }
    }

    async fn failed_sync(&mut self, power: bool) -> Result<(), String> {
        self.append(2, 100).await?;
        self.machine.env.sleep(Duration::from_secs(1)).await; // no spare is being made
        self.machine.platter().fail_next_sync();
        let writer = &mut self.opened().await?.writer;
        for _ in 0..2 {
            match writer.commit().await {
                Err(CommitError::Poisoned(_)) => {}
                other => return Err(format!("a failed sync did not poison: {other:?}")),
            }
        }
        self.restart(power);
        self.opened().await.map(drop)
    }

    async fn crash_in_opens(&mut self, crashes: &[(u16, bool)]) -> Result<(), String> {
        self.opened().await?;
        self.restart(true);
        for (us, power) in crashes {
            let options = options(self.sabotage);
            let open = self.machine.open(&options);
            let _ = self
                .machine
                .env
                .timeout(Duration::from_micros((*us).into()), open)
                .await;
            self.restart(*power);
        }
        self.opened().await.map(drop)
    }

    async fn stop(&mut self) -> Result<(), String> {
        self.opened().await?;
        let Some(opened) = self.opened.take() else {
            return Ok(());
        };
        self.ledger.acknowledged = opened.writer.stop().await.map_err(|e| e.to_string())?;
        self.restart(true);
        let cut = self.opened().await?.report.tail_cut_at;
        if let Some(cut) = cut {
            Err(format!("a stopped stream was cut at {cut}"))
        } else {
            Ok(())
        }
    }
}

/// Runs steps in a world of this seed; the answer is what the judge says.
pub(super) fn run(seed: u64, steps: &[Step], sabotage: Option<Sabotage>) -> Result<(), String> {
    SimWorld::run(seed, |world| async move {
        let mut run = Run::new(&world, sabotage);
        for (at, step) in steps.iter().enumerate() {
            run.step(step)
                .await
                .map_err(|e| format!("step {at}, {step:?}: {e}"))?;
        }
        run.restart(true);
        run.opened().await.map(drop)
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 100, failure_persistence: None, ..Default::default() })]

    /// Nothing acknowledged is lost, nothing wrong is found, nothing is called corrupt.
    #[test]
    fn crashes_lose_nothing_acknowledged(seed in any::<u64>(), steps in steps()) {
        prop_assert_eq!(run(seed, &steps, None), Ok(()));
    }
}
