//! The journal's bytes on disk: records in one file, each with length and checksum.
use crate::raft::journal::invalid;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use dfs_env::{Disk, DiskFile, Env, OpenMode};
use dfs_wire::frame::crc32c;
use std::io;
use std::sync::Arc;

const NAME: &str = "journal";
const HEADER_BYTES: usize = 8;

/// Where a batch lies.
pub(super) type Written = u64;

pub(super) struct Tape {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Tape {
    /// The records found, each with the place of its batch. A torn tail is cut.
    pub(super) async fn open(
        _env: &Env,
        disk: Arc<dyn Disk>,
    ) -> io::Result<(Tape, Vec<(Written, Bytes)>)> {
        let file = disk.open(NAME, OpenMode::OpenOrCreate).await?;
        disk.sync_dir().await?;
        let mut rest = file.read_at(0, file.len().await? as usize).await?;
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(record) = next(&mut rest) {
            found.push((at, record.clone()));
            at += (HEADER_BYTES + record.len()) as u64;
        }
        file.set_len(at).await?;
        file.sync_data().await?;
        Ok((Tape { file, at }, found))
    }

    pub(super) async fn write_and_sync(&mut self, records: Vec<Bytes>) -> io::Result<Written> {
        let mut out = BytesMut::new();
        for record in records {
            let len = u32::try_from(record.len()).map_err(|e| invalid(e.to_string()))?;
            out.put_u32_le(len);
            out.put_u32_le(crc32c(&record));
            out.extend_from_slice(&record);
        }
        let place = self.at;
        self.at += out.len() as u64;
        self.file.write_and_sync(place, vec![out.freeze()]).await?;
        Ok(place)
    }

    pub(super) async fn forget_before(&mut self, _place: Written) -> io::Result<()> {
        Ok(())
    }

    pub(super) async fn close(&mut self) {}
}

fn next(rest: &mut Bytes) -> Option<Bytes> {
    if rest.len() < HEADER_BYTES {
        return None;
    }
    let len = rest.get_u32_le() as usize;
    let crc = rest.get_u32_le();
    if len == 0 || len > rest.len() {
        return None;
    }
    let record = rest.split_to(len);
    (crc32c(&record) == crc).then_some(record)
}
