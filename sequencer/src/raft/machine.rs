//! The state machine that openraft drives: every committed command goes to the board, in order.
use crate::board::Board;
use crate::order::{Order, Outcome};
use crate::raft::journal::invalid;
use crate::raft::snapshot::{Picture, Snapshots};
use crate::raft::{LogId, StoredMembership, Types};
use dfs_env::current;
use futures::{Stream, TryStreamExt};
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::EntryResponder;
use openraft::storage::RaftStateMachine;
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StoredMembership as Stored,
};
use prost::Message;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often a full disk is asked again for room for a snapshot.
const FULL_AGAIN: Duration = Duration::from_millis(500);

pub(crate) struct Machine {
    board: Arc<Board>,
    snapshots: Snapshots,
    last: Option<LogId>,
    membership: StoredMembership,
}

impl Machine {
    pub(crate) async fn open(snapshots: Snapshots, board: Arc<Board>) -> io::Result<Machine> {
        let mut machine = Machine {
            board,
            snapshots,
            last: None,
            membership: StoredMembership::default(),
        };
        if let Some(picture) = machine.snapshots.load().await? {
            machine.install(&picture)?;
        }
        Ok(machine)
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.last.map_or(0, |id| id.index)
    }

    pub(crate) fn voters(&self) -> BTreeSet<u64> {
        self.membership.voter_ids().collect()
    }

    fn install(&mut self, picture: &Picture) -> io::Result<()> {
        let order = Order::decode(&picture.order).map_err(|e| invalid(e.to_string()))?;
        self.membership = picture.membership()?;
        self.last = picture.last();
        self.board.install(order);
        Ok(())
    }

    fn picture(&self) -> io::Result<Picture> {
        Picture::of(
            self.last.as_ref(),
            &self.membership,
            self.board.encode_order(),
        )
    }
}

fn snapshot_of(picture: &Picture) -> io::Result<SnapshotOf<Types, Vec<u8>>> {
    let meta = SnapshotMeta {
        last_log_id: picture.last(),
        last_membership: picture.membership()?,
    };
    Ok(Snapshot {
        meta,
        snapshot: picture.encode_to_vec(),
    })
}

/// As another voter sent it.
pub(crate) fn snapshot_from(bytes: Vec<u8>) -> io::Result<SnapshotOf<Types, Vec<u8>>> {
    let picture = Picture::decode(bytes.as_slice()).map_err(|e| invalid(e.to_string()))?;
    let meta = SnapshotMeta {
        last_log_id: picture.last(),
        last_membership: picture.membership()?,
    };
    Ok(Snapshot {
        meta,
        snapshot: bytes,
    })
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let id = entry.log_id;
            let outcome = match entry.payload {
                EntryPayload::Blank => Outcome::Stands,
                EntryPayload::Normal(command) => self.board.apply(id.index, &command),
                EntryPayload::Membership(membership) => {
                    self.membership = Stored::new(Some(id), membership);
                    Outcome::Stands
                }
            };
            self.last = Some(id);
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }

    /// The picture is taken here, between two entries; the builder only writes it.
    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            picture: self.picture(),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<Types>,
        snapshot: Vec<u8>,
    ) -> io::Result<()> {
        let picture = Picture::decode(snapshot.as_slice()).map_err(|e| invalid(e.to_string()))?;
        self.snapshots.save(&picture).await?;
        self.install(&picture)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Vec<u8>>>> {
        self.snapshots
            .load()
            .await?
            .as_ref()
            .map(snapshot_of)
            .transpose()
    }
}

pub(crate) struct Builder {
    picture: io::Result<Picture>,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Vec<u8>>> {
        let picture = self
            .picture
            .as_ref()
            .map_err(|e| io::Error::other(e.to_string()))?;
        // As the journal does: an error would end this voter, and nothing it waits for needs one.
        while let Err(e) = self.snapshots.save(picture).await {
            if e.kind() != io::ErrorKind::StorageFull {
                return Err(e);
            }
            current().sleep(FULL_AGAIN).await;
        }
        snapshot_of(picture)
    }
}
