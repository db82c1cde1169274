//! A sequencer that joins a group: who it is before it takes part.
use crate::raft::identity::Identity;
use bytes::Bytes;
use dfs_env::{Disk, Env};
use dfs_wire::{Code, Refusal, v1};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The directory of one that joins; held until `end`.
pub struct Seating {
    env: Env,
    disk: Arc<dyn Disk>,
    identity: Identity,
}

impl Seating {
    /// Reads whose the directory is; an empty one is nobody's.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn open(env: &Env, dir: &Path) -> Result<Seating, Refusal> {
        let env = env.group("seating");
        let opened = async {
            let disk = env.disk(dir)?;
            let identity = Identity::open(&env, &*disk).await?;
            Ok((disk, identity))
        };
        match opened.await {
            Ok((disk, identity)) => Ok(Seating {
                env,
                disk,
                identity,
            }),
            Err(e) => {
                env.stop().await;
                Err(unusable(&e))
            }
        }
    }

    /// The id that it has, once it has one.
    pub fn voter(&self) -> Option<u64> {
        (self.identity.voter != 0).then_some(self.identity.voter)
    }

    /// What it asks for a seat with.
    ///
    /// # Errors
    /// When the directory's nonce is none.
    pub fn request(&self) -> Result<v1::AdminRequest, Refusal> {
        let nonce: Bytes = self.identity.nonce().map_err(|e| unusable(&e))?;
        let seat = v1::SeatRequest { nonce };
        Ok(v1::AdminRequest {
            op: Some(v1::admin_request::Op::Seat(seat)),
        })
    }

    /// Keeps the seat for good.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn take(&mut self, seated: &v1::Seated) -> Result<(), Refusal> {
        self.identity.seat(seated.id, &seated.cluster_id);
        let kept = self.identity.keep(&*self.disk).await;
        kept.map_err(|e| unusable(&e))
    }

    /// Lets the directory go.
    pub async fn end(self) {
        self.env.stop().await;
    }
}

fn unusable(e: &io::Error) -> Refusal {
    let what = "the sequencer's directory";
    Refusal::new(Code::State, what, e.to_string())
        .advice("Look at the directory named in the configuration and start again")
}
