//! What the disk itself can do, in the same run: the yardstick beside every figure.
use anyhow::Result;
use bytes::Bytes;
use dfs_env::{Env, OpenMode};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

const APPEND_BYTES: usize = 4096;
const PART_BYTES: usize = 1 << 20;
const BULK_BYTES: u64 = 512 << 20;

/// Raw figures of one directory's disk.
#[derive(Clone, Debug, Serialize)]
pub struct RawDisk {
    /// 4 KiB appends, each with an fdatasync of its own, one after another.
    pub synced_appends_per_second: f64,
    /// Median of one write of 4 KiB and its fdatasync, µs.
    pub synced_append_p50_us: u64,
    /// Parts of 1 MiB written one after another, one fdatasync at the end, MB/s (10⁶).
    pub write_mb_per_second: f64,
    /// The same file read back in parts of 1 MiB, MB/s: from the page cache where it fits.
    pub read_mb_per_second: f64,
}

/// Measures in `dir`, in files that are removed again.
///
/// # Errors
/// Whatever the disk says.
pub async fn measure(env: &Env, dir: &Path, length: Duration) -> Result<RawDisk> {
    let disk = env.disk(dir)?;
    let (appends, p50) = synced_appends(env, &*disk, length).await?;
    let (write, read) = bulk(env, &*disk).await?;
    disk.remove("raw-appends").await?;
    disk.remove("raw-bulk").await?;
    Ok(RawDisk {
        synced_appends_per_second: appends,
        synced_append_p50_us: p50,
        write_mb_per_second: write,
        read_mb_per_second: read,
    })
}

async fn synced_appends(
    env: &Env,
    disk: &dyn dfs_env::Disk,
    length: Duration,
) -> Result<(f64, u64)> {
    let file = disk.open("raw-appends", OpenMode::OpenOrCreate).await?;
    file.allocate_zeroed(64 << 20).await?;
    file.sync_data().await?;
    let page = Bytes::from(vec![0xa5; APPEND_BYTES]);
    let mut latencies = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    let begin = env.now();
    let mut at = 0;
    while env.now() - begin < length {
        let before = env.now();
        file.write_and_sync(at, vec![page.clone()]).await?;
        latencies.saturating_record((env.now() - before).as_micros() as u64);
        at = (at + APPEND_BYTES as u64) % (64 << 20);
    }
    let seconds = (env.now() - begin).as_secs_f64();
    Ok((
        latencies.len() as f64 / seconds,
        latencies.value_at_quantile(0.5),
    ))
}

async fn bulk(env: &Env, disk: &dyn dfs_env::Disk) -> Result<(f64, f64)> {
    let file = disk.open("raw-bulk", OpenMode::OpenOrCreate).await?;
    let part = Bytes::from(vec![0x5a; PART_BYTES]);
    let begin = env.now();
    for at in (0..BULK_BYTES).step_by(PART_BYTES) {
        file.write_at(at, vec![part.clone()]).await?;
    }
    file.sync_data().await?;
    let write = BULK_BYTES as f64 / 1e6 / (env.now() - begin).as_secs_f64();
    let begin = env.now();
    for at in (0..BULK_BYTES).step_by(PART_BYTES) {
        file.read_at(at, PART_BYTES).await?;
    }
    let read = BULK_BYTES as f64 / 1e6 / (env.now() - begin).as_secs_f64();
    Ok((write, read))
}
