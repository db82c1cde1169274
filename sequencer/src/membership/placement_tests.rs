//! Where lanes go, and who counts as live: racks, full disks, lost units, silence, stalls.
use super::holdings::Holdings;
use super::placement::{Redundancy, Sight, Unplaced};
use super::pulses::{Pulses, SILENCE_US};
use crate::order::command::{Kind, OpenLane, OpenStripe, Register, RegisterUnit};
use crate::order::{Order, Outcome};
use dfs_wire::v1;

pub(super) const R3: Redundancy = Redundancy {
    units: 3,
    write_quorum: 2,
};

/// One unit per node; node and unit ids are equal.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) order: Order,
    pub(super) holdings: Holdings,
    pub(super) pulses: Pulses,
}

impl Cluster {
    pub(super) fn of(racks: &[&str]) -> Cluster {
        let mut cluster = Cluster::default();
        for (index, rack) in racks.iter().enumerate() {
            let nonce = vec![index as u8 + 1; 16];
            let register = Register {
                node_nonce: nonce.clone(),
                incarnation: 7,
                rack: (*rack).into(),
                units: vec![RegisterUnit { slot: 1, nonce }],
                ..Register::default()
            };
            cluster.apply(Kind::Register(register));
            cluster.lives(index as u64 + 1, 100, false);
        }
        cluster
    }

    pub(super) fn apply(&mut self, kind: Kind) -> Outcome {
        self.order
            .apply(self.order.applied_index + 1, &kind.into())
            .outcome
    }

    pub(super) fn lives(&mut self, unit_id: u64, available_bytes: u64, full: bool) {
        self.says_hello(unit_id);
        self.pulses
            .beat(beat(unit_id, available_bytes, full), unit_id, 0);
    }

    pub(super) fn says_hello(&mut self, unit_id: u64) {
        let hello = v1::UnitHello {
            unit_id,
            ..v1::UnitHello::default()
        };
        self.holdings.hello(&self.order, &hello, unit_id, 0);
    }

    fn place(&self) -> Result<Vec<u64>, Unplaced> {
        self.place_without(&[])
    }

    fn place_without(&self, avoid: &[u64]) -> Result<Vec<u64>, Unplaced> {
        let placed = self.sight().place(R3, avoid);
        placed.map(|placed| placed.units)
    }

    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            order: &self.order,
            holdings: &self.holdings,
            pulses: &self.pulses,
        }
    }

    pub(super) fn open_lane(&mut self, request: u8, units: &[u64]) {
        self.apply(Kind::OpenLane(OpenLane {
            request_id: vec![request; 16],
            owner_node: 1,
            owner_incarnation: 7,
            units: units.to_vec(),
            write_quorum: 2,
        }));
    }

    fn open_stripe(&mut self, units: &[u64]) {
        self.apply(Kind::OpenStripe(OpenStripe {
            units: units.to_vec(),
            write_quorum: 2,
        }));
    }
}

fn beat(node_id: u64, available_bytes: u64, full: bool) -> v1::Beat {
    let space = v1::UnitSpace {
        unit_id: node_id,
        available_bytes,
        full,
        ..v1::UnitSpace::default()
    };
    v1::Beat {
        node_id,
        incarnation: 7,
        units: vec![space],
        ..v1::Beat::default()
    }
}

#[test]
fn units_of_distinct_racks_with_the_most_room_are_chosen() {
    let mut cluster = Cluster::of(&["a", "a", "b", "b", "c"]);
    cluster.lives(2, 900, false);
    assert_eq!(cluster.place(), Ok(vec![2, 3, 5]));
    let two_racks = Cluster::of(&["a", "a", "b"]);
    assert_eq!(two_racks.place(), Ok(vec![1, 2, 3]));
}

#[test]
fn an_open_stripe_whose_units_all_live_comes_first() {
    let mut cluster = Cluster::of(&["a", "a", "a", "b", "c"]);
    cluster.open_stripe(&[1, 2, 3]);
    assert_eq!(cluster.place(), Ok(vec![1, 2, 3]));
    cluster.pulses.broke(2, 2);
    assert_eq!(cluster.place(), Ok(vec![1, 4, 5]));
}

