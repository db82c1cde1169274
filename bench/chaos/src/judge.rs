//! The history against what is found at the end: every acknowledged operation exactly once, no read stale.
//!
//! Time is that of one clock, the clients'. An operation's point is its LSN; a read's is the LSN it
//! was answered at, after the record of that LSN.
//!
//! - lost: acknowledged, and not there; - doubled: there more than once, or two under one LSN
//! - undead: refused, and there; - foreign: there, and nobody asked for it
//! - stale: an answer that is older than what somebody had been told before it was asked for
//! - torn: there, but not as it was written, or not in the order of the LSNs
//!
//! `fresh.rs`: reads that are too many to be kept, judged as they come.
pub(crate) mod fresh;
#[cfg(test)]
mod tests;

use crate::history::{Act, Operation, Outcome};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wrong {
    Lost,
    Doubled,
    Undead,
    Foreign,
    Stale,
    Torn,
}

/// One thing that is not as it was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    pub(crate) wrong: Wrong,
    pub(crate) what: String,
}

/// What one materializer shows when all is quiet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Name to the LSN that made it; a file of lines and a large one likewise.
    pub(crate) directories: BTreeMap<String, u64>,
    pub(crate) lines: BTreeMap<String, Vec<String>>,
    /// Whether the bytes are those that were written.
    pub(crate) large: BTreeMap<String, (u64, bool)>,
    /// Value, and the LSN that wrote it.
    pub(crate) registers: BTreeMap<String, (String, u64)>,
}

/// What does not agree with any order in which the operations could have happened.
pub(crate) fn judge(history: &[Operation], found: &Found) -> Vec<Fault> {
    let mut faults = points(history);
    faults.extend(names(history, found));
    faults.extend(lines(history, found));
    faults.extend(registers(history, found));
    faults
}

fn fault(wrong: Wrong, what: String) -> Fault {
    Fault { wrong, what }
}

/// One LSN is one record; what begins after an answer was given comes after it.
fn points(history: &[Operation]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut records = BTreeMap::new();
    for operation in history.iter().filter(|operation| operation.is_done()) {
        if let Some(other) = records.insert(operation.lsn(), operation) {
            let (lsn, act) = (operation.lsn(), &operation.act);
            let what = format!("{act:?} and {:?} have one LSN: {lsn:?}", other.act);
            faults.push(fault(Wrong::Doubled, what));
        }
    }
    let mut ends: Vec<(u64, u64)> = history
        .iter()
        .filter_map(|operation| Some((operation.end_us, operation.lsn()?)))
        .collect();
    ends.sort_unstable();
    let mut starts: Vec<&Operation> = history.iter().filter(|one| one.lsn().is_some()).collect();
    starts.sort_by_key(|operation| operation.start_us);
    let (mut told, mut floor) = (ends.into_iter().peekable(), 0);
    for operation in starts {
        while let Some((_, lsn)) = told.next_if(|(end_us, _)| *end_us < operation.start_us) {
            floor = floor.max(lsn);
        }
        let lsn = operation.lsn().unwrap_or_default();
        if lsn < floor || (lsn == floor && operation.is_done()) {
            let what = format!("LSN {floor} was known before it was asked: {operation:?}");
            faults.push(fault(Wrong::Stale, what));
        }
    }
    faults
}

/// Whether something may, must or must not be there.
enum Fate {
    There(u64),
    Absent,
    Perhaps,
}

fn fate(outcome: &Outcome) -> Fate {
    match outcome {
        Outcome::Done { lsn } | Outcome::Saw { lsn, .. } => Fate::There(*lsn),
        Outcome::Refused(_) => Fate::Absent,
        Outcome::Unknown(_) => Fate::Perhaps,
    }
}

/// Directories and large files: made once, by the record that was acknowledged, or not at all.
fn names(history: &[Operation], found: &Found) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut unasked: BTreeMap<(&str, &String), u64> = BTreeMap::new();
    let directories = found.directories.iter().map(|(name, lsn)| (name, *lsn));
    unasked.extend(directories.map(|(name, lsn)| (("mkdir", name), lsn)));
    for (name, (lsn, whole)) in &found.large {
        unasked.insert(("put 40 KiB", name), *lsn);
        if !whole {
            let what = format!("{name}: other bytes than were written");
            faults.push(fault(Wrong::Torn, what));
        }
    }
    for operation in history {
        let (Act::MakeDirectory(name) | Act::WriteLarge(name)) = &operation.act else {
            continue;
        };
        let there = unasked.remove(&(operation.act.kind(), name));
        match (fate(&operation.outcome), there) {
            (Fate::There(_), None) => faults.push(fault(Wrong::Lost, format!("{operation:?}"))),
            (Fate::There(lsn), Some(made)) if lsn != made => {
                let what = format!("it was made by LSN {made}: {operation:?}");
                faults.push(fault(Wrong::Doubled, what));
            }
            (Fate::Absent, Some(made)) => {
                let what = format!("it is there, made by LSN {made}: {operation:?}");
                faults.push(fault(Wrong::Undead, what));
            }
            _ => {}
        }
    }
    let foreign = unasked.into_keys();
    faults.extend(foreign.map(|(kind, name)| fault(Wrong::Foreign, format!("{kind} {name}"))));
    faults
}

