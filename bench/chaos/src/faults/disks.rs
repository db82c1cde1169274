//! What is done to disks: their power fails, their sectors change.
use super::Nemesis;
use crate::cluster::{Process, Role};
use crate::harm::harm;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// A process that refuses its directory has said so by then.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a sequencer says of a journal that it cannot trust.
const REFUSAL: &str = "the journal is damaged from";

impl Nemesis {
    /// All of them dead at once; what they had not synced is gone.
    pub(crate) async fn lose_power(&self, processes: &[&Process], down: Duration) {
        self.look_for_ended();
        let whose = match processes {
            [one] => one.name.as_str(),
            _ => "all",
        };
        let mark = self.begin(format!("power of {whose}, {} ms down", down.as_millis()));
        for process in processes {
            process.kill().await;
        }
        for process in processes {
            if let Err(error) = process.lose_power() {
                let name = &process.name;
                self.unasked.lock().push(format!("{name}: {error:#}"));
            }
        }
        self.env.sleep(down).await;
        for process in processes {
            self.start(process);
        }
        self.end(mark);
    }

    /// SIGKILL; one sector is another one when it starts again. A unit mends it, a sequencer may also
    /// refuse it with its place: then it comes back as another member.
    pub(crate) async fn damage(&self, process: &Process) {
        self.look_for_ended();
        process.kill().await;
        let what = harm(&process.data(), &mut self.dice.lock());
        let what = what.map(|what| what.unwrap_or("nothing written yet".into()));
        let what = what.unwrap_or_else(|error| format!("not harmed: {error:#}"));
        let mark = self.begin(format!("{}: {what}", process.name));
        self.start(process);
        if process.role == Role::Sequencer && self.is_refused(process).await {
            let came_back = Box::pin(self.come_back(process)).await;
            if let Err(error) = came_back {
                self.unasked.lock().push(format!("{what}: {error:#}"));
            }
        }
        if let Err(error) = self.all_caught_up().await {
            self.unasked.lock().push(format!("{what}: {error:#}"));
        }
        self.until_well(mark).await;
    }

    /// A second voter must not be harmed while the first one is still behind.
    async fn all_caught_up(&self) -> Result<()> {
        for voter in self.cluster.of(Role::Sequencer) {
            let wait = ["node", "wait", &voter.address, "--for", "caught-up"];
            self.cluster.operate(&wait).await?;
        }
        Ok(())
    }

    async fn is_refused(&self, process: &Process) -> bool {
        let until = self.env.now() + REFUSED_WITHIN;
        while self.env.now() < until {
            if process.ended().is_some() {
                return true;
            }
            self.env.sleep(LOOK_EVERY).await;
        }
        false
    }

    /// By what an operator would type. Whoever ended without naming the place of the damage is a fault.
    async fn come_back(&self, process: &Process) -> Result<()> {
        let times = self.marks.lock().len();
        let said = process.begin_anew(times)?;
        let Some(refusal) = said.lines().rev().find(|line| line.contains(REFUSAL)) else {
            bail!(
                "{} ended and does not say where the damage is",
                process.name
            );
        };
        eprintln!("{:>10}  {refusal}", "");
        let remove = ["node", "remove", &process.address];
        let removed = self.cluster.operate(&remove).await;
        removed.context("the damaged one does not go")?;
        self.start(process);
        let add = ["node", "add", &process.address];
        self.cluster.operate(&add).await.map(drop)
    }
}
