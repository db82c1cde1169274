//! Who copies a closed stripe when one of its units leaves, and when nobody has to.
use super::copies::{COPIER_GONE_US, Copies};
use super::placement_tests::Cluster;
use crate::order::command::{CloseStripe, Kind, OpenStripe, SetUnit, StripeAndUnit};
use crate::order::{Lane, Outcome};
use dfs_wire::v1;
use dfs_wire::v1::UnitState;

fn set(unit: u64, state: UnitState) -> Kind {
    Kind::SetUnit(SetUnit {
        unit,
        state: state as i32,
        lost: false,
    })
}

fn copy(stripe: u64, unit: u64) -> Kind {
    Kind::CopyStripe(StripeAndUnit { stripe, unit })
}

fn holds(stripe: u64, unit: u64) -> Kind {
    Kind::AddLocation(StripeAndUnit { stripe, unit })
}

/// Six units; stripes over these three are closed, with a record each.
fn closed(stripes: &[[u64; 3]]) -> Cluster {
    let mut cluster = Cluster::of(&["a", "b", "c", "a", "b", "c"]);
    for units in stripes {
        let (units, write_quorum) = (units.to_vec(), 2);
        let opened = cluster.apply(Kind::OpenStripe(OpenStripe {
            units,
            write_quorum,
        }));
        let Outcome::StripeOpened { stripe } = opened else {
            panic!("{opened:?}")
        };
        cluster.order.next_lsn += 10;
        cluster.apply(Kind::CloseStripe(CloseStripe { stripe }));
    }
    cluster
}

fn says_whole(cluster: &mut Cluster, unit: u64, stripes: &[u64]) {
    let durable = v1::Durable {
        whole_stripes: stripes.to_vec(),
        ..v1::Durable::default()
    };
    let Cluster {
        order, holdings, ..
    } = cluster;
    assert!(holdings.durable(order, unit, unit, &durable, 0));
}

fn look(copies: &mut Copies, cluster: &mut Cluster, now_us: u64) -> Vec<Kind> {
    let found = copies.look(&cluster.sight(), now_us);
    for kind in found.clone() {
        let outcome = cluster.apply(kind.clone());
        assert_eq!(outcome, Outcome::Stands, "{kind:?}");
    }
    found
}

#[test]
fn what_a_leaving_unit_holds_is_copied_by_one_that_is_no_part_of_it() {
    let mut cluster = closed(&[[1, 2, 3]]);
    let mut copies = Copies::default();
    for unit in [1, 2, 3] {
        says_whole(&mut cluster, unit, &[1]);
    }
    let told = look(&mut copies, &mut cluster, 0);
    assert_eq!(told, [holds(1, 1), holds(1, 2), holds(1, 3)]);
    assert_eq!(look(&mut copies, &mut cluster, 0), []);
    cluster.apply(set(1, UnitState::Draining));
    // In the rack of the one that leaves: the others stay.
    assert_eq!(look(&mut copies, &mut cluster, 0), [copy(1, 4)]);
    assert_eq!(look(&mut copies, &mut cluster, 0), []);
    assert_eq!(cluster.order.held_by_too_few_but(1).count(), 1);
    let refused = cluster.apply(set(1, UnitState::Dead));
    assert!(matches!(refused, Outcome::Refused(_)), "not copied yet");
    says_whole(&mut cluster, 4, &[1]);
    assert_eq!(look(&mut copies, &mut cluster, 0), [holds(1, 4)]);
    assert_eq!(cluster.order.held_by_too_few_but(1).count(), 0);
    assert_eq!(cluster.apply(set(1, UnitState::Dead)), Outcome::Stands);
    assert_eq!(look(&mut copies, &mut cluster, 0), []);
    // It stays removed, also when it is lost for good once more; the one that copied may leave too.
    cluster.apply(set(4, UnitState::Draining));
    assert_eq!(look(&mut copies, &mut cluster, 0), [copy(1, 5)]);
}

