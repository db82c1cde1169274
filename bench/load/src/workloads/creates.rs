//! Files made: each a new name, in a directory of its worker.
use crate::drive::Operation;
use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use dfs_fs::{Address, Fs, WriteOptions, source_of};
use std::sync::Arc;

/// Makes files of `contents`.
pub struct Creates {
    clients: Vec<Fs>,
    root: String,
    contents: Bytes,
}

impl Creates {
    /// Worker w uses client w mod the number of clients and writes below `root`/w.
    pub async fn open(
        clients: Vec<Fs>,
        root: &str,
        workers: u64,
        contents: Bytes,
    ) -> Result<Arc<Creates>> {
        for worker in 0..workers {
            let dir = Address::new(format!("{root}/{worker}"))?;
            clients[0].mkdir(&dir, None, true).await?;
        }
        Ok(Arc::new(Creates {
            clients,
            root: root.to_string(),
            contents,
        }))
    }
}

#[async_trait]
impl Operation for Creates {
    async fn once(&self, worker: u64, n: u64) -> Result<()> {
        let fs = &self.clients[worker as usize % self.clients.len()];
        let at = Address::new(format!("{}/{worker}/file-{n}", self.root))?;
        let options = WriteOptions {
            size: Some(self.contents.len() as u64),
            create_only: true,
            ..WriteOptions::default()
        };
        fs.write(&at, source_of(self.contents.clone()), options)
            .await?;
        Ok(())
    }
}
