//! A voter without others: the group of one.
use async_trait::async_trait;
use dfs_rpc::roles::{Peer, PeerConnector};
use dfs_wire::{Code, Refusal};
use std::sync::Arc;

/// Reaches nobody.
pub struct Solitude;

#[async_trait]
impl PeerConnector for Solitude {
    async fn peer(&self, voter: u64, _address: &str) -> Result<Arc<dyn Peer>, Refusal> {
        let what = format!("voter {voter}");
        Err(Refusal::new(Code::Unavailable, what, "this voter is alone"))
    }
}
