//! Closed stripes of which this unit holds everything, frames and stamps: what the sequencer counts on when
//! another unit leaves (LOG.md §6).

use std::collections::{BTreeMap, BTreeSet};

use crate::unit::state::Unit;

#[derive(Debug, Default)]
pub(crate) struct Wholes {
    whole: BTreeSet<u64>,
    /// Closed ones that are not, or not known to be; with how many notes have to be synced for it.
    settling: BTreeMap<u64, Option<u64>>,
    /// Those that were whole since the start and are not now; and those of them that are to be told.
    torn: BTreeSet<u64>,
    torn_untold: BTreeSet<u64>,
    /// Notes that were handed out to be written, and that are durable, since the start.
    pub(super) taken: u64,
    synced: u64,
}

impl Wholes {
    /// Damage was found in it: it is a location no more until that is mended.
    pub(super) fn torn(&mut self, stripe: Option<u64>) {
        if let Some(stripe) = stripe.filter(|stripe| self.whole.remove(stripe)) {
            self.settling.insert(stripe, None);
            self.torn.insert(stripe);
            self.torn_untold.insert(stripe);
        }
    }

    /// Nobody knows what was told in a former conversation.
    pub(super) fn tell_torn_again(&mut self) {
        self.torn_untold.clone_from(&self.torn);
    }

    pub(super) fn take_torn(&mut self) -> Vec<u64> {
        let torn = std::mem::take(&mut self.torn_untold);
        torn.into_iter().collect()
    }

    pub(crate) fn all(&self) -> Vec<u64> {
        self.whole.iter().copied().collect()
    }
}

impl Unit {
    /// So many more notes are durable.
    pub(crate) fn notes_synced(&mut self, notes: usize) {
        self.wholes.synced += notes as u64;
    }

    pub(super) fn settle_closed(&mut self) {
        let own = self.stripes.iter();
        let closed = own.filter(|(_, stripe)| stripe.last_lsn.is_some());
        let all: Vec<u64> = closed
            .map(|(id, _)| *id)
            .chain(self.copies.keys().copied())
            .collect();
        let wholes = &mut self.wholes;
        for id in all.into_iter().filter(|id| !wholes.whole.contains(id)) {
            wholes.settling.entry(id).or_insert(None);
        }
    }

    /// Those that have become whole since the last call, durably.
    pub(super) fn take_whole_stripes(&mut self) -> Vec<u64> {
        if !self.is_based() || self.wholes.settling.is_empty() {
            return Vec::new();
        }
        let written = self.wholes.taken + self.notes.len() as u64;
        let settling = std::mem::take(&mut self.wholes.settling);
        let mut told = Vec::new();
        for (id, after) in settling {
            let known = self.knows_all(id);
            let after = after.or(known.then_some(written)).filter(|_| known);
            if after.is_some_and(|after| self.wholes.synced >= after) {
                self.wholes.whole.insert(id);
                self.wholes.torn.remove(&id);
                self.wholes.torn_untold.remove(&id);
                self.set_aside.remove(&id);
                told.push(id);
            } else {
                self.wholes.settling.insert(id, after);
            }
        }
        told
    }

    fn knows_all(&self, id: u64) -> bool {
        let Some((first, last)) = self
            .stripe(id)
            .and_then(|row| Some((row.first_lsn, row.last_lsn?)))
        else {
            return false;
        };
        let mut lanes = self.lanes.values().filter(|lane| lane.stripe == Some(id));
        let lsns = first.max(self.trim_lsn).max(1)..last.saturating_add(1);
        lanes.all(|lane| lane.is_whole()) && self.runs_of(id).first_uncovered(lsns).is_none()
    }
}
