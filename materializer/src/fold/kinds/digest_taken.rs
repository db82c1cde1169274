//! `DigestTaken`: what a replica said its digest was (FOLD-X4b).
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::values::DigestValue;
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, taken: &v1::DigestTaken) -> Result<(), ViewError> {
    let key = keys::control(letter::DIGEST_OF, &[taken.shard, taken.node_id]);
    let value = DigestValue {
        lsn: taken.lsn,
        digest: taken.digest,
    };
    stage.put(Keyspace::Control, &key, Some(&value))
}
