//! Properties of the order: dense LSNs, final lengths, harmless proposals, snapshots that lose nothing.
use dfs_sequencer::order::command::{
    CloseStripe, Command, Found, Kind, MoveLane, OpenLane, OpenStripe, ProposedCut, ProposedEnd,
    Register, RegisterUnit, RemoveNode, SealLane, SeatVoter, SetUnit, StripeAndUnit, StripeWaits,
    UnseatVoter,
};
use dfs_sequencer::order::{CUTS_HELD_MAX, Effects, Order, Outcome};
use dfs_wire::v1;
use dfs_wire::v1::log_event::Event;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LANES: u64 = 3;

fn found() -> Command {
    Kind::Found(Found {
        cluster_id: vec![9; 16],
    })
    .into()
}

fn register(nonce: u8, slots: &[(u32, u8)]) -> Register {
    Register {
        node_nonce: vec![nonce; 16],
        incarnation: 7,
        address: format!("host-{nonce}:9010"),
        units: slots
            .iter()
            .map(|(slot, nonce)| RegisterUnit {
                slot: *slot,
                nonce: vec![*nonce; 16],
            })
            .collect(),
        ..Register::default()
    }
}

fn open_lane(request: u8) -> Command {
    Kind::OpenLane(OpenLane {
        request_id: vec![request; 16],
        owner_node: 1,
        owner_incarnation: 7,
        units: vec![1],
        write_quorum: 1,
    })
    .into()
}

fn move_lane(lane: u64, unit: u64) -> Command {
    Kind::MoveLane(MoveLane {
        lane,
        owner_node: 1,
        owner_incarnation: 7,
        units: vec![unit],
        write_quorum: 1,
    })
    .into()
}

fn close_stripe(stripe: u64) -> Command {
    Kind::CloseStripe(CloseStripe { stripe }).into()
}

fn open_stripe(unit: u64) -> Command {
    let (units, write_quorum) = (vec![unit], 1);
    Kind::OpenStripe(OpenStripe {
        units,
        write_quorum,
    })
    .into()
}

fn cut(ends: &[(u64, u64)], log_time_us: u64, forget_through: u64) -> Command {
    let end = |(lane, end_idx): &(u64, u64)| ProposedEnd {
        lane: *lane,
        end_idx: *end_idx,
        chain_high: *lane,
        chain_low: *end_idx,
    };
    let ends = ends.iter().map(end).collect();
    Kind::Cut(ProposedCut {
        ends,
        log_time_us,
        forget_through,
        waits: Vec::new(),
    })
    .into()
}

/// Forgets cuts that a stripe, perhaps an open one, waits for.
fn set_aside(stripe: u64, stamped_through: u64, forget_through: u64) -> Command {
    let mut forget = ProposedCut {
        forget_through,
        ..ProposedCut::default()
    };
    forget.waits.push(StripeWaits {
        stripe,
        stamped_through,
    });
    Kind::Cut(forget).into()
}

/// An order that knows the index of the next command.
struct Driven {
    order: Order,
    index: u64,
}

impl Driven {
    fn new() -> Driven {
        let mut driven = Driven {
            order: Order::default(),
            index: 0,
        };
        driven.apply(&found());
        driven.apply(&Kind::Register(register(1, &[(1, 11)])).into());
        for lane in 1..=LANES {
            let opened = driven.apply(&open_lane(lane as u8));
            assert_eq!(opened.outcome, Outcome::LaneOpened { lane });
        }
        driven
    }

    /// Units 2 and 3, of another node.
    fn add_units(&mut self) {
        self.apply(&Kind::Register(register(2, &[(1, 21), (2, 22)])).into());
    }

    fn apply(&mut self, command: &Command) -> Effects {
        self.index += 1;
        self.order.apply(self.index, command)
    }
}

fn cuts(effects: &Effects) -> Vec<v1::Cut> {
    let cut = |event: &Event| match event {
        Event::Cut(cut) => Some(cut.clone()),
        _ => None,
    };
    effects.events.iter().filter_map(cut).collect()
}

fn set_unit((unit, state, lost): (u64, i32, bool)) -> Command {
    Kind::SetUnit(SetUnit { unit, state, lost }).into()
}

fn at(stripe: u64, unit: u64) -> StripeAndUnit {
    StripeAndUnit { stripe, unit }
}

