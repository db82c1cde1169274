//! OpenStripe and CloseStripe: write sets are immutable (LOG-I12).
use crate::order::command::OpenStripe;
use crate::order::register::next_id;
use crate::order::{Effects, Event, Order, Outcome, Stripe};
use dfs_wire::{Code, v1};
use std::collections::BTreeSet;

impl Order {
    /// The open stripe over exactly these units with this quorum; opened if there is none.
    pub(super) fn open_stripe(&mut self, index: u64, open: &OpenStripe) -> Effects {
        let units: BTreeSet<u64> = open.units.iter().copied().collect();
        let unknown = units.iter().any(|id| !self.units.contains_key(id));
        let quorum = open.write_quorum as usize;
        if unknown || units.len() != open.units.len() || quorum == 0 || quorum > units.len() {
            let what = format!("stripe over units {:?}", open.units);
            let why = "it names unknown units, one twice, or a write quorum outside of them";
            return Effects::refused(Code::Invalid, what, why);
        }
        let units: Vec<u64> = units.into_iter().collect();
        let same = |stripe: &Stripe| {
            !stripe.closed && stripe.units == units && stripe.write_quorum == open.write_quorum
        };
        if let Some((id, _)) = self.stripes.iter().find(|(_, stripe)| same(stripe)) {
            return Effects::quiet(Outcome::StripeOpened { stripe: *id });
        }
        let id = next_id(self.stripes.keys());
        let stripe = Stripe {
            units,
            write_quorum: open.write_quorum,
            first_lsn: self.next_lsn,
            ..Stripe::default()
        };
        self.stripes.insert(id, stripe);
        let opened = v1::StripeOpened {
            stripe: self.stripe_state(id),
            raft_index: index,
        };
        Effects {
            outcome: Outcome::StripeOpened { stripe: id },
            events: vec![Event::StripeOpened(opened)],
            members_changed: false,
        }
    }

    /// Seals the stripe's lanes with it.
    pub(super) fn close_stripe(&mut self, index: u64, id: u64) -> Effects {
        let last_lsn = self.next_lsn - 1;
        let Some(stripe) = self.stripes.get_mut(&id) else {
            let what = format!("stripe {id}");
            return Effects::refused(Code::NotFound, what, "there is no such stripe");
        };
        if stripe.closed {
            return Effects::quiet(Outcome::Stands);
        }
        stripe.closed = true;
        stripe.last_lsn = last_lsn;
        let on_it = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.stripe == id && !lane.sealed);
        let lanes: Vec<u64> = on_it.map(|(lane, _)| *lane).collect();
        let mut events = Vec::with_capacity(lanes.len() + 1);
        for lane in lanes {
            events.extend(self.seal_lane(index, lane).events);
        }
        let closed = v1::StripeClosed {
            stripe: id,
            last_lsn,
            raft_index: index,
        };
        events.push(Event::StripeClosed(closed));
        Effects {
            outcome: Outcome::Stands,
            events,
            members_changed: false,
        }
    }
}
