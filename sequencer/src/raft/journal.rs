//! The Raft journal: entries and votes in memory for reading, on segment files for keeping.
//!
//! One owner task writes: what is queued while a batch syncs is the next batch, so one fdatasync covers
//! everything that waited (as LOG-U2 for units).
use crate::order::command;
use crate::raft::record::{EntryRecord, Kind, Place, Record, VoteRecord};
use crate::raft::tape::{Position, Tape};
use crate::raft::{Entry, LogId, Membership, Types, Vote};
use bytes::Bytes;
use dfs_env::{Disk, Env};
use dfs_rpc::metrics::Spread;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{EntryPayload, LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use prost::Message;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

/// Writes queued: openraft has one append per batch of proposals in flight, and few besides.
pub(crate) const WRITES_QUEUED: usize = 256;
/// Without a write for this long the journal counts as idle. Not at once: in a row of single cuts every
/// one would cost a second write.
const IDLE_AFTER: Duration = Duration::from_millis(20);
/// Writes that share a batch: bounds the size of one write.
const WRITES_PER_BATCH: usize = 128;

#[derive(Clone)]
pub(crate) struct Journal {
    kept: Arc<Mutex<Kept>>,
    writes: mpsc::Sender<Write>,
    /// How many, and how long.
    pub(crate) syncs: Arc<Spread>,
}

/// What the journal says, in memory: at most the entries between two snapshots and a few before.
#[derive(Default)]
struct Kept {
    /// Contiguous by index.
    entries: VecDeque<Entry>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    /// Those among the entries that give a voter its seat: index → (voter, nonce).
    seats: BTreeMap<u64, (u64, Vec<u8>)>,
}

struct Write {
    records: Vec<Bytes>,
    /// Of the entries among the records.
    last_index: Option<u64>,
    /// Batches that hold only entries up to this one are not needed any more.
    forget_through: Option<u64>,
    /// Nothing is written after this one.
    closes: bool,
    done: Done,
}

enum Done {
    Flushed(IOFlushed<Types>),
    Told(oneshot::Sender<io::Result<()>>),
}

impl Done {
    fn tell(self, result: io::Result<()>) {
        match self {
            Done::Flushed(flushed) => flushed.io_completed(result),
            Done::Told(told) => drop(told.send(result)),
        }
    }
}

impl Kept {
    fn replay(&mut self, record: Record) -> io::Result<()> {
        match record.kind {
            Some(Kind::Entry(entry)) => self.push(entry.into_entry()?),
            Some(Kind::Vote(vote)) => {
                self.vote = Some(Vote::from(vote));
                Ok(())
            }
            Some(Kind::TruncatedAfter(place)) => {
                self.truncate_after(place.index_after());
                Ok(())
            }
            Some(Kind::PurgedThrough(place)) => {
                self.purge(LogId::from(place));
                Ok(())
            }
            None => Err(invalid(
                "a journal record of a kind that this build does not know",
            )),
        }
    }

    fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// The index that the next entry must have; `None` when any may come first.
    fn next_index(&self) -> Option<u64> {
        let last = self.entries.back().map(|entry| &entry.log_id);
        last.or(self.purged.as_ref()).map(|id| id.index + 1)
    }

    /// What lies at or below the purge mark is old content of a segment that is still needed otherwise.
    fn push(&mut self, entry: Entry) -> io::Result<()> {
        let index = entry.log_id.index;
        if self
            .purged
            .as_ref()
            .is_some_and(|purged| index <= purged.index)
        {
            return Ok(());
        }
        if self.next_index().is_some_and(|next| next != index) {
            return Err(invalid(format!(
                "the journal goes on at entry {index} after a gap"
            )));
        }
        if let EntryPayload::Normal(command) = &entry.payload
            && let Some(command::Kind::SeatVoter(seat)) = &command.kind
        {
            self.seats.insert(index, (seat.voter, seat.nonce.clone()));
        }
        self.entries.push_back(entry);
        Ok(())
    }

    fn truncate_after(&mut self, next: u64) {
        drop(self.seats.split_off(&next));
        while self
            .entries
            .back()
            .is_some_and(|entry| entry.log_id.index >= next)
        {
            self.entries.pop_back();
        }
    }

    fn purge(&mut self, through: LogId) {
        self.seats = self.seats.split_off(&(through.index + 1));
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.log_id.index <= through.index)
        {
            self.entries.pop_front();
        }
        if self
            .purged
            .as_ref()
            .is_none_or(|purged| purged.index < through.index)
        {
            self.purged = Some(through);
        }
    }

    fn range(&self, range: &impl RangeBounds<u64>) -> Vec<Entry> {
        let Some(first) = self.first_index() else {
            return Vec::new();
        };
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => first,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        let skip = from.saturating_sub(first) as usize;
        let take = to.saturating_sub(from.max(first)) as usize;
        self.entries.iter().skip(skip).take(take).cloned().collect()
    }
}

