//! The one writer of a stream: stage, commit with one sync, mark, release.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use dfs_env::{Disk, Env, Task};
use parking_lot::RwLock;
use zerocopy::{FromZeros, IntoBytes};

use crate::file::{Live, Spare, front_pages, make, name_of};
use crate::layout::{FLAG_FOOTER, IndexRow, KIND_INDEX, SEGMENT_HEADER_AT, SegmentHeader};
use crate::reader::Stream;
use crate::stage::{Batch, Stage};
use crate::{AppendError, CommitError, Entry, KIND_MAX, Options, Position, Room};

/// Appends to a stream. One task owns it (LOG-U2): `append` what waits, `commit`, answer, and `idle`
/// when nothing waits.
///
/// A commit whose future is dropped poisons the writer: nobody knows what it did.
pub struct Writer {
    env: Env,
    disk: Arc<dyn Disk>,
    dir: String,
    options: Options,
    stream: Arc<RwLock<Stream>>,
    active: Arc<Live>,
    /// The front pages of the active segment, until they are written with its first batch.
    front: Option<Bytes>,
    /// Entries of the active segment, for its footer.
    rows: Vec<IndexRow>,
    stage: Stage,
    /// Everything below is synced.
    synced: u64,
    /// The highest mark that has been written.
    marked: u64,
    spare: SpareState,
    next_id: u64,
    /// Set while a commit or trim is under way: its cancellation must not go unnoticed.
    busy: bool,
    poison: Option<Arc<io::Error>>,
}

enum SpareState {
    None,
    Ready(Spare),
    UnderWay(Task<io::Result<Spare>>),
}

/// What an open hands to the writer.
pub(crate) struct Start {
    pub(crate) dir: String,
    pub(crate) end: u64,
    pub(crate) next_id: u64,
    pub(crate) spare: Option<Spare>,
    pub(crate) options: Options,
}

impl Writer {
    pub(crate) fn new(
        env: Env,
        disk: Arc<dyn Disk>,
        stream: Arc<RwLock<Stream>>,
        start: Start,
    ) -> Writer {
        let Start {
            dir,
            end,
            next_id,
            spare,
            options,
        } = start;
        let active = stream
            .read()
            .segments
            .last()
            .expect("an open makes a segment")
            .clone();
        let stage = Stage::new(end, options.batch_bytes_target());
        let spare = spare.map_or(SpareState::None, SpareState::Ready);
        let (front, rows, busy, poison) = (None, Vec::new(), false, None);
        let (synced, marked) = (end, end);
        let mut writer = Writer {
            env,
            disk,
            dir,
            options,
            stream,
            active,
            front,
            rows,
            stage,
            synced,
            marked,
            spare,
            next_id,
            busy,
            poison,
        };
        writer.prepare_spare();
        writer
    }

    /// Stages an entry and says where it will lie. Nothing is written before `commit`; the caller
    /// bounds what is staged ([`Writer::staged_bytes`]).
    pub fn append(&mut self, entry: Entry) -> Result<Position, AppendError> {
        let (len, max) = (entry.bytes.len(), self.options.entry_bytes_max());
        if len > max {
            return Err(AppendError::TooLarge { len, max });
        }
        if entry.kind > KIND_MAX {
            return Err(AppendError::ReservedKind(entry.kind));
        }
        Ok(Position(self.stage.push(entry.kind, entry.bytes)))
    }

    /// Bytes that the next commit writes.
    pub fn staged_bytes(&self) -> u64 {
        self.stage.bytes()
    }

    /// Everything below this position is durable.
    pub fn end(&self) -> Position {
        Position(self.synced)
    }

    /// The lowest position that is kept.
    pub fn start(&self) -> Position {
        Position(self.stream.read().kept_from)
    }

    /// How much space is left, here and on the disk. Begins to make the next segment's file again,
    /// if that failed for want of space.
    pub async fn room(&mut self) -> Result<Room, CommitError> {
        self.begin()?;
        let settled = self.settle_spare().await;
        self.busy = false;
        settled?;
        let in_segment = self.active.header.limit().saturating_sub(self.stage.end());
        let in_spare = match &self.spare {
            SpareState::Ready(spare) => spare.len,
            SpareState::None | SpareState::UnderWay(_) => 0,
        };
        let disk = self.disk.space().await;
        Ok(Room {
            in_segment,
            in_spare,
            disk: self.or_poison(disk)?,
        })
    }

    /// Takes in what the task that makes the spare has come to, if it has ended.
    async fn settle_spare(&mut self) -> Result<(), CommitError> {
        if matches!(&self.spare, SpareState::UnderWay(task) if task.is_finished())
            && let SpareState::UnderWay(task) = std::mem::replace(&mut self.spare, SpareState::None)
        {
            match task.await {
                Ok(Ok(spare)) => self.spare = SpareState::Ready(spare),
                Ok(Err(e)) if e.kind() == ErrorKind::StorageFull => {}
                Ok(Err(e)) => return self.or_poison(Err(e)),
                Err(end) => return self.or_poison(Err(io::Error::other(end))),
            }
        }
        self.prepare_spare();
        Ok(())
    }

