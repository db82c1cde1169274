//! Where a unit's log is written to: batches of entries, synced, found again at open.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dfs_env::{Disk, DiskFile, Env, OpenMode};
use dfs_wire::frame::crc32c;
use parking_lot::Mutex;

/// Entries written and synced together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    entries: Vec<Vec<Bytes>>,
    bytes: usize,
}

impl Batch {
    /// The last buffer of an entry is what `Written` gives the position of.
    pub(crate) fn push(&mut self, bufs: Vec<Bytes>) {
        self.bytes += bufs.iter().map(Bytes::len).sum::<usize>();
        self.entries.push(bufs);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Where the last buffer of each entry lies.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) positions: Vec<u64>,
}

#[derive(Debug)]
pub(crate) enum AppendFailed {
    /// Nothing was written; it may be tried again.
    Full,
    Broken(io::Error),
}

pub(crate) struct LogStream {
    file: Arc<dyn DiskFile>,
    end: Mutex<u64>,
}

impl LogStream {
    pub(crate) async fn open(
        _env: &Env,
        disk: Arc<dyn Disk>,
        mut found: impl FnMut(u64, Bytes),
    ) -> io::Result<LogStream> {
        let file = disk.open("stream", OpenMode::OpenOrCreate).await?;
        disk.sync_dir().await?;
        let mut at = 0;
        loop {
            let head = file.read_at(at, 8).await?;
            if head.len() < 8 {
                break;
            }
            let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            let body = file.read_at(at + 8, len as usize).await?;
            if len == 0 || body.len() != len as usize || crc32c(&body) != crc {
                break;
            }
            found(at + 8, body);
            at += 8 + u64::from(len);
        }
        file.set_len(at).await?;
        Ok(LogStream {
            file,
            end: Mutex::new(at),
        })
    }

    pub(crate) async fn append(&self, batch: Batch) -> Result<Written, AppendFailed> {
        let at = *self.end.lock();
        let mut body = BytesMut::new();
        let mut positions = Vec::new();
        for entry in &batch.entries {
            for buf in entry {
                positions.push(at + 8 + body.len() as u64);
                body.extend_from_slice(buf);
            }
            let last = positions.pop().unwrap_or_default();
            positions.truncate(positions.len() + 1 - entry.len());
            positions.push(last);
        }
        let mut out = BytesMut::new();
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc32c(&body).to_le_bytes());
        out.extend_from_slice(&body);
        let len = out.len() as u64;
        match self.file.write_and_sync(at, vec![out.freeze()]).await {
            Ok(()) => {}
            Err(e) if crate::extents::owner::is_full(&e) => return Err(AppendFailed::Full),
            Err(e) => return Err(AppendFailed::Broken(e)),
        }
        *self.end.lock() += len;
        Ok(Written { positions })
    }

    pub(crate) async fn note_synced(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) async fn mark(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        *self.end.lock()
    }

    pub(crate) async fn read(&self, position: u64, len: u32) -> io::Result<Bytes> {
        self.file.read_at(position, len as usize).await
    }
}
