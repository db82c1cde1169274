//! Sessions of the primary: leases, and which request of which slot was seen last (FOLD-S1, S3). No waiting, no state of the log.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dfs_wire::limits::SESSION_SLOTS;
use tokio::time::Instant;

use super::ops::OpId;

/// Now, by both clocks (FOLD-C2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) own: Instant,
    pub(crate) log_time_us: u64,
}

/// Every session that is open in folded CONTROL. In memory only; a new term begins with fresh leases.
#[derive(Default)]
pub(crate) struct Sessions {
    open: BTreeMap<u64, Session>,
}

struct Session {
    kept: Now,
    /// Mutations of this term that are not answered yet.
    busy: BTreeSet<OpId>,
    /// Its end is planned: nothing of it is taken any more.
    ending: bool,
    slots: Vec<Seen>,
}

/// The highest request of a slot that came in, answered or not.
#[derive(Clone, Copy, Default)]
struct Seen {
    seq: u64,
    attempt: u32,
    /// While it is worked on.
    op: Option<OpId>,
}

/// A request of a slot, beside what was seen and what is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Not open, or about to end.
    NoSession,
    BeyondLast,
    /// FOLD-S3: a later request of the slot has been seen.
    Behind,
    /// FOLD-S3: this attempt, or a later one, has been seen.
    Repeated,
    /// FOLD-P4: in flight.
    Attach(OpId),
    /// The folded result is that of this request.
    Done,
    New,
}

/// What a session's deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Expire(u64),
    /// The own clock has passed, log time has not (FOLD-C1).
    Tick,
}

impl Sessions {
    /// FOLD-S1: a new term restarts all leases.
    pub(crate) fn restart(ids: impl IntoIterator<Item = u64>, now: Now) -> Sessions {
        Sessions {
            open: ids.into_iter().map(|id| (id, Session::new(now))).collect(),
        }
    }

    pub(crate) fn opened(&mut self, id: u64, now: Now) {
        self.open.entry(id).or_insert_with(|| Session::new(now));
    }