fn any_command() -> impl Strategy<Value = Command> {
    let ends = prop::collection::vec((0..=LANES + 4, 0..40_u64), 0..5);
    prop_oneof![
        8 => (ends, 0..100_u64, 0..30_u64).prop_map(|(e, t, f)| cut(&e, t, f)),
        1 => (1..=LANES).prop_map(|lane| Kind::SealLane(SealLane { lane }).into()),
        2 => (1..=LANES + 4, 1..=3_u64).prop_map(|(lane, unit)| move_lane(lane, unit)),
        1 => (1..=4_u64).prop_map(close_stripe),
        1 => (1..=3_u64).prop_map(open_stripe),
        1 => (1..=6_u8).prop_map(open_lane),
        1 => (1..=3_u64, 1..=4_i32, any::<bool>()).prop_map(set_unit),
        1 => (1..=4_u64, 1..=3_u64).prop_map(|(s, u)| Kind::CopyStripe(at(s, u)).into()),
        1 => (1..=4_u64, 1..=3_u64).prop_map(|(s, u)| Kind::AddLocation(at(s, u)).into()),
        1 => (1..=4_u64, 1..=3_u64).prop_map(|(s, u)| Kind::RemoveLocation(at(s, u)).into()),
        1 => (1..=4_u64, 0..9_u64, 0..20_u64).prop_map(|(s, w, f)| set_aside(s, w, f)),
        1 => (10..14_u8).prop_map(|nonce| Kind::Register(register(1, &[(1, nonce)])).into()),
    ]
}

