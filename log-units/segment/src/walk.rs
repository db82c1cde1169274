//! From batch to batch through one segment; past damage to the next batch that is intact.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dfs_env::DiskFile;
use zerocopy::FromBytes;

use crate::file::Live;
use crate::judge::Survey;
use crate::layout::{
    BATCH_ALIGN, BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, ENTRY_HEADER_BYTES, EntryHeader,
    KIND_OLD_ENDS, OldEnds, SegmentHeader, crc32c, entry_bytes,
};

/// Bytes read at once when less is asked for.
const AHEAD_BYTES: usize = 256 << 10;
/// When the medium fails, what can be read is found in pieces of this size.
const PIECE_BYTES: usize = 512;
/// The error of a bad sector.
const EIO: i32 = 5;

/// Reads a range. Sectors that the medium cannot read come back as zeros: checksums notice, and
/// their neighbours survive. Fewer bytes at the end of the file.
pub(crate) async fn read_salvaging(
    file: &dyn DiskFile,
    offset: u64,
    len: usize,
) -> io::Result<Bytes> {
    match file.read_at(offset, len).await {
        Err(e) if e.raw_os_error() == Some(EIO) => {}
        read => return read,
    }
    let mut salvaged = Vec::with_capacity(len);
    while salvaged.len() < len {
        let at = offset + salvaged.len() as u64;
        let piece = (PIECE_BYTES - (at % PIECE_BYTES as u64) as usize).min(len - salvaged.len());
        match file.read_at(at, piece).await {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => salvaged.extend_from_slice(&bytes),
            Err(e) if e.raw_os_error() == Some(EIO) => salvaged.resize(salvaged.len() + piece, 0),
            Err(e) => return Err(e),
        }
    }
    Ok(salvaged.into())
}

/// A piece of a file that is read ahead.
struct Window {
    file: Arc<dyn DiskFile>,
    start: u64,
    bytes: Bytes,
}

impl Window {
    async fn get(&mut self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + len as u64 > end {
            self.bytes = read_salvaging(&*self.file, offset, len.max(AHEAD_BYTES)).await?;
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(self.bytes.slice(from..(from + len).min(self.bytes.len())))
    }
}

/// One thing found on the way.
#[derive(Debug)]
pub(crate) enum Step {
    Batch(BatchHeader, Bytes),
    /// Nothing intact in this range; something intact, or the end of a closed segment, after it.
    /// With the mark of the header at its start, if only the body is damaged.
    Bad(Range<u64>, Option<u64>),
    /// Nothing intact from here on. `torn`: there is a trace of a batch.
    End {
        at: u64,
        torn: bool,
        mark: Option<u64>,
    },
}

/// A way through a segment.
pub(crate) struct Walk {
    segment: SegmentHeader,
    window: Window,
    at: u64,
    limit: u64,
    /// What lies from here to `limit` is not to be found in this file; ≤ `limit`.
    held: u64,
    closed: bool,
}

impl Walk {
    /// Through a segment whose end is to be found.
    pub(crate) fn open_ended(segment: SegmentHeader, file: Arc<dyn DiskFile>) -> Walk {
        Walk::new(segment, file, segment.limit(), false)
    }

    /// Through a segment that is known to be written up to `limit`.
    pub(crate) fn closed(live: &Live, limit: u64) -> Walk {
        let mut walk = Walk::new(live.header, live.file.clone(), limit, true);
        walk.held = limit.min(live.trusted);
        walk
    }

    fn new(segment: SegmentHeader, file: Arc<dyn DiskFile>, limit: u64, closed: bool) -> Walk {
        let window = Window {
            file,
            start: 0,
            bytes: Bytes::new(),
        };
        Walk {
            segment,
            window,
            at: segment.base.get(),
            limit,
            held: limit,
            closed,
        }
    }

    /// Goes on from the batch at `position`.
    pub(crate) fn from(mut self, position: u64) -> Walk {
        self.at = position;
        self
    }

