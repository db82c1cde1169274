//! Entries looked at, linearizable, round about among files that exist.
use crate::drive::Operation;
use anyhow::Result;
use async_trait::async_trait;
use dfs_fs::{Address, Fs, When};
use std::sync::Arc;

/// Stats of known paths.
pub struct Stats {
    clients: Vec<Fs>,
    paths: Vec<Address>,
}

impl Stats {
    /// `paths` exist and are not empty.
    pub fn new(clients: Vec<Fs>, paths: Vec<Address>) -> Arc<Stats> {
        Arc::new(Stats { clients, paths })
    }
}

#[async_trait]
impl Operation for Stats {
    async fn once(&self, worker: u64, n: u64) -> Result<()> {
        let fs = &self.clients[worker as usize % self.clients.len()];
        fs.stat(&self.paths[n as usize % self.paths.len()], When::Head)
            .await?;
        Ok(())
    }
}
