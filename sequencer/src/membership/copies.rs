//! Which closed stripes are held by too few, and who copies them (LOG.md §6). Liveness is a leader's memory.
use crate::membership::placement::Sight;
use crate::order::Stripe;
use crate::order::command::{Kind, StripeAndUnit};
use std::collections::{BTreeMap, BTreeSet};

/// A unit that copies and is not there for so long is not waited for: another one copies, too.
pub(crate) const COPIER_GONE_US: u64 = 10_000_000;
/// Found at one look: as many Raft entries are nothing beside cuts, and the next look is soon.
const FOUND_MAX: usize = 16;

/// Since when units that copy are missed.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    missed: BTreeMap<u64, u64>,
}

impl Copies {
    /// What is to be proposed now.
    pub(crate) fn look(&mut self, sight: &Sight<'_>, now_us: u64) -> Vec<Kind> {
        let closed = || {
            let stripes = sight.order.stripes.iter();
            stripes.filter(|(_, stripe)| stripe.closed && sight.order.has_records(stripe))
        };
        let unfinished = |stripe: &'_ Stripe| {
            let lacks =
                |unit: &u64| !stripe.locations.contains(unit) && sight.order.is_alive(*unit);
            let copies = stripe.copies.iter().copied();
            copies.filter(lacks).collect::<Vec<u64>>()
        };
        let mut busy: BTreeSet<u64> = closed().flat_map(|(_, row)| unfinished(row)).collect();
        let away = busy.iter().filter(|unit| !sight.is_there(**unit));
        let since = |unit: &u64| (*unit, self.missed.get(unit).copied().unwrap_or(now_us));
        self.missed = away.map(since).collect();
        let mut found = Vec::new();
        for (id, stripe) in closed() {
            found.extend(told_whole(sight, *id, stripe).map(Kind::AddLocation));
            found.extend(told_torn(sight, *id, stripe).map(Kind::RemoveLocation));
            if let Some(unit) = self.copier(sight, stripe, &busy, now_us) {
                // One at a time: a unit takes part in what is written now as well.
                busy.insert(unit);
                found.push(Kind::CopyStripe(StripeAndUnit { stripe: *id, unit }));
            }
            if found.len() >= FOUND_MAX {
                break;
            }
        }
        found
    }

    /// Who should copy the stripe, if fewer hold it, or are about to, than its write set had.
    fn copier(
        &self,
        sight: &Sight<'_>,
        stripe: &Stripe,
        busy: &BTreeSet<u64>,
        now_us: u64,
    ) -> Option<u64> {
        let gives_up = |unit: &u64| {
            let since = self.missed.get(unit);
            !stripe.locations.contains(unit)
                && since.is_some_and(|since| now_us.saturating_sub(*since) >= COPIER_GONE_US)
        };
        let all = stripe.units.iter().chain(&stripe.copies).copied();
        let part: Vec<u64> = all.collect();
        let stays = |unit: &&u64| sight.order.is_active(**unit) && !gives_up(unit);
        let staying: Vec<u64> = part.iter().filter(stays).copied().collect();
        if staying.len() >= stripe.units.len() {
            return None;
        }
        let takes =
            |unit: &u64| sight.is_usable(*unit) && !part.contains(unit) && !busy.contains(unit);
        let units = sight.order.units.keys().copied();
        let free: Vec<u64> = units.filter(takes).collect();
        sight.best_beside(&staying, &free)
    }
}

/// Units that have said so, and are not noted yet.
fn told_whole(sight: &Sight<'_>, id: u64, stripe: &Stripe) -> impl Iterator<Item = StripeAndUnit> {
    let part = stripe.units.iter().chain(&stripe.copies);
    let told = part.filter(move |unit| {
        !stripe.locations.contains(unit)
            && sight.order.is_alive(**unit)
            && sight.holdings.holds_all(**unit, id)
    });
    told.map(move |unit| StripeAndUnit {
        stripe: id,
        unit: *unit,
    })
}

/// Units that were locations, and have found damage since.
fn told_torn(sight: &Sight<'_>, id: u64, stripe: &Stripe) -> impl Iterator<Item = StripeAndUnit> {
    let locations = stripe.locations.iter();
    let torn = locations.filter(move |unit| sight.holdings.is_torn(**unit, id));
    torn.map(move |unit| StripeAndUnit {
        stripe: id,
        unit: *unit,
    })
}
