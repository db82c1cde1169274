//! Open: find the stream, judge its end, write again what lies above the mark, clean up.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dfs_env::{Disk, Env};
use parking_lot::RwLock;
use zerocopy::{FromZeros, IntoBytes};

use crate::chain::{Chain, chain_below};
use crate::file::{FindError, Found, Live, Spare, find, front_pages, make, name_of};
use crate::judge::{Survey, Verdict, is_complete, judge};
use crate::layout::{
    BATCH_ALIGN, BATCH_HEADER_BYTES, BatchHeader, DATA_AT, FLAG_REWRITE, KIND_OLD_ENDS,
    OLD_ENDS_BYTES, OldEnds, SegmentHeader, UnknownVersion,
};
use crate::reader::{Reader, Stream};
use crate::stage::Batch;
use crate::walk::{Step, Walk, survey};
use crate::writer::{Start, Writer};
use crate::{Damage, Options, Position};

/// Bytes of batches collected before they are written to the fresh segment.
const REWRITE_BYTES: u64 = 4 << 20;
/// Blank files kept to become segments; more are removed.
const SPARES_MAX: usize = 1;

/// A stream that is ready.
pub struct Opened {
    pub writer: Writer,
    pub reader: Reader,
    pub report: Report,
}

/// What an open found. Damage inside older segments is not looked for here: a [`crate::Scan`] of
/// the stream meets every damaged range, these included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// An unfinished write was cut off here; it never was acknowledged.
    pub tail_cut_at: Option<Position>,
    /// Ranges below the mark that are damaged: in the newest segment, and segments that are missing.
    pub corrupt: Vec<Damage>,
    /// The lowest position that is kept.
    pub start: Position,
    /// Everything below is durable; what is appended comes later.
    pub end: Position,
}

/// Why a stream cannot be opened. Nothing was lost by trying.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("opening segments: {0}")]
    Io(#[from] io::Error),
    #[error("the disk is full: an open needs one new segment")]
    Full,
    #[error("segment file {file} has format version {version}; this program knows 1")]
    UnknownVersion { file: String, version: u16 },
}

impl From<FindError> for OpenError {
    fn from(e: FindError) -> OpenError {
        match e {
            FindError::Io(e) => OpenError::Io(e),
            FindError::Version(file, UnknownVersion(version)) => {
                OpenError::UnknownVersion { file, version }
            }
        }
    }
}

/// Opens the stream in directory `dir` of a disk, or begins a new one there. There must be no other
/// writer of it. Every open begins a fresh segment and costs three syncs.
pub async fn open(
    env: &Env,
    disk: Arc<dyn Disk>,
    dir: &str,
    options: Options,
) -> Result<Opened, OpenError> {
    let Found {
        live,
        mut blank,
        unknown,
        mut next_id,
    } = find(&*disk, dir).await?;
    let highest = live.first().map_or(0, |live| live.header.number.get());
    let old = OldStream::of(live, &options).await?;
    let plan = Plan::new(&old, highest + 1, env.random_u64() as u32);
    if !blank.is_empty() {
        disk.sync_dir().await?; // whoever made them may have ended before their names were durable
    }
    let spare = match take_blank(&mut blank, plan.bytes_needed(), options.segment_bytes_max) {
        Some(spare) => spare,
        None => {
            let name = name_of(dir, next_id);
            next_id += 1;
            make_fresh(
                &disk,
                name,
                plan.bytes_needed().max(options.segment_bytes_min),
            )
            .await?
        }
    };
    let fresh = Fresh::write(plan, spare, &old).await?;
    let report = fresh.report(&old);
    let end = fresh.end;
    let stream = clean_up(&*disk, old, fresh, unknown, &mut blank).await?;
    let stream = Arc::new(RwLock::new(stream));
    let entry_bytes_max = options.entry_bytes_max();
    let reader = Reader {
        stream: stream.clone(),
        entry_bytes_max,
    };
    let start = Start {
        dir: dir.into(),
        end,
        next_id,
        spare: blank.pop(),
        options,
    };
    let writer = Writer::new(env.clone(), disk, stream, start);
    Ok(Opened {
        writer,
        reader,
        report,
    })
}

fn take_blank(blank: &mut Vec<Spare>, bytes_min: u64, bytes_max: u64) -> Option<Spare> {
    let fits = |spare: &Spare| spare.len >= bytes_min && spare.len <= bytes_max.max(bytes_min);
    let index = blank.iter().position(fits)?;
    Some(blank.swap_remove(index))
}

async fn make_fresh(disk: &Arc<dyn Disk>, name: String, bytes: u64) -> Result<Spare, OpenError> {
    match make(disk.clone(), name, bytes, 0).await {
        Err(e) if e.kind() == ErrorKind::StorageFull => Err(OpenError::Full),
        made => Ok(made?),
    }
}

/// The stream as it was left.
struct OldStream {
    /// Below the newest, oldest first.
    closed: Vec<Live>,
    newest: Option<(Live, Verdict)>,
    /// Unfinished rewrites, and what was discarded or released before.
    garbage: Vec<Live>,
    missing: Vec<Range<u64>>,
    /// The highest base of an unfinished rewrite: as true a mark as the one it was taken from.
    mark: u64,
    kept_from: u64,
}

