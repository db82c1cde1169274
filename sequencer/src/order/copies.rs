//! CopyStripe, AddLocation, RemoveLocation: who else holds a closed stripe (LOG.md §6). Its write set never changes (LOG-I12).
use crate::order::command::StripeAndUnit;
use crate::order::{Effects, Event, Order, Outcome, Stripe};
use dfs_wire::v1::UnitState;
use dfs_wire::{Code, v1};

impl Order {
    /// One more unit copies a closed stripe; those that have died meanwhile are asked no more.
    pub(super) fn copy_stripe(&mut self, index: u64, copy: &StripeAndUnit) -> Effects {
        let what = || format!("copy of stripe {}", copy.stripe);
        if !self.is_active(copy.unit) {
            return Effects::refused(Code::State, what(), "the unit is not Active");
        }
        let alive = |unit: &u64| self.is_alive(*unit);
        let Some(stripe) = self.stripes.get(&copy.stripe).filter(|row| row.closed) else {
            return Effects::refused(Code::NotFound, what(), "there is no such closed stripe");
        };
        if stripe.units.contains(&copy.unit) || stripe.copies.contains(&copy.unit) {
            return Effects::quiet(Outcome::Stands);
        }
        let mut copies: Vec<u64> = stripe.copies.iter().copied().filter(alive).collect();
        copies.push(copy.unit);
        self.change_stripe(index, copy.stripe, |stripe| stripe.copies = copies)
    }

    /// The unit has said that it holds all of the closed stripe.
    pub(super) fn add_location(&mut self, index: u64, add: &StripeAndUnit) -> Effects {
        let what = || format!("location of stripe {}", add.stripe);
        let Some(stripe) = self.stripes.get(&add.stripe).filter(|row| row.closed) else {
            return Effects::refused(Code::NotFound, what(), "there is no such closed stripe");
        };
        if !stripe.units.contains(&add.unit) && !stripe.copies.contains(&add.unit) {
            return Effects::refused(Code::NotFound, what(), "the unit is no part of it");
        }
        if stripe.locations.contains(&add.unit) {
            return Effects::quiet(Outcome::Stands);
        }
        let effects = self.change_stripe(index, add.stripe, |stripe| {
            stripe.locations.push(add.unit);
            stripe.locations.sort_unstable();
        });
        self.settle_waiting();
        effects
    }

    /// Damage was found there: it is asked again once it has said that it holds all.
    pub(super) fn remove_location(&mut self, index: u64, remove: &StripeAndUnit) -> Effects {
        let row = self.stripes.get(&remove.stripe);
        if !row.is_some_and(|row| row.locations.contains(&remove.unit)) {
            return Effects::quiet(Outcome::Stands);
        }
        self.change_stripe(index, remove.stripe, |stripe| {
            stripe.locations.retain(|unit| *unit != remove.unit);
        })
    }

    fn change_stripe(&mut self, index: u64, id: u64, change: impl FnOnce(&mut Stripe)) -> Effects {
        if let Some(stripe) = self.stripes.get_mut(&id) {
            change(stripe);
        }
        let changed = v1::StripeChanged {
            stripe: self.stripe_state(id),
            lanes: self.lane_states_on(id),
            raft_index: index,
        };
        Effects {
            outcome: Outcome::Stands,
            events: vec![Event::StripeChanged(changed)],
            members_changed: false,
        }
    }

    pub(crate) fn is_active(&self, unit: u64) -> bool {
        let row = self.units.get(&unit);
        row.is_some_and(|row| row.state() == UnitState::Active)
    }

    /// Not Dead: what it holds counts.
    pub(crate) fn is_alive(&self, unit: u64) -> bool {
        let row = self.units.get(&unit);
        row.is_some_and(|row| row.state() != UnitState::Dead)
    }

    /// How many Active units are known to hold all of a closed stripe, without this one.
    pub(crate) fn holders_but(&self, stripe: &Stripe, unit: u64) -> usize {
        let holds = |id: &&u64| **id != unit && self.is_active(**id);
        stripe.locations.iter().filter(holds).count()
    }

    /// Closed stripes that the unit holds, or should, and too few others are known to hold.
    pub(crate) fn held_by_too_few_but(&self, unit: u64) -> impl Iterator<Item = (u64, &Stripe)> {
        let needs = move |(_, stripe): &(&u64, &Stripe)| {
            let part = stripe.units.contains(&unit) || stripe.locations.contains(&unit);
            part && self.has_records(stripe) && self.holders_but(stripe, unit) < stripe.units.len()
        };
        let closed = self.stripes.iter().filter(|(_, stripe)| stripe.closed);
        closed.filter(needs).map(|(id, stripe)| (*id, stripe))
    }

    /// Of a closed one: whether there is anything to hold, that is not trimmed.
    pub(crate) fn has_records(&self, stripe: &Stripe) -> bool {
        stripe.last_lsn >= stripe.first_lsn.max(self.history.trim_lsn)
    }

    pub(crate) fn open_stripes_over(&self, unit: u64) -> usize {
        let stripes = self.stripes.values();
        let over = |stripe: &&Stripe| !stripe.closed && stripe.units.contains(&unit);
        stripes.filter(over).count()
    }
}
