//! The stream of segments that a unit's log lies in: opened, and read through once (LOG.md §6).

use std::io;

use dfs_env::Env;
use dfs_segment::{OpenError, Opened, Options, Position, Scanned};

use crate::config::UnitConfig;
use crate::log::entries::{self, Entry, EntryError};
use crate::unit::note::Note;
use crate::unit::state::Unit;

/// Where the segments lie on the log's disk.
const DIR: &str = "stream";

#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("read the log: {0}")]
    Read(#[from] io::Error),
    #[error("read the log at {0}: {1}")]
    Entry(Position, EntryError),
}

/// Opens the stream and makes the state again from all that it holds.
pub(crate) async fn open_log(
    env: &Env,
    config: &UnitConfig,
) -> Result<(Opened, Unit), RecoverError> {
    let options = Options {
        segment_bytes_min: config.segment_bytes_min,
        segment_bytes_max: config.segment_bytes_max,
        keep_free_bytes: config.log.space().await?.headroom(),
    };
    let opened = dfs_segment::open(env, config.log.clone(), DIR, options).await?;
    let unit_id = config.unit_id;
    if let Some(cut_at) = opened.report.tail_cut_at {
        tracing::info!(unit_id, %cut_at, "open the log: an unfinished write was cut off");
    }
    let mut state = Unit::new(unit_id, config.cluster_id.to_vec());
    state.recovering(opened.reader.start().0);
    let mut scan = opened.reader.scan(opened.reader.start());
    while let Some(scanned) = scan.next().await? {
        match scanned {
            Scanned::Entry(at, entry) => {
                let entry = entries::decode(entry.kind, entry.bytes);
                recover(
                    &mut state,
                    at,
                    entry.map_err(|e| RecoverError::Entry(at, e))?,
                );
            }
            // What it held shows as gaps of lanes and of stamps (LOG-U7).
            Scanned::Corrupt(damage) => {
                tracing::error!(unit_id, from = %damage.start, to = %damage.end, "open the log: damage");
            }
        }
    }
    state.recovered();
    Ok((opened, state))
}

fn recover(state: &mut Unit, at: Position, entry: Entry) {
    state.passes(at.0);
    match entry {
        Entry::Frame(frame) => state.recover_frame(&frame, at.0),
        Entry::Note(Note::Lane(lane)) => state.recover_lane(lane),
        Entry::Note(Note::Stamp(stamp)) => state.recover_stamp(&stamp),
        Entry::Note(Note::Begin(begin)) => state.recover_begin(begin),
        Entry::Note(Note::Copied(stripe, stamp)) => state.recover_copied(stripe, &stamp),
    }
}