impl OldStream {
    /// Sorts out the files of a stream, given by number, highest first.
    async fn of(live: Vec<Live>, options: &Options) -> Result<OldStream, OpenError> {
        let (mut newest, mut garbage, mut others) = (None, Vec::new(), Vec::new());
        let (mut mark, mut kept_from) = (0, 0);
        for live in live {
            if newest.is_some() {
                others.push(live);
                continue;
            }
            let mut survey = read_survey(&live, options).await?;
            kept_from = kept_from.max(live.header.kept_from.get());
            if live.header.is_rewrite() && !completed(&live, &survey, options) {
                mark = mark.max(live.header.base.get());
                garbage.push(live);
            } else {
                survey.mark = survey.mark.max(mark);
                let verdict = judge(live.header.base.get(), &survey);
                newest = Some((live, verdict));
            }
        }
        let headers: Vec<SegmentHeader> = others.iter().map(|live| live.header).collect();
        let chain = newest
            .as_ref()
            .map(|(live, _)| chain_below(&live.header, &headers));
        let nothing_found = || Chain {
            missing: (kept_from < mark).then_some(kept_from..mark),
            ..Chain::default()
        };
        let Chain { members, missing } = chain.unwrap_or_else(nothing_found);
        let mut missing: Vec<Range<u64>> = missing.into_iter().collect();
        let mut others: Vec<Option<Live>> = others.into_iter().map(Some).collect();
        let mut closed = Vec::new();
        for member in members {
            let Some(mut live) = others[member.index].take() else {
                continue;
            };
            if let Some(gap_to) = member.gap_to {
                missing.push(distrust(&mut live, gap_to).await?);
            }
            closed.push(live);
        }
        garbage.extend(others.into_iter().flatten());
        Ok(OldStream {
            closed,
            newest,
            garbage,
            missing,
            mark,
            kept_from,
        })
    }

    /// The segment that keeps what lies directly below the fresh one.
    fn previous(&self) -> u64 {
        match &self.newest {
            None => 0,
            Some((live, verdict)) if verdict.keep_below > live.header.base.get() => {
                live.header.number.get()
            }
            Some((live, _)) => live.header.previous.get(),
        }
    }
}

/// Where a segment is missing, only the marks of the one before it tell how much of it counts:
/// above them it may hold what the missing one replaced. Answers the gap.
async fn distrust(live: &mut Live, gap_to: u64) -> io::Result<Range<u64>> {
    live.trusted = survey(&live.header, &live.file).await?.mark.min(gap_to);
    Ok(live.trusted..gap_to)
}

async fn read_survey(live: &Live, _options: &Options) -> io::Result<Survey> {
    #[cfg_attr(not(test), allow(unused_mut))]
    let mut survey = survey(&live.header, &live.file).await?;
    #[cfg(test)]
    if _options.sabotage == Some(crate::tests::Sabotage::IgnoreMarks) {
        survey.mark = live.header.base.get();
    }
    Ok(survey)
}

fn completed(live: &Live, survey: &Survey, _options: &Options) -> bool {
    #[cfg(test)]
    if _options.sabotage == Some(crate::tests::Sabotage::TrustUnfinishedRewrite) {
        return true;
    }
    is_complete(live.header.base.get(), survey)
}

/// The fresh segment, before it is written.
struct Plan {
    header: SegmentHeader,
    rewrite_to: u64,
}

impl Plan {
    fn new(old: &OldStream, number: u64, salt: u32) -> Plan {
        let verdict = old.newest.as_ref().map(|(_, verdict)| verdict);
        let base = verdict.map_or(old.mark, |verdict| verdict.keep_below);
        let mut header = SegmentHeader::new_zeroed();
        header.flags = FLAG_REWRITE.into();
        header.salt = salt.into();
        header.number = number.into();
        header.base = base.into();
        header.previous = old.previous().into();
        header.kept_from = old.kept_from.into();
        Plan {
            header,
            rewrite_to: verdict.map_or(base, |verdict| verdict.rewrite_to),
        }
    }

    /// Room for what is written again, the end record, the mark, and as much once more.
    fn bytes_needed(&self) -> u64 {
        let again = self.rewrite_to - self.header.base.get();
        (DATA_AT + 2 * again + 16384).next_multiple_of(4096)
    }
}

/// The fresh segment while and after it is written.
struct Fresh {
    live: Live,
    /// How far batches have been put into `waiting`.
    at: u64,
    waiting: Vec<Bytes>,
    waiting_at: u64,
    /// Everything below is durable.
    end: u64,
}

