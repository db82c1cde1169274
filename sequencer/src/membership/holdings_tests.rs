//! Candidates: only what W units hold with one chain is cut; Hello replaces; what is stamped is forgotten.
use super::holdings::{Holdings, Proposal};
use crate::order::command::{
    CloseStripe, Command, Found, Kind, OpenLane, OpenStripe, ProposedCut, ProposedEnd, Register,
    RegisterUnit, SetUnit, StripeAndUnit, Trim,
};
use crate::order::{CUTS_HELD_MAX, Effects, Event, Order, Outcome};
use dfs_wire::limits::FRAME_ENDS_KEPT;
use dfs_wire::v1;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LANE: u64 = 1;

/// Units 1, 2, 3 with R = 3, W = 2 and one lane; reports go in, cuts are applied.
struct Led {
    order: Order,
    holdings: Holdings,
    set_aside_from: usize,
}

impl Led {
    fn new() -> Led {
        let mut led = Led {
            order: Order::default(),
            holdings: Holdings::default(),
            set_aside_from: CUTS_HELD_MAX,
        };
        led.apply(
            &Kind::Found(Found {
                cluster_id: vec![9; 16],
            })
            .into(),
        );
        led.register(&[11, 12, 13]);
        led.open_lane(1, &[1, 2, 3]);
        for unit in 1..=3 {
            led.hello(unit, unit, &[]);
        }
        led
    }

    fn register(&mut self, nonces: &[u8]) {
        let unit = |(slot, nonce): (usize, &u8)| RegisterUnit {
            slot: slot as u32,
            nonce: vec![*nonce; 16],
        };
        let units = nonces.iter().enumerate().map(unit).collect();
        let node_nonce = vec![1; 16];
        let register = Register {
            node_nonce,
            incarnation: 7,
            units,
            ..Register::default()
        };
        self.apply(&Kind::Register(register).into());
    }

    fn open_lane(&mut self, request: u8, units: &[u64]) {
        let open = OpenLane {
            request_id: vec![request; 16],
            owner_node: 1,
            owner_incarnation: 7,
            units: units.to_vec(),
            write_quorum: 2,
        };
        let outcome = self.apply(&Kind::OpenLane(open).into()).outcome;
        assert_eq!(
            outcome,
            Outcome::LaneOpened {
                lane: u64::from(request)
            }
        );
    }

    fn apply(&mut self, command: &Command) -> Effects {
        let effects = self.order.apply(self.order.applied_index + 1, command);
        for event in &effects.events {
            if let Event::Cut(cut) = event {
                self.holdings.cut(cut);
            }
        }
        effects
    }

    fn hello(&mut self, unit: u64, stream: u64, ends: &[(u64, u64)]) {
        let ends = frame_ends(ends);
        let hello = v1::UnitHello {
            unit_id: unit,
            ends,
            ..v1::UnitHello::default()
        };
        self.holdings.hello(&self.order, &hello, stream, 0);
    }

    fn durable(&mut self, unit: u64, stream: u64, ends: &[(u64, u64)], stamped: u64) -> bool {
        let durable = v1::Durable {
            ends: frame_ends(ends),
            stamped_through: stamped,
            full: false,
            ..Default::default()
        };
        self.holdings
            .durable(&self.order, unit, stream, &durable, 0)
    }

    fn lane_durable(
        &mut self,
        unit: u64,
        (lane, end_idx): (u64, u64),
        stamped_through: u64,
    ) -> bool {
        let end = v1::FrameEnd {
            lane,
            end_idx,
            ..v1::FrameEnd::default()
        };
        let durable = v1::Durable {
            ends: vec![end],
            stamped_through,
            ..v1::Durable::default()
        };
        self.holdings.durable(&self.order, unit, unit, &durable, 0)
    }

