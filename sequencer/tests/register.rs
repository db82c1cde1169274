//! Who is who: registrations that come again, emptied directories, directories in the wrong place.
use dfs_sequencer::order::command::{Command, Kind, Register, RegisterUnit};
use dfs_sequencer::order::{Effects, Order, Outcome};
use dfs_wire::v1::{RefusalCode, UnitState};

fn register(node_id: u64, node: u8, slots: &[(u32, u8)]) -> Command {
    let unit = |(slot, nonce): &(u32, u8)| RegisterUnit {
        slot: *slot,
        nonce: vec![*nonce; 16],
    };
    Kind::Register(Register {
        node_nonce: vec![node; 16],
        node_id,
        incarnation: 1,
        units: slots.iter().map(unit).collect(),
        ..Register::default()
    })
    .into()
}

fn apply(order: &mut Order, command: &Command) -> Effects {
    order.apply(order.applied_index + 1, command)
}

#[track_caller]
fn registered(order: &mut Order, command: &Command, node: u64, units: &[u64]) {
    let outcome = apply(order, command).outcome;
    assert_eq!(
        outcome,
        Outcome::Registered {
            node_id: node,
            unit_ids: units.to_vec()
        }
    );
}

#[track_caller]
fn mismatch(order: &mut Order, command: &Command) {
    let before = (order.members.clone(), order.units.clone());
    match apply(order, command).outcome {
        Outcome::Refused(refused) => assert_eq!(refused.code, RefusalCode::Mismatch as i32),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!((order.members.clone(), order.units.clone()), before);
}

#[test]
fn the_same_registration_gets_the_same_ids() {
    let mut order = Order::default();
    registered(&mut order, &register(0, 1, &[(1, 11), (2, 12)]), 1, &[1, 2]);
    registered(&mut order, &register(0, 2, &[(1, 21)]), 2, &[3]);
    registered(&mut order, &register(0, 1, &[(1, 11), (2, 12)]), 1, &[1, 2]);
    registered(&mut order, &register(1, 1, &[(2, 12), (1, 11)]), 1, &[2, 1]);
    let again = apply(&mut order, &register(1, 1, &[(1, 11), (2, 12)]));
    assert!(!again.members_changed);
}

#[test]
fn a_known_id_with_another_nonce_is_refused() {
    let mut order = Order::default();
    registered(&mut order, &register(0, 1, &[]), 1, &[]);
    mismatch(&mut order, &register(1, 2, &[]));
    mismatch(&mut order, &register(5, 1, &[]));
    mismatch(&mut order, &register(5, 3, &[]));
}

/// LOG-D1
#[test]
fn an_emptied_directory_is_a_new_unit_and_the_old_one_is_dead() {
    let mut order = Order::default();
    registered(&mut order, &register(0, 1, &[(1, 11), (2, 12)]), 1, &[1, 2]);
    registered(&mut order, &register(1, 1, &[(1, 13), (2, 12)]), 1, &[3, 2]);
    let states = |order: &Order| order.units.values().map(|u| u.state()).collect::<Vec<_>>();
    assert_eq!(
        states(&order),
        [UnitState::Dead, UnitState::Active, UnitState::Active]
    );
    // The old directory comes back to its slot: it counts again, and the newer one does not.
    registered(&mut order, &register(1, 1, &[(1, 11)]), 1, &[1]);
    assert_eq!(
        states(&order),
        [UnitState::Active, UnitState::Active, UnitState::Dead]
    );
}

#[test]
fn a_directory_in_another_place_is_refused() {
    let mut order = Order::default();
    registered(&mut order, &register(0, 1, &[(1, 11), (2, 12)]), 1, &[1, 2]);
    mismatch(&mut order, &register(1, 1, &[(2, 11)]));
    mismatch(&mut order, &register(0, 2, &[(1, 11)]));
}