#[test]
fn lanes_spread_over_stripes_and_a_stripe_is_opened_while_units_are_in_none() {
    let mut cluster = Cluster::of(&["", "", "", "", "", ""]);
    cluster.open_lane(1, &[1, 2, 3]);
    assert_eq!(cluster.place(), Ok(vec![4, 5, 6]));
    cluster.open_lane(2, &[4, 5, 6]);
    assert_eq!(cluster.place(), Ok(vec![1, 2, 3]));
    cluster.open_lane(3, &[1, 2, 3]);
    assert_eq!(cluster.place(), Ok(vec![4, 5, 6]));
    let mut five = Cluster::of(&["", "", "", "", ""]);
    five.open_lane(1, &[1, 2, 3]);
    assert_eq!(
        five.place(),
        Ok(vec![1, 2, 3]),
        "the two others are no stripe"
    );
}

#[test]
fn units_to_avoid_are_avoided_while_there_are_others() {
    let mut cluster = Cluster::of(&["", "", "", "", "", ""]);
    cluster.open_stripe(&[1, 2, 3]);
    assert_eq!(cluster.place(), Ok(vec![1, 2, 3]));
    assert_eq!(cluster.place_without(&[2]), Ok(vec![4, 5, 6]));
    cluster.open_stripe(&[4, 5, 6]);
    assert_eq!(cluster.place_without(&[2]), Ok(vec![4, 5, 6]));
    assert_eq!(cluster.place_without(&[1, 2, 3, 4]), Ok(vec![1, 2, 3]));
    assert_eq!(cluster.sight().place_whole(R3, &[1, 2, 3, 4]), None);
}

#[test]
fn with_fewer_than_r_live_a_stripe_that_has_its_quorum_is_used() {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    cluster.pulses.broke(3, 3);
    assert_eq!(
        cluster.place(),
        Err(Unplaced::TooFew {
            usable: 2,
            needed: 3
        })
    );
    cluster.open_stripe(&[1, 2, 3]);
    assert_eq!(cluster.place(), Ok(vec![1, 2, 3]));
    cluster.holdings.closed(2, 2);
    assert_eq!(
        cluster.place(),
        Err(Unplaced::TooFew {
            usable: 1,
            needed: 3
        })
    );
}

#[test]
fn full_units_take_nothing_and_are_told_from_missing_ones() {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    cluster.open_stripe(&[1, 2, 3]);
    cluster.lives(1, 0, true);
    assert_eq!(cluster.place(), Ok(vec![1, 2, 3]));
    cluster.lives(2, 0, true);
    assert_eq!(cluster.place(), Err(Unplaced::Full { full: 2, needed: 3 }));
}

/// LOG-D5
#[test]
fn silence_makes_a_member_gone_and_a_stall_of_the_leader_does_not() {
    let mut cluster = Cluster::of(&["a"]);
    let order = cluster.order.clone();
    assert!(!cluster.pulses.silence(SILENCE_US - 1));
    assert!(cluster.pulses.is_beating(&order, 1));
    cluster.pulses.restart(10 * SILENCE_US);
    assert!(!cluster.pulses.silence(11 * SILENCE_US - 1));
    assert!(cluster.pulses.silence(11 * SILENCE_US));
    assert!(!cluster.pulses.is_beating(&order, 1));
    assert!(cluster.pulses.beat(beat(1, 0, false), 1, 12 * SILENCE_US));
    assert!(cluster.pulses.is_beating(&order, 1));
}

#[test]
fn an_older_stream_neither_beats_nor_breaks_for_a_newer_one() {
    let mut cluster = Cluster::of(&["a"]);
    let order = cluster.order.clone();
    cluster.pulses.beat(beat(1, 0, false), 5, 1);
    assert!(!cluster.pulses.broke(1, 1));
    assert!(!cluster.pulses.beat(beat(1, 0, true), 1, 2));
    assert!(cluster.pulses.is_beating(&order, 1));
    assert!(
        !cluster
            .pulses
            .space(&order, 1, 1)
            .is_some_and(|space| space.full)
    );
    assert!(cluster.pulses.broke(1, 5));
    assert!(!cluster.pulses.is_beating(&order, 1));
}

#[test]
fn clocks_are_brought_forward_and_forgotten() {
    let mut pulses = Pulses::default();
    for (node_id, wall_us) in [(1, 1_000), (2, u64::MAX)] {
        let beat = v1::Beat {
            node_id,
            incarnation: 7,
            wall_us,
            ..v1::Beat::default()
        };
        pulses.beat(beat, node_id, 0);
    }
    assert_eq!(pulses.clock_us(500, 900), 1_500);
    assert_eq!(pulses.clock_us(3_000_001, 900), 900);
}
