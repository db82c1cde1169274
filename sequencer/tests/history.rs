//! Properties of trim, pins and snapshots in the order: LOG-I11, LOG-I16.
use dfs_sequencer::order::command::{
    Command, Found, Kind, OpenLane, ProposedCut, ProposedEnd, Register, RegisterUnit, SealLane,
    Trim,
};
use dfs_sequencer::order::{Effects, Lane, Order, Outcome};
use dfs_wire::v1::log_event::Event;
use dfs_wire::v1::{Pin, PinKind, PinMove, SnapshotRow};
use dfs_wire::{Code, v1};
use proptest::prelude::*;

struct Driven {
    order: Order,
    index: u64,
}

impl Driven {
    /// One lane, 100 records, all of them stamped and forgotten.
    fn new() -> Driven {
        let mut driven = Driven {
            order: Order::default(),
            index: 0,
        };
        let unit = RegisterUnit {
            slot: 1,
            nonce: vec![2; 16],
        };
        let register = Register {
            node_nonce: vec![1; 16],
            incarnation: 7,
            units: vec![unit],
            ..Register::default()
        };
        let lane = OpenLane {
            request_id: vec![3; 16],
            owner_node: 1,
            owner_incarnation: 7,
            units: vec![1],
            write_quorum: 1,
        };
        let cluster_id = vec![9; 16];
        for kind in [
            Kind::Found(Found { cluster_id }),
            Kind::Register(register),
            Kind::OpenLane(lane),
            cut(100, 0),
            cut(100, 1),
        ] {
            driven.apply(kind);
        }
        assert_eq!((driven.order.next_lsn, driven.order.cuts.len()), (101, 0));
        driven
    }

    fn apply(&mut self, kind: Kind) -> Effects {
        self.index += 1;
        self.order.apply(self.index, &Command::from(kind))
    }

    fn trim_lsn(&self) -> u64 {
        self.order.history.trim_lsn
    }

    fn pin_lsn(&self, name: &str) -> Option<u64> {
        self.order.history.pins.get(name).map(|pin| pin.lsn)
    }
}

fn cut(end_idx: u64, forget_through: u64) -> Kind {
    cut_of(1, end_idx, forget_through)
}

fn cut_of(lane: u64, end_idx: u64, forget_through: u64) -> Kind {
    let end = ProposedEnd {
        lane,
        end_idx,
        chain_high: 1,
        chain_low: end_idx,
    };
    Kind::Cut(ProposedCut {
        ends: vec![end],
        log_time_us: 5,
        forget_through,
        waits: Vec::new(),
    })
}

fn pin(name: &str, lsn: u64) -> Kind {
    Kind::Pin(Pin {
        name: name.into(),
        lsn,
        kind: PinKind::Consumer as i32,
        budget_bytes: 0,
    })
}

fn moved(name: &str, lsn: u64) -> PinMove {
    let name = name.into();
    PinMove { name, lsn }
}

fn snapshot(lsn: u64) -> Kind {
    Kind::SnapshotDone(SnapshotRow {
        shard: 0,
        lsn,
        digest: lsn * 3,
        location: vec![5, 6].into(),
    })
}

fn code(effects: &Effects) -> Option<Code> {
    match &effects.outcome {
        Outcome::Refused(refused) => Code::try_from(refused.code).ok(),
        _ => None,
    }
}

fn any_change() -> impl Strategy<Value = Kind> {
    let name = prop::sample::select(vec!["a", "b", "shard-0"]);
    let lsn = 0..130_u64;
    prop_oneof![
        3 => lsn.clone().prop_map(snapshot),
        3 => lsn.clone().prop_map(|lsn| Kind::Trim(Trim { lsn })),
        1 => (name.clone(), lsn.clone()).prop_map(|(name, lsn)| pin(name, lsn)),
        1 => (name.clone(), lsn.clone()).prop_map(|(n, lsn)| Kind::Unpin(moved(n, lsn))),
        1 => (name, lsn).prop_map(|(n, lsn)| Kind::AdvancePin(moved(n, lsn))),
        1 => (100..140_u64, 0..9_u64).prop_map(|(n, f)| cut(n, f)),
    ]
}

