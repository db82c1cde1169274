//! What a transfer has come to so far: counters, failures, and whether it is of use to go on.

use std::path::Path;
use std::sync::Arc;

use dfs_wire::{Code, Refusal};
use parking_lot::Mutex;

use super::progress::{Failure, Progress, Summary, add};
use crate::address::Address;

/// Failures that are kept; beyond that they are counted.
const FAILURES_MAX: usize = 1000;

pub(crate) struct Tally {
    pub(crate) progress: Arc<Progress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: Vec<Failure>,
    stopped: Option<Refusal>,
}

impl Tally {
    pub(crate) fn new(progress: Arc<Progress>) -> Tally {
        Tally {
            progress,
            state: Mutex::default(),
        }
    }

    pub(crate) fn failed(&self, local: &Path, remote: &Address, refusal: Refusal) {
        add(&self.progress.failed, 1);
        let mut state = self.state.lock();
        if stops(&refusal) && state.stopped.is_none() {
            state.stopped = Some(refusal.clone());
        }
        if state.failures.len() < FAILURES_MAX {
            state.failures.push(Failure {
                local: local.to_owned(),
                remote: remote.clone(),
                refusal,
            });
        }
    }

    /// A part of the transfer ended without saying how: nothing is finished, whatever the counts say.
    pub(crate) fn broken(&self, why: impl std::fmt::Display) {
        let refusal = Refusal::new(
            Code::Unavailable,
            "the transfer",
            format!("it was cut short: {why}"),
        );
        add(&self.progress.failed, 1);
        self.state.lock().stopped.get_or_insert(refusal);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().stopped.is_some()
    }

    pub(crate) fn summary(&self) -> Summary {
        let counts = self.progress.counts();
        let mut state = self.state.lock();
        Summary {
            counts,
            failures: std::mem::take(&mut state.failures),
            stopped: state.stopped.take(),
        }
    }
}

/// What the next file would meet too: every one of them would wait for the whole time-out.
fn stops(refusal: &Refusal) -> bool {
    matches!(
        refusal.code(),
        Code::Unavailable
            | Code::TimedOut
            | Code::NoSpace
            | Code::Mismatch
            | Code::SessionGone
            | Code::State
    )
}
