//! The one task that gives extents their room and syncs them: whatever finished while a sync ran is
//! covered by the next (LOG-U2). A failed write or sync ends the role (LOG-U3).

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dfs_env::{Disk, DiskFile, Env, OpenMode};
use dfs_rpc::metrics::Spread;
use dfs_wire::{Code, Refusal};
use futures::future::OptionFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::config::UnitConfig;
use crate::extents::index::{Entry, Id, Index};
use crate::extents::layout::{ALIGN_BYTES, MARK_AT, encode_file_header, encode_mark, span_bytes};
use crate::extents::open::{Found, file_name, write_void};
use crate::failure::Failure;

/// Orders that may wait: each store has at most one, and there are fewer stores than this.
pub(crate) const ORDERS_MAX: usize = 128;

/// The mark is written after so long without a sync: at once, it would cost each lonely store a
/// second write.
const MARK_IDLE: Duration = Duration::from_millis(20);

/// Room for one extent.
pub(crate) struct Room {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) file_no: u32,
    pub(crate) file_nonce: u64,
    pub(crate) offset: u64,
    pub(crate) synced_through: u64,
    given_up: Option<GivenUp>,
}

/// Rooms that nobody will fill.
#[derive(Clone, Default)]
struct GivenUp {
    rooms: Arc<Mutex<Vec<(u32, u64)>>>,
    some: Arc<Notify>,
}

impl Room {
    /// All its writes were asked for.
    pub(crate) fn fill(mut self) {
        self.given_up = None;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(given_up) = self.given_up.take() {
            given_up.rooms.lock().push((self.file_no, self.offset));
            given_up.some.notify_one();
        }
    }
}

pub(crate) enum Order {
    Reserve {
        length: u32,
        reply: oneshot::Sender<Result<Room, Refusal>>,
    },
    /// Sync it, index it, say so.
    Finish {
        id: Id,
        entry: Entry,
        reply: oneshot::Sender<()>,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
}

struct OpenFile {
    found: Found,
    /// Rooms not yet synced: offset and bytes.
    rooms: BTreeMap<u64, u64>,
}

impl OpenFile {
    fn synced_through(&self) -> u64 {
        self.rooms
            .first_key_value()
            .map_or(self.found.next_offset, |(offset, _)| *offset)
    }
}

struct Finished {
    file_no: u32,
    offset: u64,
    /// `None` of a void.
    extent: Option<(Id, Entry, oneshot::Sender<()>)>,
}

pub(crate) struct Owner {
    env: Env,
    disk: Arc<dyn Disk>,
    file_bytes_max: u64,
    index: Index,
    failure: Failure,
    /// The newest, and older ones with rooms that are not synced.
    files: BTreeMap<u32, OpenFile>,
    all_files: Arc<Mutex<BTreeMap<u32, Found>>>,
    next_file_no: u32,
    given_up: GivenUp,
    finished: Vec<Finished>,
    /// The last sync is not covered by a mark yet.
    unmarked_since: Option<Instant>,
    pub(crate) syncs: Arc<Spread>,
    /// A defect on purpose: the judge in the tests has to catch it.
    #[cfg(test)]
    replies_before_sync: bool,
}

type Syncing = Pin<Box<dyn Future<Output = io::Result<Vec<Finished>>> + Send>>;

impl Owner {
    pub(crate) fn new(
        env: Env,
        config: &UnitConfig,
        (found, next_file_no): (Vec<Found>, u32),
        index: Index,
        failure: Failure,
    ) -> Owner {
        let newest = found
            .last()
            .filter(|last| last.file_no + 1 == next_file_no)
            .cloned();
        let all = found
            .into_iter()
            .map(|found| (found.file_no, found))
            .collect();
        let open = newest.map(|found| {
            (
                found.file_no,
                OpenFile {
                    found,
                    rooms: BTreeMap::new(),
                },
            )
        });
        Owner {
            env,
            disk: config.extents.clone(),
            file_bytes_max: config.extent_file_bytes,
            index,
            failure,
            files: open.into_iter().collect(),
            all_files: Arc::new(Mutex::new(all)),
            next_file_no,
            given_up: GivenUp::default(),
            finished: Vec::new(),
            unmarked_since: None,
            syncs: Arc::new(Spread::durations()),
            #[cfg(test)]
            replies_before_sync: config.reports_before_sync,
        }
    }

