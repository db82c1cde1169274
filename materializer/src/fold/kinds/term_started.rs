//! `TermStarted`: the term is this record's LSN (FOLD-T1).
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::values::TermValue;
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, started: &v1::TermStarted) -> Result<(), ViewError> {
    start(stage, started.shard, started.owner)
}

pub(crate) fn start(
    stage: &mut Stage<'_>,
    shard: u64,
    owner: Option<v1::Owner>,
) -> Result<(), ViewError> {
    let term = TermValue {
        term: stage.lsn,
        owner,
    };
    stage.put(
        Keyspace::Control,
        &keys::control(letter::TERM, &[shard]),
        Some(&term),
    )
}
