//! The loop's pure tables: who campaigns when, and which units make a group.
use super::super::ops::Work;
use super::super::placing::{self, Units};
use super::super::terms::{Claim, Turn, claim};
use super::super::upkeep::next_change;
use super::{address, replicated};
use crate::state::Term;
use dfs_wire::{Code, v1};

const OWN: v1::Owner = v1::Owner {
    node_id: 1,
    incarnation: 11,
};
const OTHER: v1::Owner = v1::Owner {
    node_id: 2,
    incarnation: 22,
};

fn member(owner: v1::Owner, gone: bool) -> v1::Member {
    let v1::Owner {
        node_id,
        incarnation,
    } = owner;
    v1::Member {
        node_id,
        incarnation,
        gone,
        address: address(node_id),
        ..Default::default()
    }
}

fn claim_against(owner: v1::Owner, members: Vec<v1::Member>) -> Claim {
    let term = Some(Term {
        lsn: 5,
        owner,
        frames: 0,
    });
    claim(
        &OWN,
        term,
        &[1, 2],
        &v1::Members {
            members,
            units: vec![],
        },
    )
}

#[test]
fn a_replica_campaigns_only_against_an_owner_that_is_gone() {
    let campaign = |turn| Claim::Campaign { prev_term: 5, turn };
    assert_eq!(
        claim_against(OTHER, vec![member(OTHER, false)]),
        Claim::Wait
    );
    assert_eq!(
        claim_against(OTHER, vec![]),
        Claim::Wait,
        "nothing is known of it"
    );
    assert_eq!(
        claim_against(OTHER, vec![member(OTHER, true)]),
        campaign(Turn::Rank)
    );
    let restarted = v1::Owner {
        incarnation: 23,
        ..OTHER
    };
    assert_eq!(
        claim_against(OTHER, vec![member(restarted, false)]),
        campaign(Turn::AfterItself)
    );
    let stepped_down = v1::Member {
        stepped_down: vec![0],
        ..member(OTHER, false)
    };
    assert_eq!(
        claim_against(OTHER, vec![stepped_down]),
        campaign(Turn::Rank)
    );
    let earlier = v1::Owner {
        incarnation: 10,
        ..OWN
    };
    assert_eq!(claim_against(earlier, vec![]), campaign(Turn::AtOnce));
}

#[test]
fn who_is_no_replica_never_campaigns_and_without_a_term_everybody_does() {
    let members = v1::Members {
        members: vec![member(OTHER, true)],
        units: vec![],
    };
    let term = Some(Term {
        lsn: 5,
        owner: OTHER,
        frames: 0,
    });
    assert_eq!(claim(&OWN, term, &[2], &members), Claim::Wait);
    assert_eq!(claim(&OWN, None, &[], &members), Claim::Genesis);
}

/// FOLD-T0: who was removed makes place for another; who is only gone keeps it.
#[test]
fn the_set_of_replicas_follows_who_belongs_to_the_cluster() {
    let materializer = |node_id, gone, removed| v1::Member {
        node_id,
        gone,
        removed,
        roles: vec!["materializer".into()],
        ..Default::default()
    };
    let change = |replicas: &[u64], members: &[v1::Member]| {
        let members = v1::Members {
            members: members.to_vec(),
            units: vec![],
        };
        match next_change(replicas, 2, 1, &members) {
            Some(Work::AddReplica(node)) => Some((true, node)),
            Some(Work::RemoveReplica(node)) => Some((false, node)),
            _ => None,
        }
    };
    let (own, new) = (materializer(1, false, false), materializer(3, false, false));
    let gone = materializer(2, true, false);
    let removed = materializer(2, true, true);
    assert_eq!(change(&[1, 2], &[own.clone(), gone, new.clone()]), None);
    let after = [own.clone(), removed.clone(), new];
    assert_eq!(change(&[1, 2], &after), Some((false, 2)));
    assert_eq!(change(&[1], &after), Some((true, 3)));
    assert_eq!(change(&[1, 3], &after), None);
    assert_eq!(change(&[1], &[own, removed]), None);
    let all_left = [materializer(1, true, true)];
    assert_eq!(change(&[1], &all_left), None, "never the last one");
}

fn unit(unit_id: u64, rack: &str) -> v1::UnitRef {
    v1::UnitRef {
        unit_id,
        rack: rack.into(),
        live: true,
        state: v1::UnitState::Active as i32,
        available_bytes: 1 << 30,
        ..Default::default()
    }
}

fn members_of(units: Vec<v1::UnitRef>) -> v1::Members {
    v1::Members {
        members: vec![],
        units,
    }
}

#[test]
fn a_group_lies_in_distinct_racks_and_load_spreads() {
    let units = [(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c"), (6, "c")];
    let members = members_of(units.map(|(id, rack)| unit(id, rack)).to_vec());
    let units = Units::new(&members);
    let mut groups = Vec::new();
    for id in 1..=4 {
        let group = placing::new_group(&groups, &replicated(3), &units).unwrap();
        let racks: std::collections::BTreeSet<_> = placing_racks(&members, &group);
        assert_eq!((racks.len(), group.under_replicated), (3, false));
        groups.push(v1::Group { group: id, ..group });
    }
    for unit in 1..=6 {
        let used = groups
            .iter()
            .filter(|group| group.unit_ids.contains(&unit))
            .count();
        assert_eq!(used, 2, "unit {unit}");
    }
    assert!(!placing::wants_more(&groups, &replicated(3), &units));
}

fn placing_racks(members: &v1::Members, group: &v1::Group) -> std::collections::BTreeSet<String> {
    let of = members
        .units
        .iter()
        .filter(|unit| group.unit_ids.contains(&unit.unit_id));
    of.map(|unit| unit.rack.clone()).collect()
}

#[test]
fn too_few_units_open_fewer_copies_or_none() {
    let dead = |id| v1::UnitRef {
        live: false,
        ..unit(id, "")
    };
    let full = |id| v1::UnitRef {
        full: true,
        ..unit(id, "")
    };
    let two = members_of(vec![unit(1, ""), unit(2, ""), dead(3)]);
    let group = placing::new_group(&[], &replicated(3), &Units::new(&two)).unwrap();
    assert!(group.under_replicated && group.unit_ids.len() == 2);
    let one = members_of(vec![unit(1, ""), dead(2), dead(3)]);
    let none = placing::new_group(&[], &replicated(3), &Units::new(&one)).unwrap_err();
    assert_eq!(none.code(), Code::Unavailable);
    let single = placing::new_group(&[], &replicated(1), &Units::new(&one)).unwrap();
    assert_eq!((single.unit_ids, single.under_replicated), (vec![1], false));
    let all_full = members_of(vec![full(1), full(2), full(3)]);
    let none = placing::new_group(&[], &replicated(3), &Units::new(&all_full)).unwrap_err();
    assert_eq!(none.code(), Code::NoSpace);
    let odd = placing::new_group(&[], &replicated(0), &Units::new(&two)).unwrap_err();
    assert_eq!(odd.code(), Code::Invalid);
}
