//! Store ⇒ Stored: header, data as it arrives, trailer; answered after a shared fdatasync.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::Env;
use dfs_rpc::metrics::{Spread, Tally};
use dfs_rpc::roles::Requests;
use dfs_rpc::trace::{Span, Who};
use dfs_wire::limits::{EXTENT_BYTES_MAX, PART_BYTES_MAX};
use dfs_wire::v1::store_part::Part;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::config::UnitConfig;
use crate::extents::index::{Begun, Entry, Id, Index, id_of, name};
use crate::extents::layout::{BEGIN_BYTES, KIND_EXTENT, Placed, encode_begin, encode_tail};
use crate::extents::open::{Found, open_files};
use crate::extents::owner::{ORDERS_MAX, Order, Owner, Room, is_full, no_space};
use crate::extents::sums::Sums;
use crate::failure::Failure;

/// Stores under way: each holds at most two parts, so all together 128 MiB.
const STORES_MAX: usize = 64;
/// A client that sends nothing for this long gives its place to another.
const PART_WAIT: Duration = Duration::from_secs(10);
/// Small parts are written together; so many buffers at most, to bound their bookkeeping.
const BUFFERS_MAX: usize = 256;

/// The extents of one unit.
pub(crate) struct Extents {
    env: Env,
    pub(crate) index: Index,
    pub(crate) files: Arc<Mutex<BTreeMap<u32, Found>>>,
    orders: mpsc::Sender<Order>,
    stores: Semaphore,
    failure: Failure,
    pub(crate) syncs: Arc<Spread>,
    pub(crate) stored_bytes: Arc<Tally>,
    pub(crate) loaded_bytes: Arc<Tally>,
    unit_id: u64,
    who: Who,
}

impl Extents {
    /// Finds what the disk holds and starts the owner of it.
    pub(crate) async fn open(
        env: &Env,
        config: &UnitConfig,
        failure: Failure,
    ) -> io::Result<Extents> {
        let index = Index::default();
        let found = open_files(&*config.extents, &index).await?;
        let owner = Owner::new(env.clone(), config, found, index.clone(), failure.clone());
        let (files, syncs) = (owner.all_files(), owner.syncs.clone());
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        env.spawn("extents", owner.run(ordered));
        let (env, stores) = (env.clone(), Semaphore::new(STORES_MAX));
        Ok(Extents {
            env,
            index,
            files,
            orders,
            stores,
            failure,
            syncs,
            stored_bytes: Arc::default(),
            loaded_bytes: Arc::default(),
            unit_id: config.unit_id,
            who: Who::log_unit(config.node.node_id),
        })
    }

    /// After what is under way.
    pub(crate) async fn stop(&self) {
        let (reply, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop { reply }).await.is_ok() {
            let _ = stopped.await; // an owner that failed has said so
        }
    }

    pub(crate) async fn store(
        &self,
        header: v1::StoreHeader,
        parts: Requests<v1::StorePart>,
    ) -> Result<v1::Stored, Refusal> {
        let id = id_of(header.extent)?;
        if header.length == 0 || header.length as usize > EXTENT_BYTES_MAX {
            let why = format!(
                "{} bytes; an extent has 1 to {EXTENT_BYTES_MAX}",
                header.length
            );
            return Err(Refusal::new(Code::Invalid, name(id), why));
        }
        let Ok(_place) = self.stores.acquire().await else {
            return Err(self.ended());
        };
        let incoming = Incoming::new(&self.env, id, header.length, parts);
        match self.index.begin(id)? {
            Begun::Held(entry) => incoming.compare(entry).await,
            Begun::New(_storing) => self.store_new(id, &header, incoming).await,
        }
    }

    async fn store_new(
        &self,
        id: Id,
        header: &v1::StoreHeader,
        mut incoming: Incoming<'_>,
    ) -> Result<v1::Stored, Refusal> {
        let room = self.reserve(header.length).await?;
        let placed = Placed {
            file_nonce: room.file_nonce,
            offset: room.offset,
            session: id.0,
            counter: id.1,
            group: header.group,
            length: header.length,
        };
        let mut pending = vec![encode_begin(&placed, KIND_EXTENT, room.synced_through)];
        let (mut at, mut bytes) = (room.offset, BEGIN_BYTES);
        while let Some(data) = incoming.next().await? {
            let enough = bytes >= PART_BYTES_MAX as u64 || pending.len() >= BUFFERS_MAX;
            if enough {
                self.write(&room, at, std::mem::take(&mut pending)).await?;
                (at, bytes) = (at + bytes, 0);
            }
            bytes += data.len() as u64;
            pending.push(data);
        }
        let (blocks, crc32c) = incoming.finish()?;
        pending.push(encode_tail(&placed, &blocks, crc32c));
        self.write(&room, at, pending).await?;
        let entry = Entry::new(room.file_no, room.offset, header.length, crc32c);
        self.finish(id, entry, room).await?;
        self.stored_bytes.add(u64::from(header.length));
        Ok(stored(id, &entry))
    }

