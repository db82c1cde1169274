//! Closed stripes of other units that this one copies: their lanes, their stamps, whom it gets them from (LOG.md §6).

use dfs_wire::frame::chain_of;
use dfs_wire::v1;

use crate::unit::lane::Lane;
use crate::unit::note::Stamp;
use crate::unit::runs::Runs;
use crate::unit::stamps::Unknown;
use crate::unit::state::{Stripe, Unit};
use crate::unit::trim::is_trimmed;

/// One of them. What this unit knows of LSNs elsewhere says nothing of this stripe.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// Unknown until the sequencer has named it again.
    pub(super) bounds: Option<(u64, u64)>,
    pub(super) runs: Runs,
}

impl Unit {
    /// A stripe that this unit holds, or copies.
    pub(crate) fn stripe(&self, id: u64) -> Option<Stripe> {
        let copied = || {
            let (first_lsn, last_lsn) = self.copies.get(&id)?.bounds?;
            let last_lsn = Some(last_lsn);
            Some(Stripe {
                first_lsn,
                last_lsn,
            })
        };
        self.stripes.get(&id).copied().or_else(copied)
    }

    /// Where the records of a stripe lie, among others.
    pub(crate) fn runs_of(&self, stripe: u64) -> &Runs {
        let copied = self.copies.get(&stripe);
        let copied = copied.filter(|_| !self.stripes.contains_key(&stripe));
        copied.map_or(&self.runs, |copied| &copied.runs)
    }

    /// The copied stripe that the lane belongs to.
    pub(super) fn copied_of(&self, lane: &Lane) -> Option<u64> {
        let is_copied = |id: &u64| self.copies.contains_key(id) && !self.stripes.contains_key(id);
        lane.stripe.filter(is_copied)
    }

    /// What lies below the trim, and copies of which nothing is left.
    pub(super) fn trim_copies(&mut self) {
        let trim_lsn = self.trim_lsn;
        let is_over = |copied: &Copied| copied.bounds.is_some_and(|(_, last)| last < trim_lsn);
        let over = self.copies.iter().filter(|(_, copied)| is_over(copied));
        let over: Vec<u64> = over.map(|(id, _)| *id).collect();
        self.copies.retain(|id, _| !over.contains(id));
        let gone = |lane: &Lane| lane.stripe.is_some_and(|id| over.contains(&id));
        if !over.is_empty() {
            self.forget_lanes(|_, lane| gone(lane));
        }
        let copies = self.copies.values_mut();
        copies.for_each(|copied| copied.runs.trim(trim_lsn));
    }

    /// The end of the LSNs from `lsn` on of which all is known that lies on the stripe.
    pub(crate) fn covered_until(&self, stripe: u64, lsn: u64) -> Option<u64> {
        let known = self.runs_of(stripe).covered_until(lsn);
        let last = self.stripe(stripe).and_then(|stripe| stripe.last_lsn);
        let beyond = last.is_some_and(|last| lsn > last);
        known.or(beyond.then_some(u64::MAX))
    }

    /// All that may have what the stripe holds; the Dead have nothing.
    pub(super) fn know_holders(&mut self, stripe: &v1::StripeState) {
        let all = stripe.units.iter().chain(&stripe.copies);
        let alive = all.filter(|unit| unit.state() != v1::UnitState::Dead);
        self.know_peers(stripe.stripe, alive);
    }

    /// Opened, copied, or held by one more.
    pub(crate) fn stripe_changed(&mut self, changed: &v1::StripeChanged) {
        if let Some(stripe) = &changed.stripe {
            if stripe.units.iter().any(|unit| unit.unit_id == self.unit_id) {
                self.know_holders(stripe);
                self.stripes.insert(stripe.stripe, Stripe::of(stripe));
            }
            self.copy(stripe, &changed.lanes, self.trim_lsn);
            self.trim(self.trim_lsn); // lanes of which nothing is left are listed still
            self.settle_closed();
        }
    }

    pub(crate) fn stripe_closed(&mut self, closed: &v1::StripeClosed) {
        if let Some(stripe) = self.stripes.get_mut(&closed.stripe) {
            stripe.last_lsn = Some(closed.last_lsn);
            self.settle_closed();
        }
    }

    /// Begins, or goes on, if this unit was asked to. `lanes`: the stripe's, among others.
    pub(super) fn copy(
        &mut self,
        stripe: &v1::StripeState,
        lanes: &[v1::LaneState],
        trim_lsn: u64,
    ) {
        let id = stripe.stripe;
        let asked = stripe
            .copies
            .iter()
            .any(|unit| unit.unit_id == self.unit_id);
        let over = stripe.last_lsn < trim_lsn;
        if !asked || !stripe.closed || over || self.stripes.contains_key(&id) {
            return;
        }
        self.know_holders(stripe);
        let copied = self.copies.entry(id).or_default();
        copied.bounds = Some((stripe.first_lsn, stripe.last_lsn));
        let left = |lane: &&v1::LaneState| lane.stripe == id && !is_trimmed(lane, trim_lsn);
        for state in lanes.iter().filter(left) {
            let owner = state.owner.unwrap_or_default();
            let chain = self.first_chain(state.lane, owner);
            self.know_lane(state.lane, id, chain, owner);
            if let Some(lane) = self.lanes.get_mut(&state.lane) {
                let chain = chain_of(state.chain_high, state.chain_low);
                let agrees = lane.copy(state.length, chain);
                self.after_check(state.lane, agrees);
            }
        }
    }

    /// As [`Unit::cover`], of a stamp that is about one copied stripe.
    pub(super) fn cover_copied(&mut self, stripe: u64, stamp: &Stamp) {
        // No cut waits for a copy.
        self.compare(&stamp.runs, 0);
        let copied = self.copies.entry(stripe).or_default();
        let lsns = stamp.known_from_lsn..stamp.next_lsn;
        copied.runs.learn(lsns, &stamp.runs());
    }

    /// The first LSNs of each copied stripe whose stamps are missing.
    pub(super) fn unknown_copies(&self) -> impl Iterator<Item = Unknown> {
        let copies = self.copies.iter().filter(|(id, _)| {
            let shared = !self.peers(**id).is_empty() || self.set_aside.contains_key(id);
            shared && !self.stripes.contains_key(id)
        });
        copies.filter_map(|(id, copied)| {
            let (first_lsn, last_lsn) = copied.bounds?;
            let from = first_lsn.max(self.trim_lsn).max(1);
            let lsns = copied.runs.first_uncovered(from..last_lsn + 1)?;
            Some(Unknown {
                lsns,
                stripes: vec![*id],
                copied: Some(*id),
            })
        })
    }
}
