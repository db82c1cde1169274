//! Interim: one file.
use bytes::{BufMut, Bytes, BytesMut};
use dfs_env::{Disk, DiskFile, Env, OpenMode};
use std::io;
use std::sync::Arc;
pub(super) type Written = u64;
pub(super) struct Tape {
    file: Arc<dyn DiskFile>,
    at: u64,
}
impl Tape {
    pub(super) async fn open(
        _env: &Env,
        disk: Arc<dyn Disk>,
    ) -> io::Result<(Tape, Vec<(Written, Bytes)>)> {
        let file = disk.open("journal", OpenMode::OpenOrCreate).await?;
        let len = file.len().await?;
        if len == 0 && std::env::var("PREALLOC").is_ok() {
            file.allocate_zeroed(64 << 20).await?;
        }
        disk.sync_dir().await?;
        let all = file.read_at(0, len as usize).await?;
        let mut at = 0usize;
        let mut found = vec![];
        while at + 8 <= all.len() {
            let n = u32::from_le_bytes(all[at..at + 4].try_into().unwrap()) as usize;
            if n == 0 || at + 8 + n > all.len() {
                break;
            }
            found.push((at as u64, all.slice(at + 8..at + 8 + n)));
            at += 8 + n;
        }
        Ok((
            Tape {
                file,
                at: at as u64,
            },
            found,
        ))
    }
    pub(super) async fn write_and_sync(&mut self, records: Vec<Bytes>) -> io::Result<Written> {
        let mut out = BytesMut::new();
        for r in records {
            out.put_u32_le(r.len() as u32);
            out.put_u32_le(0);
            out.extend_from_slice(&r);
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