proptest! {
    /// LOG-I11, I16: trim and pins never go back, trim is never past a pin nor a held cut, nor before
    /// there are two snapshots; a command that comes again at once changes nothing.
    #[test]
    fn trim_keeps_to_the_pins(changes in prop::collection::vec(any_change(), 1..60)) {
        let mut driven = Driven::new();
        for change in changes {
            let (trimmed, shard) = (driven.trim_lsn(), driven.pin_lsn("shard-0"));
            let effects = driven.apply(change.clone());
            let history = driven.order.history.clone();
            prop_assert!(history.trim_lsn >= trimmed && driven.pin_lsn("shard-0") >= shard);
            prop_assert!(history.pins.values().all(|pin| pin.lsn >= history.trim_lsn));
            let held = driven.order.cuts.front().map_or(driven.order.next_lsn, |cut| cut.first_lsn);
            prop_assert!(history.trim_lsn <= held);
            let known = history.snapshots.get(&0).map_or(&[][..], |known| &known.rows[..]);
            prop_assert!(known.is_sorted_by_key(|row| row.lsn) && known.len() <= 2);
            if history.trim_lsn > 1 {
                prop_assert!(history.trim_lsn <= known[0].lsn);
            }
            let said: Vec<u64> = effects.events.iter().filter_map(|event| match event {
                Event::Trimmed(trimmed) => Some(trimmed.trim_lsn),
                _ => None,
            }).collect();
            let risen = (history.trim_lsn > trimmed).then_some(history.trim_lsn);
            prop_assert_eq!(said, Vec::from_iter(risen));
            let copy = Order::decode(&driven.order.encode()).expect("what was encoded");
            prop_assert_eq!(&copy, &driven.order);
            if !matches!(change, Kind::Cut(_)) {
                driven.apply(change);
                prop_assert_eq!(&driven.order.history, &history);
            }
        }
    }
}

#[test]
fn nothing_is_trimmed_before_a_second_snapshot() {
    let mut driven = Driven::new();
    driven.apply(Kind::Trim(Trim { lsn: 50 }));
    assert_eq!(driven.trim_lsn(), 0);
    driven.apply(snapshot(40));
    assert_eq!(driven.pin_lsn("shard-0"), Some(1));
    driven.apply(Kind::Trim(Trim { lsn: 50 }));
    assert!(driven.trim_lsn() <= 1);
    driven.apply(snapshot(80));
    assert_eq!(driven.pin_lsn("shard-0"), Some(40));
    driven.apply(pin("feed", 30));
    assert_eq!(driven.order.trim_bound(), 30);
    driven.apply(Kind::Trim(Trim { lsn: 50 }));
    assert_eq!(driven.trim_lsn(), 30);
    driven.apply(Kind::Unpin(moved("feed", 29)));
    assert_eq!(
        driven.pin_lsn("feed"),
        Some(30),
        "an older fact ends nothing"
    );
    driven.apply(Kind::Unpin(moved("feed", 30)));
    driven.apply(Kind::Trim(Trim { lsn: 50 }));
    assert_eq!(driven.trim_lsn(), 40);
}

