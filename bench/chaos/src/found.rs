//! What is there at the end, read through one materializer: names, lines, bytes, registers.
use crate::judge::Found;
use crate::load::{ROOMS, ROOT, large};
use anyhow::{Context, Result};
use bytes::Bytes;
use dfs_fs::{Address, Entry, Fs, Seen, When};
use futures::TryStreamExt;

/// All of it at one LSN.
pub(crate) async fn read_back(fs: &Fs, lsn: u64) -> Result<Found> {
    let when = When::Lsn(lsn);
    let [directories, lines, larges, registers] = ROOMS;
    let mut found = Found::default();
    for entry in list(fs, directories, when).await? {
        found.directories.insert(name(&entry), entry.value.lsn);
    }
    for entry in list(fs, lines, when).await? {
        let bytes = bytes(fs, lines, &entry, when).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().map(str::to_string).collect();
        found.lines.insert(name(&entry), lines);
    }
    for entry in list(fs, larges, when).await? {
        let bytes = bytes(fs, larges, &entry, when).await?;
        let whole = bytes == large(&name(&entry));
        found.large.insert(name(&entry), (entry.value.lsn, whole));
    }
    for entry in list(fs, registers, when).await? {
        let bytes = bytes(fs, registers, &entry, when).await?;
        let value = String::from_utf8_lossy(&bytes).into_owned();
        found
            .registers
            .insert(name(&entry), (value, entry.value.lsn));
    }
    Ok(found)
}

async fn list(fs: &Fs, room: &str, when: When) -> Result<Vec<Seen<Entry>>> {
    let at = Address::new(format!("{ROOT}/{room}"))?;
    let listed = fs.list_all(&at, when).try_collect().await;
    listed.with_context(|| format!("cannot list {at}"))
}

async fn bytes(fs: &Fs, room: &str, entry: &Entry, when: When) -> Result<Bytes> {
    let at = Address::new(format!("{ROOT}/{room}"))?.join(&entry.name)?;
    let read = async { fs.read(&at, when, None).await?.collect().await };
    read.await.with_context(|| format!("cannot read {at}"))
}

fn name(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.name).into_owned()
}