    /// What can be forgotten is, without a cut.
    fn forget_now(&mut self) {
        let forgettable = self.holdings.forgettable(&self.order, self.set_aside_from);
        let forgets = ProposedCut {
            forget_through: forgettable.through,
            waits: forgettable.waits,
            ..ProposedCut::default()
        };
        self.apply(&Kind::Cut(forgets).into());
    }

    /// Proposes and applies; the end of the lane that came of it, if any.
    fn cut(&mut self) -> Option<u64> {
        let Proposal {
            ends,
            forget_through,
            waits,
        } = self.holdings.propose(&self.order, self.set_aside_from)?;
        let end = ends
            .iter()
            .find(|end| end.lane == LANE)
            .map(|end| end.end_idx);
        self.apply(
            &Kind::Cut(ProposedCut {
                ends,
                log_time_us: 0,
                forget_through,
                waits,
            })
            .into(),
        );
        end
    }
}

/// (end, chain) pairs of the one lane.
fn frame_ends(ends: &[(u64, u64)]) -> Vec<v1::FrameEnd> {
    let end = |(end_idx, chain): &(u64, u64)| v1::FrameEnd {
        lane: LANE,
        end_idx: *end_idx,
        chain_high: 0,
        chain_low: *chain,
    };
    ends.iter().map(end).collect()
}

/// LOG-D2
#[test]
fn the_largest_end_that_two_of_three_hold_is_cut() {
    let mut led = Led::new();
    led.durable(1, 1, &[(2, 20), (5, 50), (9, 90)], 0);
    assert_eq!(led.cut(), None);
    led.durable(3, 3, &[(2, 20), (5, 50)], 0);
    assert_eq!(led.cut(), Some(5));
    assert_eq!(led.cut(), None);
    led.durable(2, 2, &[(2, 20), (5, 50), (9, 90)], 0);
    assert_eq!(led.cut(), Some(9));
    assert_eq!(led.order.next_lsn, 10);
}

#[test]
fn ends_with_different_chains_are_not_cut() {
    let mut led = Led::new();
    led.durable(1, 1, &[(2, 20), (5, 50)], 0);
    led.durable(2, 2, &[(2, 20), (5, 51)], 0);
    assert_eq!(led.cut(), Some(2));
    assert_eq!(led.cut(), None);
    let found = led
        .holdings
        .differing(&led.order, 2, &frame_ends(&[(5, 51)]))
        .expect("they do");
    assert_eq!((found.end_idx, found.unit, found.other), (5, 2, 1));
    // The third decides which of them is not alone.
    led.durable(3, 3, &[(5, 51)], 0);
    assert_eq!(led.cut(), Some(5));
    assert_eq!(led.order.lanes[&LANE].chain_low, 51);
}

/// LOG-D1
#[test]
fn a_hello_replaces_what_was_known_of_the_unit() {
    let mut led = Led::new();
    led.durable(1, 1, &[(5, 50)], 0);
    led.hello(1, 4, &[(3, 30)]);
    led.durable(2, 2, &[(3, 30), (5, 50)], 0);
    assert_eq!(led.cut(), Some(3));
    assert_eq!(led.cut(), None);
}

#[test]
fn a_late_report_of_a_replaced_conversation_is_not_heard() {
    let mut led = Led::new();
    led.hello(1, 4, &[]);
    assert!(!led.durable(1, 1, &[(5, 50)], 0));
    assert!(led.durable(2, 2, &[(5, 50)], 0));
    assert_eq!(led.cut(), None);
    assert!(!led.holdings.closed(1, 1));
    assert!(led.holdings.is_open(1));
}

#[test]
fn what_a_unit_reported_counts_on_when_its_conversation_ends_but_not_when_it_is_dead() {
    let mut led = Led::new();
    led.durable(1, 1, &[(5, 50)], 0);
    assert!(led.holdings.closed(1, 1));
    led.durable(2, 2, &[(5, 50), (7, 70)], 0);
    assert_eq!(led.cut(), Some(5));
    led.durable(3, 3, &[(7, 70)], 0);
    led.register(&[11, 12, 14]);
    led.holdings.drop_dead(&led.order);
    assert_eq!(led.cut(), None);
}