    async fn reserve(&self, length: u32) -> Result<Room, Refusal> {
        let (reply, room) = oneshot::channel();
        let order = Order::Reserve { length, reply };
        self.orders.send(order).await.map_err(|_| self.ended())?;
        room.await.map_err(|_| self.ended())?
    }

    async fn write(&self, room: &Room, at: u64, bufs: Vec<Bytes>) -> Result<(), Refusal> {
        match room.file.write_at(at, bufs).await {
            Ok(()) => Ok(()),
            Err(e) if is_full(&e) => Err(no_space()),
            Err(e) => {
                self.failure.set(format!("write an extent: {e}"));
                Err(self.ended())
            }
        }
    }

    async fn finish(&self, id: Id, entry: Entry, room: Room) -> Result<(), Refusal> {
        let span = Span::here(&self.env, "unit.extent_fsync", self.who).with("unit", self.unit_id);
        span.waits_for(|| "its own disk".into());
        let (reply, done) = oneshot::channel();
        // Reserved before the room counts as filled: a cancelled wait gives it up.
        let order = self.orders.reserve().await.map_err(|_| self.ended())?;
        room.fill();
        order.send(Order::Finish { id, entry, reply });
        done.await.map_err(|_| self.ended())
    }

    fn ended(&self) -> Refusal {
        Refusal::new(
            Code::Unavailable,
            "the extents of this unit",
            "the unit has stopped",
        )
    }
}

fn stored(id: Id, entry: &Entry) -> v1::Stored {
    let extent = Some(v1::ExtentId {
        session: id.0,
        counter: id.1,
    });
    v1::Stored {
        extent,
        length: entry.length,
        crc32c: entry.crc32c,
    }
}

/// The data of one store, checked as it arrives.
struct Incoming<'a> {
    env: &'a Env,
    id: Id,
    length: u32,
    parts: Requests<v1::StorePart>,
    sums: Sums,
    trailer: Option<u32>,
}

impl<'a> Incoming<'a> {
    fn new(env: &'a Env, id: Id, length: u32, parts: Requests<v1::StorePart>) -> Self {
        Incoming {
            env,
            id,
            length,
            parts,
            sums: Sums::default(),
            trailer: None,
        }
    }

    fn invalid(&self, why: impl Into<String>) -> Refusal {
        Refusal::new(Code::Invalid, name(self.id), why)
    }

    /// The next data; `None` after the trailer.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let waited = self.env.timeout(PART_WAIT, self.parts.next()).await;
        let part = waited.map_err(|_| {
            Refusal::new(Code::Unavailable, name(self.id), "its sender fell silent")
        })?;
        match part.and_then(|part| part.part) {
            Some(Part::Data(data)) => {
                self.sums.update(&data);
                if data.len() > PART_BYTES_MAX || self.sums.length() > u64::from(self.length) {
                    return Err(self.invalid("more data than was announced, or a part above 1 MiB"));
                }
                Ok(Some(data))
            }
            Some(Part::Trailer(trailer)) => {
                self.trailer = Some(trailer.crc32c);
                Ok(None)
            }
            Some(Part::Header(_)) => Err(self.invalid("a second header")),
            None => Err(self.invalid("it ends without a trailer")),
        }
    }

    /// The checksums of the blocks and of all, once they are known to be what the client sent.
    fn finish(self) -> Result<(Vec<u32>, u32), Refusal> {
        if self.sums.length() != u64::from(self.length) {
            return Err(self.invalid("less data than was announced"));
        }
        let (id, trailer) = (self.id, self.trailer);
        let (blocks, crc32c) = self.sums.finish();
        if trailer != Some(crc32c) {
            let why = "the data that arrived does not have the checksum of the trailer";
            return Err(Refusal::new(Code::Corrupt, name(id), why));
        }
        Ok((blocks, crc32c))
    }

    /// FOLD-S4: the same bytes again are Stored, others are refused; nothing is written.
    async fn compare(mut self, entry: Entry) -> Result<v1::Stored, Refusal> {
        let id = self.id;
        while self.next().await?.is_some() {}
        let length = self.length;
        let (_, crc32c) = self.finish()?;
        if (length, crc32c) != (entry.length, entry.crc32c) {
            return Err(Refusal::new(
                Code::Conflict,
                name(id),
                "other bytes are stored under it",
            ));
        }
        Ok(stored(id, &entry))
    }
}