impl Fresh {
    async fn write(plan: Plan, spare: Spare, old: &OldStream) -> io::Result<Fresh> {
        let Plan {
            mut header,
            rewrite_to,
        } = plan;
        header.file_bytes = spare.len.into();
        let header = header.sealed();
        let base = header.base.get();
        let waiting = vec![front_pages(&header)];
        let live = Live::new(spare.name, header, spare.file, spare.len);
        let mut fresh = Fresh {
            live,
            at: base,
            waiting,
            waiting_at: 0,
            end: base,
        };
        if let Some((newest, _)) = &old.newest {
            fresh.copy(newest, rewrite_to).await?;
        }
        fresh.put_old_ends();
        fresh.flush().await?;
        fresh.live.file.sync_data().await?;
        fresh.end = fresh.at;
        fresh.put_mark();
        fresh.flush().await?;
        fresh.live.file.sync_data().await?;
        fresh.end = fresh.at;
        Ok(fresh)
    }

    /// Takes the batches above the mark over, positions and bytes unchanged.
    async fn copy(&mut self, newest: &Live, rewrite_to: u64) -> io::Result<()> {
        let mut walk = Walk::open_ended(newest.header, newest.file.clone()).from(self.at);
        while self.at < rewrite_to {
            let Step::Batch(former, body) = walk.next().await? else {
                // It was intact a moment ago: the medium is failing. Nothing was changed yet.
                return Err(io::Error::other("a batch above the mark became unreadable"));
            };
            let mut header =
                BatchHeader::new(&self.live.header, self.at, self.live.header.base.get());
            header.body_bytes = former.body_bytes;
            header.body_crc = former.body_crc;
            header.entries = former.entries;
            let padding = header.batch_bytes() as usize - BATCH_HEADER_BYTES - body.len();
            self.waiting
                .push(Bytes::copy_from_slice(header.sealed().as_bytes()));
            self.waiting.push(body);
            self.waiting
                .push(Bytes::from_static(&[0; BATCH_ALIGN as usize][..padding]));
            self.at += header.batch_bytes();
            if self.live.header.file_offset(self.at) - self.waiting_at > REWRITE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// LOG.md §7: {old segment ends at X}. Without it this segment does not count.
    fn put_old_ends(&mut self) {
        let header = &self.live.header;
        let (completes, old, ends_at) = (header.number, header.previous, header.base);
        let ends = OldEnds {
            completes,
            old,
            ends_at,
        };
        let mut batch = Batch::new(self.at);
        let mut bytes = BytesMut::zeroed(OLD_ENDS_BYTES);
        bytes[..size_of::<OldEnds>()].copy_from_slice(ends.as_bytes());
        batch.push(KIND_OLD_ENDS, bytes.freeze());
        self.waiting.extend(batch.seal(header, header.base.get()));
        self.at = batch.end();
    }

    /// A batch that only carries the mark: what was written again is synced.
    fn put_mark(&mut self) {
        let mut batch = Batch::new(self.at);
        self.waiting.extend(batch.seal(&self.live.header, self.end));
        self.at = batch.end();
    }

    async fn flush(&mut self) -> io::Result<()> {
        let bufs = std::mem::take(&mut self.waiting);
        self.live.file.write_at(self.waiting_at, bufs).await?;
        self.waiting_at = self.live.header.file_offset(self.at);
        Ok(())
    }

    fn report(&self, old: &OldStream) -> Report {
        let verdict = old.newest.as_ref().map(|(_, verdict)| verdict);
        let damaged = verdict
            .map(|verdict| verdict.corrupt.clone())
            .unwrap_or_default();
        let damaged = old.missing.iter().cloned().chain(damaged);
        Report {
            tail_cut_at: verdict
                .and_then(|verdict| verdict.tail_cut_at)
                .map(Position),
            corrupt: damaged
                .map(|range| Position(range.start)..Position(range.end))
                .collect(),
            start: Position(old.kept_from),
            end: Position(self.end),
        }
    }
}

/// S6: now that the fresh segment is marked, what it replaces goes, durably.
async fn clean_up(
    disk: &dyn Disk,
    old: OldStream,
    fresh: Fresh,
    unknown: Vec<String>,
    blank: &mut Vec<Spare>,
) -> io::Result<Stream> {
    let OldStream {
        mut closed,
        newest,
        mut garbage,
        missing,
        ..
    } = old;
    let kept_from = fresh.live.header.kept_from.get();
    if let Some((mut newest, verdict)) = newest {
        if verdict.keep_below > newest.header.base.get() {
            let len = newest.header.file_offset(verdict.keep_below);
            if newest.len > len {
                newest.file.set_len(len).await?;
                newest.file.sync_data().await?; // what was cut off must not come back
                newest.len = len;
            }
            closed.push(newest);
        } else {
            garbage.push(newest);
        }
    }
    // A file that cannot be read may be what is missing: it is set aside, not erased.
    let unknown = if missing.is_empty() {
        unknown
    } else {
        Vec::new()
    };
    let spares = blank.split_off(blank.len().min(SPARES_MAX));
    let names = garbage.into_iter().map(|live| live.name);
    let names = names
        .chain(unknown)
        .chain(spares.into_iter().map(|spare| spare.name));
    let names: Vec<String> = names.collect();
    for name in &names {
        disk.remove(name).await?;
    }
    if !names.is_empty() {
        disk.sync_dir().await?;
    }
    let segments = closed
        .into_iter()
        .chain([fresh.live])
        .map(Arc::new)
        .collect();
    Ok(Stream {
        segments,
        kept_from,
        end: fresh.end,
    })
}