#[test]
fn a_unit_that_ran_far_ahead_is_still_counted() {
    let mut led = Led::new();
    let many = FRAME_ENDS_KEPT as u64 + 500;
    let ends: Vec<(u64, u64)> = (1..=many).map(|end| (end, end)).collect();
    led.durable(1, 1, &ends, 0);
    led.durable(2, 2, &ends[..FRAME_ENDS_KEPT + 100], 0);
    assert_eq!(led.cut(), Some(FRAME_ENDS_KEPT as u64));
    led.durable(2, 2, &ends[FRAME_ENDS_KEPT + 100..], 0);
    assert_eq!(led.cut(), Some(many));
}

/// LOG-U6
#[test]
fn a_cut_is_forgotten_when_a_quorum_of_each_stripe_it_touches_has_stamped_it() {
    let mut led = Led::new();
    for n in 1..=3 {
        led.durable(1, 1, &[(n, n)], 0);
        led.durable(2, 2, &[(n, n)], 0);
        assert_eq!(led.cut(), Some(n));
    }
    led.durable(1, 1, &[(4, 4)], 3);
    led.durable(2, 2, &[(4, 4)], 1);
    assert_eq!(led.cut(), Some(4));
    let held: Vec<u64> = led.order.cuts.iter().map(|cut| cut.cut_seq).collect();
    assert_eq!(held, [2, 3, 4]);
}

#[test]
fn stamps_alone_do_not_wake_an_idle_log_until_there_are_many() {
    let mut led = Led::new();
    for n in 1..=1_023 {
        led.durable(1, 1, &[(n, n)], 0);
        led.durable(2, 2, &[(n, n)], 0);
        led.cut();
    }
    led.durable(1, 1, &[], 1_023);
    led.durable(2, 2, &[], 1_023);
    assert_eq!(led.holdings.propose(&led.order, CUTS_HELD_MAX), None);
    led.durable(1, 1, &[(1_024, 1_024)], 1_023);
    led.durable(3, 3, &[(1_024, 1_024)], 1_023);
    assert_eq!(led.cut(), Some(1_024));
    assert_eq!(led.order.cuts.len(), 1);
}

#[test]
fn two_stripes_are_counted_apart() {
    let mut led = Led::new();
    led.register(&[11, 12, 13, 14, 15]);
    let open = OpenStripe {
        units: vec![3, 4, 5],
        write_quorum: 2,
    };
    led.apply(&Kind::OpenStripe(open).into());
    led.open_lane(2, &[3, 4, 5]);
    for unit in 4..=5 {
        led.hello(unit, unit, &[]);
    }
    let on_both = |end_idx| {
        [1, 2]
            .map(|lane| v1::FrameEnd {
                lane,
                end_idx,
                chain_high: 0,
                chain_low: end_idx,
            })
            .to_vec()
    };
    let durable = v1::Durable {
        ends: on_both(4),
        ..v1::Durable::default()
    };
    led.holdings.durable(&led.order, 3, 3, &durable, 0);
    led.holdings.durable(&led.order, 4, 4, &durable, 0);
    let proposal = led
        .holdings
        .propose(&led.order, CUTS_HELD_MAX)
        .expect("lane 2 has two units");
    let lanes: Vec<u64> = proposal
        .ends
        .iter()
        .map(|end: &ProposedEnd| end.lane)
        .collect();
    assert_eq!(lanes, [2]);
}