proptest! {
    /// LOG-I5, I6: LSNs are dense and given once; a sealed length stays; log time rises; what is held
    /// is a contiguous run; every step survives a snapshot.
    #[test]
    fn every_history_keeps_the_invariants(commands in prop::collection::vec(any_command(), 1..80)) {
        let mut driven = Driven::new();
        driven.add_units();
        let (mut next_lsn, mut log_time_us, mut cut_seq) = (1, 0, 0);
        let mut lengths = BTreeMap::<u64, u64>::new();
        let mut sealed = BTreeMap::<u64, u64>::new();
        let (mut successors, mut ended) = (BTreeMap::new(), BTreeMap::new());
        let mut write_sets = BTreeMap::<u64, Vec<u64>>::new();
        for command in &commands {
            let copy = Order::decode(&driven.order.encode()).expect("what was encoded");
            prop_assert_eq!(&copy, &driven.order);
            let effects = driven.apply(command);
            for cut in cuts(&effects) {
                prop_assert_eq!(cut.first_lsn, next_lsn);
                prop_assert!(cut.log_time_us > log_time_us);
                prop_assert_eq!(cut.cut_seq, cut_seq + 1);
                prop_assert!(cut.lanes.is_sorted_by_key(|lane| lane.lane));
                for lane in &cut.lanes {
                    let length = lengths.entry(lane.lane).or_default();
                    prop_assert_eq!(*length, lane.from_idx);
                    prop_assert!(lane.to_idx > lane.from_idx);
                    prop_assert!(!sealed.contains_key(&lane.lane));
                    next_lsn += lane.to_idx - lane.from_idx;
                    *length = lane.to_idx;
                }
                (log_time_us, cut_seq) = (cut.log_time_us, cut.cut_seq);
            }
            for event in &effects.events {
                if let Event::LaneSealed(seal) = event {
                    prop_assert_eq!(sealed.insert(seal.lane, seal.final_length), None);
                }
                if let Event::StripeClosed(closed) = event {
                    prop_assert_eq!(closed.last_lsn, next_lsn - 1);
                    prop_assert!(ended.insert(closed.stripe, closed.last_lsn).is_none());
                }
            }
            if let Outcome::LaneMoved { final_length, lane } = effects.outcome {
                // LOG-I7: whoever sends again knows a final length, and so does whoever asks again.
                let Some(Kind::MoveLane(moved)) = &command.kind else { panic!("{command}") };
                prop_assert_eq!(sealed.get(&moved.lane), Some(&final_length));
                let first = *successors.entry(moved.lane).or_insert(lane);
                prop_assert_eq!(first, lane);
                prop_assert_eq!(driven.order.lanes[&moved.lane].successor, lane);
            }
            for (stripe, last_lsn) in &ended {
                prop_assert!(driven.order.stripes[stripe].closed);
                prop_assert_eq!(driven.order.stripes[stripe].last_lsn, *last_lsn);
                let mut lanes = driven.order.lanes.values().filter(|lane| lane.stripe == *stripe);
                prop_assert!(lanes.all(|lane| lane.sealed));
            }
            for (id, stripe) in &driven.order.stripes {
                prop_assert!(stripe.closed || stripe.copies.is_empty(), "{}", id);
                prop_assert!(stripe.closed || stripe.locations.is_empty(), "{}", id);
                prop_assert!(stripe.locations.is_sorted());
            }
            for (stripe, units) in &write_sets {
                prop_assert_eq!(&driven.order.stripes[stripe].units, units, "LOG-I12");
            }
            let stripes = driven.order.stripes.iter();
            write_sets.extend(stripes.map(|(id, stripe)| (*id, stripe.units.clone())));
            prop_assert_eq!(driven.order.next_lsn, next_lsn);
            for (lane, length) in &sealed {
                prop_assert_eq!(driven.order.lanes[lane].length, *length);
            }
            prop_assert!(driven.order.cuts.len() <= CUTS_HELD_MAX);
            let held: Vec<u64> = driven.order.cuts.iter().map(|cut| cut.cut_seq).collect();
            prop_assert!(held.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            prop_assert!(held.last().is_none_or(|last| *last == cut_seq));
        }
    }

    /// Max-merge: proposals that come twice, late or in another order change nothing but the number
    /// of cuts; lengths are the largest that was proposed.
    #[test]
    fn doubled_and_reordered_proposals_are_harmless(
        proposals in prop::collection::vec((1..=LANES, 1..200_u64), 1..40),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut driven = Driven::new();
        for (lane, end) in &proposals {
            driven.apply(&cut(&[(*lane, *end)], 5, 0));
        }
        let before = (driven.order.lanes.clone(), driven.order.next_lsn, driven.order.cut_seq);
        for index in again {
            let (lane, end) = index.get(&proposals);
            prop_assert_eq!(driven.apply(&cut(&[(*lane, *end)], 9, 0)).events, vec![]);
        }
        let order = &driven.order;
        prop_assert_eq!(before, (order.lanes.clone(), order.next_lsn, order.cut_seq));
        let mut largest = BTreeMap::<u64, u64>::new();
        for (lane, end) in &proposals {
            let most = largest.entry(*lane).or_default();
            *most = (*most).max(*end);
        }
        let lengths: u64 = largest.values().sum();
        prop_assert_eq!(order.next_lsn, lengths + 1);
        prop_assert!(largest.iter().all(|(lane, end)| order.lanes[lane].length == *end));
    }

    /// Q1: a node that starts from a snapshot goes on exactly as the one that did not stop.
    #[test]
    fn a_snapshot_goes_on_like_the_original(
        commands in prop::collection::vec(any_command(), 1..40),
        at in any::<prop::sample::Index>(),
    ) {
        let mut driven = Driven::new();
        let at = at.index(commands.len());
        commands[..at].iter().for_each(|command| drop(driven.apply(command)));
        let order = Order::decode(&driven.order.encode()).expect("what was encoded");
        let mut other = Driven { order, index: driven.index };
        for command in &commands[at..] {
            prop_assert_eq!(driven.apply(command), other.apply(command));
        }
        prop_assert_eq!(driven.order, other.order);
    }
}

#[test]
fn a_request_to_open_a_lane_that_comes_again_gets_the_same_lane() {
    let mut driven = Driven::new();
    let before = driven.order.lanes.clone();
    let effects = driven.apply(&open_lane(2));
    assert_eq!(effects.outcome, Outcome::LaneOpened { lane: 2 });
    assert_eq!((effects.events, &driven.order.lanes), (vec![], &before));
}

#[test]
fn a_lane_that_moves_is_sealed_and_goes_on_once() {
    let mut driven = Driven::new();
    driven.add_units();
    driven.apply(&cut(&[(1, 5)], 5, 0));
    let effects = driven.apply(&move_lane(1, 2));
    let moved = Outcome::LaneMoved {
        final_length: 5,
        lane: 4,
    };
    assert_eq!(effects.outcome, moved);
    // In apply order: who hears the successor knows the final length.
    let Event::LaneSealed(sealed) = effects.events[0] else {
        panic!("{effects:?}")
    };
    assert_eq!((sealed.lane, sealed.final_length), (1, 5));
    assert!(matches!(effects.events[1], Event::StripeOpened(_)));
    assert!(matches!(&effects.events[2], Event::LaneOpened(opened) if opened.lane == 4));
    // Asked again, on whatever units: the same, and nothing happens.
    let before = driven.order.clone();
    let again = driven.apply(&move_lane(1, 3));
    assert_eq!((again.outcome, again.events), (moved, vec![]));
    assert_eq!(
        (&driven.order.lanes, &driven.order.stripes),
        (&before.lanes, &before.stripes)
    );
    // LOG-I6: what comes late for the old lane changes nothing.
    assert_eq!(driven.apply(&cut(&[(1, 9)], 6, 0)).events, vec![]);
    assert_eq!(
        cuts(&driven.apply(&cut(&[(1, 9), (4, 3)], 6, 0)))[0].first_lsn,
        6
    );
}

#[test]
fn a_lane_that_cannot_go_on_is_not_sealed() {
    let mut driven = Driven::new();
    for (command, code) in [
        (move_lane(1, 99), v1::RefusalCode::Invalid),
        (move_lane(77, 1), v1::RefusalCode::NotFound),
    ] {
        let Outcome::Refused(refused) = driven.apply(&command).outcome else {
            panic!("{command}")
        };
        assert_eq!(refused.code, code as i32);
    }
    let Command {
        kind: Some(Kind::MoveLane(mut stolen)),
    } = move_lane(1, 1)
    else {
        panic!("made so")
    };
    stolen.owner_incarnation = 8;
    let effects = driven.apply(&Kind::MoveLane(stolen).into());
    assert!(
        matches!(effects.outcome, Outcome::Refused(_)),
        "another owner"
    );
    assert!(!driven.order.lanes[&1].sealed);
}

#[test]
fn past_the_bound_of_held_cuts_nothing_is_cut_until_some_are_forgotten() {
    let mut driven = Driven::new();
    for n in 1..=CUTS_HELD_MAX as u64 {
        assert_eq!(cuts(&driven.apply(&cut(&[(1, n)], 0, 0))).len(), 1);
    }
    let over = CUTS_HELD_MAX as u64 + 1;
    assert_eq!(cuts(&driven.apply(&cut(&[(1, over)], 0, 0))), []);
    assert_eq!(driven.order.lanes[&1].length, over - 1);
    assert_eq!(cuts(&driven.apply(&cut(&[(1, over)], 0, 1))).len(), 1);
    assert_eq!(driven.order.cuts.len(), CUTS_HELD_MAX);
}

/// Old bytes are read for ever: these files are only ever added to.
#[test]
fn encodings_are_the_ones_of_version_1() {
    let mut driven = Driven::new();
    driven.apply(&cut(&[(1, 2), (3, 300)], 1_767_225_600_000_000, 0));
    driven.apply(&Kind::SealLane(SealLane { lane: 3 }).into());
    let mut written = String::new();
    let commands = [
        ("found", found()),
        (
            "register",
            Kind::Register(register(1, &[(1, 11), (2, 12)])).into(),
        ),
        ("open-lane", open_lane(2)),
        ("cut", cut(&[(1, 2), (3, 300)], 1_767_225_600_000_000, 4)),
        ("seal-lane", Kind::SealLane(SealLane { lane: 3 }).into()),
        ("open-stripe", open_stripe(2)),
        ("close-stripe", close_stripe(1)),
        ("move-lane", move_lane(3, 2)),
    ];
    for (name, command) in commands {
        written += &format!("{name} {}\n", hex(&prost::Message::encode_to_vec(&command)));
    }
    // Where a sealed lane ends came later, and stands in history.txt.
    let encoded = |order: &Order| {
        let mut order = order.clone();
        let lanes = order.lanes.values_mut();
        lanes.for_each(|lane| lane.end_lsn = 0);
        hex(&order.encode())
    };
    written += &format!("order {}\n", encoded(&driven.order));
    driven.add_units();
    driven.apply(&move_lane(3, 2));
    driven.apply(&close_stripe(1));
    written += &format!("order-moved {}\n", encoded(&driven.order));
    assert_eq!(
        written,
        include_str!("golden/v1/order.txt"),
        "now:\n{written}"
    );
}

/// LOG.md §6: what came with units that leave.
#[test]
fn copies_are_encoded_as_in_version_1() {
    let mut driven = Driven::new();
    driven.add_units();
    driven.apply(&cut(&[(1, 2)], 5, 0));
    let commands = [
        ("close-stripe", close_stripe(1)),
        ("copy-stripe", Kind::CopyStripe(at(1, 2)).into()),
        ("add-location", Kind::AddLocation(at(1, 2)).into()),
        ("set-unit", set_unit((1, 3, false))),
        ("set-unit-lost", set_unit((3, 4, true))),
    ];
    let mut written = String::new();
    for (name, command) in commands {
        assert_eq!(driven.apply(&command).outcome, Outcome::Stands, "{name}");
        written += &format!("{name} {}\n", hex(&prost::Message::encode_to_vec(&command)));
    }
    written += &format!("order {}\n", hex(&driven.order.encode()));
    let golden = include_str!("golden/v1/copies.txt");
    assert_eq!(written, golden, "now:\n{written}");
}

/// LOG.md §6: what came with locations that are withdrawn.
#[test]
fn a_withdrawn_location_is_encoded_as_in_version_1() {
    let mut driven = Driven::new();
    driven.apply(&close_stripe(1));
    driven.apply(&Kind::AddLocation(at(1, 1)).into());
    let remove: Command = Kind::RemoveLocation(at(1, 1)).into();
    assert_eq!(driven.apply(&remove).events.len(), 1);
    assert!(driven.order.stripes[&1].locations.is_empty());
    let command = hex(&prost::Message::encode_to_vec(&remove));
    assert_eq!(command, "92020408011001");
}

/// LOG-U6: what came with runs that wait for a closed stripe.
#[test]
fn waiting_runs_are_encoded_as_in_version_1() {
    let mut driven = Driven::new();
    driven.apply(&cut(&[(1, 2), (3, 300)], 5, 0));
    driven.apply(&close_stripe(1));
    let forget = set_aside(1, 0, 1);
    driven.apply(&forget);
    assert!(driven.order.cuts.is_empty());
    let command = hex(&prost::Message::encode_to_vec(&forget));
    let written = format!("cut {command}\norder {}\n", hex(&driven.order.encode()));
    let golden = include_str!("golden/v1/waiting.txt");
    assert_eq!(written, golden, "now:\n{written}");
    assert_eq!(
        Order::decode(&driven.order.encode()).as_ref(),
        Ok(&driven.order)
    );
}

/// LOG.md §6: what came with several voters.
#[test]
fn seats_are_encoded_as_in_version_1_and_the_first_counts() {
    let seat = |nonce: u8| {
        let nonce = vec![nonce; 16];
        Command::from(Kind::SeatVoter(SeatVoter { voter: 2, nonce }))
    };
    let mut order = Order::default();
    assert_eq!(order.apply(1, &seat(7)).outcome, Outcome::Stands);
    assert_eq!(order.apply(2, &seat(7)).outcome, Outcome::Stands);
    assert!(matches!(
        order.apply(3, &seat(8)).outcome,
        Outcome::Refused(_)
    ));
    assert_eq!(order.seats[&2], vec![7; 16]);
    let command = hex(&prost::Message::encode_to_vec(&seat(7)));
    let written = format!("seat-voter {command}\norder {}\n", hex(&order.encode()));
    assert_eq!(
        written,
        include_str!("golden/v1/seats.txt"),
        "now:\n{written}"
    );
    assert_eq!(Order::decode(&order.encode()).as_ref(), Ok(&order));
}

/// Q9: an id that was removed stays taken, without a directory.
#[test]
fn a_removed_voter_is_encoded_as_in_version_1_and_its_id_is_not_given_again() {
    let unseat = Command::from(Kind::UnseatVoter(UnseatVoter { voter: 2 }));
    let nonce = vec![7; 16];
    let seat = Command::from(Kind::SeatVoter(SeatVoter { voter: 2, nonce }));
    let mut order = Order::default();
    order.apply(1, &seat);
    assert_eq!(order.apply(2, &unseat).outcome, Outcome::Stands);
    assert!(matches!(order.apply(3, &seat).outcome, Outcome::Refused(_)));
    assert!(order.seats[&2].is_empty());
    let command = hex(&prost::Message::encode_to_vec(&unseat));
    assert_eq!(
        (command.as_str(), hex(&order.encode()).as_str()),
        ("8202020802", "10013801580362020802")
    );
    assert_eq!(Order::decode(&order.encode()).as_ref(), Ok(&order));
}

/// Q9: a process that was removed keeps its number, and its lanes end.
#[test]
fn a_removed_process_is_encoded_as_in_version_1_and_does_not_come_back() {
    let remove = Command::from(Kind::RemoveNode(RemoveNode { node_id: 1 }));
    let register = Command::from(Kind::Register(register(1, &[])));
    let mut order = Order::default();
    order.apply(1, &register);
    assert_eq!(order.apply(2, &remove).outcome, Outcome::Stands);
    assert!(matches!(
        order.apply(3, &remove).outcome,
        Outcome::Refused(_)
    ));
    assert!(matches!(
        order.apply(4, &register).outcome,
        Outcome::Refused(_)
    ));
    let command = hex(&prost::Message::encode_to_vec(&remove));
    assert_eq!(command, "8a02020801");
    assert_eq!(Order::decode(&order.encode()).as_ref(), Ok(&order));
    assert!(order.members[&1].removed);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
