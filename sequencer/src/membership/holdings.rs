//! What units durably hold above the cut, and the lengths that may be cut next (LOG-D1, D2).
use crate::membership::forgetting::Forgettable;
use crate::order::command::{ProposedEnd, StripeWaits};
use crate::order::{CUTS_HELD_MAX, Order, Stripe};
use dfs_wire::limits::FRAME_ENDS_KEPT;
use dfs_wire::v1;
use dfs_wire::v1::UnitState;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lanes in one cut: bounds the size of a Raft entry (about 30 bytes each).
const CUT_LANES_MAX: usize = 4_096;
/// A cut that only forgets is proposed when this many can go: it keeps Base small on an idle log.
const FORGET_ALONE_FROM: u64 = 1_024;

/// The end of a frame: idx and chain after it.
type End = (u64, u128);

/// Everything that units have said. Nothing else counts (LOG-D1).
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    units: BTreeMap<u64, Holding>,
    /// Lanes that may have a candidate: reported on since it was last found that they have none.
    stirred: BTreeSet<u64>,
}

#[derive(Debug)]
struct Holding {
    /// Which conversation it came from: an older one is not listened to any more.
    stream: u64,
    open: bool,
    full: bool,
    stamped_through: u64,
    lanes: BTreeMap<u64, Held>,
    /// Lanes damaged from this idx on, until the unit has repaired them: nothing behind it counts.
    lossy: BTreeMap<u64, u64>,
    /// Closed stripes of which it has said that it holds all; and those in which it has found damage.
    whole: BTreeSet<u64>,
    torn: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Held {
    /// The first ends above the cut, rising.
    ends: VecDeque<End>,
    /// The newest end, when it lies beyond those: so a unit that ran far ahead is not forgotten for good.
    newest: Option<End>,
    durable_idx: u64,
    reported_us: u64,
}

/// Units hold different bytes at one place: never cut, and a person must look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differing {
    pub(crate) lane: u64,
    pub(crate) end_idx: u64,
    pub(crate) unit: u64,
    pub(crate) other: u64,
}

/// What to propose next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) ends: Vec<ProposedEnd>,
    pub(crate) forget_through: u64,
    pub(crate) waits: Vec<StripeWaits>,
}

impl Held {
    fn add(&mut self, end: End, now_us: u64) {
        self.durable_idx = self.durable_idx.max(end.0);
        self.reported_us = now_us;
        if self.last().is_some_and(|last| end.0 <= last.0) {
            return;
        }
        if self.ends.len() < FRAME_ENDS_KEPT && self.newest.is_none() {
            self.ends.push_back(end);
        } else {
            self.newest = Some(end);
        }
    }

    fn last(&self) -> Option<&End> {
        self.newest.as_ref().or(self.ends.back())
    }

    fn forget_through(&mut self, length: u64) {
        while self.ends.front().is_some_and(|end| end.0 <= length) {
            self.ends.pop_front();
        }
        self.newest = self.newest.filter(|end| end.0 > length);
        if self.ends.is_empty() {
            self.ends.extend(self.newest.take());
        }
    }

    /// The chain at exactly this end, if it is one of those known.
    fn chain_at(&self, idx: u64) -> Option<u128> {
        if let Some((_, chain)) = self.newest.filter(|newest| newest.0 == idx) {
            return Some(chain);
        }
        let at = self.ends.binary_search_by_key(&idx, |end| end.0).ok()?;
        Some(self.ends[at].1)
    }

    /// Known ends at or below `most`, falling.
    fn falling(&self, most: u64) -> impl Iterator<Item = &End> {
        self.newest
            .iter()
            .chain(self.ends.iter().rev())
            .filter(move |end| end.0 <= most)
    }
}

impl Holding {
    fn add_all(&mut self, order: &Order, ends: &[v1::FrameEnd], now_us: u64) -> Vec<u64> {
        let mut stirred = Vec::new();
        for end in ends {
            let Some(lane) = order.lanes.get(&end.lane) else {
                continue;
            };
            if self
                .lossy
                .get(&end.lane)
                .is_some_and(|from| end.end_idx > *from)
            {
                continue;
            }
            let held = self.lanes.entry(end.lane).or_default();
            if end.end_idx > lane.length {
                held.add((end.end_idx, chain_of(end)), now_us);
                stirred.push(end.lane);
            } else {
                held.durable_idx = held.durable_idx.max(end.end_idx);
                held.reported_us = now_us;
            }
        }
        stirred
    }
}

fn chain_of(end: &v1::FrameEnd) -> u128 {
    dfs_wire::frame::chain_of(end.chain_high, end.chain_low)
}

impl Holdings {
    /// A Hello replaces everything known of the unit before (LOG-D1).
    pub(crate) fn hello(&mut self, order: &Order, hello: &v1::UnitHello, stream: u64, now_us: u64) {
        let mut holding = Holding {
            stream,
            open: true,
            full: hello.full,
            stamped_through: hello.stamped_through,
            lanes: BTreeMap::new(),
            lossy: lossy(&hello.bad_ranges),
            whole: hello.whole_stripes.iter().copied().collect(),
            torn: damaged(order, &hello.bad_ranges),
        };
        self.stirred
            .extend(holding.add_all(order, &hello.ends, now_us));
        self.units.insert(hello.unit_id, holding);
    }

