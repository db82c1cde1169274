//! Which extents a unit holds and where: kept in memory, made anew from the files at open.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;

use crate::extents::layout::ALIGN_BYTES;

/// (session, counter).
pub(crate) type Id = (u64, u64);

/// 16 bytes; with its id and the table's slack about 40 for each extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) file_no: u32,
    /// In units of `ALIGN_BYTES`.
    block: u32,
    pub(crate) length: u32,
    pub(crate) crc32c: u32,
}
const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    pub(crate) fn new(file_no: u32, offset: u64, length: u32, crc32c: u32) -> Entry {
        Entry {
            file_no,
            block: (offset / ALIGN_BYTES) as u32,
            length,
            crc32c,
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        u64::from(self.block) * ALIGN_BYTES
    }
}

#[derive(Debug, Default)]
struct Known {
    /// Looked up only, never walked: its order must not matter.
    extents: HashMap<Id, Entry>,
    bytes: u64,
    /// Acknowledged once, unreadable now.
    damaged: BTreeSet<Id>,
    /// Held, and found damaged by whoever read it: as many as are held, at most.
    unreadable: BTreeSet<Id>,
    /// Damaged regions whose extents cannot be named.
    nameless: u64,
    /// Being stored now.
    storing: BTreeSet<Id>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    known: Arc<Mutex<Known>>,
}

/// What a store of an id begins with.
#[derive(Debug)]
pub(crate) enum Begun {
    New(Storing),
    /// Stored before: compare.
    Held(Entry),
}

/// Holds an id for one store; let go when dropped.
#[derive(Debug)]
pub(crate) struct Storing {
    id: Id,
    index: Index,
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.index.known.lock().storing.remove(&self.id);
    }
}

pub(crate) fn name(id: Id) -> String {
    format!("extent {}.{}", id.0, id.1)
}

impl Index {
    pub(crate) fn begin(&self, id: Id) -> Result<Begun, Refusal> {
        let mut known = self.known.lock();
        if let Some(entry) = known.extents.get(&id) {
            return Ok(Begun::Held(*entry));
        }
        if !known.storing.insert(id) {
            let why = "another store of it is under way";
            return Err(Refusal::new(Code::Busy, name(id), why));
        }
        drop(known);
        Ok(Begun::New(Storing {
            id,
            index: self.clone(),
        }))
    }

    /// It is durable.
    pub(crate) fn insert(&self, id: Id, entry: Entry) {
        let mut known = self.known.lock();
        known.damaged.remove(&id);
        known.unreadable.remove(&id);
        known.bytes += u64::from(entry.length);
        if let Some(before) = known.extents.insert(id, entry) {
            known.bytes -= u64::from(before.length);
        }
    }

    pub(crate) fn mark_damaged(&self, id: Id) {
        let mut known = self.known.lock();
        if !known.extents.contains_key(&id) {
            known.damaged.insert(id);
        }
    }

    /// It was read and is not what was stored.
    pub(crate) fn found_unreadable(&self, id: Id) {
        let mut known = self.known.lock();
        if known.extents.contains_key(&id) {
            known.unreadable.insert(id);
        }
    }

    /// (extents, places that name none).
    pub(crate) fn damage(&self) -> (u64, u64) {
        let known = self.known.lock();
        let extents = known.damaged.len() + known.unreadable.len();
        (extents as u64, known.nameless)
    }

    pub(crate) fn count_nameless(&self) {
        self.known.lock().nameless += 1;
    }

    /// LOG-U7: corrupt and absent are different answers; where damage hides names, an unknown id
    /// may be one of them.
    pub(crate) fn find(&self, id: Id) -> Result<Entry, Refusal> {
        let known = self.known.lock();
        match known.extents.get(&id) {
            Some(entry) => Ok(*entry),
            None if known.damaged.contains(&id) => Err(Refusal::new(
                Code::Corrupt,
                name(id),
                "its checksums do not match here",
            )),
            None if known.nameless > 0 => {
                let why = "not found here, but this unit has damage that hides names";
                Err(Refusal::new(Code::Corrupt, name(id), why))
            }
            None => Err(Refusal::new(
                Code::Absent,
                name(id),
                "this unit does not hold it",
            )),
        }
    }

    /// (extents, bytes).
    pub(crate) fn totals(&self) -> (u64, u64) {
        let known = self.known.lock();
        (known.extents.len() as u64, known.bytes)
    }
}

pub(crate) fn id_of(extent: Option<v1::ExtentId>) -> Result<Id, Refusal> {
    let why = "it names no extent";
    let id = extent.ok_or_else(|| Refusal::new(Code::Invalid, "the request", why))?;
    Ok((id.session, id.counter))
}
