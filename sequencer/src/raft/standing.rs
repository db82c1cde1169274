//! Who this voter is to the others, and whom it takes for a voter: identity of directories and of lists.
use crate::board::Board;
use crate::config::SequencerConfig;
use crate::raft::identity::Identity;
use crate::raft::journal::Journal;
use bytes::Bytes;
use dfs_env::{Disk, Env};
use dfs_wire::frame::crc32c;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, watch};
use tracing::{error, warn};

const REMOVED: &str = "it was removed from the group for good";

/// One voter's standing among the others.
pub(crate) struct Standing {
    voter: u64,
    nonce: Bytes,
    /// The cluster that gave this one its seat; empty where it founded one.
    joined: Vec<u8>,
    founding_digest: u64,
    board: Arc<Board>,
    journal: Journal,
    heard: Mutex<BTreeMap<u64, Bytes>>,
    /// How far each other one has applied, as it said to a leader.
    applied: watch::Sender<BTreeMap<u64, u64>>,
    /// A voter was heard of whose directory was not known.
    pub(crate) learnt: Notify,
    outcast: AtomicBool,
    removed: AtomicBool,
    refused: Mutex<BTreeMap<u64, String>>,
}

/// Reads whose the directory is, or gives it to this voter.
pub(super) async fn identify(
    env: &Env,
    disk: &dyn Disk,
    told: &SequencerConfig,
) -> io::Result<Identity> {
    let mut identity = Identity::open(env, disk).await?;
    if identity.voter == 0 && !told.voters.is_empty() {
        identity.voter = told.voter;
        identity.keep(disk).await?;
    }
    let voter = identity.voter;
    if voter == 0 || voter != told.voter {
        return Err(io::Error::other(format!(
            "the directory is that of voter {voter}, the configuration makes this voter {}",
            told.voter
        )));
    }
    Ok(identity)
}

impl Standing {
    pub(super) fn new(
        identity: &Identity,
        board: Arc<Board>,
        journal: Journal,
        told: &SequencerConfig,
    ) -> io::Result<Arc<Standing>> {
        Ok(Arc::new(Standing {
            voter: identity.voter,
            nonce: identity.nonce()?,
            joined: identity.cluster_id()?,
            founding_digest: digest(&told.voters),
            board,
            journal,
            heard: Mutex::default(),
            applied: watch::Sender::default(),
            learnt: Notify::new(),
            outcast: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            refused: Mutex::default(),
        }))
    }

    pub(crate) fn nonce(&self) -> Bytes {
        self.nonce.clone()
    }

    /// The cluster, and the directory that this voter is known with.
    fn known(&self, voter: u64) -> (Vec<u8>, Option<Vec<u8>>) {
        let (cluster_id, seat) = self.board.with(|seen| {
            let seat = seen.order.seats.get(&voter).cloned();
            (seen.order.cluster_id.clone(), seat)
        });
        let seat = seat.or_else(|| self.journal.seat(voter));
        match cluster_id.is_empty() {
            true => (self.joined.clone(), seat),
            false => (cluster_id, seat),
        }
    }

    pub(super) fn head(&self, to: u64) -> v1::PeerHead {
        let (cluster_id, seat) = self.known(to);
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
            Some(REMOVED) => Err(Refusal::new(Code::Denied, what, REMOVED)),
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
        let (cluster_id, seat) = self.known(head.from);
        let both_founded = !cluster_id.is_empty() && !head.cluster_id.is_empty();
        // A founder that starts again knows its cluster only once it has applied something, and the group
        // may have other voters by now: whoever knows the other's directory has met it.
        let met = seat.as_ref().is_some_and(|seat| *seat == head.nonce)
            || (!head.to_nonce.is_empty() && head.to_nonce == self.nonce);
        if head.to != self.voter {
            Some("it means another voter")
        } else if both_founded && cluster_id != head.cluster_id {
            Some("it is a voter of another cluster")
        } else if !both_founded && !met && head.founding_digest != self.founding_digest {
            Some("its configuration lists other sequencers")
        } else if seat.as_ref().is_some_and(Vec::is_empty) {
            Some(REMOVED)
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

    /// Another one says that this one was removed. True at the first time.
    pub(super) fn is_removed_now(&self) -> bool {
        !self.removed.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
    }

    /// It has applied so much; it may have forgotten a part and be less far than before.
    pub(super) fn has_applied(&self, voter: u64, index: u64) {
        self.applied.send_if_modified(|applied| {
            let former = applied.insert(voter, index);
            former != Some(index)
        });
    }

    pub(crate) fn applied(&self) -> watch::Receiver<BTreeMap<u64, u64>> {
        self.applied.subscribe()
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