    /// See [`Options::keep_free_bytes`]: 0 lets privileged entries use the headroom (LOG-U8).
    pub fn set_keep_free_bytes(&mut self, bytes: u64) {
        self.options.keep_free_bytes = bytes;
    }

    /// Writes everything staged and syncs once (once per segment when it runs over into the next).
    /// Answers the position below which everything is durable.
    pub async fn commit(&mut self) -> Result<Position, CommitError> {
        self.begin()?;
        let committed = self.commit_staged().await;
        self.busy = false;
        committed?;
        Ok(self.end())
    }

    async fn commit_staged(&mut self) -> Result<(), CommitError> {
        while !self.stage.is_empty() {
            let bufs = self.seal_fitting();
            match bufs {
                Some((bufs, count, end)) => self.write(bufs, count, end).await?,
                None => self.roll_over().await?,
            }
        }
        self.prepare_spare();
        Ok(())
    }

    /// The buffers of the staged batches that fit into the active segment, how many, and their end.
    fn seal_fitting(&mut self) -> Option<(Vec<Bytes>, usize, u64)> {
        let (header, mark) = (self.active.header, self.mark_to_write());
        let mut bufs: Vec<Bytes> = self.front.iter().cloned().collect();
        let (mut count, mut end) = (0, 0);
        for batch in self.stage.fitting(header.limit()) {
            bufs.extend(batch.seal(&header, mark));
            self.rows.extend_from_slice(batch.rows());
            (count, end) = (count + 1, batch.end());
        }
        (count > 0).then_some((bufs, count, end))
    }

    /// S2.
    fn mark_to_write(&self) -> u64 {
        #[cfg(test)]
        if self.options.sabotage == Some(crate::tests::Sabotage::MarkBeforeSync) {
            return self.stage.end();
        }
        self.synced
    }

    async fn write(&mut self, bufs: Vec<Bytes>, count: usize, end: u64) -> Result<(), CommitError> {
        let begin = match self.front {
            Some(_) => 0,
            None => self.active.header.file_offset(self.stage.begin()),
        };
        let written = self.active.file.write_and_sync(begin, bufs).await;
        self.or_poison(written)?;
        self.front = None;
        self.marked = self.synced;
        self.stage.written(count);
        self.synced = end;
        self.stream.write().end = end;
        Ok(())
    }

    /// Makes the next segment the active one. S4: space is asked for before anything is touched.
    async fn roll_over(&mut self) -> Result<(), CommitError> {
        let spare = self.take_spare().await?;
        self.close_segment().await?;
        let former = &self.active.header;
        let mut header = SegmentHeader::new_zeroed();
        header.salt = (self.env.random_u64() as u32).into();
        header.number = (former.number.get() + 1).into();
        header.base = self.stage.begin().into();
        header.previous = former.number;
        header.kept_from = former.kept_from;
        header.file_bytes = spare.len.into();
        let header = header.sealed();
        self.front = Some(front_pages(&header));
        self.active = Arc::new(Live::new(spare.name, header, spare.file, spare.len));
        self.stream.write().segments.push(self.active.clone());
        self.rows.clear();
        Ok(())
    }

    /// S3: the footer, if there is room for it, and everything before it, synced.
    async fn close_segment(&mut self) -> Result<(), CommitError> {
        let begin = self.stage.begin();
        let mut footer = Batch::with_flags(begin, FLAG_FOOTER);
        footer.push(KIND_INDEX, Bytes::copy_from_slice(self.rows.as_bytes()));
        let header = &self.active.header;
        let bufs = if footer.end() <= header.limit() {
            footer.seal(header, self.synced)
        } else {
            Vec::new()
        };
        let offset = header.file_offset(begin);
        let closed = self.active.file.write_and_sync(offset, bufs).await;
        self.or_poison(closed)
    }

    /// To be called when nothing waits, and after the last commit: writes the mark, unsynced, so
    /// that what was synced last is covered too.
    pub async fn idle(&mut self) -> Result<(), CommitError> {
        self.begin()?;
        let marked = self.write_mark().await;
        self.busy = false;
        marked
    }

    async fn write_mark(&mut self) -> Result<(), CommitError> {
        let mut batch = Batch::new(self.stage.end());
        let header = self.active.header;
        let covered = self.marked == self.synced || !self.stage.is_empty();
        if covered || self.front.is_some() || batch.end() > header.limit() {
            return Ok(());
        }
        let bufs = batch.seal(&header, self.synced);
        let written = self
            .active
            .file
            .write_at(header.file_offset(batch.offset()), bufs)
            .await;
        self.or_poison(written)?;
        self.marked = self.synced;
        self.stage.skip(batch.bytes());
        Ok(())
    }

    /// Commits what is staged and writes the mark: the orderly end.
    pub async fn stop(mut self) -> Result<Position, CommitError> {
        let end = self.commit().await?;
        self.idle().await?;
        Ok(end)
    }

