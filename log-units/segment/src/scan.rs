//! In order through everything that is kept: entries, and explicitly what is damaged.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::reader::Stream;
use crate::walk::{Step, Walk, entries};
use crate::{Damage, Entry, KIND_MAX, Position};

/// One result of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    Entry(Position, Entry),
    /// What lay here is damaged. It holds everything between two intact batches.
    Corrupt(Damage),
}

/// A scan under way. Entries share the memory of what was read ahead (256 KiB): copy what is kept.
pub struct Scan {
    stream: Arc<RwLock<Stream>>,
    /// The lowest position that is wanted.
    from: u64,
    /// How far the stream has been walked.
    at: u64,
    walk: Option<(Walk, u64)>,
    ready: VecDeque<Scanned>,
}

impl Scan {
    pub(crate) fn new(stream: Arc<RwLock<Stream>>, from: Position) -> Scan {
        let from = from.0.max(stream.read().kept_from);
        Scan {
            stream,
            from,
            at: from,
            walk: None,
            ready: VecDeque::new(),
        }
    }

    /// The next entry or damage; `None` at the end, where a later call may find more.
    pub async fn next(&mut self) -> io::Result<Option<Scanned>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            if self.walk.is_none() && !self.enter_segment() {
                return Ok(self.ready.pop_front());
            }
            let Some((walk, limit)) = &mut self.walk else {
                continue;
            };
            match walk.next().await? {
                Step::Batch(header, body) => {
                    self.at = header.offset.get() + header.batch_bytes();
                    let entries = entries(&header, &body).into_iter();
                    let wanted =
                        entries.filter(|(at, kind, _)| *at >= self.from && *kind <= KIND_MAX);
                    self.ready.extend(wanted.map(|(at, kind, bytes)| {
                        Scanned::Entry(Position(at), Entry { kind, bytes })
                    }));
                }
                Step::Bad(bad, _) => {
                    self.at = bad.end;
                    let from = bad.start.max(self.from);
                    if from < bad.end {
                        let damage = Position(from)..Position(bad.end);
                        self.ready.push_back(Scanned::Corrupt(damage));
                    }
                }
                Step::End { .. } => {
                    self.at = self.at.max(*limit);
                    self.walk = None;
                }
            }
        }
    }

    /// Begins the segment that holds `at`; false at the end of the stream.
    fn enter_segment(&mut self) -> bool {
        let stream = self.stream.read();
        self.at = self.at.max(stream.kept_from);
        if self.at >= stream.end {
            return false;
        }
        if let Some((live, limit)) = stream.locate(self.at) {
            let walk = Walk::closed(&live, limit);
            // In the middle of a segment only a batch's end is known, and that is where `at` is
            // unless the caller gave it.
            let walk = if self.at > self.from {
                walk.from(self.at)
            } else {
                walk
            };
            self.walk = Some((walk, limit));
            return true;
        }
        let next = stream
            .segments
            .first()
            .map_or(stream.end, |live| live.header.base.get());
        self.ready
            .push_back(Scanned::Corrupt(Position(self.at)..Position(next)));
        self.at = next;
        true
    }
}
