//! Snapshots of the order as a file: written aside, synced, renamed.
use crate::raft::journal::invalid;
use crate::raft::record::Place;
use crate::raft::{LogId, StoredMembership};
use bytes::Bytes;
use dfs_env::{Disk, OpenMode};
use dfs_wire::frame::crc32c;
use prost::Message;
use std::io;
use std::sync::Arc;

const NAME: &str = "snapshot";
const NAME_ASIDE: &str = "snapshot.new";
const MAGIC: &[u8; 8] = b"dfsRaft\x01";
/// Magic, crc32c of the body, length of the body.
const HEADER_BYTES: usize = 8 + 4 + 8;

#[derive(Clone)]
pub(crate) struct Snapshots {
    disk: Arc<dyn Disk>,
}

/// The order at one Raft index. Numbers never come back.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Picture {
    #[prost(message, optional, tag = "1")]
    last: Option<Place>,
    /// JSON of openraft's own type.
    #[prost(bytes = "vec", tag = "2")]
    membership: Vec<u8>,
    /// `Order::encode`.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) order: Vec<u8>,
}

impl Picture {
    pub(crate) fn of(
        last: Option<&LogId>,
        membership: &StoredMembership,
        order: Vec<u8>,
    ) -> io::Result<Picture> {
        let membership = serde_json::to_vec(membership)?;
        Ok(Picture {
            last: last.map(Place::from),
            membership,
            order,
        })
    }

    pub(crate) fn last(&self) -> Option<LogId> {
        self.last.map(LogId::from)
    }

    pub(crate) fn membership(&self) -> io::Result<StoredMembership> {
        Ok(serde_json::from_slice(&self.membership)?)
    }
}

impl Snapshots {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Snapshots {
        Snapshots { disk }
    }

    /// Durable when it returns; a crash before leaves the former one.
    pub(crate) async fn save(&self, picture: &Picture) -> io::Result<()> {
        let body = picture.encode_to_vec();
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&crc32c(&body).to_le_bytes());
        header.extend_from_slice(&(body.len() as u64).to_le_bytes());
        let file = self.disk.open(NAME_ASIDE, OpenMode::OpenOrCreate).await?;
        file.set_len(0).await?;
        file.write_and_sync(0, vec![Bytes::from(header), Bytes::from(body)])
            .await?;
        self.disk.rename(NAME_ASIDE, NAME).await?;
        self.disk.sync_dir().await
    }

    /// `None` when none was ever saved. A damaged one is an error: the journal below it is gone.
    pub(crate) async fn load(&self) -> io::Result<Option<Picture>> {
        let file = match self.disk.open(NAME, OpenMode::Existing).await {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let bytes = file.read_at(0, file.len().await? as usize).await?;
        let body = body_of(&bytes).ok_or_else(|| {
            invalid("the snapshot of the order is damaged; restore it from another voter")
        })?;
        Picture::decode(body)
            .map(Some)
            .map_err(|e| invalid(e.to_string()))
    }
}

fn body_of(bytes: &[u8]) -> Option<&[u8]> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let (crc, len) = rest.split_at(4);
    let whole = magic == MAGIC
        && len == (body.len() as u64).to_le_bytes()
        && crc == crc32c(body).to_le_bytes();
    whole.then_some(body)
}
