//! On which units a new lane goes (LOG-D6).
use crate::membership::holdings::Holdings;
use crate::membership::pulses::Pulses;
use crate::order::{Order, Stripe};
use dfs_wire::v1::UnitState;
use std::collections::BTreeSet;

/// How many units hold a stripe, and how many of them must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redundancy {
    /// R.
    pub units: u32,
    /// W.
    pub write_quorum: u32,
}

/// The write set for a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) units: Vec<u64>,
    pub(crate) write_quorum: u32,
}

/// Why there is none now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// Units that live and have room, of those needed.
    TooFew { usable: usize, needed: u32 },
    /// There would be enough, but for their full disks.
    Full { full: usize, needed: u32 },
}

/// Units as the leader sees them now.
pub(crate) struct Sight<'a> {
    pub(crate) order: &'a Order,
    pub(crate) holdings: &'a Holdings,
    pub(crate) pulses: &'a Pulses,
}

impl Sight<'_> {
    /// Says Hello now, and its process beats.
    pub(crate) fn is_live(&self, unit: u64) -> bool {
        let row = self.order.units.get(&unit);
        let active = row.filter(|row| row.state() == UnitState::Active);
        active.is_some_and(|row| {
            self.holdings.is_open(unit) && self.pulses.is_beating(self.order, row.node_id)
        })
    }

    pub(crate) fn is_full(&self, unit: u64) -> bool {
        let node = self.order.units.get(&unit).map_or(0, |row| row.node_id);
        let space = self.pulses.space(self.order, node, unit);
        self.holdings.is_full(unit) || space.is_some_and(|space| space.full)
    }

    fn is_usable(&self, unit: u64) -> bool {
        self.is_live(unit) && !self.is_full(unit)
    }

    /// An open stripe all of whose units are usable, the one with the fewest open lanes; else R usable
    /// units, in distinct racks as far as there are; else, while fewer than R live at all, an open
    /// stripe that still has a quorum, so that a lost unit does not stop a new owner.
    pub(crate) fn place(&self, redundancy: Redundancy) -> Result<Placed, Unplaced> {
        let whole = |stripe: &Stripe| stripe.units.iter().all(|unit| self.is_usable(*unit));
        if let Some(stripe) = self.least_used(redundancy, whole) {
            return Ok(stripe);
        }
        let usable: Vec<u64> = self
            .order
            .units
            .keys()
            .copied()
            .filter(|unit| self.is_usable(*unit))
            .collect();
        if usable.len() >= redundancy.units as usize {
            let units = self.spread(&usable, redundancy.units as usize);
            return Ok(Placed {
                units,
                write_quorum: redundancy.write_quorum,
            });
        }
        let quorate = |stripe: &Stripe| {
            let usable = stripe
                .units
                .iter()
                .filter(|unit| self.is_usable(**unit))
                .count();
            usable >= stripe.write_quorum as usize
        };
        if let Some(stripe) = self.least_used(redundancy, quorate) {
            return Ok(stripe);
        }
        let live = self
            .order
            .units
            .keys()
            .filter(|unit| self.is_live(**unit))
            .count();
        let needed = redundancy.units;
        if live >= redundancy.units as usize {
            return Err(Unplaced::Full {
                full: live - usable.len(),
                needed,
            });
        }
        Err(Unplaced::TooFew {
            usable: usable.len(),
            needed,
        })
    }

    fn least_used(&self, redundancy: Redundancy, fits: impl Fn(&Stripe) -> bool) -> Option<Placed> {
        let wanted = |stripe: &Stripe| {
            !stripe.closed
                && stripe.units.len() >= redundancy.units as usize
                && stripe.write_quorum >= redundancy.write_quorum
                && fits(stripe)
        };
        let open_lanes = |id: u64| {
            self.order
                .lanes
                .values()
                .filter(|lane| lane.stripe == id && !lane.sealed)
                .count()
        };
        let stripes = self
            .order
            .stripes
            .iter()
            .filter(|(_, stripe)| wanted(stripe));
        let (_, stripe) = stripes.min_by_key(|(id, _)| (open_lanes(**id), **id))?;
        Some(Placed {
            units: stripe.units.clone(),
            write_quorum: stripe.write_quorum,
        })
    }

    /// One unit of each rack in turn, those with the most room first.
    fn spread(&self, usable: &[u64], count: usize) -> Vec<u64> {
        let mut left: Vec<u64> = usable.to_vec();
        left.sort_by_key(|unit| (std::cmp::Reverse(self.room(*unit)), *unit));
        let mut chosen = Vec::with_capacity(count);
        let mut racks = BTreeSet::new();
        while chosen.len() < count && !left.is_empty() {
            let next = left
                .iter()
                .position(|unit| !racks.contains(self.rack(*unit)));
            let Some(next) = next else {
                racks.clear();
                continue;
            };
            let unit = left.remove(next);
            racks.insert(self.rack(unit));
            chosen.push(unit);
        }
        chosen.sort_unstable();
        chosen
    }

    fn room(&self, unit: u64) -> u64 {
        let node = self.order.units.get(&unit).map_or(0, |row| row.node_id);
        self.pulses
            .space(self.order, node, unit)
            .map_or(0, |space| space.available_bytes)
    }

    fn rack(&self, unit: u64) -> &str {
        let member = self
            .order
            .units
            .get(&unit)
            .and_then(|row| self.order.members.get(&row.node_id));
        member.map_or("", |member| member.rack.as_str())
    }
}
