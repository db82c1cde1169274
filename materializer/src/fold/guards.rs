//! Guards: whether a frame takes effect, from CONTROL as it was right before it (FOLD-G1, FOLD-G3).
use super::Halt;
use crate::state::{self, is_replica};
use crate::view::{Read, ViewError};
use dfs_wire::v1;
use dfs_wire::v1::guard::Guard;
use prost::Message;

/// The guards of a header. What this build does not know halts it, before anything of the frame is looked at.
pub(crate) fn decode(lsn: u64, header: &[u8]) -> Result<Vec<Guard>, Halt> {
    let decoded = v1::Guards::decode(header).map_err(|error| Halt::Undecodable {
        lsn,
        what: format!("its guards: {error}"),
    })?;
    let unknown = || Halt::Unknown {
        lsn,
        what: "a guard".to_owned(),
    };
    decoded
        .guards
        .into_iter()
        .map(|guard| guard.guard.ok_or_else(unknown))
        .collect()
}

/// The first guard that does not hold against `control`, in words; `None`: the frame takes effect.
/// `lsn` is that of the frame's first record; `control` is the state at exactly `lsn − 1`.
pub(crate) fn broken(
    control: &dyn Read,
    lsn: u64,
    guards: &[Guard],
) -> Result<Option<String>, ViewError> {
    for guard in guards {
        let held = match guard {
            Guard::Term(guard) => term_holds(control, guard)?,
            Guard::Replica(guard) => is_replica(control, guard.shard, guard.node_id)?,
            Guard::Session(session) => state::session(control, *session)?.is_some(),
            Guard::Group(guard) => group_holds(control, guard)?,
            // FOLD-B3: no LSN is pinned below the floor yet.
            Guard::ReadableLsn(readable) => *readable < lsn && *readable >= state::floor(control)?,
        };
        if !held {
            return Ok(Some(words(guard)));
        }
    }
    Ok(None)
}

/// FOLD-T1: 0 stands for "none yet" (FOLD-T0).
fn term_holds(control: &dyn Read, guard: &v1::TermGuard) -> Result<bool, ViewError> {
    Ok(state::term(control, guard.shard)?.map_or(0, |term| term.lsn) == guard.term)
}

/// FOLD-B1: closing leaves the generation, and so the guard, as it is.
fn group_holds(control: &dyn Read, guard: &v1::GroupGuard) -> Result<bool, ViewError> {
    let group = state::group(control, guard.group)?;
    Ok(group.is_some_and(|group| group.generation == guard.generation))
}

fn words(guard: &Guard) -> String {
    match guard {
        Guard::Term(guard) => format!("term {} of shard {} is over", guard.term, guard.shard),
        Guard::Replica(guard) => {
            format!(
                "node {} is no replica of shard {}",
                guard.node_id, guard.shard
            )
        }
        Guard::Session(session) => format!("session {session} is gone"),
        Guard::Group(guard) => {
            format!(
                "group {} is not at generation {}",
                guard.group, guard.generation
            )
        }
        Guard::ReadableLsn(readable) => format!("LSN {readable} is not readable any more"),
    }
}