    /// False when the report is of a conversation that has been replaced: nothing of it counts.
    pub(crate) fn durable(
        &mut self,
        order: &Order,
        unit: u64,
        stream: u64,
        durable: &v1::Durable,
        now_us: u64,
    ) -> bool {
        let Some(holding) = self
            .units
            .get_mut(&unit)
            .filter(|known| known.stream == stream)
        else {
            return false;
        };
        holding.full = durable.full;
        for lane in &durable.whole_lanes {
            holding.lossy.remove(lane);
        }
        for stripe in &durable.torn_stripes {
            holding.whole.remove(stripe);
            holding.torn.insert(*stripe);
        }
        for stripe in &durable.whole_stripes {
            holding.whole.insert(*stripe);
            holding.torn.remove(stripe);
        }
        holding.stamped_through = holding.stamped_through.max(durable.stamped_through);
        let stirred = holding.add_all(order, &durable.ends, now_us);
        self.stirred.extend(stirred);
        true
    }

    /// The conversation ended. What the unit reported stays durable there, and counts on.
    pub(crate) fn closed(&mut self, unit: u64, stream: u64) -> bool {
        let known = self
            .units
            .get_mut(&unit)
            .filter(|known| known.stream == stream && known.open);
        known.is_some_and(|holding| {
            holding.open = false;
            true
        })
    }

    /// Dead units count for nothing until the same (id, nonce) says Hello again.
    pub(crate) fn drop_dead(&mut self, order: &Order) {
        let dead = |id: &u64| {
            order
                .units
                .get(id)
                .is_none_or(|unit| unit.state() == UnitState::Dead)
        };
        self.units.retain(|id, _| !dead(id));
    }

    /// What the unit said of a closed stripe since its last Hello.
    pub(crate) fn holds_all(&self, unit: u64, stripe: u64) -> bool {
        let known = self.units.get(&unit);
        known.is_some_and(|known| known.whole.contains(&stripe))
    }

    pub(crate) fn is_torn(&self, unit: u64, stripe: u64) -> bool {
        let known = self.units.get(&unit);
        known.is_some_and(|known| known.torn.contains(&stripe))
    }

    pub(crate) fn is_open(&self, unit: u64) -> bool {
        self.units.get(&unit).is_some_and(|known| known.open)
    }

    pub(crate) fn is_full(&self, unit: u64) -> bool {
        self.units.get(&unit).is_some_and(|known| known.full)
    }

    /// A cut was applied: what lies below it needs no keeping.
    pub(crate) fn cut(&mut self, cut: &v1::Cut) {
        for lane in &cut.lanes {
            for holding in self.units.values_mut() {
                if let Some(held) = holding.lanes.get_mut(&lane.lane) {
                    held.forget_through(lane.to_idx);
                }
            }
        }
    }

    /// Sealed lanes have left with what was trimmed.
    pub(crate) fn trimmed(&mut self, order: &Order) {
        for holding in self.units.values_mut() {
            holding.lanes.retain(|id, _| order.lanes.contains_key(id));
            holding.lossy.retain(|id, _| order.lanes.contains_key(id));
        }
    }

    /// The next cut, or `None` when nothing has advanced (LOG-D3).
    /// From `set_aside_from` held cuts on, closed stripes hold back none (LOG-U6).
    pub(crate) fn propose(&mut self, order: &Order, set_aside_from: usize) -> Option<Proposal> {
        let Forgettable {
            through: forget_through,
            waits,
        } = self.forgettable(order, set_aside_from);
        let forgets = forget_through.saturating_sub(first_held(order) - 1);
        let left = (order.cuts.len() as u64).saturating_sub(forgets);
        let mut ends = Vec::new();
        if left < CUTS_HELD_MAX as u64 {
            ends = self.candidates(order);
        }
        let worth_it = !ends.is_empty() || forgets >= FORGET_ALONE_FROM;
        worth_it.then_some(Proposal {
            ends,
            forget_through,
            waits,
        })
    }

    fn candidates(&mut self, order: &Order) -> Vec<ProposedEnd> {
        let mut ends = Vec::new();
        let mut settled = Vec::new();
        for lane in &self.stirred {
            if ends.len() == CUT_LANES_MAX {
                break;
            }
            match self.candidate(order, *lane) {
                Some((end_idx, chain)) => {
                    let (chain_high, chain_low) = dfs_wire::frame::chain_halves(chain);
                    ends.push(ProposedEnd {
                        lane: *lane,
                        end_idx,
                        chain_high,
                        chain_low,
                    });
                }
                None => settled.push(*lane),
            }
        }
        for lane in settled {
            self.stirred.remove(&lane);
        }
        ends
    }

