//! Sessions and slots as FOLD-S3 has them.

use std::collections::{BTreeMap, BTreeSet};

use dfs_wire::{Code, Refusal, v1};

#[derive(Default)]
pub(crate) struct Slots {
    /// Sessions opened so far.
    pub(crate) last_session: u64,
    pub(crate) open: BTreeMap<u64, bytes::Bytes>,
    pub(crate) kept: u64,
    last: BTreeMap<(u64, u32), Last>,
    /// Every (session, slot, seq, attempt) that was ever sent, to find one that was sent twice.
    sent: BTreeSet<(u64, u32, u64, u32)>,
    pub(crate) sent_twice: bool,
}

#[derive(Default)]
struct Last {
    seq: u64,
    attempt: u32,
    done: Option<(u64, v1::Done)>,
}

/// What to do with a request of a slot.
pub(crate) enum Seen {
    New,
    Done(u64, v1::Done),
    /// A repeat: dropped without an answer.
    Repeated,
    Refused(Refusal),
}

impl Slots {
    pub(crate) fn open(&mut self, nonce: bytes::Bytes) -> u64 {
        if let Some((session, _)) = self.open.iter().find(|(_, known)| **known == nonce) {
            return *session;
        }
        self.last_session += 1;
        self.open.insert(self.last_session, nonce);
        self.last_session
    }

    pub(crate) fn sending(&mut self, used: &v1::SlotUse) {
        let key = (used.session, used.slot, used.seq, used.attempt);
        self.sent_twice |= !self.sent.insert(key);
    }

    pub(crate) fn look(&mut self, used: &v1::SlotUse) -> Seen {
        let what = || format!("slot {} of session {}", used.slot, used.session);
        if !self.open.contains_key(&used.session) {
            return Seen::Refused(Refusal::new(Code::SessionGone, what(), "it has expired"));
        }
        let last = self.last.entry((used.session, used.slot)).or_default();
        if used.seq < last.seq || (used.seq == last.seq && used.attempt <= last.attempt) {
            return Seen::Repeated;
        }
        if used.seq > last.seq {
            *last = Last {
                seq: used.seq,
                ..Last::default()
            };
        }
        last.attempt = used.attempt;
        match last.done {
            Some((lsn, done)) => Seen::Done(lsn, done),
            None => Seen::New,
        }
    }

    pub(crate) fn done(&mut self, used: &v1::SlotUse, lsn: u64, done: v1::Done) {
        let last = self.last.entry((used.session, used.slot)).or_default();
        last.done = Some((lsn, done));
    }
}
