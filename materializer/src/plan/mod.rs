//! Plans: a request becomes mutations, or a refusal, against folded state and what is in flight (FOLD P, S).
mod acl;
mod draft;
mod ids;
mod ops;
mod overlay;
mod seen;

#[cfg(test)]
mod attributes_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod tests;

pub mod control;
mod retention;

pub use ids::Ids;
pub use overlay::Overlay;
pub use retention::{Retention, next_floor};

use crate::view::Read;
use bytes::Bytes;
use dfs_wire::{Refusal, Tag, v1};

/// Names a plan in flight; rising in the order of planning. Chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What planning sees: folded state, and over it the own frames in flight (FOLD-P1).
#[derive(Clone, Copy)]
pub struct Planning<'a> {
    pub overlay: &'a Overlay,
    /// The newest folded state; at or above the own `TermStarted` (FOLD-T2).
    pub folded: &'a dyn Read,
}

/// Under which authority and for whom is planned.
pub struct Context<'a> {
    pub shard: u64,
    pub term: u64,
    pub actor: &'a str,
    pub uid: u32,
    pub gid: u32,
    /// ns since the epoch, of the planner's clock: only for times that the request leaves open.
    pub now_ns: i64,
    /// The slot whose result the record carries; `None` for what nobody asked for.
    pub slot: Option<v1::SlotUse>,
    pub settings: &'a v1::Settings,
}

/// What is appended: one record, and what its frame's header must say.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub record: v1::Record,
    /// The record as it travels.
    pub encoded: Bytes,
    /// Sorted.
    pub tags: Vec<Tag>,
    /// All of them, the own term's first.
    pub guards: v1::Guards,
    /// `guards` as they travel: records share a frame only if these bytes and the tags are equal.
    pub guards_encoded: Bytes,
    /// Counted in the header's `order` (FOLD-X5): every frame under the own term; not `TermStarted`, not digests.
    pub ordered: bool,
    /// Guarded by more than the own term: its keys are locked instead of seen through the overlay (FOLD-P1).
    pub foreign: bool,
    pub done: v1::Done,
}

/// Why nothing was planned.
#[derive(Clone, Debug, PartialEq)]
pub enum Unplanned {
    /// Answered only when everything in flight that was planned before is folded (FOLD-P3); then plan again,
    /// or answer this if nothing was in flight.
    Refused(Refusal),
    /// A key is locked by this plan until it is folded (FOLD-P1): plan again then.
    Blocked(Ticket),
}

impl From<Refusal> for Unplanned {
    fn from(refusal: Refusal) -> Unplanned {
        Unplanned::Refused(refusal)
    }
}

/// Content read from the past by the caller, for a copy: what `Copy.from` was at `lsn`, with its bytes' whereabouts.
#[derive(Clone, Debug, PartialEq)]
pub struct CopySource {
    pub lsn: u64,
    /// With content.
    pub entry: v1::Entry,
}

/// Plans a mutation of the namespace. `source` is looked at only by a copy whose view is of the past;
/// without it a copy is of the current state.
pub fn mutate(
    planning: Planning<'_>,
    request: &v1::Mutate,
    source: Option<&CopySource>,
    context: &Context<'_>,
    ids: &mut Ids,
) -> Result<Planned, Unplanned> {
    let mut plan = ops::Plan {
        planning,
        context,
        ids,
    };
    ops::plan(&mut plan, request, source)
}
