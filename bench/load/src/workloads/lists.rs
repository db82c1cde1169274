//! Directories listed, first page, linearizable.
use crate::drive::Operation;
use anyhow::Result;
use async_trait::async_trait;
use dfs_fs::{Address, Fs, When};
use std::sync::Arc;

/// Entries of one page.
const PAGE: u32 = 100;

/// Lists known directories.
pub struct Lists {
    clients: Vec<Fs>,
    directories: Vec<Address>,
}

impl Lists {
    /// `directories` exist and are not empty.
    pub fn new(clients: Vec<Fs>, directories: Vec<Address>) -> Arc<Lists> {
        Arc::new(Lists {
            clients,
            directories,
        })
    }
}

#[async_trait]
impl Operation for Lists {
    async fn once(&self, worker: u64, n: u64) -> Result<()> {
        let fs = &self.clients[worker as usize % self.clients.len()];
        let at = &self.directories[n as usize % self.directories.len()];
        fs.list(at, When::Head, b"", PAGE).await?;
        Ok(())
    }
}