    /// Releases whole segments that lie below `before`; answers the new start, which is ≤ `before`.
    /// Durable on return; needs no space. One released file is kept for the next segment.
    pub async fn trim(&mut self, before: Position) -> Result<Position, CommitError> {
        self.begin()?;
        let trimmed = self.release_below(before.0).await;
        self.busy = false;
        trimmed?;
        Ok(self.start())
    }

    /// Whether `trim` would release anything.
    pub fn has_below(&self, before: Position) -> bool {
        !self.whole_below(before.0).is_empty()
    }

    fn whole_below(&self, before: u64) -> Vec<Arc<Live>> {
        let stream = self.stream.read();
        let kept = stream
            .segments
            .partition_point(|live| live.header.base.get() <= before);
        stream.segments[..kept.saturating_sub(1)].to_vec()
    }

    async fn release_below(&mut self, before: u64) -> Result<(), CommitError> {
        let released = self.whole_below(before);
        if released.is_empty() {
            return Ok(());
        }
        let header = self.record_start(released.len()).await?;
        {
            let mut stream = self.stream.write();
            stream.segments.drain(..released.len());
            stream.kept_from = header.kept_from.get();
            stream.segments.pop();
            stream.segments.push(self.active.clone());
        }
        for live in released {
            self.recycle(&live).await?;
        }
        Ok(())
    }

    /// Writes the new start into both copies of the active header, one sync each (S7).
    async fn record_start(&mut self, released: usize) -> Result<SegmentHeader, CommitError> {
        let mut header = self.active.header;
        header.kept_from = self.stream.read().segments[released].header.base;
        let header = header.sealed();
        for at in SEGMENT_HEADER_AT {
            let copy = vec![Bytes::copy_from_slice(header.as_bytes())];
            let written = self.active.file.write_and_sync(at, copy).await;
            self.or_poison(written)?;
        }
        let (name, file, len) = (
            self.active.name.clone(),
            self.active.file.clone(),
            self.active.len,
        );
        self.active = Arc::new(Live::new(name, header, file, len));
        Ok(header)
    }

    /// Keeps a whole file as the spare, if there is none; removes others.
    async fn recycle(&mut self, live: &Live) -> Result<(), CommitError> {
        let whole = live.len == live.header.file_bytes.get();
        if whole && matches!(self.spare, SpareState::None) {
            let (name, file, len) = (live.name.clone(), live.file.clone(), live.len);
            self.spare = SpareState::Ready(Spare { name, file, len });
            return Ok(());
        }
        let removed = self.disk.remove(&live.name).await;
        self.or_poison(removed)
    }

    fn next_segment_bytes(&self) -> u64 {
        let twice = self.active.header.file_bytes.get().saturating_mul(2);
        twice.clamp(
            self.options.segment_bytes_min,
            self.options.segment_bytes_max,
        )
    }

    /// Begins to make the next segment's file, so that no commit waits for it.
    fn prepare_spare(&mut self) {
        if !matches!(self.spare, SpareState::None) {
            return;
        }
        let making = self.make_spare();
        self.spare = SpareState::UnderWay(self.env.spawn("segment-spare", making));
    }

    fn make_spare(&mut self) -> impl Future<Output = io::Result<Spare>> + use<> {
        let name = name_of(&self.dir, self.next_id);
        self.next_id += 1;
        let (len, keep_free) = (self.next_segment_bytes(), self.options.keep_free_bytes);
        make(self.disk.clone(), name, len, keep_free)
    }

    /// The spare; made now if the one under way failed for want of space.
    async fn take_spare(&mut self) -> Result<Spare, CommitError> {
        let made = match std::mem::replace(&mut self.spare, SpareState::None) {
            SpareState::Ready(spare) => return Ok(spare),
            SpareState::UnderWay(task) => match task.await {
                Ok(Ok(spare)) => return Ok(spare),
                Ok(Err(e)) if e.kind() == ErrorKind::StorageFull => self.make_spare().await,
                Ok(Err(e)) => Err(e),
                Err(end) => Err(io::Error::other(end)),
            },
            SpareState::None => self.make_spare().await,
        };
        match made {
            Err(e) if e.kind() == ErrorKind::StorageFull => Err(CommitError::Full),
            made => self.or_poison(made),
        }
    }

    fn begin(&mut self) -> Result<(), CommitError> {
        if self.busy {
            let given_up = io::Error::other("an earlier commit was given up in its middle");
            self.poison.get_or_insert_with(|| Arc::new(given_up));
        }
        match &self.poison {
            Some(poison) => Err(CommitError::Poisoned(poison.clone())),
            None => {
                self.busy = true;
                Ok(())
            }
        }
    }

    /// S5.
    fn or_poison<T>(&mut self, result: io::Result<T>) -> Result<T, CommitError> {
        result.map_err(|e| {
            let poison = Arc::new(e);
            self.poison = Some(poison.clone());
            CommitError::Poisoned(poison)
        })
    }
}
