//! How far the floor may move: by time, by bytes of log, and never in steps that are not worth a record (FOLD-B3, FOLD-C2).
use crate::read::{moment_of, resolve_time};
use crate::state::keys::{self, letter};
use crate::state::walk::store_failed;
use crate::state::{floor, log_bytes};
use crate::view::{Keyspace, Read, Snapshot, ViewError};
use dfs_wire::Refusal;

/// What is kept readable: the floor moves to where either says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// µs; 0: for ever.
    pub time_us: u64,
    /// Of log; 0: without a bound.
    pub bytes: u64,
}

/// A window is let go of in so many steps: each is a record, and a sweep of every replica's store.
const STEPS: u64 = 64;
/// Log times that are looked at for one step by bytes; what is left is a part of the next one.
const LOOKED_AT_MAX: usize = 4096;

/// The floor to move to; `None`: it is not worth a step. `now_us`: the earlier of log time and the
/// planner's own clock (FOLD-C2).
///
/// # Errors
/// The store does not read.
pub fn next_floor(
    folded: &Snapshot,
    retention: Retention,
    now_us: u64,
) -> Result<Option<u64>, Refusal> {
    let known = floor(folded).map_err(store_failed)?;
    let by_time = by_time(folded, retention.time_us, known, now_us)?;
    let by_bytes = by_bytes(folded, retention.bytes, known).map_err(store_failed)?;
    Ok(by_time.max(by_bytes).filter(|next| *next > known))
}

fn by_time(
    folded: &Snapshot,
    time_us: u64,
    known: u64,
    now_us: u64,
) -> Result<Option<u64>, Refusal> {
    let deadline = now_us.checked_sub(time_us).filter(|_| time_us > 0);
    let Some(deadline) = deadline else {
        return Ok(None);
    };
    let next = resolve_time(folded, deadline)?;
    let known = moment_of(folded, known)?;
    let step = next.log_time_us.saturating_sub(known.log_time_us);
    Ok((next.lsn > 0 && step >= time_us / STEPS).then_some(next.lsn))
}

fn by_bytes(folded: &Snapshot, bytes: u64, known: u64) -> Result<Option<u64>, ViewError> {
    let all = log_bytes(folded)?;
    if bytes == 0 || all <= bytes.saturating_add(bytes / STEPS) {
        return Ok(None);
    }
    let (_, end) = keys::all(letter::TIME_OF);
    let from = keys::control(letter::TIME_OF, &[known + 1]);
    let mut next = None;
    for row in folded
        .scan(Keyspace::Control, &from, &end)
        .take(LOOKED_AT_MAX)
    {
        let (key, row) = row?;
        if all - bytes_before(&row).min(all) < bytes {
            break;
        }
        next = Some(keys::last_number(&key));
    }
    Ok(next)
}

/// What lay in the log before a log time; 0 in rows of an older build.
fn bytes_before(row: &[u8]) -> u64 {
    let bytes = row.get(8..).and_then(|bytes| bytes.first_chunk().copied());
    bytes.map_or(0, u64::from_le_bytes)
}
