//! Who this voter is to the others, and whom it takes for a voter: identity of directories and of lists.
use crate::board::Board;
use crate::config::SequencerConfig;
use crate::raft::journal::invalid;
use bytes::Bytes;
use dfs_env::{Disk, Env};
use dfs_wire::frame::crc32c;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tracing::{error, warn};

const IDENTITY: &str = "IDENTITY";
const FORMAT: u32 = 1;

/// As it lies in the directory.
#[derive(Serialize, Deserialize)]
struct Identity {
    format: u32,
    voter: u64,
    /// 32 hex digits, made with the directory: an emptied one has forgotten its votes (LOG.md §6).
    nonce: String,
}

/// One voter's standing among the others.
pub(crate) struct Standing {
    voter: u64,
    nonce: Bytes,
    founding_digest: u64,
    board: Arc<Board>,
    heard: Mutex<BTreeMap<u64, Bytes>>,
    /// A voter was heard of whose directory was not known.
    pub(crate) learnt: Notify,
    outcast: AtomicBool,
    refused: Mutex<BTreeMap<u64, String>>,
}

impl Standing {
    /// Reads who the directory belongs to, or gives it to this voter.
    pub(super) async fn open(
        env: &Env,
        disk: &dyn Disk,
        board: Arc<Board>,
        told: &SequencerConfig,
    ) -> io::Result<Arc<Standing>> {
        let identity = match disk.read_small(IDENTITY).await? {
            Some(text) => serde_json::from_slice(&text)?,
            None => {
                let identity = Identity {
                    format: FORMAT,
                    voter: told.voter,
                    nonce: format!("{:032x}", env.random_u128()),
                };
                let text = serde_json::to_vec(&identity)?;
                disk.replace_small(IDENTITY, text.into()).await?;
                identity
            }
        };
        let Identity {
            format,
            voter,
            nonce,
        } = identity;
        let nonce = u128::from_str_radix(&nonce, 16).map_err(|e| invalid(e.to_string()))?;
        if (format, voter) != (FORMAT, told.voter) {
            return Err(io::Error::other(format!(
                "the directory is that of voter {voter} in format {format}, the configuration makes this \
                 voter {}",
                told.voter
            )));
        }
        Ok(Arc::new(Standing {
            voter,
            nonce: nonce.to_be_bytes().to_vec().into(),
            founding_digest: digest(&told.voters),
            board,
            heard: Mutex::default(),
            learnt: Notify::new(),
            outcast: AtomicBool::new(false),
            refused: Mutex::default(),
        }))
    }

    pub(crate) fn nonce(&self) -> Bytes {
        self.nonce.clone()
    }

    pub(super) fn head(&self, to: u64) -> v1::PeerHead {
        let (cluster_id, seat) = self.board.with(|seen| {
            let seat = seen.order.seats.get(&to).cloned();
            (seen.order.cluster_id.clone(), seat)
        });
        let heard = || self.heard.lock().get(&to).cloned();
        v1::PeerHead {
            from: self.voter,
            to,
            cluster_id: cluster_id.into(),
            founding_digest: self.founding_digest,
            nonce: self.nonce.clone(),
            to_nonce: seat.map(Bytes::from).or_else(heard).unwrap_or_default(),
        }
    }

    /// Whether the sender is a voter of this group, and means this one. Who it is, is noted.
    pub(crate) fn admit(&self, head: Option<&v1::PeerHead>) -> Result<(), Refusal> {
        let head = head.cloned().unwrap_or_default();
        let what = format!("voter {}", head.from);
        match self.objection(&head) {
            Some(why) => {
                self.told_of(head.from, Some(why));
                Err(Refusal::new(Code::Mismatch, what, why))
            }
            None => {
                self.told_of(head.from, None);
                self.hear(head.from, head.nonce);
                Ok(())
            }
        }
    }

    fn objection(&self, head: &v1::PeerHead) -> Option<&'static str> {
        let (cluster_id, seat) = self.board.with(|seen| {
            let seat = seen.order.seats.get(&head.from).cloned();
            (seen.order.cluster_id.clone(), seat)
        });
        let both_founded = !cluster_id.is_empty() && !head.cluster_id.is_empty();
        if head.to != self.voter {
            Some("it means another voter")
        } else if both_founded && cluster_id != head.cluster_id {
            Some("it is a voter of another cluster")
        } else if !both_founded && head.founding_digest != self.founding_digest {
            Some("its configuration lists other sequencers")
        } else if seat.is_some_and(|seat| seat != head.nonce) {
            Some(
                "its directory was emptied or exchanged: remove the voter, and add it as a new one",
            )
        } else if !head.to_nonce.is_empty() && head.to_nonce != self.nonce {
            if !self.outcast.swap(true, Ordering::SeqCst) {
                error!(
                    "voter {} is known with another directory: this one was emptied or exchanged; \
                     remove the voter, and add it as a new one",
                    self.voter
                );
            }
            Some("this directory was emptied or exchanged")
        } else {
            None
        }
    }

    /// Says once what keeps a voter out.
    pub(super) fn told_of(&self, voter: u64, why: Option<&str>) {
        let mut refused = self.refused.lock();
        let known = refused.get(&voter).map(String::as_str);
        if known == why {
            return;
        }
        match why {
            Some(why) => {
                warn!("voter {voter} is kept out: {why}");
                refused.insert(voter, why.into());
            }
            None => drop(refused.remove(&voter)),
        }
    }

    /// Whose directory answers or asks.
    pub(super) fn hear(&self, voter: u64, nonce: Bytes) {
        let former = self.heard.lock().insert(voter, nonce.clone());
        if former.is_none_or(|former| former != nonce) {
            self.learnt.notify_one();
        }
    }

    /// A voter whose directory nobody has noted yet.
    pub(crate) fn unseated(&self, voters: impl IntoIterator<Item = u64>) -> Option<(u64, Bytes)> {
        let heard = self.heard.lock();
        let nonce_of = |voter| {
            let own = (voter == self.voter).then(|| self.nonce.clone());
            own.or_else(|| heard.get(&voter).cloned())
        };
        self.board.with(|seen| {
            let unseated = voters
                .into_iter()
                .filter(|voter| !seen.order.seats.contains_key(voter));
            unseated
                .filter_map(|voter| Some((voter, nonce_of(voter)?)))
                .next()
        })
    }
}

/// Equal for equal lists; a few lists only are ever compared.
fn digest(voters: &BTreeMap<u64, String>) -> u64 {
    let list: Vec<String> = voters
        .iter()
        .map(|(id, address)| format!("{id} {address}\n"))
        .collect();
    let list = list.concat();
    u64::from(crc32c(list.as_bytes())) << 32 | list.len() as u64
}