/// A number is never reused: the last lane stays although it is sealed and trimmed.
#[test]
fn sealed_lanes_leave_with_their_records_and_their_ids_do_not_come_back() {
    let mut driven = Driven::new();
    let open = |request| OpenLane {
        request_id: vec![request; 16],
        owner_node: 1,
        owner_incarnation: 7,
        units: vec![1],
        write_quorum: 1,
    };
    let seal = |lane| Kind::SealLane(SealLane { lane });
    driven.apply(seal(1)); // its records end below 101
    driven.apply(Kind::OpenLane(open(4)));
    driven.apply(cut_of(2, 50, 1));
    driven.apply(cut_of(2, 50, 2));
    driven.apply(seal(2));
    let lanes = |driven: &Driven| driven.order.lanes.keys().copied().collect::<Vec<_>>();
    driven.apply(snapshot(99));
    for (lsn, trimmed, left) in [
        (100, 99, vec![1, 2]),
        (120, 100, vec![1, 2]),
        (140, 120, vec![2]),
    ] {
        driven.apply(snapshot(lsn));
        driven.apply(Kind::Trim(Trim { lsn: u64::MAX }));
        assert_eq!((driven.trim_lsn(), lanes(&driven)), (trimmed, left));
    }
    let opened = driven.apply(Kind::OpenLane(open(5)));
    assert_eq!(opened.outcome, Outcome::LaneOpened { lane: 3 });
}

#[test]
fn refusals_say_why() {
    let mut driven = Driven::new();
    for lsn in [40, 80] {
        driven.apply(snapshot(lsn));
    }
    driven.apply(Kind::Trim(Trim { lsn: 40 }));
    assert_eq!(code(&driven.apply(pin("late", 39))), Some(Code::Trimmed));
    assert_eq!(code(&driven.apply(pin("feed", 60))), None);
    assert_eq!(code(&driven.apply(pin("feed", 70))), None, "it holds more");
    assert_eq!(code(&driven.apply(pin("feed", 50))), Some(Code::Exists));
    let unpin = Kind::Unpin(moved("shard-0", 99));
    assert_eq!(code(&driven.apply(unpin)), Some(Code::State));
    let advance = Kind::AdvancePin(moved("none", 99));
    assert_eq!(code(&driven.apply(advance)), Some(Code::NotFound));
    assert_eq!(code(&driven.apply(snapshot(101))), Some(Code::Invalid));
    assert_eq!(code(&driven.apply(pin("shard-1", 60))), Some(Code::Invalid));
    assert_eq!(code(&driven.apply(pin("now", 0))), None);
    assert_eq!(driven.pin_lsn("now"), Some(101));
}

/// Old bytes are read for ever: these files are only ever added to.
#[test]
fn encodings_are_the_ones_of_version_1() {
    let mut driven = Driven::new();
    for kind in [snapshot(40), pin("feed", 60), snapshot(80)] {
        driven.apply(kind);
    }
    driven.apply(Kind::Trim(Trim { lsn: 300 }));
    let mut written = String::new();
    for (name, kind) in [
        ("trim", Kind::Trim(Trim { lsn: 300 })),
        ("pin", pin("feed", 60)),
        ("unpin", Kind::Unpin(moved("feed", 60))),
        ("advance-pin", Kind::AdvancePin(moved("feed", 61))),
        ("snapshot-done", snapshot(80)),
    ] {
        let bytes = prost::Message::encode_to_vec(&Command::from(kind));
        written += &format!("{name} {}\n", hex(&bytes));
    }
    let history = prost::Message::encode_to_vec(&driven.order.history);
    written += &format!("history {}\n", hex(&history));
    let lane = Lane {
        sealed: true,
        end_lsn: 301,
        ..Lane::default()
    };
    written += &format!("lane {}\n", hex(&prost::Message::encode_to_vec(&lane)));
    let golden = include_str!("golden/v1/history.txt");
    assert_eq!(written, golden, "now:\n{written}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn trimmed_is_told_with_its_place_in_raft() {
    let mut driven = Driven::new();
    for lsn in [40, 80] {
        driven.apply(snapshot(lsn));
    }
    let effects = driven.apply(Kind::Trim(Trim { lsn: 40 }));
    let raft_index = driven.index;
    let trim_lsn = 40;
    let told = v1::Trimmed {
        trim_lsn,
        raft_index,
    };
    assert_eq!(effects.events, [Event::Trimmed(told)]);
}
