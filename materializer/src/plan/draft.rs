//! A plan in the making: mutations first, then the header that follows from them.
use super::{Context, Planned};
use crate::fold::kinds::is_control;
use bytes::Bytes;
use dfs_wire::limits::RECORD_BYTES_MAX;
use dfs_wire::v1::guard::Guard;
use dfs_wire::v1::mutation::Kind;
use dfs_wire::v1::slot_result::Outcome;
use dfs_wire::{Code, Refusal, Tag, v1};
use prost::Message;
use std::collections::BTreeSet;

/// What a plan of the namespace decides.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) mutations: Vec<Kind>,
    pub(crate) done: v1::Done,
    /// Beyond the own term (FOLD-G1): sessions, groups with their generation, LSNs read.
    pub(crate) sessions: BTreeSet<u64>,
    pub(crate) groups: BTreeSet<(u64, u32)>,
    pub(crate) readable_lsn: Option<u64>,
    /// Groups whose extents are referred to or released: their buckets of the block map need the frame.
    pub(crate) block_groups: BTreeSet<u64>,
}

impl Draft {
    pub(crate) fn push(&mut self, kind: Kind) {
        self.mutations.push(kind);
    }

    /// The parent of what appears or goes gets the time, and the change in its count.
    pub(crate) fn touch(&mut self, tree: u64, inode: u64, mtime_ns: i64, children: i32) {
        let touched = v1::ParentTouched {
            tree,
            inode,
            mtime_ns,
            children,
        };
        self.push(Kind::ParentTouched(touched));
    }

    /// Extents that come or go with this record.
    pub(crate) fn blocks(&mut self, content: &v1::Content) {
        let stored = content
            .extents
            .iter()
            .filter(|extent| extent.extent.is_some());
        self.block_groups.extend(stored.map(|extent| extent.group));
    }

    fn foreign(&self) -> Vec<Guard> {
        #[cfg(test)]
        if crate::mutants::on(crate::mutants::Mutant::GuardsLeftOut) {
            return Vec::new();
        }
        let sessions = self.sessions.iter().map(|session| Guard::Session(*session));
        let groups = self.groups.iter().map(|(group, generation)| {
            Guard::Group(v1::GroupGuard {
                group: *group,
                generation: *generation,
            })
        });
        let readable = self.readable_lsn.map(Guard::ReadableLsn);
        sessions.chain(groups).chain(readable).collect()
    }

    fn tags(&self, shard: u64) -> Vec<Tag> {
        let mut tags = BTreeSet::from([Tag::shard(shard)]);
        if self.mutations.iter().any(is_skeleton) {
            tags.insert(Tag::SKELETON);
        }
        if self.mutations.iter().any(is_control) {
            tags.insert(Tag::CONTROL);
        }
        tags.extend(self.block_groups.iter().map(|group| Tag::blocks(*group)));
        tags.into_iter().collect()
    }

    /// Under the own term, answering the slot.
    pub(crate) fn finish(self, what: &str, context: &Context<'_>) -> Result<Planned, Refusal> {
        let foreign = self.foreign();
        let tags = self.tags(context.shard);
        let slot = context
            .slot
            .map(|slot| done_in(slot, Outcome::Done(self.done)));
        let record = record(self.mutations, context.actor, slot);
        let planned = Planned {
            done: self.done,
            foreign: !foreign.is_empty(),
            ..planned(
                record,
                tags,
                [term_guard(context)].into_iter().chain(foreign),
                true,
            )
        };
        if planned.encoded.len() <= RECORD_BYTES_MAX {
            return Ok(planned);
        }
        let why = format!(
            "its record would have {} bytes, at most {RECORD_BYTES_MAX} are taken",
            planned.encoded.len()
        );
        Err(Refusal::new(Code::Invalid, what, why))
    }
}

fn is_skeleton(kind: &Kind) -> bool {
    let directory = v1::Kind::Directory;
    match kind {
        Kind::Made(made) => made.kind() == directory,
        Kind::Removed(removed) => removed.kind() == directory,
        Kind::Moved(moved) => moved.kind() == directory,
        _ => false,
    }
}

pub(crate) fn term_guard(context: &Context<'_>) -> Guard {
    Guard::Term(v1::TermGuard {
        shard: context.shard,
        term: context.term,
    })
}

fn done_in(slot: v1::SlotUse, outcome: Outcome) -> v1::SlotDone {
    v1::SlotDone {
        session: slot.session,
        shard: slot.shard,
        slot: slot.slot,
        seq: slot.seq,
        attempt: slot.attempt,
        result: Some(v1::SlotResult {
            outcome: Some(outcome),
        }),
    }
}

pub(crate) fn record(kinds: Vec<Kind>, actor: &str, slot: Option<v1::SlotDone>) -> v1::Record {
    let mutations = kinds
        .into_iter()
        .map(|kind| v1::Mutation { kind: Some(kind) })
        .collect();
    v1::Record {
        mutations,
        actor: actor.to_owned(),
        slot,
    }
}

/// `tags` sorted.
pub(crate) fn planned(
    record: v1::Record,
    tags: Vec<Tag>,
    guards: impl IntoIterator<Item = Guard>,
    ordered: bool,
) -> Planned {
    let guards = guards
        .into_iter()
        .map(|guard| v1::Guard { guard: Some(guard) })
        .collect();
    let guards = v1::Guards { guards };
    Planned {
        encoded: Bytes::from(record.encode_to_vec()),
        guards_encoded: Bytes::from(guards.encode_to_vec()),
        record,
        tags,
        guards,
        ordered,
        foreign: false,
        done: v1::Done::default(),
    }
}
