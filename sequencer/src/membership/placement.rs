//! On which units a new lane goes (LOG-D6).
use crate::membership::holdings::Holdings;
use crate::membership::pulses::Pulses;
use crate::order::{Order, Stripe};
use dfs_wire::v1::{self, UnitState};

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
    pub(crate) fn is_there(&self, unit: u64) -> bool {
        let row = self.order.units.get(&unit);
        let alive = row.filter(|row| row.state() != UnitState::Dead);
        alive.is_some_and(|row| {
            self.holdings.is_open(unit) && self.pulses.is_beating(self.order, row.node_id)
        })
    }

    /// There, and it takes part: neither draining nor read only.
    pub(crate) fn is_live(&self, unit: u64) -> bool {
        self.order.is_active(unit) && self.is_there(unit)
    }

    /// This incarnation of the node.
    pub(crate) fn beats(&self, (node, incarnation): (u64, u64)) -> bool {
        let member = self.order.members.get(&node);
        member.is_some_and(|member| member.incarnation == incarnation)
            && self.pulses.is_beating(self.order, node)
    }

    pub(crate) fn is_full(&self, unit: u64) -> bool {
        self.holdings.is_full(unit) || self.space(unit).is_some_and(|space| space.full)
    }

    /// As its process said last.
    pub(crate) fn space(&self, unit: u64) -> Option<&v1::UnitSpace> {
        self.pulses.space(self.order, self.node(unit), unit)
    }

    pub(crate) fn is_usable(&self, unit: u64) -> bool {
        self.is_live(unit) && !self.is_full(unit)
    }

    /// A whole write set without the units to avoid; else one with them; else, while fewer than R live
    /// at all, an open stripe that still has a quorum, so that a lost unit does not stop a new owner.
    pub(crate) fn place(&self, redundancy: Redundancy, avoid: &[u64]) -> Result<Placed, Unplaced> {
        let whole = self.place_whole(redundancy, avoid);
        if let Some(placed) = whole.or_else(|| self.place_whole(redundancy, &[])) {
            return Ok(placed);
        }
        let quorate = |stripe: &Stripe| {
            let usable = stripe.units.iter().filter(|unit| self.is_usable(**unit));
            usable.count() >= stripe.write_quorum as usize
        };
        if let Some((_, placed)) = self.least_used(redundancy, quorate) {
            return Ok(placed);
        }
        let (live, needed) = (self.count(|unit| self.is_live(unit)), redundancy.units);
        let usable = self.count(|unit| self.is_usable(unit));
        Err(if live >= needed as usize {
            let full = live - usable;
            Unplaced::Full { full, needed }
        } else {
            Unplaced::TooFew { usable, needed }
        })
    }

    /// Of the open stripes all of whose units are usable the one with the fewest open lanes. Another is
    /// opened when every such stripe has lanes and R usable units are in none, so that lanes and bytes
    /// spread; or when there is no such stripe and R units are usable.
    pub(crate) fn place_whole(&self, redundancy: Redundancy, avoid: &[u64]) -> Option<Placed> {
        let usable = |unit: u64| self.is_usable(unit) && !avoid.contains(&unit);
        let whole = |stripe: &Stripe| stripe.units.iter().all(|unit| usable(*unit));
        let open = self.least_used(redundancy, whole);
        if let Some((0, placed)) = open {
            return Some(placed);
        }
        let takes = |unit: &u64| usable(*unit) && (open.is_none() || self.stripes_of(*unit) == 0);
        let (all, needed) = (self.order.units.keys().copied(), redundancy.units as usize);
        let free: Vec<u64> = all.filter(takes).collect();
        if free.len() < needed {
            return open.map(|(_, placed)| placed);
        }
        Some(Placed {
            units: self.spread(free, needed),
            write_quorum: redundancy.write_quorum,
        })
    }

    fn count(&self, is: impl Fn(u64) -> bool) -> usize {
        self.order.units.keys().filter(|unit| is(**unit)).count()
    }

    /// With how many open lanes it has.
    fn least_used(
        &self,
        redundancy: Redundancy,
        fits: impl Fn(&Stripe) -> bool,
    ) -> Option<(usize, Placed)> {
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
        let counted = stripes.map(|(id, stripe)| (open_lanes(*id), *id, stripe));
        let (lanes, _, stripe) = counted.min_by_key(|(lanes, id, _)| (*lanes, *id))?;
        let placed = Placed {
            units: stripe.units.clone(),
            write_quorum: stripe.write_quorum,
        };
        Some((lanes, placed))
    }

    fn spread(&self, mut free: Vec<u64>, count: usize) -> Vec<u64> {
        let mut chosen: Vec<u64> = Vec::with_capacity(count);
        while chosen.len() < count
            && let Some(best) = self.best_beside(&chosen, &free)
        {
            free.retain(|unit| *unit != best);
            chosen.push(best);
        }
        chosen.sort_unstable();
        chosen
    }

    /// In another rack than those chosen if there is one, then on another node; of those in the fewest
    /// open stripes the one with the most room.
    pub(crate) fn best_beside(&self, chosen: &[u64], free: &[u64]) -> Option<u64> {
        let shares = |unit: u64| {
            let same = |is: &dyn Fn(u64) -> bool| chosen.iter().filter(|c| is(**c)).count();
            (
                same(&|other| self.rack(other) == self.rack(unit)),
                same(&|other| self.node(other) == self.node(unit)),
                self.stripes_of(unit),
                std::cmp::Reverse(self.room(unit)),
                unit,
            )
        };
        free.iter().copied().min_by_key(|unit| shares(*unit))
    }

    /// How many open ones it is part of.
    fn stripes_of(&self, unit: u64) -> usize {
        let stripes = self.order.stripes.values();
        let has = |stripe: &&Stripe| !stripe.closed && stripe.units.contains(&unit);
        stripes.filter(has).count()
    }

    fn node(&self, unit: u64) -> u64 {
        self.order.units.get(&unit).map_or(0, |row| row.node_id)
    }

    fn room(&self, unit: u64) -> u64 {
        self.space(unit).map_or(0, |space| space.available_bytes)
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
