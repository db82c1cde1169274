//! What was asked and what was answered (M2).
use bytes::Bytes;
use dfs_fs::{Committed, Entry, Page, Seen, When};
use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;

/// One operation of one client.
pub(crate) struct Done {
    pub(crate) client: String,
    /// The highest LSN that anybody had been told of when it began.
    pub(crate) floor: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    Mutation(v1::Mutate, Result<Committed, Refusal>),
    Read(Read),
}

pub(crate) struct Read {
    pub(crate) path: v1::Path,
    pub(crate) when: When,
    pub(crate) answer: Result<Answer, Refusal>,
    pub(crate) asked: Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Stat,
    List,
    Bytes,
    /// Of no path.
    Settings,
}

pub(crate) enum Answer {
    Stat(Seen<Entry>),
    List(Seen<Page>),
    Bytes(Seen<Entry>, Bytes),
    Settings(Seen<Vec<v1::SettingState>>),
}

impl Answer {
    pub(crate) fn lsn(&self) -> u64 {
        match self {
            Answer::Stat(seen) | Answer::Bytes(seen, _) => seen.lsn,
            Answer::List(seen) => seen.lsn,
            Answer::Settings(seen) => seen.lsn,
        }
    }
}

impl What {
    /// The LSN that the answer told of, and its log time; 0 where it did not.
    fn told(&self) -> (u64, u64) {
        match self {
            What::Mutation(_, Ok(committed)) => (committed.lsn, committed.log_time_us),
            What::Read(Read {
                answer: Ok(answer), ..
            }) => (answer.lsn(), 0),
            What::Mutation(_, Err(refusal))
            | What::Read(Read {
                answer: Err(refusal),
                ..
            }) => (refusal.get().lsn, 0),
        }
    }
}

/// All operations of a run, in the order in which they were answered.
#[derive(Default)]
pub(crate) struct History {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: Vec<Done>,
    told_lsn: u64,
    told_us: u64,
    contents: u64,
}

impl History {
    pub(crate) fn told_lsn(&self) -> u64 {
        self.state.lock().told_lsn
    }

    /// The latest log time that anybody has been told of.
    pub(crate) fn told_us(&self) -> u64 {
        self.state.lock().told_us
    }

    /// Somebody knows of this LSN, and of its log time.
    pub(crate) fn tell(&self, (lsn, us): (u64, u64)) {
        let state = &mut *self.state.lock();
        state.told_lsn = state.told_lsn.max(lsn);
        state.told_us = state.told_us.max(us);
    }

    pub(crate) fn add(&self, done: Done) {
        self.tell(done.what.told());
        self.state.lock().done.push(done);
    }

    /// A number for bytes that are like no others.
    pub(crate) fn next_content(&self) -> u64 {
        let state = &mut *self.state.lock();
        state.contents += 1;
        state.contents
    }

    pub(crate) fn take(&self) -> Vec<Done> {
        std::mem::take(&mut self.state.lock().done)
    }
}

/// The bytes of this number.
pub(crate) fn bytes_of(content: u64, length: usize) -> Bytes {
    let byte = |at: usize| (content.wrapping_mul(31) as usize + at * 7 + (at >> 8)) as u8;
    (0..length).map(byte).collect()
}