    /// Every file, for readers.
    pub(crate) fn all_files(&self) -> Arc<Mutex<BTreeMap<u32, Found>>> {
        self.all_files.clone()
    }

    /// Runs until `Stop`, the end of its users, or a failure.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        if let Err(e) = self.serve(&mut orders).await {
            self.failure.set(format!("write extents: {e}"));
        }
    }

    async fn serve(&mut self, orders: &mut mpsc::Receiver<Order>) -> io::Result<()> {
        let mut syncing: Option<Syncing> = None;
        let given_up = self.given_up.some.clone();
        let mut stopped: Option<oneshot::Sender<()>> = None;
        loop {
            if syncing.is_none() {
                syncing = self.begin_sync();
                if syncing.is_none()
                    && let Some(reply) = stopped.take()
                {
                    self.write_marks(true).await?;
                    let _ = reply.send(());
                    return Ok(());
                }
            }
            tokio::select! {
                biased;
                Some(synced) = OptionFuture::from(syncing.as_mut()) => {
                    syncing = None;
                    self.after_sync(synced?).await?;
                }
                () = given_up.notified() => self.void_given_up().await?,
                () = self.env.sleep(self.mark_wait()), if self.unmarked_since.is_some() => {
                    self.unmarked_since = None;
                    self.write_marks(false).await?;
                }
                order = orders.recv(), if stopped.is_none() => match order {
                    Some(Order::Reserve { length, reply }) => {
                        let room = self.reserve(length).await?;
                        let _ = reply.send(room);
                    }
                    Some(Order::Finish { id, entry, reply }) => {
                        self.finish(id, entry, reply);
                    }
                    Some(Order::Stop { reply }) => stopped = Some(reply),
                    None => return Ok(()),
                },
            }
        }
    }

    fn finish(&mut self, id: Id, entry: Entry, reply: oneshot::Sender<()>) {
        #[cfg(test)]
        let reply = self.lie(id, entry, reply);
        let (file_no, offset) = (entry.file_no, entry.offset());
        let extent = Some((id, entry, reply));
        self.finished.push(Finished {
            file_no,
            offset,
            extent,
        });
    }

    #[cfg(test)]
    fn lie(&self, id: Id, entry: Entry, reply: oneshot::Sender<()>) -> oneshot::Sender<()> {
        if !self.replies_before_sync {
            return reply;
        }
        self.index.insert(id, entry);
        let _ = reply.send(()); // the store may have been given up
        oneshot::channel().0
    }

    /// Syncs every file in which something finished; nothing when only voids wait.
    fn begin_sync(&mut self) -> Option<Syncing> {
        if !self
            .finished
            .iter()
            .any(|finished| finished.extent.is_some())
        {
            return None;
        }
        let finished = std::mem::take(&mut self.finished);
        let mut files = BTreeMap::new();
        for file_no in finished.iter().map(|finished| finished.file_no) {
            let file = self.files.get(&file_no).map(|open| open.found.file.clone());
            files.insert(file_no, file);
        }
        let (env, syncs) = (self.env.clone(), self.syncs.clone());
        Some(Box::pin(async move {
            for file in files.into_values().flatten() {
                let began = env.now();
                file.sync_data().await?;
                syncs.took(env.now().saturating_duration_since(began));
            }
            Ok(finished)
        }))
    }

    async fn after_sync(&mut self, finished: Vec<Finished>) -> io::Result<()> {
        for Finished {
            file_no,
            offset,
            extent,
        } in finished
        {
            if let Some(open) = self.files.get_mut(&file_no) {
                open.rooms.remove(&offset);
            }
            if let Some((id, entry, reply)) = extent {
                self.index.insert(id, entry);
                let _ = reply.send(()); // the client may have gone: the extent stays
            }
        }
        self.unmarked_since = Some(self.env.now());
        Ok(())
    }

    fn mark_wait(&self) -> Duration {
        let since = self.unmarked_since.map(|since| since + MARK_IDLE);
        since.map_or(MARK_IDLE, |due| {
            due.saturating_duration_since(self.env.now())
        })
    }

    /// Where nothing is under way, the mark says so: without it the last extents would count as
    /// never acknowledged if they were damaged.
    async fn write_marks(&mut self, sync: bool) -> io::Result<()> {
        let idle: Vec<u32> = self
            .files
            .iter()
            .filter(|(_, open)| open.rooms.is_empty())
            .map(|(file_no, _)| *file_no)
            .collect();
        for file_no in idle {
            let Some(open) = self.files.get(&file_no) else {
                continue;
            };
            let mark = encode_mark(open.found.file_nonce, open.found.next_offset);
            open.found.file.write_at(MARK_AT, vec![mark]).await?;
            if sync {
                open.found.file.sync_data().await?;
            }
            if file_no + 1 != self.next_file_no {
                self.files.remove(&file_no);
            }
        }
        Ok(())
    }

    async fn void_given_up(&mut self) -> io::Result<()> {
        let rooms = std::mem::take(&mut *self.given_up.rooms.lock());
        for (file_no, offset) in rooms {
            let Some(open) = self.files.get(&file_no) else {
                continue;
            };
            let Some(span) = open.rooms.get(&offset) else {
                continue;
            };
            let (nonce, mark) = (open.found.file_nonce, open.synced_through());
            match write_void(&*open.found.file, nonce, offset, *span, mark).await {
                Ok(()) => self.finished.push(Finished {
                    file_no,
                    offset,
                    extent: None,
                }),
                // The room stays open, so no mark ever passes it, and the next open voids it.
                Err(e) if is_full(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// LOG-U8: refuses before the headroom is touched.
    async fn reserve(&mut self, length: u32) -> io::Result<Result<Room, Refusal>> {
        let span = span_bytes(length);
        let promised: u64 = self
            .files
            .values()
            .flat_map(|open| open.rooms.values())
            .sum();
        if self.disk.space().await?.beyond_headroom() < promised + span + ALIGN_BYTES {
            return Ok(Err(no_space()));
        }
        let newest = self.files.get(&(self.next_file_no.wrapping_sub(1)));
        let fits = newest.is_some_and(|open| {
            open.found.next_offset == ALIGN_BYTES
                || open.found.next_offset + span <= self.file_bytes_max
        });
        if !fits {
            match self.new_file().await {
                Err(e) if is_full(&e) => return Ok(Err(no_space())),
                made => made?,
            }
        }
        let file_no = self.next_file_no - 1;
        let Some(open) = self.files.get_mut(&file_no) else {
            return Ok(Err(no_space()));
        };
        let (offset, synced_through) = (open.found.next_offset, open.synced_through());
        open.found.next_offset += span;
        open.rooms.insert(offset, span);
        Ok(Ok(Room {
            file: open.found.file.clone(),
            file_no,
            file_nonce: open.found.file_nonce,
            offset,
            synced_through,
            given_up: Some(self.given_up.clone()),
        }))
    }

    /// Its name and header are durable before anything is acknowledged in it.
    async fn new_file(&mut self) -> io::Result<()> {
        let (file_no, file_nonce) = (self.next_file_no, self.env.random_u64());
        let file = self
            .disk
            .open(&file_name(file_no), OpenMode::OpenOrCreate)
            .await?;
        file.write_and_sync(0, vec![encode_file_header(file_nonce, file_no)])
            .await?;
        self.disk.sync_dir().await?;
        let found = Found {
            file_no,
            file_nonce,
            file,
            next_offset: ALIGN_BYTES,
        };
        self.all_files.lock().insert(file_no, found.clone());
        self.files.insert(
            file_no,
            OpenFile {
                found,
                rooms: BTreeMap::new(),
            },
        );
        self.next_file_no += 1;
        Ok(())
    }
}

pub(crate) fn is_full(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

pub(crate) fn no_space() -> Refusal {
    Refusal::new(
        Code::NoSpace,
        "the extents of this unit",
        "the disk is full",
    )
}
