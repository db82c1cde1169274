//! `DigestTaken`: what a replica said its digest was, and up to where all said the same (FOLD-X4b).
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::values::{AgreedValue, DigestValue};
use crate::state::{digests_told, replicas};
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, taken: &v1::DigestTaken) -> Result<(), ViewError> {
    let key = keys::control(letter::DIGEST_OF, &[taken.shard, taken.node_id]);
    let value = DigestValue {
        lsn: taken.lsn,
        digest: taken.digest,
    };
    stage.put(Keyspace::Control, &key, Some(&value))?;
    let begun = AgreedValue {
        lsn: taken.begun_lsn,
        digest: 0,
    };
    let key = keys::control(letter::BEGUN_OF, &[taken.shard, taken.node_id]);
    stage.put_derived(&key, &begun);
    if is_agreed(stage, taken)? {
        let agreed = AgreedValue {
            lsn: taken.lsn,
            digest: taken.digest,
        };
        stage.put_derived(&keys::control(letter::AGREED, &[taken.shard]), &agreed);
    }
    Ok(())
}

/// By what was told, never by what is held here: the row is the same on a replica that is wrong.
fn is_agreed(stage: &Stage<'_>, taken: &v1::DigestTaken) -> Result<bool, ViewError> {
    let read = stage.read();
    let told = digests_told(&read, taken.shard)?;
    let said_so = |node: &u64| {
        let mut told = told.iter().filter(|told| told.node_id == *node);
        told.any(|told| (told.lsn, told.digest) == (taken.lsn, taken.digest))
    };
    Ok(replicas(&read, taken.shard)?.iter().all(said_so))
}
