//! Records on a segment stream: read whole at the start, then only appended, synced and released.
use crate::raft::journal::invalid;
use bytes::Bytes;
use dfs_env::{Disk, Env};
use dfs_segment::{AppendError, CommitError, Entry, OpenError, Opened, Options, Scanned, Writer};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

pub(super) use dfs_segment::Position;

const DIR: &str = "journal";
/// The one kind of entry here; what a record is stands inside.
const KIND_RECORD: u8 = 1;
/// How often a full disk is asked again.
const FULL_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Tape {
    env: Env,
    writer: Writer,
}

impl Tape {
    /// The records found. A torn tail was never acknowledged and is cut; anything else that is
    /// damaged is an error, because a vote or a cut that was told may be gone.
    pub(super) async fn open(
        env: &Env,
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
    ) -> io::Result<(Tape, Vec<(Position, Bytes)>)> {
        let options = Options {
            segment_bytes_min: segment_bytes,
            segment_bytes_max: 4 * segment_bytes,
            ..Options::default()
        };
        let Opened {
            writer,
            reader,
            report,
        } = dfs_segment::open(env, disk, DIR, options)
            .await
            .map_err(unopened)?;
        if let Some(cut_at) = report.tail_cut_at {
            info!("the journal's tail was cut at {cut_at}: a write was under way at the end");
        }
        if let Some(damage) = report.corrupt.first() {
            return Err(damaged(damage));
        }
        let mut found = Vec::new();
        let mut scan = reader.scan(report.start);
        while let Some(scanned) = scan.next().await? {
            match scanned {
                Scanned::Entry(place, entry) if entry.kind == KIND_RECORD => {
                    found.push((place, entry.bytes));
                }
                Scanned::Entry(place, entry) => {
                    let kind = entry.kind;
                    return Err(invalid(format!(
                        "an entry of unknown kind {kind} at {place}"
                    )));
                }
                Scanned::Corrupt(damage) => return Err(damaged(&damage)),
            }
        }
        Ok((
            Tape {
                env: env.clone(),
                writer,
            },
            found,
        ))
    }

    /// Durable when it returns. A full disk is waited for: nothing is lost, and nothing goes on.
    pub(super) async fn write_and_sync(&mut self, records: Vec<Bytes>) -> io::Result<Position> {
        let mut first = None;
        for bytes in records {
            let entry = Entry {
                kind: KIND_RECORD,
                bytes,
            };
            let place = self
                .writer
                .append(entry)
                .map_err(|e: AppendError| invalid(e.to_string()))?;
            first.get_or_insert(place);
        }
        let mut told = false;
        loop {
            match self.writer.commit().await {
                Ok(end) => return Ok(first.unwrap_or(end)),
                Err(CommitError::Full) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!("the sequencer's disk is full; it goes on when there is space");
                    }
                    self.env.sleep(FULL_AGAIN).await;
                }
                Err(CommitError::Poisoned(e)) => return Err(io::Error::new(e.kind(), e)),
            }
        }
    }

    /// Releases what lies before `place`.
    pub(super) async fn forget_before(&mut self, place: Position) -> io::Result<()> {
        self.writer
            .trim(place)
            .await
            .map(drop)
            .map_err(io::Error::other)
    }

    /// Nothing waits: the mark covers what was synced last.
    pub(super) async fn idle(&mut self) -> io::Result<()> {
        self.writer.idle().await.map_err(io::Error::other)
    }
}

fn unopened(e: OpenError) -> io::Error {
    match e {
        OpenError::Io(e) => e,
        OpenError::Full => io::Error::new(io::ErrorKind::StorageFull, e.to_string()),
        OpenError::UnknownVersion { .. } => invalid(e.to_string()),
    }
}

fn damaged(damage: &dfs_segment::Damage) -> io::Error {
    let (from, to) = (damage.start, damage.end);
    invalid(format!(
        "the journal is damaged from {from} to {to}, below what was synced"
    ))
}