#[test]
fn one_stripe_at_a_time_is_copied_by_a_unit_and_a_copier_that_is_gone_is_not_waited_for() {
    let mut cluster = closed(&[[1, 2, 3], [1, 2, 3], [1, 5, 6]]);
    let mut copies = Copies::default();
    cluster.apply(set(1, UnitState::Draining));
    let begun = look(&mut copies, &mut cluster, 0);
    assert_eq!(begun, [copy(1, 4), copy(2, 5), copy(3, 2)]);
    cluster.holdings.closed(4, 4);
    assert_eq!(look(&mut copies, &mut cluster, 10), []);
    assert_eq!(look(&mut copies, &mut cluster, 9 + COPIER_GONE_US), []);
    let again = look(&mut copies, &mut cluster, 10 + COPIER_GONE_US);
    assert_eq!(again, [copy(1, 6)]);
    // A unit that has not said that it is whole does not count for a removal.
    says_whole(&mut cluster, 6, &[1]);
    look(&mut copies, &mut cluster, 10 + COPIER_GONE_US);
    assert_eq!(cluster.order.stripes[&1].locations, [6]);
    assert_eq!(cluster.order.held_by_too_few_but(1).count(), 3);
}

#[test]
fn a_stripe_with_nothing_in_it_and_one_whose_units_are_merely_away_are_left_alone() {
    let mut cluster = closed(&[[1, 2, 3]]);
    let (units, write_quorum) = (vec![1, 2, 3], 2);
    cluster.apply(Kind::OpenStripe(OpenStripe {
        units,
        write_quorum,
    }));
    cluster.apply(Kind::CloseStripe(CloseStripe { stripe: 2 }));
    let mut copies = Copies::default();
    cluster.holdings.closed(1, 1);
    cluster.holdings.closed(2, 2);
    for now_us in [0, COPIER_GONE_US, 9 * COPIER_GONE_US] {
        assert_eq!(look(&mut copies, &mut cluster, now_us), []);
    }
    cluster.apply(Kind::SetUnit(SetUnit {
        unit: 1,
        state: UnitState::Dead as i32,
        lost: true,
    }));
    assert_eq!(look(&mut copies, &mut cluster, 0), [copy(1, 4)]);
}

fn gone(stripe: u64, unit: u64) -> Kind {
    Kind::RemoveLocation(StripeAndUnit { stripe, unit })
}

/// LOG.md §6
#[test]
fn a_location_with_damage_is_none_until_it_is_mended() {
    let mut cluster = closed(&[[1, 2, 3]]);
    let mut copies = Copies::default();
    for unit in [1, 2, 3] {
        says_whole(&mut cluster, unit, &[1]);
    }
    look(&mut copies, &mut cluster, 0);
    let torn = v1::Durable {
        torn_stripes: vec![1],
        ..v1::Durable::default()
    };
    let Cluster {
        order, holdings, ..
    } = &mut cluster;
    assert!(holdings.durable(order, 2, 2, &torn, 0));
    assert_eq!(look(&mut copies, &mut cluster, 0), [gone(1, 2)]);
    assert_eq!(look(&mut copies, &mut cluster, 0), []);
    assert_eq!(cluster.order.stripes[&1].locations, [1, 3]);
    assert_eq!(cluster.apply(gone(1, 2)), Outcome::Stands, "told twice");
    says_whole(&mut cluster, 2, &[1]);
    assert_eq!(look(&mut copies, &mut cluster, 0), [holds(1, 2)]);
    assert_eq!(cluster.order.stripes[&1].locations, [1, 2, 3]);
    // Found at its start: what it says with its Hello.
    cluster.order.lanes.insert(
        9,
        Lane {
            stripe: 1,
            ..Lane::default()
        },
    );
    let hello = v1::UnitHello {
        unit_id: 2,
        bad_ranges: vec![v1::LaneRange {
            lane: 9,
            first_idx: 1,
            end_idx: 2,
        }],
        ..v1::UnitHello::default()
    };
    let Cluster {
        order, holdings, ..
    } = &mut cluster;
    holdings.hello(order, &hello, 77, 0);
    assert_eq!(look(&mut copies, &mut cluster, 0), [gone(1, 2)]);
}
