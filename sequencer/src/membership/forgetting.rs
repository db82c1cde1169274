//! Which cuts can be forgotten, because units have stamped them (LOG-U6).
use crate::membership::holdings::{Holdings, first_held};
use crate::order::Order;
use crate::order::command::StripeWaits;
use crate::order::waiting::WAITING_RUNS_MAX;
use std::collections::BTreeMap;

/// Cuts to forget, as a proposal names them.
#[derive(Debug, Default)]
pub(super) struct Forgettable {
    pub(super) through: u64,
    pub(super) waits: Vec<StripeWaits>,
}

impl Holdings {
    /// The newest cut that, with all before it, W units of every stripe it touches have stamped; where many
    /// are held, of every open stripe: the others wait by themselves.
    pub(super) fn forgettable(&self, order: &Order, set_aside_from: usize) -> Forgettable {
        let sets_aside = order.cuts.len() >= set_aside_from;
        let mut through = first_held(order) - 1;
        let mut stamped = BTreeMap::new();
        let mut waits = BTreeMap::new();
        for cut in &order.cuts {
            let mut lanes = cut.lanes.iter();
            let all = lanes.all(|lane| {
                let Some(lane) = order.lanes.get(&lane.lane) else {
                    return true;
                };
                let by_quorum = stamped
                    .entry(lane.stripe)
                    .or_insert_with(|| self.stamped_by_quorum(order, lane.stripe));
                let closed = || {
                    order
                        .stripes
                        .get(&lane.stripe)
                        .is_some_and(|row| row.closed)
                };
                let waits_alone = *by_quorum < cut.cut_seq && sets_aside && closed();
                if waits_alone {
                    waits.insert(lane.stripe, *by_quorum);
                }
                waits_alone || *by_quorum >= cut.cut_seq
            });
            if !all {
                break;
            }
            through = cut.cut_seq;
        }
        let wait = |(stripe, stamped_through)| StripeWaits {
            stripe,
            stamped_through,
        };
        let waits: Vec<StripeWaits> = waits.into_iter().map(wait).collect();
        Forgettable {
            through: with_room(order, through, &waits),
            waits,
        }
    }
}

/// As far as there is room in the rows, by the same bound as where it is applied.
fn with_room(order: &Order, through: u64, waits: &[StripeWaits]) -> u64 {
    let mut room = WAITING_RUNS_MAX.saturating_sub(order.waiting_runs());
    let going = order.cuts.iter();
    for cut in going.take_while(|cut| cut.cut_seq <= through) {
        if !order.rows_of(cut, waits).is_empty() {
            let Some(left) = room.checked_sub(cut.lanes.len()) else {
                return cut.cut_seq - 1;
            };
            room = left;
        }
    }
    through
}
