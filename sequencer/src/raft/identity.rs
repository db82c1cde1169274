//! Whose a sequencer's directory is: a voter's, for good, or nobody's yet.
use crate::raft::journal::invalid;
use bytes::Bytes;
use dfs_env::{Disk, Env};
use serde::{Deserialize, Serialize};
use std::io;

const NAME: &str = "IDENTITY";
const FORMAT: u32 = 1;

/// As it lies in the directory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    /// 0 until it has a seat.
    pub(crate) voter: u64,
    /// 32 hex digits, made with the directory: an emptied one has forgotten its votes (LOG.md §6).
    nonce: String,
    /// 32 hex digits: the cluster that gave it its seat. Empty where it founded one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cluster: String,
}

impl Identity {
    /// Of a directory; an empty one gets a nonce, which is kept.
    pub(crate) async fn open(env: &Env, disk: &dyn Disk) -> io::Result<Identity> {
        if let Some(text) = disk.read_small(NAME).await? {
            let identity: Identity = serde_json::from_slice(&text)?;
            if identity.format != FORMAT {
                let why = format!("its identity is of format {}", identity.format);
                return Err(io::Error::other(why));
            }
            return Ok(identity);
        }
        let identity = Identity {
            format: FORMAT,
            voter: 0,
            nonce: format!("{:032x}", env.random_u128()),
            cluster: String::new(),
        };
        identity.keep(disk).await?;
        Ok(identity)
    }

    pub(crate) async fn keep(&self, disk: &dyn Disk) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        disk.replace_small(NAME, text.into()).await
    }

    /// A seat that a cluster gave.
    pub(crate) fn seat(&mut self, voter: u64, cluster_id: &[u8]) {
        let digit = |byte: &u8| format!("{byte:02x}");
        self.voter = voter;
        self.cluster = cluster_id.iter().map(digit).collect();
    }

    pub(crate) fn nonce(&self) -> io::Result<Bytes> {
        Ok(bytes_of(&self.nonce)?.into())
    }

    pub(crate) fn cluster_id(&self) -> io::Result<Vec<u8>> {
        match self.cluster.is_empty() {
            true => Ok(Vec::new()),
            false => bytes_of(&self.cluster),
        }
    }
}

fn bytes_of(hex: &str) -> io::Result<Vec<u8>> {
    let number = u128::from_str_radix(hex, 16).map_err(|e| invalid(e.to_string()))?;
    Ok(number.to_be_bytes().to_vec())
}
