//! Hears every answer of the run and judges the reads as they come; knows which processes are cut off now.
use crate::history::{Act, Outcome};
use crate::judge::fresh::{Known, Shown, Told};
use crate::judge::{Fault, Wrong};
use parking_lot::Mutex;
use serde::Serialize;
use std::fmt::Write as _;

/// What is wrong is wrong: the first ones tell why.
const WRONG_KEPT: usize = 100;

#[derive(Default)]
pub(crate) struct Witness {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    told: Told,
    reads: Reads,
    wrong: Vec<Fault>,
    /// Numbers of the processes that are cut off together.
    apart: Vec<usize>,
    /// Which of the times.
    apart_serial: u64,
}

/// Linearizable reads, of registers and of the end of the log.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Reads {
    judged: u64,
    failed: u64,
    ends_judged: u64,
    stale: u64,
    otherwise_wrong: u64,
    /// Asked of a side that is cut off with a sequencer that had led, and ended before that was over.
    apart_failed: u64,
    apart_answered: u64,
    ends_apart_failed: u64,
    ends_apart_answered: u64,
}

impl Witness {
    /// Before it is asked for.
    pub(crate) fn begins(&self, act: &Act) -> Known {
        let told = &mut self.state.lock().told;
        match act {
            Act::Write { register, value } => {
                told.asks_to_write(register, value);
                Known::default()
            }
            Act::Read { register } => told.known(register),
            _ => Known::default(),
        }
    }

    /// What came of it.
    pub(crate) fn ends(&self, act: &Act, known: Known, outcome: &Outcome) {
        let mut state = self.state.lock();
        let State { told, reads, .. } = &mut *state;
        let fault = match (act, outcome) {
            (Act::Write { register, value }, Outcome::Done { lsn }) => {
                told.wrote(register, value, *lsn)
            }
            (Act::Write { register, value }, Outcome::Refused(_)) => told.refused(register, value),
            (
                Act::Read { register },
                Outcome::Saw {
                    lsn,
                    version,
                    value,
                },
            ) => {
                reads.judged += 1;
                let (lsn, version) = (*lsn, *version);
                let shown = Shown {
                    lsn,
                    version,
                    value,
                };
                told.shown(register, known, shown)
            }
            (Act::Read { .. }, _) => {
                reads.failed += 1;
                None
            }
            (_, Outcome::Done { lsn }) => {
                told.tell(*lsn);
                None
            }
            _ => None,
        };
        state.note(fault);
    }

    /// Before a sequencer is asked for the end of the log.
    pub(crate) fn known(&self) -> Known {
        self.state.lock().told.known("")
    }

    /// It says that this is the end, and that nobody was told of more before.
    pub(crate) fn ended(&self, known: Known, next_lsn: u64) {
        let mut state = self.state.lock();
        state.reads.ends_judged += 1;
        let fault = state.told.ended(known, next_lsn);
        state.note(fault);
    }

    /// These are cut off together from now on; none: everybody reaches everybody.
    pub(crate) fn set_apart(&self, numbers: Vec<usize>) {
        let mut state = self.state.lock();
        state.apart_serial += 1;
        state.apart = numbers;
    }

    /// Whether this process is cut off now: which of the times.
    pub(crate) fn apart(&self, number: usize) -> Option<u64> {
        let state = self.state.lock();
        state.apart.contains(&number).then_some(state.apart_serial)
    }

    /// A read began and ended while whom it asked was cut off.
    pub(crate) fn read_apart(&self, answered: bool) {
        let reads = &mut self.state.lock().reads;
        match answered {
            true => reads.apart_answered += 1,
            false => reads.apart_failed += 1,
        }
    }

    /// The same of a question for the end of the log.
    pub(crate) fn end_apart(&self, answered: bool) {
        let reads = &mut self.state.lock().reads;
        match answered {
            true => reads.ends_apart_answered += 1,
            false => reads.ends_apart_failed += 1,
        }
    }

    pub(crate) fn reads(&self) -> Reads {
        self.state.lock().reads.clone()
    }

    pub(crate) fn wrong(&self) -> Vec<Fault> {
        self.state.lock().wrong.clone()
    }
}

impl State {
    fn note(&mut self, fault: Option<Fault>) {
        let Some(fault) = fault else {
            return;
        };
        match fault.wrong {
            Wrong::Stale => self.reads.stale += 1,
            _ => self.reads.otherwise_wrong += 1,
        }
        if self.wrong.len() < WRONG_KEPT {
            self.wrong.push(fault);
        }
    }
}

impl Reads {
    /// Whoever cannot ask a majority cannot know that its answer is fresh, even if it is (LOG-I10).
    pub(crate) fn answered_apart(&self) -> Option<String> {
        let answered = self.apart_answered + self.ends_apart_answered;
        let what = || format!("{answered} linearizable reads were answered without a majority");
        (answered > 0).then(what)
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let (judged, ends) = (self.judged, self.ends_judged);
        let _ = writeln!(
            text,
            "linearizable reads judged {judged}, ends of the log {ends}: stale {}, otherwise wrong {}; {} reads failed",
            self.stale, self.otherwise_wrong, self.failed
        );
        let failed = self.apart_failed + self.ends_apart_failed;
        let answered = self.apart_answered + self.ends_apart_answered;
        if failed + answered > 0 {
            let _ = writeln!(
                text,
                "while cut off with the deposed leader: {} reads and {} ends failed, {answered} were answered",
                self.apart_failed, self.ends_apart_failed
            );
        }
        text
    }
}