/// LOG-D1: a unit that has lost something says so, and counts for nothing behind it until it says that
/// it is whole.
#[test]
fn a_lossy_unit_counts_again_when_it_is_whole() {
    let mut led = Led::new();
    led.durable(1, 1, &[(4, 4)], 0);
    led.durable(2, 2, &[(4, 4)], 0);
    assert_eq!(led.cut(), Some(4));
    let bad = v1::LaneRange {
        lane: LANE,
        first_idx: 2,
        end_idx: 4,
    };
    let hello = v1::UnitHello {
        unit_id: 2,
        ends: frame_ends(&[(6, 6)]),
        bad_ranges: vec![bad],
        ..v1::UnitHello::default()
    };
    led.holdings.hello(&led.order, &hello, 9, 0);
    led.durable(1, 1, &[(6, 6)], 0);
    led.durable(2, 9, &[(7, 7)], 0);
    assert_eq!(led.cut(), None);
    let whole = v1::Durable {
        ends: frame_ends(&[(6, 6)]),
        whole_lanes: vec![LANE],
        ..v1::Durable::default()
    };
    led.holdings.durable(&led.order, 2, 9, &whole, 0);
    assert_eq!(led.cut(), Some(6));
}

#[derive(Clone, Debug)]
enum Step {
    /// A unit writes and syncs frames, and reports them.
    Reports {
        unit: u64,
        frames: u64,
    },
    /// A unit restarts, having lost what was not synced: nothing here.
    Restarts {
        unit: u64,
    },
    Cuts,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=3_u64, 1..4_u64).prop_map(|(unit, frames)| Step::Reports { unit, frames }),
        1 => (1..=3_u64).prop_map(|unit| Step::Restarts { unit }),
        3 => Just(Step::Cuts),
    ]
}

proptest! {
    /// LOG-I4: whatever is cut is durable on two of three; and what is durable on two gets cut.
    #[test]
    fn a_cut_is_always_held_by_a_quorum(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut led = Led::new();
        let mut durable = BTreeMap::from([(1, 0_u64), (2, 0), (3, 0)]);
        let mut streams = BTreeMap::from([(1, 1_u64), (2, 2), (3, 3)]);
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Reports { unit, frames } => {
                    let from = durable[&unit];
                    let ends: Vec<_> = (1..=frames).map(|f| (from + f, from + f)).collect();
                    led.durable(unit, streams[&unit], &ends, 0);
                    *durable.entry(unit).or_default() += frames;
                }
                Step::Restarts { unit } => {
                    streams.insert(unit, 100 + n as u64);
                    let above = led.order.lanes[&LANE].length + 1..=durable[&unit];
                    let ends: Vec<_> = above.map(|end| (end, end)).collect();
                    led.hello(unit, streams[&unit], &ends);
                }
                Step::Cuts => {
                    led.cut();
                    let mut held: Vec<u64> = durable.values().copied().collect();
                    held.sort_unstable();
                    prop_assert_eq!(led.order.lanes[&LANE].length, held[1]);
                }
            }
        }
    }
}

/// LOG-U6: units of a closed stripe that are gone for ever hold back nobody; they get what they missed.
#[test]
fn a_closed_stripe_that_lost_its_quorum_holds_back_no_cut() {
    let mut led = Led::new();
    led.set_aside_from = CUTS_HELD_MAX / 2;
    led.register(&[11, 12, 13, 14, 15, 16]);
    led.open_lane(2, &[4, 5, 6]);
    let mut to = 0;
    // Unit 1 stamps the first of the cuts of its lane; units 2 and 3 none of them.
    for end in 1..=5 {
        for unit in [1, 2] {
            assert!(led.durable(unit, unit, &[(end, 0)], 0));
        }
        assert_eq!(led.cut(), Some(end));
    }
    assert!(led.durable(1, 1, &[], 5));
    led.apply(&Kind::CloseStripe(CloseStripe { stripe: 1 }).into());
    for unit in 4..=6 {
        led.hello(unit, unit, &[]);
    }
    for end in 1..=CUTS_HELD_MAX as u64 + 100 {
        for unit in 4..=6 {
            let stamped = led.order.cut_seq;
            assert!(led.lane_durable(unit, (2, end), stamped));
        }
        led.cut();
        to = end;
    }
    assert_eq!(led.order.lanes[&2].length, to, "the other stripe goes on");
    assert!(led.order.cuts.len() <= CUTS_HELD_MAX / 2 + 1);
    let waiting = led.order.base_for(3).waiting;
    assert_eq!((waiting.len(), waiting[0].runs.len()), (1, 5));
    assert_eq!((waiting[0].stripe, waiting[0].from_lsn), (1, 1));
    assert!(waiting[0].to_lsn > led.order.stripes[&1].last_lsn);
    assert!(
        led.order.base_for(4).waiting.is_empty(),
        "it is no part of it"
    );
    assert_eq!(Order::decode(&led.order.encode()).as_ref(), Ok(&led.order));
    // W of its units have all of it: nobody waits any more.
    for unit in [1, 3] {
        assert_eq!(led.order.waiting_runs(), 5);
        led.apply(&Kind::AddLocation(StripeAndUnit { stripe: 1, unit }).into());
    }
    assert_eq!(led.order.waiting_runs(), 0);
}