impl Journal {
    /// Reads everything back. A torn tail has been cut by then; damage before it is an error: an
    /// acknowledged cut or a vote may be gone, and a person must look.
    pub(crate) async fn open(
        env: &Env,
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
    ) -> io::Result<Journal> {
        let (tape, found) = Tape::open(env, disk, segment_bytes).await?;
        let mut kept = Kept::default();
        let mut written = VecDeque::new();
        for (place, body) in found {
            let record = Record::decode(body).map_err(|e| invalid(e.to_string()))?;
            if let Some(index) = record.entry_index() {
                written.push_back((place, index));
            }
            kept.replay(record)?;
        }
        let (writes, queue) = mpsc::channel(WRITES_QUEUED);
        let syncs = Arc::new(Spread::durations());
        let writer = Writer {
            env: env.clone(),
            syncs: syncs.clone(),
            tape,
            queue,
            written,
        };
        env.spawn("sequencer-journal", writer.run());
        Ok(Journal {
            kept: Arc::new(Mutex::new(kept)),
            writes,
            syncs,
        })
    }

    /// Writes that wait.
    pub(crate) fn queued(&self) -> usize {
        WRITES_QUEUED - self.writes.capacity()
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.kept.lock().next_index().map_or(0, |next| next - 1)
    }

    /// The directory that a voter's seat is for, also before the entry is applied: one that was started
    /// again has applied nothing yet, and is asked for its vote all the same.
    pub(crate) fn seat(&self, voter: u64) -> Option<Vec<u8>> {
        let kept = self.kept.lock();
        let mut seats = kept.seats.values();
        let first = seats.find(|(seated, _)| *seated == voter);
        first.map(|(_, nonce)| nonce.clone())
    }

    /// The last one among the entries.
    pub(crate) fn membership(&self) -> Option<Membership> {
        let kept = self.kept.lock();
        let payloads = kept.entries.iter().rev().map(|entry| &entry.payload);
        let mut memberships = payloads.filter_map(|payload| match payload {
            EntryPayload::Membership(membership) => Some(membership.clone()),
            EntryPayload::Blank | EntryPayload::Normal(_) => None,
        });
        memberships.next()
    }

    /// Ends the writer after what is queued; the files are left as tidy as they can be.
    pub(crate) async fn close(&self) {
        let (told, done) = oneshot::channel();
        let write = Write {
            records: Vec::new(),
            last_index: None,
            forget_through: None,
            closes: true,
            done: Done::Told(told),
        };
        if self.write(write).await.is_ok() {
            let _stopped_before = done.await;
        }
    }

    async fn write(&self, write: Write) -> io::Result<()> {
        self.writes
            .send(write)
            .await
            .map_err(|_| io::Error::other("the journal has stopped"))
    }

    async fn write_durably(&self, kinds: Vec<Kind>, forget_through: Option<u64>) -> io::Result<()> {
        let (told, done) = oneshot::channel();
        let records = kinds
            .into_iter()
            .map(|kind| Record::from(kind).bytes())
            .collect();
        self.write(Write {
            records,
            last_index: None,
            forget_through,
            closes: false,
            done: Done::Told(told),
        })
        .await?;
        done.await
            .map_err(|_| io::Error::other("the journal has stopped"))?
    }
}

