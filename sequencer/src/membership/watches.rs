//! What the leader seals and closes: lanes of owners that are gone (LOG-D5), stripes that lost their units (LOG-D6).
use crate::membership::copies::Copies;
use crate::membership::placement::{Placed, Redundancy, Sight};
use crate::order::Stripe;
use crate::order::command::{CloseStripe, Kind, OpenStripe, SealLane};
use dfs_wire::v1::UnitState;
use std::collections::BTreeMap;

/// An owner that is gone for so long does not come back to its lanes; whoever does is given successors.
pub(crate) const GONE_US: u64 = 10_000_000;
/// A stripe below W for so long is closed.
pub(crate) const WEAK_US: u64 = 500_000;
/// A new leader hears of everybody within this, before it counts who is missing on a stripe.
pub(crate) const SETTLE_US: u64 = 1_000_000;
/// Lanes sealed at one look: a process with thousands of lanes must not stop the cuts of others.
const SEALS_MAX: usize = 64;

/// Since when somebody is missed. A leader's memory: empty when leadership begins.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// The first look since the timers were started.
    begun_us: Option<u64>,
    /// (node, incarnation) that owns open lanes and does not beat.
    owners: BTreeMap<(u64, u64), u64>,
    /// Open stripes with fewer than W live units.
    stripes: BTreeMap<u64, u64>,
    copies: Copies,
}

impl Watches {
    /// All timers start anew: the leader stood still, or nobody could be heard.
    pub(crate) fn restart(&mut self) {
        *self = Watches::default();
    }

    /// What is to be proposed now.
    pub(crate) fn look(
        &mut self,
        sight: &Sight<'_>,
        redundancy: Redundancy,
        now_us: u64,
    ) -> Vec<Kind> {
        let begun_us = *self.begun_us.get_or_insert(now_us);
        let mut verdicts = self.seal(sight, now_us);
        self.note_weak(sight, now_us);
        if now_us.saturating_sub(begun_us) >= SETTLE_US {
            verdicts.extend(self.close(sight, redundancy, now_us));
            verdicts.extend(self.copies.look(sight, now_us));
        }
        verdicts
    }

    fn seal(&mut self, sight: &Sight<'_>, now_us: u64) -> Vec<Kind> {
        let lanes = || sight.order.lanes.iter().filter(|(_, lane)| !lane.sealed);
        let mut missed = BTreeMap::new();
        for (_, lane) in lanes() {
            let owner = (lane.owner_node, lane.owner_incarnation);
            if !sight.beats(owner) {
                let since = self.owners.get(&owner).copied().unwrap_or(now_us);
                missed.insert(owner, since);
            }
        }
        self.owners = missed;
        let is_gone = |owner: &(u64, u64)| {
            let since = self.owners.get(owner);
            since.is_some_and(|since| now_us.saturating_sub(*since) >= GONE_US)
        };
        let gone = lanes()
            .filter(|(_, lane)| is_gone(&(lane.owner_node, lane.owner_incarnation)))
            .take(SEALS_MAX);
        gone.map(|(id, _)| Kind::SealLane(SealLane { lane: *id }))
            .collect()
    }

    fn note_weak(&mut self, sight: &Sight<'_>, now_us: u64) {
        let weak = |stripe: &Stripe| {
            let live = stripe.units.iter().filter(|unit| sight.is_live(**unit));
            !stripe.closed && live.count() < stripe.write_quorum as usize
        };
        let stripes = sight.order.stripes.iter();
        let weak = stripes.filter(|(_, stripe)| weak(stripe)).map(|(id, _)| {
            let since = self.stripes.get(id).copied().unwrap_or(now_us);
            (*id, since)
        });
        self.stripes = weak.collect();
    }

    /// Once another set of R live units exists: without one, waiting for those that are away is better.
    fn close(&self, sight: &Sight<'_>, redundancy: Redundancy, now_us: u64) -> Vec<Kind> {
        let is_lost = |id: &u64, stripe: &Stripe| {
            let since = self.stripes.get(id);
            let weak = since.is_some_and(|since| now_us.saturating_sub(*since) >= WEAK_US);
            !stripe.closed && (weak || stripe.units.iter().any(|unit| is_leaving(sight, *unit)))
        };
        let mut stripes = sight.order.stripes.iter();
        let Some((id, _)) = stripes.find(|(id, stripe)| is_lost(id, stripe)) else {
            return Vec::new();
        };
        // A whole set has W live units and none that leaves, so it is never the lost one.
        let Some(Placed {
            units,
            write_quorum,
        }) = sight.place_whole(redundancy, &[])
        else {
            return Vec::new();
        };
        let open = OpenStripe {
            units,
            write_quorum,
        };
        let close = CloseStripe { stripe: *id };
        vec![Kind::OpenStripe(open), Kind::CloseStripe(close)]
    }
}

fn is_leaving(sight: &Sight<'_>, unit: u64) -> bool {
    let row = sight.order.units.get(&unit);
    row.is_none_or(|row| matches!(row.state(), UnitState::Dead | UnitState::Draining))
}
