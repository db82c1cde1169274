//! LSN ↔ log time (FOLD-R4).
use crate::state::floor;
use crate::state::keys::{self, letter};
use crate::state::walk::store_failed;
use crate::view::{Keyspace, Read, Snapshot, ViewError};
use bytes::Bytes;
use dfs_wire::{Code, Refusal};

/// An LSN with its log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub lsn: u64,
    pub log_time_us: u64,
}

/// The last LSN with log time ≤ `time_us` (FOLD-R4: the caller has seen to it that one above is folded, or
/// that `time_us` is the log time of the last). LSN 0: nothing was there yet.
pub fn resolve_time(snapshot: &Snapshot, time_us: u64) -> Result<Moment, Refusal> {
    if time_us >= snapshot.stamp.log_time_us {
        let stamp = snapshot.stamp;
        return Ok(Moment {
            lsn: stamp.lsn,
            log_time_us: stamp.log_time_us,
        });
    }
    let (_, end) = keys::all(letter::LSN_OF);
    let above = keys::control(letter::LSN_OF, &[time_us + 1]);
    let next = snapshot
        .scan(Keyspace::Control, &above, &end)
        .next()
        .transpose();
    let next = next.map_err(store_failed)?.map(|(_, row)| number(&row));
    let next_first = next.transpose().map_err(store_failed)?;
    moment_of(
        snapshot,
        next_first.map_or(snapshot.stamp.lsn, |first| first - 1),
    )
}

/// FOLD-X3: what lies below the floor is refused by rule, whatever is still there of it.
pub(crate) fn check_floor(snapshot: &Snapshot, lsn: u64) -> Result<(), Refusal> {
    let floor = floor(snapshot).map_err(store_failed)?;
    if lsn >= floor {
        return Ok(());
    }
    let oldest = moment_of(snapshot, floor)?;
    let why = format!("history goes back to LSN {floor} (retention)");
    let refusal = Refusal::new(Code::Trimmed, format!("cannot read at LSN {lsn}"), why);
    Err(refusal.at_moment(floor, oldest.log_time_us))
}

/// The log time of an LSN ≤ the snapshot's.
pub fn moment_of(snapshot: &Snapshot, lsn: u64) -> Result<Moment, Refusal> {
    let stamp = snapshot.stamp;
    if lsn > stamp.lsn {
        let why = format!("folded is LSN {}", stamp.lsn);
        return Err(
            Refusal::new(Code::NotYet, format!("the time of LSN {lsn}"), why).at(stamp.lsn),
        );
    }
    let (from, _) = keys::all(letter::TIME_OF);
    let above = keys::control(letter::TIME_OF, &[lsn + 1]);
    let found = snapshot
        .last(Keyspace::Control, &from, &above)
        .map_err(store_failed)?;
    let time = found
        .map(|(_, row)| number(&row))
        .transpose()
        .map_err(store_failed)?;
    Ok(Moment {
        lsn,
        log_time_us: time.unwrap_or_default(),
    })
}

fn number(row: &Bytes) -> Result<u64, ViewError> {
    let bytes = row
        .first_chunk()
        .ok_or_else(|| ViewError::Format("a row of time".to_owned()))?;
    Ok(u64::from_le_bytes(*bytes))
}
