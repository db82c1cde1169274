//! The own frames in flight, as if they were folded; and locks for those that may still turn out void (FOLD-P1).
use super::{Planned, Ticket};
use crate::fold::{PROVISIONAL_LSN, Stage, kinds};
use crate::state::keys::{self, letter};
use crate::view::{Keyspace, Layer, Layered, Read, ViewError};
use std::collections::BTreeMap;

type Key = (Keyspace, Vec<u8>);

/// Serves planning only (FOLD-P2). It is made by the fold's own code, so that a plan over it and a plan after
/// the fold see the same (I4).
#[derive(Default)]
pub struct Overlay {
    rows: Layer,
    /// The newest plan that wrote a row.
    writers: BTreeMap<Key, Ticket>,
    locks: BTreeMap<Key, Ticket>,
    /// What each plan in flight wrote or locked.
    in_flight: BTreeMap<Ticket, Vec<Key>>,
}

impl Overlay {
    /// Takes in a plan that will be appended, in the order of planning. `folded` as it was for the plan.
    pub fn add(
        &mut self,
        ticket: Ticket,
        planned: &Planned,
        folded: &dyn Read,
    ) -> Result<(), ViewError> {
        debug_assert!(self.newest() < Some(ticket), "tickets rise");
        let mut written = Layer::default();
        let under = Layered {
            over: &self.rows,
            under: folded,
        };
        let mut no_digest = 0;
        let mut stage = Stage::new(&mut written, &under, PROVISIONAL_LSN, 0, &mut no_digest);
        kinds::apply(&mut stage, &planned.record)?;
        let foreign = planned.foreign;
        #[cfg(test)]
        let foreign = foreign && !crate::mutants::on(crate::mutants::Mutant::OverlayOverForeign);
        let mut touched = Vec::new();
        for (space, key, value) in written.into_writes() {
            let at = (space, key);
            if foreign {
                if !lockable(&at) {
                    continue;
                }
                self.locks.insert(at.clone(), ticket);
            } else {
                self.rows.set(space, &at.1, value);
                self.writers.insert(at.clone(), ticket);
            }
            touched.push(at);
        }
        self.in_flight.insert(ticket, touched);
        Ok(())
    }

    /// The plan's frame is folded, void or not, and the state that planning sees holds it.
    pub fn folded(&mut self, ticket: Ticket) {
        for at in self.in_flight.remove(&ticket).unwrap_or_default() {
            if self.writers.get(&at) == Some(&ticket) {
                self.writers.remove(&at);
                self.rows.unset(at.0, &at.1);
            }
            if self.locks.get(&at) == Some(&ticket) {
                self.locks.remove(&at);
            }
        }
    }

    /// The term is over: nothing of it is in flight any more, as far as planning is concerned.
    pub fn clear(&mut self) {
        *self = Overlay::default();
    }

    /// The newest plan in flight: what a refusal has to wait for (FOLD-P3).
    pub fn newest(&self) -> Option<Ticket> {
        self.in_flight.keys().next_back().copied()
    }

    pub(crate) fn over<'a>(&'a self, folded: &'a dyn Read) -> Layered<'a> {
        Layered {
            over: &self.rows,
            under: folded,
        }
    }

    /// Who holds a lock on this row.
    pub(crate) fn lock(&self, space: Keyspace, key: &[u8]) -> Option<Ticket> {
        // Most plans run without any lock: no key is made then.
        if self.locks.is_empty() {
            return None;
        }
        self.locks.get(&(space, key.to_vec())).copied()
    }

    /// Who holds a lock on any row of head in [`from`, `to`).
    pub(crate) fn lock_within(&self, from: Vec<u8>, to: Vec<u8>) -> Option<Ticket> {
        let range = (Keyspace::Head, from)..(Keyspace::Head, to);
        self.locks.range(range).map(|(_, ticket)| *ticket).next()
    }

    /// Who wrote this row last, if that is in flight.
    pub(crate) fn writer(&self, space: Keyspace, key: &[u8]) -> Option<Ticket> {
        self.writers.get(&(space, key.to_vec())).copied()
    }
}

/// Entries, directories, and what several names share. A directory's own row is among them for nothing: it takes
/// deltas, which do not mind each other (FOLD-P1), and nobody looks for its lock.
fn lockable((space, key): &Key) -> bool {
    #[cfg(test)]
    if crate::mutants::on(crate::mutants::Mutant::InodesUnlocked) && keys::is_own(key) {
        return false;
    }
    match space {
        Keyspace::Head => keys::is_entry(key) || keys::is_own(key),
        Keyspace::Control => key.first() == Some(&letter::PLACE),
        Keyspace::History | Keyspace::Slots | Keyspace::Blocks => false,
    }
}