    pub(crate) fn expired(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// FOLD-C2: the planner was away; nobody could keep a lease meanwhile.
    pub(crate) fn restart_leases(&mut self, now: Now) {
        self.open
            .values_mut()
            .for_each(|session| session.kept = now);
    }

    /// A sign of life. False: there is no such session (any more).
    pub(crate) fn keep(&mut self, id: u64, now: Now) -> bool {
        let open = self.open.get_mut(&id).filter(|session| !session.ending);
        open.map(|session| session.kept = now).is_some()
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    pub(crate) fn is_busy(&self, id: u64) -> bool {
        self.open
            .get(&id)
            .is_some_and(|session| !session.busy.is_empty())
    }

    /// Its `SessionExpired` is on the way, or was void.
    pub(crate) fn set_ending(&mut self, id: u64, ending: bool) {
        if let Some(session) = self.open.get_mut(&id) {
            session.ending = ending;
        }
    }

    /// FOLD-S3. `folded_seq`: of the slot's last result, if it has one.
    pub(crate) fn look(
        &self,
        id: u64,
        slot: u32,
        seq: u64,
        attempt: u32,
        folded_seq: Option<u64>,
    ) -> Slot {
        let Some(session) = self.open.get(&id).filter(|session| !session.ending) else {
            return Slot::NoSession;
        };
        if slot >= SESSION_SLOTS {
            return Slot::BeyondLast;
        }
        let seen = session
            .slots
            .get(slot as usize)
            .copied()
            .unwrap_or_default();
        if seq < seen.seq.max(folded_seq.unwrap_or(0)) {
            return Slot::Behind;
        }
        match (folded_seq, seen.op) {
            (Some(folded), _) if folded == seq => Slot::Done,
            (_, Some(op)) if seen.seq == seq => Slot::Attach(op),
            _ if seen.seq == seq && attempt <= seen.attempt => Slot::Repeated,
            _ => Slot::New,
        }
    }

    /// After [`Slot::New`] or [`Slot::Attach`].
    pub(crate) fn seen(&mut self, id: u64, slot: u32, seq: u64, attempt: u32, op: OpId) {
        let Some(session) = self.open.get_mut(&id) else {
            return;
        };
        let at = slot as usize;
        if session.slots.len() <= at {
            session.slots.resize(at + 1, Seen::default());
        }
        let seen = &mut session.slots[at];
        session.busy.insert(op);
        *seen = Seen {
            seq,
            attempt: attempt.max(seen.attempt_of(seq)),
            op: Some(op),
        };
    }

    /// The request is answered, whatever the answer. One of an earlier term counts for nothing here.
    pub(crate) fn finished(&mut self, id: u64, slot: u32, op: OpId) {
        let Some(session) = self.open.get_mut(&id) else {
            return;
        };
        session.busy.remove(&op);
        if let Some(seen) = session
            .slots
            .get_mut(slot as usize)
            .filter(|seen| seen.op == Some(op))
        {
            seen.op = None;
        }
    }

    /// FOLD-S1, C1, C2: sessions whose lease is over and of which nothing is in flight.
    pub(crate) fn due(&self, now: Now, lease: Duration) -> Vec<Due> {
        let mut due = Vec::new();
        for (id, session) in &self.open {
            let own = now.own.saturating_duration_since(session.kept.own);
            if session.ending || !session.busy.is_empty() || own <= lease {
                continue;
            }
            let log_us = now.log_time_us.saturating_sub(session.kept.log_time_us);
            let passed = u128::from(log_us) > lease.as_micros();
            due.push(if passed { Due::Expire(*id) } else { Due::Tick });
        }
        due
    }
}

impl Session {
    fn new(kept: Now) -> Session {
        Session {
            kept,
            busy: BTreeSet::new(),
            ending: false,
            slots: Vec::new(),
        }
    }
}

impl Seen {
    fn attempt_of(&self, seq: u64) -> u32 {
        if self.seq == seq { self.attempt } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Now, OpId, Sessions, Slot};
    use dfs_env::Env;
    use std::time::Duration;

    const LEASE: Duration = Duration::from_secs(30);

    fn now(seconds: u64, log_seconds: u64) -> Now {
        let own = *BASE.get_or_init(|| Env::real().now()) + Duration::from_secs(seconds);
        Now {
            own,
            log_time_us: log_seconds * 1_000_000,
        }
    }

    static BASE: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();

    #[test]
    fn a_slot_takes_each_attempt_once_and_never_goes_back() {
        let mut sessions = Sessions::restart([5], now(0, 0));
        let look =
            |sessions: &Sessions, seq, attempt, folded| sessions.look(5, 0, seq, attempt, folded);
        assert_eq!(look(&sessions, 1, 1, None), Slot::New);
        sessions.seen(5, 0, 1, 1, OpId(1));
        assert_eq!(look(&sessions, 1, 1, None), Slot::Attach(OpId(1)));
        assert!(sessions.is_busy(5));
        sessions.finished(5, 0, OpId(1));
        assert!(!sessions.is_busy(5));
        assert_eq!(look(&sessions, 1, 1, None), Slot::Repeated);
        assert_eq!(look(&sessions, 1, 2, None), Slot::New);
        assert_eq!(look(&sessions, 1, 2, Some(1)), Slot::Done);
        assert_eq!(look(&sessions, 2, 1, Some(1)), Slot::New);
        assert_eq!(look(&sessions, 1, 9, Some(2)), Slot::Behind);
        assert_eq!(sessions.look(5, 64, 1, 1, None), Slot::BeyondLast);
        assert_eq!(sessions.look(6, 0, 1, 1, None), Slot::NoSession);
    }

    #[test]
    fn what_an_earlier_term_left_takes_nothing_from_this_one() {
        let mut sessions = Sessions::restart([5], now(0, 0));
        sessions.seen(5, 0, 1, 1, OpId(2));
        sessions.finished(5, 0, OpId(1));
        assert!(sessions.is_busy(5), "op 2 is in flight (FOLD-S1)");
        sessions.seen(5, 0, 2, 1, OpId(3));
        sessions.finished(5, 0, OpId(2));
        sessions.finished(5, 0, OpId(3));
        assert!(!sessions.is_busy(5));
    }

    #[test]
    fn a_lease_ends_by_both_clocks_and_never_while_something_is_in_flight() {
        let mut sessions = Sessions::restart([5], now(0, 0));
        assert_eq!(sessions.due(now(30, 100), LEASE), []);
        assert_eq!(sessions.due(now(31, 30), LEASE), [Due::Tick]);
        assert_eq!(sessions.due(now(31, 31), LEASE), [Due::Expire(5)]);
        sessions.seen(5, 0, 1, 1, OpId(1));
        assert_eq!(sessions.due(now(31, 31), LEASE), []);
        sessions.finished(5, 0, OpId(1));
        assert!(sessions.keep(5, now(31, 31)));
        assert_eq!(sessions.due(now(61, 61), LEASE), []);
        sessions.set_ending(5, true);
        assert!(!sessions.keep(5, now(62, 62)));
        assert_eq!(sessions.look(5, 0, 2, 1, None), Slot::NoSession);
    }
}
