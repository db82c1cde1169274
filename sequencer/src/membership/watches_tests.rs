//! What the leader seals and closes, when, and when it had better wait.
use super::placement_tests::{Cluster, R3};
use super::watches::{GONE_US, SETTLE_US, WEAK_US, Watches};
use crate::order::command::{CloseStripe, Kind, OpenStripe, Register, RegisterUnit, SealLane};

/// When everybody has been heard.
const SETTLED_US: u64 = SETTLE_US + WEAK_US;

fn open(units: &[u64]) -> Kind {
    let (units, write_quorum) = (units.to_vec(), 2);
    Kind::OpenStripe(OpenStripe {
        units,
        write_quorum,
    })
}

fn look(watches: &mut Watches, cluster: &Cluster, now_us: u64) -> Vec<Kind> {
    watches.look(&cluster.sight(), R3, now_us)
}

/// Two sets of three; lanes on the first.
fn six() -> (Cluster, Watches) {
    let mut cluster = Cluster::of(&["", "", "", "", "", ""]);
    cluster.open_lane(1, &[1, 2, 3]);
    cluster.open_lane(2, &[1, 2, 3]);
    let mut watches = Watches::default();
    assert_eq!(look(&mut watches, &cluster, 0), []);
    assert_eq!(look(&mut watches, &cluster, SETTLED_US), []);
    (cluster, watches)
}

/// LOG-D6
#[test]
fn a_stripe_that_stays_below_w_is_closed_when_another_set_lives() {
    let (mut cluster, mut watches) = six();
    cluster.holdings.closed(2, 2);
    assert_eq!(look(&mut watches, &cluster, SETTLED_US), [], "W are left");
    cluster.holdings.closed(3, 3);
    let gone_us = SETTLED_US + 1;
    assert_eq!(look(&mut watches, &cluster, gone_us), []);
    assert_eq!(look(&mut watches, &cluster, gone_us + WEAK_US - 1), []);
    let close = Kind::CloseStripe(CloseStripe { stripe: 1 });
    let verdicts = look(&mut watches, &cluster, gone_us + WEAK_US);
    assert_eq!(verdicts, [open(&[4, 5, 6]), close]);
    verdicts
        .into_iter()
        .for_each(|kind| drop(cluster.apply(kind)));
    assert_eq!(look(&mut watches, &cluster, gone_us + WEAK_US), []);
}

#[test]
fn a_stripe_waits_for_its_units_when_there_are_no_others() {
    let (mut cluster, mut watches) = six();
    for unit in [2, 3, 4, 5, 6] {
        cluster.holdings.closed(unit, unit);
    }
    let now_us = SETTLED_US + WEAK_US;
    assert_eq!(look(&mut watches, &cluster, SETTLED_US), []);
    assert_eq!(look(&mut watches, &cluster, now_us), []);
    cluster.lives(4, 100, false);
    let verdicts = look(&mut watches, &cluster, now_us);
    assert_eq!(verdicts, [], "one and one are two");
    cluster.lives(5, 100, true);
    assert_eq!(look(&mut watches, &cluster, now_us), [], "it is full");
    cluster.lives(5, 100, false);
    assert_eq!(look(&mut watches, &cluster, now_us)[0], open(&[1, 4, 5]));
}

#[test]
fn a_unit_that_came_back_in_time_and_a_leader_that_stood_still_close_nothing() {
    let (mut cluster, mut watches) = six();
    for unit in [2, 3] {
        cluster.holdings.closed(unit, unit);
    }
    assert_eq!(look(&mut watches, &cluster, SETTLED_US), []);
    watches.restart();
    let (stood_us, settled_us) = (SETTLED_US + WEAK_US, 2 * SETTLED_US + WEAK_US);
    assert_eq!(look(&mut watches, &cluster, stood_us), []);
    cluster.lives(2, 100, false);
    assert_eq!(look(&mut watches, &cluster, settled_us), []);
    cluster.holdings.closed(2, 2);
    assert_eq!(look(&mut watches, &cluster, settled_us + 1), []);
    assert_eq!(look(&mut watches, &cluster, settled_us + WEAK_US), []);
    assert_eq!(
        look(&mut watches, &cluster, settled_us + WEAK_US + 1).len(),
        2
    );
}

/// LOG-D6
#[test]
fn a_stripe_with_a_dead_unit_is_closed_though_it_has_its_quorum() {
    let (mut cluster, mut watches) = six();
    let unit = RegisterUnit {
        slot: 1,
        nonce: vec![77; 16],
    };
    cluster.apply(Kind::Register(Register {
        node_nonce: vec![3; 16],
        node_id: 3,
        incarnation: 7,
        units: vec![unit],
        ..Register::default()
    }));
    let verdicts = look(&mut watches, &cluster, SETTLED_US);
    assert_eq!(verdicts[1], Kind::CloseStripe(CloseStripe { stripe: 1 }));
    // In a small system the emptied unit takes the place of what it was.
    let mut three = Cluster::of(&["", "", ""]);
    three.open_lane(1, &[1, 2, 3]);
    three.apply(Kind::Register(Register {
        node_nonce: vec![3; 16],
        incarnation: 7,
        units: vec![RegisterUnit {
            slot: 1,
            nonce: vec![77; 16],
        }],
        ..Register::default()
    }));
    let mut watches = Watches::default();
    assert_eq!(look(&mut watches, &three, 0), []);
    assert_eq!(look(&mut watches, &three, SETTLED_US), [], "two live");
    three.says_hello(4);
    assert_eq!(look(&mut watches, &three, SETTLED_US)[0], open(&[1, 2, 4]));
}

/// LOG-D5
#[test]
fn lanes_of_an_owner_that_is_gone_are_sealed_and_those_of_an_idle_one_are_not() {
    let (mut cluster, mut watches) = six();
    cluster.pulses.broke(1, 1);
    assert_eq!(look(&mut watches, &cluster, SETTLED_US), []);
    let gone_us = SETTLED_US + GONE_US;
    assert_eq!(look(&mut watches, &cluster, gone_us - 1), []);
    let seal = |lane| Kind::SealLane(SealLane { lane });
    assert_eq!(look(&mut watches, &cluster, gone_us), [seal(1), seal(2)]);
    cluster.apply(seal(1));
    assert_eq!(look(&mut watches, &cluster, gone_us), [seal(2)]);
    cluster.lives(1, 100, false);
    // It beats again, though in the same stream number: nothing is sealed, and the time begins anew.
    assert_eq!(look(&mut watches, &cluster, 2 * gone_us), []);
    cluster.pulses.broke(1, 1);
    assert_eq!(look(&mut watches, &cluster, 2 * gone_us), []);
}
