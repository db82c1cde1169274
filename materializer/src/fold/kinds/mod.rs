//! One file for each kind of mutation: what it does to rows. Total: what is not there is left alone.
mod acl_set;
mod attr_set;
mod cluster_created;
mod content_set;
mod digest_taken;
mod file_content;
mod floor_moved;
mod groups;
mod inode;
mod linked;
mod made;
mod moved;
mod parent_touched;
mod removed;
mod replicas;
mod sessions;
mod setting_changed;
mod slot_done;
mod snapshot_taken;
mod term_started;
mod xattr_set;

pub(crate) use setting_changed::KEPT as KEPT_SETTINGS;

pub(crate) use xattr_set::after as xattrs_after;

use super::Stage;
use crate::view::ViewError;
use dfs_wire::v1;
use dfs_wire::v1::mutation::Kind;

/// Applies a record whose mutations this build knows all (checked before: I5).
pub(crate) fn apply(stage: &mut Stage<'_>, record: &v1::Record) -> Result<(), ViewError> {
    for kind in record
        .mutations
        .iter()
        .filter_map(|mutation| mutation.kind.as_ref())
    {
        one(stage, kind, &record.actor)?;
    }
    match &record.slot {
        Some(done) if !stage.is_overlay() => slot_done::apply(stage, done),
        _ => Ok(()),
    }
}

fn one(stage: &mut Stage<'_>, kind: &Kind, actor: &str) -> Result<(), ViewError> {
    match kind {
        Kind::ClusterCreated(m) => cluster_created::apply(stage, m),
        Kind::TermStarted(m) => term_started::apply(stage, m),
        Kind::ReplicaAdded(m) => replicas::added(stage, m),
        Kind::ReplicaRemoved(m) => replicas::removed(stage, m),
        Kind::SessionOpened(m) => sessions::opened(stage, m),
        Kind::SessionExpired(m) => sessions::expired(stage, m),
        // FOLD-C1: its log time is all that it brings.
        Kind::Tick(v1::Tick {}) => Ok(()),
        Kind::GroupOpened(m) => groups::opened(stage, m),
        Kind::GroupClosed(m) => groups::closed(stage, m),
        Kind::DigestTaken(m) => digest_taken::apply(stage, m),
        Kind::SnapshotTaken(m) => snapshot_taken::apply(stage, m),
        Kind::FloorMoved(m) => floor_moved::apply(stage, m),
        Kind::SettingChanged(m) => setting_changed::apply(stage, m, actor),
        Kind::Made(m) => made::apply(stage, m),
        Kind::Removed(m) => removed::apply(stage, m),
        Kind::Moved(m) => moved::apply(stage, m),
        Kind::Linked(m) => linked::apply(stage, m),
        Kind::ContentSet(m) => content_set::apply(stage, m),
        Kind::AttrSet(m) => attr_set::apply(stage, m),
        Kind::XattrSet(m) => xattr_set::apply(stage, m),
        Kind::AclSet(m) => acl_set::apply(stage, m),
        Kind::ParentTouched(m) => parent_touched::apply(stage, m),
    }
}

/// Whether a mutation is one of CONTROL, which every materializer folds (FOLD-G2).
pub(crate) fn is_control(kind: &Kind) -> bool {
    match kind {
        Kind::ClusterCreated(_)
        | Kind::TermStarted(_)
        | Kind::ReplicaAdded(_)
        | Kind::ReplicaRemoved(_)
        | Kind::SessionOpened(_)
        | Kind::SessionExpired(_)
        | Kind::Tick(_)
        | Kind::GroupOpened(_)
        | Kind::GroupClosed(_)
        | Kind::DigestTaken(_)
        | Kind::SnapshotTaken(_)
        | Kind::FloorMoved(_)
        | Kind::SettingChanged(_) => true,
        Kind::Made(_)
        | Kind::Removed(_)
        | Kind::Moved(_)
        | Kind::Linked(_)
        | Kind::ContentSet(_)
        | Kind::AttrSet(_)
        | Kind::XattrSet(_)
        | Kind::AclSet(_)
        | Kind::ParentTouched(_) => false,
    }
}

/// What settings come with (FOLD-T0).
pub(crate) fn is_genesis(record: &v1::Record) -> bool {
    let is_it = |mutation: &v1::Mutation| matches!(mutation.kind, Some(Kind::ClusterCreated(_)));
    record.mutations.iter().any(is_it)
}