impl RaftLogReader<Types> for Journal {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.kept.lock().range(&range))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.kept.lock().vote)
    }
}

impl RaftLogStorage<Types> for Journal {
    type LogReader = Journal;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let kept = self.kept.lock();
        let last = kept.entries.back().map(|entry| entry.log_id);
        Ok(LogState {
            last_purged_log_id: kept.purged,
            last_log_id: last.or(kept.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Journal {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.write_durably(vec![Kind::Vote(VoteRecord::from(vote))], None)
            .await?;
        self.kept.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut last_index = None;
        {
            let mut kept = self.kept.lock();
            for entry in entries {
                records.push(Record::from(Kind::Entry(EntryRecord::of(&entry)?)).bytes());
                last_index = Some(entry.log_id.index);
                kept.push(entry)?;
            }
        }
        let done = Done::Flushed(flushed);
        self.write(Write {
            records,
            last_index,
            forget_through: None,
            closes: false,
            done,
        })
        .await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let place = last.as_ref().map(Place::from).unwrap_or_default();
        self.kept.lock().truncate_after(place.index_after());
        self.write_durably(vec![Kind::TruncatedAfter(place)], None)
            .await
    }

    /// The vote is written again with the mark: the segment that held it may be the one that goes.
    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        let vote = {
            let mut kept = self.kept.lock();
            kept.purge(through);
            kept.vote
        };
        let mut kinds = vec![Kind::PurgedThrough(Place::from(&through))];
        kinds.extend(vote.map(|vote| Kind::Vote(VoteRecord::from(&vote))));
        self.write_durably(kinds, Some(through.index)).await
    }
}

/// Owns the files. After an error nothing is written any more (LOG-U3): openraft stops this voter.
struct Writer {
    env: Env,
    syncs: Arc<Spread>,
    tape: Tape,
    queue: mpsc::Receiver<Write>,
    /// Where the entries lie: (place, index), rising.
    written: VecDeque<(Position, u64)>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let mut batch = vec![first];
            while batch.len() < WRITES_PER_BATCH {
                let Ok(next) = self.queue.try_recv() else {
                    break;
                };
                batch.push(next);
            }
            let result = self.write(&mut batch).await;
            let ends = result.is_err() || batch.iter().any(|write| write.closes);
            for write in batch {
                write.done.tell(copy_of(&result));
            }
            if ends {
                return;
            }
        }
    }

    /// What is to be written next. When nothing comes for a while, the mark is brought up to date.
    async fn next(&mut self) -> Option<Write> {
        if let Ok(next) = self.env.timeout(IDLE_AFTER, self.queue.recv()).await {
            return next;
        }
        if let Err(e) = self.tape.idle().await {
            error!("the mark of the journal could not be written: {e}");
            return None;
        }
        self.queue.recv().await
    }

    async fn write(&mut self, batch: &mut [Write]) -> io::Result<()> {
        let records = batch
            .iter_mut()
            .flat_map(|write| std::mem::take(&mut write.records));
        let records: Vec<Bytes> = records.collect();
        if records.is_empty() {
            return self.tape.idle().await; // only a close writes nothing
        }
        let began = self.env.now();
        let place = self.tape.write_and_sync(records).await?;
        let took = self.env.now().saturating_duration_since(began);
        self.syncs.took(took);
        let last = batch.iter().filter_map(|write| write.last_index).max();
        self.written.extend(last.map(|index| (place, index)));
        let forget = batch.iter().filter_map(|write| write.forget_through).max();
        let Some(forget) = forget else { return Ok(()) };
        while self
            .written
            .front()
            .is_some_and(|(_, index)| *index <= forget)
        {
            self.written.pop_front();
        }
        let keep_from = self
            .written
            .front()
            .map_or(place, |(kept, _)| (*kept).min(place));
        self.tape.forget_before(keep_from).await
    }
}

impl Record {
    fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

/// Everyone who waits for the batch gets the same answer.
fn copy_of(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(e) => Err(io::Error::new(e.kind(), e.to_string())),
    }
}

pub(crate) fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
