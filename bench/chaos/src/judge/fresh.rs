//! Reads judged one by one, as they are answered: any number of them in the memory of the writes.
//!
//! Whoever asks takes what is known first; the answer must not be older than that: neither its LSN, nor
//! the version of the register that it shows. And a register shows at every LSN the last write at or
//! below it, whoever learns of which one first.
#[cfg(test)]
mod tests;

use super::{Fault, Wrong, fault};
use std::collections::{BTreeMap, BTreeSet};

/// Versions of one register that are remembered: minutes of writes, where an answer takes seconds.
const VERSIONS_KEPT: usize = 4_096;

/// What somebody had been told of one register.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) lsn: u64,
    version: u64,
}

/// One read's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) lsn: u64,
    pub(crate) version: u64,
    pub(crate) value: &'a str,
}

/// Everything that anybody has been told.
#[derive(Default)]
pub(crate) struct Told {
    lsn: u64,
    registers: BTreeMap<String, Register>,
}

#[derive(Default)]
struct Register {
    /// Values that may be there and have not been met yet.
    asked: BTreeSet<String>,
    /// By the LSN that wrote them.
    versions: BTreeMap<u64, Version>,
}

struct Version {
    value: String,
    /// The newest LSN at which it was still the last one.
    shown_at: u64,
}

impl Told {
    /// Somebody was told this LSN.
    pub(crate) fn tell(&mut self, lsn: u64) {
        self.lsn = self.lsn.max(lsn);
    }

    /// Whoever asks next may not be told less.
    pub(crate) fn known(&self, register: &str) -> Known {
        let versions = self.registers.get(register).map(|it| &it.versions);
        let newest = versions.and_then(|it| it.last_key_value());
        Known {
            lsn: self.lsn,
            version: newest.map_or(0, |(version, _)| *version),
        }
    }

    /// From now on this value may be there. No value is used twice.
    pub(crate) fn asks_to_write(&mut self, register: &str, value: &str) {
        let register = self.registers.entry(register.into()).or_default();
        register.asked.insert(value.into());
    }

    /// This value is not there and never was.
    pub(crate) fn refused(&mut self, register: &str, value: &str) -> Option<Fault> {
        let register = self.registers.entry(register.into()).or_default();
        let was_asked = register.asked.remove(value);
        let what = || format!("{value} was shown, and then refused");
        (!was_asked).then(|| fault(Wrong::Undead, what()))
    }

    pub(crate) fn wrote(&mut self, register: &str, value: &str, lsn: u64) -> Option<Fault> {
        self.tell(lsn);
        let register = self.registers.entry(register.into()).or_default();
        register.learn(lsn, value)
    }

    /// The answer to whoever knew this when it asked.
    pub(crate) fn shown(
        &mut self,
        register: &str,
        known: Known,
        shown: Shown<'_>,
    ) -> Option<Fault> {
        let name = register;
        self.tell(shown.lsn);
        let register = self.registers.entry(name.into()).or_default();
        let learnt = register.learn(shown.version, shown.value);
        let stale = |newer: u64| {
            let what = format!("{name}: LSN {newer} was known before it was asked: {shown:?}");
            fault(Wrong::Stale, what)
        };
        if shown.lsn < known.lsn {
            return Some(stale(known.lsn));
        }
        if shown.version < known.version {
            return Some(stale(known.version));
        }
        learnt.or_else(|| register.show(name, shown))
    }

    /// The answer to a linearizable question for the end of the log.
    pub(crate) fn ended(&mut self, known: Known, next_lsn: u64) -> Option<Fault> {
        let lsn = next_lsn.saturating_sub(1);
        let what = || format!("the log ends at {lsn}, and LSN {} was known", known.lsn);
        let stale = (lsn < known.lsn).then(|| fault(Wrong::Stale, what()));
        self.tell(lsn);
        stale
    }
}

impl Register {
    fn learn(&mut self, version: u64, value: &str) -> Option<Fault> {
        if let Some(there) = self.versions.get(&version) {
            let what = || format!("LSN {version} wrote {:?} and {value:?}", there.value);
            return (there.value != value).then(|| fault(Wrong::Doubled, what()));
        }
        let oldest = self.versions.first_key_value();
        if self.versions.len() == VERSIONS_KEPT
            && oldest.is_some_and(|(oldest, _)| version < *oldest)
        {
            return None; // an acknowledgement that came late; what is shown so late is not let pass
        }
        let was_asked = self.asked.remove(value);
        let before = self.versions.range(..version).next_back();
        let passed_over = before.filter(|(_, before)| before.shown_at >= version);
        let passed_over = passed_over.map(|(before, seen)| {
            let what = format!(
                "LSN {before} was shown at {}, and {version} had been written",
                seen.shown_at
            );
            fault(Wrong::Stale, what)
        });
        let (value, shown_at) = (value.to_string(), version);
        let unasked = (!was_asked).then(|| {
            let again = self.versions.iter().find(|(_, it)| it.value == value);
            match again {
                Some((first, _)) => {
                    let what = format!("{value:?} was written by LSNs {first} and {version}");
                    fault(Wrong::Doubled, what)
                }
                None => {
                    let what = format!("LSN {version} wrote {value:?}: refused, or nobody asked");
                    fault(Wrong::Undead, what)
                }
            }
        });
        self.versions.insert(version, Version { value, shown_at });
        if self.versions.len() > VERSIONS_KEPT {
            self.versions.pop_first();
        }
        unasked.or(passed_over)
    }

    /// It is the last one at the LSN where it was shown, as far as is known.
    fn show(&mut self, name: &str, shown: Shown<'_>) -> Option<Fault> {
        if shown.version > shown.lsn {
            return Some(fault(
                Wrong::Torn,
                format!("{name}: seen before it was: {shown:?}"),
            ));
        }
        let last = self.versions.range(..=shown.lsn).next_back();
        let newer = last.map_or(0, |(last, _)| *last);
        if newer > shown.version {
            let what = format!("{name}: LSN {newer} had been written: {shown:?}");
            return Some(fault(Wrong::Stale, what));
        }
        let Some(version) = self.versions.get_mut(&shown.version) else {
            let what = format!("{name}: too many writes ago to be judged: {shown:?}");
            return Some(fault(Wrong::Torn, what));
        };
        version.shown_at = version.shown_at.max(shown.lsn);
        None
    }
}
