//! Rows that were superseded at or below the floor are let go of, beside the loop (FOLD-X3).
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_wire::Refusal;

use super::hub::Hub;
use super::open::view_failed;
use crate::state;
use crate::state::keys::{self, letter};
use crate::state::rows;
use crate::view::{Keyspace, Read, Snapshot, View, ViewError};

/// How often the floor is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Rows looked at between two pauses: about a millisecond.
const ROWS_PER_STEP: usize = 1024;
/// So that a sweep of a large store takes a part of one thread only.
const PAUSE: Duration = Duration::from_millis(2);

type Row = (Keyspace, Bytes);

/// Where a sweep stands: everything below is done.
struct At {
    space: Keyspace,
    from: Vec<u8>,
    end: Vec<u8>,
}

/// Until the role ends.
pub(crate) async fn run(hub: Arc<Hub>, view: Arc<dyn View>) {
    let mut swept = 0;
    loop {
        hub.env.sleep(EVERY).await;
        match sweep(&hub, &view, swept).await {
            Ok(floor) => swept = floor,
            Err(refusal) => return hub.fail(refusal),
        }
    }
}

/// Once through everything that has versions, if the floor has moved; up to which floor.
async fn sweep(hub: &Hub, view: &Arc<dyn View>, swept: u64) -> Result<u64, Refusal> {
    let Ok(newest) = hub.published.newest() else {
        return Ok(swept); // the role ends
    };
    let floor = state::floor(&*newest).map_err(view_failed)?;
    if floor <= swept {
        return Ok(swept);
    }
    drop(newest);
    let (places, places_end) = keys::all(letter::PLACE_HISTORY);
    let (times, _) = keys::all(letter::TIME_OF);
    let times_end = keys::control(letter::TIME_OF, &[floor + 1]);
    for (space, from, end) in [
        (
            Keyspace::History,
            Vec::new(),
            crate::view::STAMP_KEY.to_vec(),
        ),
        (Keyspace::Control, places, places_end),
        (Keyspace::Control, times, times_end),
    ] {
        let mut at = At { space, from, end };
        while let Some(gone) = step(hub, &mut at, floor).await? {
            let view = view.clone();
            if !gone.is_empty() {
                let forgotten = hub.env.blocking(move || view.forget(gone));
                forgotten.await.map_err(view_failed)?;
            }
            hub.env.sleep(PAUSE).await;
        }
    }
    Ok(floor)
}

/// What the next rows leave behind; `None` at the end.
async fn step(hub: &Hub, at: &mut At, floor: u64) -> Result<Option<Vec<Row>>, Refusal> {
    let Ok(newest) = hub.published.newest() else {
        return Ok(None);
    };
    let (space, from, end) = (at.space, at.from.clone(), at.end.clone());
    let looked = hub
        .env
        .blocking(move || look(&newest, space, &from, &end, floor));
    let (gone, next) = looked.await.map_err(view_failed)?;
    let done = next.is_none() && gone.is_empty();
    at.from = next.unwrap_or_else(|| at.end.clone());
    Ok((!done).then_some(gone))
}

/// Of the next rows those that are gone, and where to go on.
fn look(
    newest: &Snapshot,
    space: Keyspace,
    from: &[u8],
    end: &[u8],
    floor: u64,
) -> Result<(Vec<Row>, Option<Vec<u8>>), ViewError> {
    let mut gone = Vec::new();
    let mut last = None;
    let rows = newest.scan(space, from, end).take(ROWS_PER_STEP);
    let found: Vec<(Bytes, Bytes)> = rows.collect::<Result<_, _>>()?;
    for (n, (key, row)) in found.iter().enumerate() {
        if key.first() == Some(&letter::TIME_OF) && space == Keyspace::Control {
            // The last at or below the floor stays: it is the floor's own time.
            let is_last = found.get(n + 1).is_none();
            if !is_last {
                let time = row
                    .first_chunk()
                    .map_or(0, |time| u64::from_le_bytes(*time));
                let lsn_of = keys::control(letter::LSN_OF, &[time]);
                gone.extend([(space, key.clone()), (space, lsn_of.into())]);
            }
        } else if rows::until(row)? <= floor {
            gone.push((space, key.clone()));
        }
        last = Some(key);
    }
    if found.len() < ROWS_PER_STEP {
        return Ok((gone, None));
    }
    let is_time = space == Keyspace::Control && from.first() == Some(&letter::TIME_OF);
    let next = last.map(|key| {
        let mut next = key.to_vec();
        if !is_time {
            next.push(0); // a kept row of time is looked at again, with the one after it
        }
        next
    });
    Ok((gone, next))
}
