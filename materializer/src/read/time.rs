//! From log time to LSN and back, by the index of time in CONTROL (FOLD-R4): a row at the first LSN of each log time.
use super::{Moment, unreadable};
use crate::state::keys::{self, letter};
use crate::view::{Keyspace, Read, Snapshot};
use dfs_wire::{Code, Refusal};

/// The last LSN with log time ≤ `time_us` (FOLD-R4: the caller has seen to it that one above is folded, or
/// that `time_us` is the log time of the last). LSN 0: nothing was there yet.
pub fn resolve_time(snapshot: &Snapshot, time_us: u64) -> Result<Moment, Refusal> {
    let (first, end) = keys::all(letter::LSN_OF);
    let mut after = keys::control(letter::LSN_OF, &[time_us]);
    after.push(0);
    let next = snapshot.scan(Keyspace::Control, &after, &end).next().transpose();
    let lsn = match next.map_err(|error| unreadable(&error))? {
        Some((_, row)) => number(&row) - 1,
        None => snapshot.stamp.lsn,
    };
    let own = snapshot.last(Keyspace::Control, &first, &after);
    let own = own.map_err(|error| unreadable(&error))?;
    Ok(Moment { lsn, log_time_us: own.map_or(0, |(key, _)| keys::last_number(&key)) })
}

/// The log time of an LSN ≤ the snapshot's.
pub fn moment_of(snapshot: &Snapshot, lsn: u64) -> Result<Moment, Refusal> {
    if lsn > snapshot.stamp.lsn {
        let why = format!("only LSN {} and below are folded here", snapshot.stamp.lsn);
        return Err(Refusal::new(Code::NotYet, format!("LSN {lsn}"), why));
    }
    let (first, _) = keys::all(letter::TIME_OF);
    let mut after = keys::control(letter::TIME_OF, &[lsn]);
    after.push(0);
    let own = snapshot.last(Keyspace::Control, &first, &after);
    let own = own.map_err(|error| unreadable(&error))?;
    Ok(Moment { lsn, log_time_us: own.map_or(0, |(_, row)| number(&row)) })
}

fn number(row: &[u8]) -> u64 {
    row.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