/// Appended lines: each once, in the order of their LSNs.
fn lines(history: &[Operation], found: &Found) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut places: BTreeMap<(&String, &String), Vec<usize>> = BTreeMap::new();
    for (file, lines) in &found.lines {
        for (place, line) in lines.iter().enumerate() {
            places.entry((file, line)).or_default().push(place);
        }
    }
    let mut order: BTreeMap<&String, Vec<(u64, usize)>> = BTreeMap::new();
    for operation in history {
        let Act::Append { file, line } = &operation.act else {
            continue;
        };
        let there = places.remove(&(file, line)).unwrap_or_default();
        if there.len() > 1 {
            let what = format!("lines {there:?}: {operation:?}");
            faults.push(fault(Wrong::Doubled, what));
        }
        match (fate(&operation.outcome), there.first()) {
            (Fate::There(_), None) => faults.push(fault(Wrong::Lost, format!("{operation:?}"))),
            (Fate::There(lsn), Some(place)) => order.entry(file).or_default().push((lsn, *place)),
            (Fate::Absent, Some(_)) => {
                faults.push(fault(Wrong::Undead, format!("{operation:?}")));
            }
            _ => {}
        }
    }
    for (file, places) in &mut order {
        places.sort_unstable();
        if !places.is_sorted_by_key(|(_, place)| *place) {
            let what = format!("{file}: its lines are not in the order of their LSNs");
            faults.push(fault(Wrong::Torn, what));
        }
    }
    let foreign = places.into_keys();
    faults.extend(foreign.map(|(file, line)| fault(Wrong::Foreign, format!("{file}: {line}"))));
    faults
}

/// Everything known of one register.
#[derive(Default)]
struct Register<'a> {
    writes: BTreeMap<&'a String, &'a Operation>,
    /// What was seen: value, LSN that wrote it, LSN at which it was seen, where.
    seen: Vec<(&'a String, u64, u64, String)>,
}

/// At every LSN a register holds the last write at or below it, and every value has one LSN.
fn registers(history: &[Operation], found: &Found) -> Vec<Fault> {
    let mut registers: BTreeMap<&String, Register<'_>> = BTreeMap::new();
    for operation in history {
        match (&operation.act, &operation.outcome) {
            (Act::Write { register, value }, _) => {
                let register = registers.entry(register).or_default();
                register.writes.insert(value, operation);
            }
            (
                Act::Read { register },
                Outcome::Saw {
                    lsn,
                    version,
                    value,
                },
            ) => {
                let seen = (value, *version, *lsn, format!("{operation:?}"));
                registers.entry(register).or_default().seen.push(seen);
            }
            _ => {}
        }
    }
    for (register, (value, version)) in &found.registers {
        let seen = (value, *version, u64::MAX, format!("{register} at the end"));
        registers.entry(register).or_default().seen.push(seen);
    }
    registers.values().flat_map(register).collect()
}

fn register(register: &Register<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&String, BTreeSet<u64>> = BTreeMap::new();
    for (value, version, _, place) in &register.seen {
        let outcome = register.writes.get(value).map(|write| &write.outcome);
        match outcome {
            None if value.is_empty() => continue, // as it was made
            None => faults.push(fault(Wrong::Foreign, place.clone())),
            Some(Outcome::Refused(why)) => {
                faults.push(fault(
                    Wrong::Undead,
                    format!("{value} was refused ({why}): {place}"),
                ));
            }
            Some(_) => {}
        }
        versions.entry(value).or_default().insert(*version);
    }
    for (value, write) in &register.writes {
        let known = versions.entry(value).or_default();
        known.extend(write.lsn());
        if known.len() > 1 {
            let what = format!("it was written by LSNs {known:?}: {write:?}");
            faults.push(fault(Wrong::Doubled, what));
        }
    }
    let written: BTreeSet<u64> = versions.into_values().flatten().collect();
    for (_, version, lsn, place) in &register.seen {
        let last = written.range(..=lsn).next_back();
        if last.is_some_and(|last| last > version) {
            let what = format!("LSN {last:?} had been written: {place}");
            let wrong = match lsn {
                &u64::MAX => Wrong::Lost,
                _ => Wrong::Stale,
            };
            faults.push(fault(wrong, what));
        }
        if version > lsn {
            faults.push(fault(Wrong::Torn, format!("seen before it was: {place}")));
        }
    }
    faults
}
