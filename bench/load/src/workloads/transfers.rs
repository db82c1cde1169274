//! Bytes in and out: one large file, or many small ones.
use crate::drive::Operation;
use anyhow::{Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use dfs_fs::{Address, Fs, Refusal, When, WriteOptions};
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// One part handed over at a time.
const PART_BYTES: u64 = 1 << 20;

/// Writes files of `size` bytes.
pub struct Puts {
    fs: Fs,
    root: String,
    size: u64,
    part: Bytes,
}

impl Puts {
    /// Files lie directly below `root`, which is made. The bytes do not compress.
    pub async fn open(
        fs: Fs,
        root: &str,
        size: u64,
        random: impl FnMut() -> u64,
    ) -> Result<Arc<Puts>> {
        fs.mkdir(&Address::new(root)?, None, true).await?;
        let words = std::iter::repeat_with(random).take(PART_BYTES as usize / 8);
        let part: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        Ok(Arc::new(Puts {
            fs,
            root: root.to_string(),
            size,
            part: part.into(),
        }))
    }

    fn address(root: &str, n: u64) -> Result<Address, Refusal> {
        Address::new(format!("{root}/file-{n}"))
    }
}

#[async_trait]
impl Operation for Puts {
    async fn once(&self, _worker: u64, n: u64) -> Result<()> {
        let (part, size) = (self.part.clone(), self.size);
        let parts = (0..size.div_ceil(PART_BYTES)).map(move |at| {
            let length = PART_BYTES.min(size - at * PART_BYTES);
            Ok(part.slice(..length as usize))
        });
        let options = WriteOptions {
            size: Some(size),
            ..WriteOptions::default()
        };
        let at = Puts::address(&self.root, n)?;
        self.fs
            .write(&at, futures::stream::iter(parts).boxed(), options)
            .await?;
        Ok(())
    }
}

/// Reads the files that [`Puts`] has written, whole and checked.
pub struct Gets {
    fs: Fs,
    root: String,
    files: u64,
    size: u64,
}

impl Gets {
    /// `files` > 0.
    pub fn new(fs: Fs, root: &str, files: u64, size: u64) -> Arc<Gets> {
        Arc::new(Gets {
            fs,
            root: root.to_string(),
            files,
            size,
        })
    }
}

#[async_trait]
impl Operation for Gets {
    async fn once(&self, _worker: u64, n: u64) -> Result<()> {
        let at = Puts::address(&self.root, n % self.files)?;
        let mut reading = self.fs.read(&at, When::Head, None).await?;
        let mut seen = 0;
        while let Some(part) = reading.bytes.try_next().await? {
            seen += part.len() as u64;
        }
        ensure!(
            seen == self.size,
            "{at} has {seen} bytes, not {}",
            self.size
        );
        Ok(())
    }
}
