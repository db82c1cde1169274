//! What was asked and what was answered (M2).
use bytes::Bytes;
use dfs_fs::{Committed, Entry, Page, Seen};
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
    /// `None`: now, linearizable.
    pub(crate) at_lsn: Option<u64>,
    pub(crate) answer: Result<Answer, Refusal>,
    pub(crate) asked: Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Stat,
    List,
    Bytes,
}

pub(crate) enum Answer {
    Stat(Seen<Entry>),
    List(Seen<Page>),
    Bytes(Seen<Entry>, Bytes),
}

impl Answer {
    pub(crate) fn lsn(&self) -> u64 {
        match self {
            Answer::Stat(seen) | Answer::Bytes(seen, _) => seen.lsn,
            Answer::List(seen) => seen.lsn,
        }
    }
}

impl What {
    /// The LSN that the answer told of.
    fn told_lsn(&self) -> u64 {
        match self {
            What::Mutation(_, Ok(committed)) => committed.lsn,
            What::Read(Read {
                answer: Ok(answer), ..
            }) => answer.lsn(),
            What::Mutation(_, Err(refusal))
            | What::Read(Read {
                answer: Err(refusal),
                ..
            }) => refusal.get().lsn,
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
    contents: u64,
}

impl History {
    pub(crate) fn told_lsn(&self) -> u64 {
        self.state.lock().told_lsn
    }

    /// Somebody knows of this LSN.
    pub(crate) fn tell(&self, lsn: u64) {
        let state = &mut *self.state.lock();
        state.told_lsn = state.told_lsn.max(lsn);
    }

    pub(crate) fn add(&self, done: Done) {
        let state = &mut *self.state.lock();
        state.told_lsn = state.told_lsn.max(done.what.told_lsn());
        state.done.push(done);
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