    pub(crate) async fn next(&mut self) -> io::Result<Step> {
        if self.at >= self.limit {
            return Ok(Step::End {
                at: self.at,
                torn: false,
                mark: None,
            });
        }
        if self.at >= self.held {
            return Ok(self.end_here(None));
        }
        let offset = self.segment.file_offset(self.at);
        let head = self.window.get(offset, BATCH_HEADER_BYTES).await?;
        let Some(header) = BatchHeader::decode(&head, &self.segment, self.at) else {
            let ours = head.get(8..16) == Some(&self.segment.number.to_bytes()[..]);
            let torn = head.starts_with(&BATCH_MAGIC) && ours;
            return self.resynchronise(torn, None).await;
        };
        let mark = Some(header.synced_through.get());
        if header.is_footer() {
            return Ok(self.end_here(mark));
        }
        let len = header.body_bytes.get() as usize;
        if self.at + header.batch_bytes() > self.held {
            return self.resynchronise(true, mark).await;
        }
        let body = self
            .window
            .get(offset + BATCH_HEADER_BYTES as u64, len)
            .await?;
        if body.len() < len || header.body_crc.get() != crc32c([&body[..]]) {
            return self.resynchronise(true, mark).await;
        }
        self.at += header.batch_bytes();
        Ok(Step::Batch(header, body))
    }

    /// The segment holds nothing more: if more is expected here, a segment is missing.
    fn end_here(&mut self, mark: Option<u64>) -> Step {
        let at = self.at;
        if self.closed {
            self.at = self.limit;
            return Step::Bad(at..self.limit, mark);
        }
        Step::End {
            at,
            torn: false,
            mark,
        }
    }

    /// Looks for the next intact header of this segment; magic, number, salt, offset and checksum
    /// must all fit, so that no content can pass for one.
    async fn resynchronise(&mut self, torn: bool, mark: Option<u64>) -> io::Result<Step> {
        let from = self.at;
        let mut at = from + BATCH_ALIGN;
        while at < self.held {
            let offset = self.segment.file_offset(at);
            let want = (self.held - at).min(AHEAD_BYTES as u64) as usize;
            let bytes = self.window.get(offset, want).await?;
            for place in bytes.chunks(BATCH_ALIGN as usize) {
                if place.starts_with(&BATCH_MAGIC)
                    && BatchHeader::decode(place, &self.segment, at).is_some()
                {
                    self.at = at;
                    return Ok(Step::Bad(from..at, mark));
                }
                at += BATCH_ALIGN;
            }
            if bytes.len() < want {
                break; // the file is shorter than it should be
            }
        }
        if self.closed {
            self.at = self.limit;
            return Ok(Step::Bad(from..self.limit, mark));
        }
        self.at = self.limit;
        Ok(Step::End {
            at: from,
            torn,
            mark,
        })
    }
}

/// The entries of an intact body: position, kind, bytes.
pub(crate) fn entries(header: &BatchHeader, body: &Bytes) -> Vec<(u64, u8, Bytes)> {
    let begin = header.offset.get() + BATCH_HEADER_BYTES as u64;
    let (mut found, mut at) = (Vec::with_capacity(header.entries.get() as usize), 0);
    while let Ok((entry, rest)) = EntryHeader::read_from_prefix(&body[at..]) {
        let len = entry.len.get() as usize;
        if len > rest.len() {
            break;
        }
        let from = at + ENTRY_HEADER_BYTES;
        found.push((begin + at as u64, entry.kind, body.slice(from..from + len)));
        at = (at + entry_bytes(len)).min(body.len());
    }
    found
}

/// True if the batch holds the end record that completes its own segment.
fn completes(header: &BatchHeader, body: &Bytes) -> bool {
    entries(header, body).iter().any(|(_, kind, bytes)| {
        let ends = OldEnds::read_from_prefix(bytes);
        *kind == KIND_OLD_ENDS && ends.is_ok_and(|(ends, _)| ends.completes == header.segment)
    })
}

/// Walks through the newest segment.
pub(crate) async fn survey(
    segment: &SegmentHeader,
    file: &Arc<dyn DiskFile>,
) -> io::Result<Survey> {
    let mut walk = Walk::open_ended(*segment, file.clone());
    let mut survey = Survey {
        mark: segment.base.get(),
        ..Survey::default()
    };
    loop {
        match walk.next().await? {
            Step::Batch(header, body) => {
                survey.mark = survey.mark.max(header.synced_through.get());
                survey.completed |= survey.bad.is_empty() && completes(&header, &body);
            }
            Step::Bad(range, mark) => {
                survey.mark = survey.mark.max(mark.unwrap_or(0));
                survey.bad.push(range);
            }
            Step::End { at, torn, mark } => {
                survey.mark = survey.mark.max(mark.unwrap_or(0));
                (survey.end, survey.torn_at_end) = (at, torn);
                return Ok(survey);
            }
        }
    }
}