    /// LOG-D2: the largest end that W units of the stripe reported with the same chain.
    fn candidate(&self, order: &Order, id: u64) -> Option<End> {
        let lane = order.lanes.get(&id).filter(|lane| !lane.sealed)?;
        let stripe = order.stripes.get(&lane.stripe)?;
        let held = self.held_by(order, stripe, id);
        let quorum = stripe.write_quorum as usize;
        let mut reach: Vec<u64> = held
            .iter()
            .filter_map(|held| held.last().map(|l| l.0))
            .collect();
        reach.sort_unstable_by(|a, b| b.cmp(a));
        // No end beyond what W units reach can be one.
        let most = *reach.get(quorum - 1)?;
        let agreed = |end: &&End| {
            let chains = held.iter().filter_map(|held| held.chain_at(end.0));
            let (same, other): (Vec<_>, Vec<_>) = chains.partition(|chain| *chain == end.1);
            same.len() >= quorum && same.len() > other.len()
        };
        let found = held
            .iter()
            .filter_map(|held| held.falling(most).find(agreed))
            .max()?;
        assert!(found.0 > lane.length, "I4: a candidate below the cut");
        Some(*found)
    }

    /// What the stripe's units said of the lane; the Dead say nothing.
    fn held_by(&self, order: &Order, stripe: &Stripe, lane: u64) -> Vec<&Held> {
        let alive = |id: &&u64| {
            order
                .units
                .get(id)
                .is_some_and(|unit| unit.state() != UnitState::Dead)
        };
        let units = stripe.units.iter().filter(alive);
        units
            .filter_map(|unit| self.units.get(unit)?.lanes.get(&lane))
            .collect()
    }

    /// Of the stripe; all of it, once nobody has to be waited for.
    pub(super) fn stamped_by_quorum(&self, order: &Order, stripe: u64) -> u64 {
        let Some(stripe) = order.stripes.get(&stripe) else {
            return 0;
        };
        // Some of its own may have left, and what was copied is stamped.
        if order.is_settled(stripe) {
            return u64::MAX;
        }
        let known = |unit: &u64| self.units.get(unit).map(|known| known.stamped_through);
        let mut stamped: Vec<u64> = stripe.units.iter().filter_map(known).collect();
        stamped.sort_unstable_by(|a, b| b.cmp(a));
        stamped
            .get(stripe.write_quorum as usize - 1)
            .copied()
            .unwrap_or(0)
    }

    /// Ends at which this unit's chain differs from another unit's of the same stripe.
    pub(crate) fn differing(
        &self,
        order: &Order,
        unit: u64,
        ends: &[v1::FrameEnd],
    ) -> Option<Differing> {
        ends.iter().find_map(|end| {
            let lane = order.lanes.get(&end.lane)?;
            let stripe = order.stripes.get(&lane.stripe)?;
            let differs = |other: &&u64| {
                let held = self
                    .units
                    .get(other)
                    .and_then(|other| other.lanes.get(&end.lane));
                let chain = held.and_then(|held| held.chain_at(end.end_idx));
                chain.is_some_and(|chain| chain != chain_of(end))
            };
            let other = stripe
                .units
                .iter()
                .filter(|other| **other != unit)
                .find(differs)?;
            let (lane, end_idx) = (end.lane, end.end_idx);
            Some(Differing {
                lane,
                end_idx,
                unit,
                other: *other,
            })
        })
    }

    /// Units that have said nothing new of an open lane for `quiet_us`, and hold less than its cut.
    pub(crate) fn lagging(&self, order: &Order, now_us: u64, quiet_us: u64) -> Vec<v1::UnitLag> {
        let mut lags = Vec::new();
        for (unit, holding) in &self.units {
            for (id, held) in &holding.lanes {
                let lane = order.lanes.get(id).filter(|lane| !lane.sealed);
                let Some(lane) = lane.filter(|lane| held.durable_idx < lane.length) else {
                    continue;
                };
                if now_us.saturating_sub(held.reported_us) >= quiet_us {
                    let (durable_idx, cut_idx) = (held.durable_idx, lane.length);
                    lags.push(v1::UnitLag {
                        unit_id: *unit,
                        lane: *id,
                        durable_idx,
                        cut_idx,
                    });
                }
            }
        }
        lags
    }
}

/// Stripes of which something is damaged.
fn damaged(order: &Order, bad_ranges: &[v1::LaneRange]) -> BTreeSet<u64> {
    let lanes = bad_ranges.iter();
    let lanes = lanes.filter_map(|bad| order.lanes.get(&bad.lane));
    lanes.map(|lane| lane.stripe).collect()
}

/// Where the damage of each lane begins.
fn lossy(bad_ranges: &[v1::LaneRange]) -> BTreeMap<u64, u64> {
    let mut lossy = BTreeMap::new();
    for bad in bad_ranges {
        let first = lossy.entry(bad.lane).or_insert(bad.first_idx);
        *first = bad.first_idx.min(*first);
    }
    lossy
}

/// The cut_seq of the oldest cut held; one past the newest when none is.
pub(super) fn first_held(order: &Order) -> u64 {
    order
        .cuts
        .front()
        .map_or(order.cut_seq + 1, |cut| cut.cut_seq)
}
