//! What is done to the processes: killed, paused, cut off, delayed; each of it noted with its time.
//!
//! `disks.rs`: what is done to their disks; `exchange.rs`: one process takes the place of another.
mod disks;
mod exchange;

use crate::clients::Clients;
use crate::cluster::{Cluster, Process, Role};
use crate::dice::Dice;
use crate::load::Load;
use crate::network::{Fate, Network};
use crate::settle::{Calm, settle};
use dfs_env::Env;
use dfs_fs::{Fs, Status};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A fault, from when to when.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) at_us: u64,
    pub(crate) healed_us: u64,
    pub(crate) what: String,
}

/// Which ways of a process lose their packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    Both,
    /// It speaks and is not heard.
    Out,
    /// It hears nothing and is heard.
    In,
}

/// Whoever does it.
pub(crate) struct Nemesis {
    pub(crate) env: Env,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) network: Option<Arc<Network>>,
    pub(crate) load: Arc<Load>,
    pub(crate) clients: Clients,
    pub(crate) eye: Fs,
    pub(crate) dice: Mutex<Dice>,
    pub(crate) marks: Mutex<Vec<Mark>>,
    /// Processes that ended though nobody killed them, and what could not be started.
    pub(crate) unasked: Mutex<Vec<String>>,
}

impl Nemesis {
    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        self.dice.lock().between(least, most)
    }

    pub(crate) fn begin(&self, what: String) -> Mark {
        let at_us = self.load.now_us();
        eprintln!("{:8.3} s  {what}", at_us as f64 / 1e6);
        Mark {
            at_us,
            healed_us: at_us,
            what,
        }
    }

    pub(crate) fn end(&self, mark: Mark) {
        let healed_us = self.load.now_us();
        self.marks.lock().push(Mark { healed_us, ..mark });
    }

    /// SIGKILL, and started again after a while.
    pub(crate) async fn kill(&self, process: &Process, down: Duration) {
        self.look_for_ended();
        let mark = self.begin(format!(
            "kill {}, {} ms down",
            process.name,
            down.as_millis()
        ));
        process.kill().await;
        self.env.sleep(down).await;
        self.start(process);
        self.end(mark);
    }

    pub(crate) fn start(&self, process: &Process) {
        if let Err(error) = self.cluster.start(process) {
            self.unasked.lock().push(format!("{error:#}"));
        }
    }

    /// SIGSTOP, and after a while SIGCONT.
    pub(crate) async fn pause(&self, process: &Process, length: Duration) {
        let mark = self.begin(format!("pause {} {} ms", process.name, length.as_millis()));
        process.pause();
        self.env.sleep(length).await;
        process.resume();
        self.end(mark);
    }

    /// Cut off from all other processes, and from the clients or not; then healed.
    pub(crate) async fn cut(
        &self,
        process: &Process,
        ways: Ways,
        clients_too: bool,
        length: Duration,
    ) {
        let clients = match clients_too {
            true => "clients too",
            false => "clients stay",
        };
        let (name, ms) = (&process.name, length.as_millis());
        let mark = self.begin(format!("cut {name} off ({ways:?}, {clients}) {ms} ms"));
        self.set(process, ways, clients_too, Some(Fate::Lost));
        self.env.sleep(length).await;
        self.set(process, Ways::Both, true, None);
        self.end(mark);
    }

    /// These are cut off from all other processes, together; clients reach both sides.
    pub(crate) async fn cut_apart(&self, side: &[&Process], length: Duration) {
        let names: Vec<&str> = side.iter().map(|one| one.name.as_str()).collect();
        let (names, ms) = (names.join(" and "), length.as_millis());
        let mark = self.begin(format!("cut {names} off, with clients, {ms} ms"));
        let is_in = |number: &usize| side.iter().any(|one| one.number == *number);
        let numbers = || 1..=self.cluster.processes.len();
        let set = |fate: Option<Fate>| {
            let Some(network) = &self.network else {
                return; // such scenarios do not begin without one
            };
            for own in numbers().filter(is_in) {
                for other in numbers().filter(|it| !is_in(it)) {
                    network.switch().set(own, other, fate);
                    network.switch().set(other, own, fate);
                }
            }
        };
        // Only what is asked while nothing passes is asked of the side that is cut off.
        set(Some(Fate::Lost));
        self.load
            .witness
            .set_apart(numbers().filter(is_in).collect());
        self.env.sleep(length).await;
        self.load.witness.set_apart(Vec::new());
        set(None);
        self.end(mark);
    }

    /// Everything to these processes takes longer.
    pub(crate) async fn delay(&self, processes: &[&Process], by: Duration, length: Duration) {
        let names: Vec<&str> = processes.iter().map(|one| one.name.as_str()).collect();
        let (names, by_ms) = (names.join(", "), by.as_millis());
        let mark = self.begin(format!("{names} +{by_ms} ms"));
        for process in processes {
            self.set(process, Ways::In, true, Some(Fate::Late(by)));
        }
        self.env.sleep(length).await;
        for process in processes {
            self.set(process, Ways::Both, true, None);
        }
        self.end(mark);
    }

    fn set(&self, process: &Process, ways: Ways, clients_too: bool, fate: Option<Fate>) {
        let Some(network) = &self.network else {
            return; // such scenarios do not begin without one
        };
        let first = usize::from(!clients_too);
        for other in (first..=self.cluster.processes.len()).filter(|it| *it != process.number) {
            if ways != Ways::In {
                network.switch().set(process.number, other, fate);
            }
            if ways != Ways::Out {
                network.switch().set(other, process.number, fate);
            }
        }
    }

    /// Nothing is cut, stopped or down any more.
    pub(crate) fn heal(&self) {
        if let Some(network) = &self.network {
            network.switch().heal();
        }
        self.look_for_ended();
        for process in self.cluster.members() {
            process.resume();
            if !process.is_running() {
                self.start(process);
            }
        }
    }

    /// A process that ended by itself is told of, and started again.
    pub(crate) fn look_for_ended(&self) {
        for process in self.cluster.members() {
            if let Some(ended) = process.ended() {
                let at_s = self.load.now_us() as f64 / 1e6;
                eprintln!("{at_s:8.3} s  {ended}");
                self.unasked
                    .lock()
                    .push(format!("{ended} (at {at_s:.3} s)"));
                self.start(process);
            }
        }
    }

    /// Nothing else is done until all is well again: one fault at a time.
    async fn until_well(&self, mark: Mark) {
        if let Err(ill) = Box::pin(settle(&self.env, &self.eye, &self.cluster, Calm::Busy)).await {
            self.unasked
                .lock()
                .push(format!("after \"{}\": {ill}", mark.what));
        }
        self.end(mark);
    }

    async fn status(&self) -> Option<Status> {
        self.eye.status().await.ok()
    }

    pub(crate) fn random(&self) -> Option<&Process> {
        let members: Vec<&Process> = self.cluster.members().collect();
        self.dice.lock().one_of(&members).copied()
    }

    /// The voter that says so; the first one while none does.
    pub(crate) async fn leader(&self) -> Option<&Process> {
        let voters = self.cluster.of(Role::Sequencer);
        for voter in &voters {
            if self.clients.leads(&voter.address).await {
                return Some(voter);
            }
        }
        voters.first().copied()
    }

    /// The materializer that may append; the first one while nobody says.
    pub(crate) async fn primary(&self) -> Option<&Process> {
        let said = self.status().await.and_then(|status| {
            let mut answers = status.materializers.iter();
            let is_primary =
                |answer: &dfs_wire::v1::MaterializerStatusAnswer| answer.role == "primary";
            let found = answers.find(|(_, answer)| answer.as_ref().is_ok_and(is_primary));
            found.and_then(|(member, _)| self.cluster.at(&member.address))
        });
        said.or(self.cluster.of(Role::Materializer).first().copied())
    }

    /// The units of the stripe that is written to.
    pub(crate) async fn stripe(&self) -> Vec<&Process> {
        let Some(status) = self.status().await else {
            return self.cluster.of(Role::Unit);
        };
        let mut open = status.sequencer.stripes.iter().rev();
        let open = open.find(|stripe| stripe.last_lsn == 0);
        let units = open.map_or(&[][..], |stripe| &stripe.units);
        let found = units.iter().filter_map(|unit| {
            let listed = status
                .units
                .iter()
                .find(|(it, _)| it.unit_id == unit.unit_id);
            self.cluster.at(&listed?.0.address)
        });
        found.collect()
    }
}
