//! From log time to LSN and back, by the index of time in CONTROL (FOLD-R4).
use super::{Moment, unreadable};
use crate::state::keys::{self, letter};
use crate::view::{Keyspace, Read, Snapshot};
use dfs_wire::{Code, Refusal};

/// The last LSN with log time ≤ `time_us` (FOLD-R4: the caller has seen to it that one above is folded, or
/// that `time_us` is the log time of the last). LSN 0: nothing was there yet.
pub fn resolve_time(snapshot: &Snapshot, time_us: u64) -> Result<Moment, Refusal> {
    let (from, _) = keys::all(letter::LSN_OF);
    let mut to = keys::control(letter::LSN_OF, &[time_us]);
    to.push(0);
    let found = snapshot.last(Keyspace::Control, &from, &to);
    let Some((key, row)) = found.map_err(|error| unreadable(&error))? else {
        return Ok(Moment {
            lsn: 0,
            log_time_us: 0,
        });
    };
    Ok(Moment {
        lsn: number(&row),
        log_time_us: keys::last_number(&key),
    })
}

/// The log time of an LSN ≤ the snapshot's.
pub fn moment_of(snapshot: &Snapshot, lsn: u64) -> Result<Moment, Refusal> {
    if lsn > snapshot.stamp.lsn {
        let why = format!("only LSN {} and below are folded here", snapshot.stamp.lsn);
        return Err(Refusal::new(Code::NotYet, format!("LSN {lsn}"), why));
    }
    // Rows lie at the last LSN of each cut that was seen: the first at or above tells.
    let from = keys::control(letter::TIME_OF, &[lsn]);
    let (_, to) = keys::all(letter::TIME_OF);
    let first = snapshot
        .scan(Keyspace::Control, &from, &to)
        .next()
        .transpose();
    let log_time_us = match first.map_err(|error| unreadable(&error))? {
        Some((_, row)) => number(&row),
        None => snapshot.stamp.log_time_us,
    };
    Ok(Moment { lsn, log_time_us })
}

fn number(row: &[u8]) -> u64 {
    row.first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