/// Nor does one of which nobody but one unit will ever come back.
#[test]
fn the_dead_are_not_waited_for() {
    let mut led = Led::new();
    led.set_aside_from = 1;
    for unit in [1, 2] {
        assert!(led.durable(unit, unit, &[(3, 0)], 0));
    }
    assert_eq!(led.cut(), Some(3));
    led.apply(&Kind::CloseStripe(CloseStripe { stripe: 1 }).into());
    led.forget_now();
    assert_eq!((led.order.cuts.len(), led.order.waiting_runs()), (0, 1));
    led.apply(&Kind::AddLocation(StripeAndUnit { stripe: 1, unit: 1 }).into());
    for unit in [2, 3] {
        assert_eq!(led.order.waiting_runs(), 1);
        let (state, lost) = (v1::UnitState::Dead as i32, true);
        led.apply(&Kind::SetUnit(SetUnit { unit, state, lost }).into());
    }
    assert_eq!(led.order.waiting_runs(), 0);
}

/// An open stripe grows on: its cuts stay, and past the bound nothing is cut.
#[test]
fn what_an_open_stripe_waits_for_is_never_set_aside() {
    let mut led = Led::new();
    led.set_aside_from = 1;
    for end in 1..=3 {
        for unit in [1, 2] {
            assert!(led.durable(unit, unit, &[(end, 0)], 0));
        }
        assert_eq!(led.cut(), Some(end));
    }
    assert_eq!((led.order.cuts.len(), led.order.waiting_runs()), (3, 0));
}

/// LOG.md §8: what is trimmed needs no stamps.
#[test]
fn trim_passes_what_was_set_aside() {
    let mut led = Led::new();
    led.set_aside_from = 1;
    for end in [2, 4, 6] {
        for unit in [1, 2] {
            assert!(led.durable(unit, unit, &[(end, 0)], 0));
        }
        assert_eq!(led.cut(), Some(end));
    }
    led.apply(&Kind::CloseStripe(CloseStripe { stripe: 1 }).into());
    led.forget_now();
    assert_eq!(led.order.waiting_runs(), 3);
    let mut pin = v1::Pin {
        lsn: 7,
        ..v1::Pin::default()
    };
    pin.set_kind(v1::PinKind::Shard);
    led.order.history.pins.insert("shard-0".into(), pin);
    for (lsn, left) in [(4, 2), (5, 1), (7, 0)] {
        led.apply(&Kind::Trim(Trim { lsn }).into());
        assert_eq!(led.order.history.trim_lsn, lsn);
        let from = led
            .order
            .base_for(1)
            .waiting
            .first()
            .map(|row| row.from_lsn);
        assert_eq!(led.order.waiting_runs(), left, "trimmed to {lsn}");
        assert_eq!(from, (left > 0).then_some(lsn));
    }
}
