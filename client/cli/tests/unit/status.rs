//! What is told of a cluster: problems, what needs a person, health and exit code.
#![allow(clippy::unwrap_used, reason = "tests")]
use super::problems::{Problem, damage, problems};
use super::{Health, Seen, health, to_json, to_text};
use crate::exit::Exit;
use dfs_fs::{Refusal, Status};
use dfs_wire::{Code, v1};

/// One voter, one unit, one materializer, all well.
fn seen() -> Seen {
    let unit = v1::UnitRef {
        unit_id: 7,
        state: v1::UnitState::Active as i32,
        live: true,
        ..Default::default()
    };
    let group = v1::Group {
        group: 3,
        unit_ids: vec![7],
        ..Default::default()
    };
    let served = v1::MaterializerStatusAnswer {
        role: "primary".into(),
        applied_lsn: 41,
        groups: vec![group],
        ..Default::default()
    };
    let told = Status {
        sequencer: v1::SequencerStatusAnswer {
            cluster_id: vec![0xab].into(),
            role: "leader".into(),
            next_lsn: 42,
            ..Default::default()
        },
        units: vec![(unit, Ok(v1::UnitStatusAnswer::default()))],
        materializers: vec![(v1::Member::default(), Ok(served))],
    };
    let voter = |id: u64, leads: bool| v1::GroupMember {
        id,
        address: format!("h{id}:1"),
        is_voter: true,
        leads,
        live: true,
        matched_index: 90,
        ..Default::default()
    };
    let group = v1::GroupStatus {
        voter: 1,
        last_index: 100,
        group: vec![voter(1, true), voter(2, false)],
        ..Default::default()
    };
    Seen { told, group }
}

fn whats(seen: &Seen) -> Vec<String> {
    let problems = problems(seen).into_iter();
    problems.map(|problem| problem.what).collect()
}

fn only(seen: &Seen) -> Problem {
    let [problem] = problems(seen).try_into().unwrap();
    problem
}

#[test]
fn a_cluster_without_problems_is_healthy() {
    let seen = seen();
    assert_eq!(
        (health(&seen), health(&seen).exit()),
        (Health::Healthy, Exit::Done)
    );
    let text = to_text(&seen, false);
    let begin = "health        healthy\ncluster       ab\nlog           lsn 41";
    assert!(text.starts_with(begin), "{text}");
    for line in [
        "sequencer/1     leader    yes   100    0     -     -  h1:1",
        "sequencer/2     follower  yes    90   10     -     -  h2:1",
        "unit/7          active    yes     -    0   0 B   0 B",
        "materializer/0  primary   yes    41    0     -     -",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.ends_with("no problem is known; bytes are checked whenever they are read"));
    let json = to_json(&seen);
    assert_eq!(json["health"], "healthy");
    assert_eq!(json["sequencer"]["voters"][1]["lag_entries"], 10);
}

#[test]
fn a_voter_that_is_away_needs_a_person_and_stops_nothing() {
    let mut seen = seen();
    seen.group.group[1].live = false;
    assert_eq!(
        (health(&seen), health(&seen).exit()),
        (Health::Degraded, Exit::Other)
    );
    let problem = only(&seen);
    assert!(
        problem.act.contains("dfsctl node remove sequencer/2"),
        "{}",
        problem.act
    );
    let text = to_text(&seen, false);
    assert!(
        text.starts_with("health        degraded  1 problem; 1 needs a person"),
        "{text}"
    );
    assert!(
        text.contains("problem: sequencer 2 is away\n  do: start its process at h2:1"),
        "{text}"
    );
}

#[test]
fn without_a_leader_a_primary_or_units_nothing_is_served() {
    let stops = |seen: &Seen, what: &str| {
        assert_eq!(
            (health(seen), health(seen).exit()),
            (Health::Unavailable, Exit::Unavailable)
        );
        let first = problems(seen).remove(0);
        assert!(
            first.stops && !first.act.is_empty() && first.what.contains(what),
            "{first:?}"
        );
    };
    let mut leaderless = seen();
    leaderless.told.sequencer.role = "follower".into();
    stops(&leaderless, "no sequencer leads");
    let mut silent = seen();
    silent.told.materializers[0].1 = Err(Refusal::new(Code::Unavailable, "it", "is silent"));
    stops(&silent, "no materializer is primary");
    let mut none = seen();
    none.told.materializers.clear();
    stops(&none, "no materializer is registered");
    let mut away = seen();
    away.told.units[0].0.live = false;
    stops(&away, "no log unit lives");
}

#[test]
fn under_replicated_groups_are_listed() {
    let mut seen = seen();
    // With what it was opened says nothing of now.
    seen.told.materializers[0].1.as_mut().unwrap().groups[0].under_replicated = true;
    assert_eq!(health(&seen), Health::Healthy);
    let answer = seen.told.materializers[0].1.as_mut().unwrap();
    answer.short_groups = vec![3];
    let text = to_text(&seen, false);
    assert!(
        text.contains("problem: group 3 is under-replicated: only units [7] have it\n  do: "),
        "{text}"
    );
    assert_eq!(to_json(&seen)["units"][0]["live"], true);
}

#[test]
fn groups_without_units_stop_something_only_where_something_lies_in_them() {
    let mut seen = seen();
    let group = |group, unit_ids| v1::Group {
        group,
        unit_ids,
        ..Default::default()
    };
    let answer = seen.told.materializers[0].1.as_mut().unwrap();
    answer.groups.extend([group(4, vec![8]), group(5, vec![9])]);
    let mut away = seen.told.units[0].clone();
    (away.0.unit_id, away.0.live) = (8, false);
    seen.told.units.push(away);
    let expected = [
        "group 4 cannot be read: none of units [8] is there",
        "group 5 is lost: units [9] had it",
        "unit 8 is away",
    ];
    let mut found = whats(&seen);
    found.sort();
    assert_eq!(
        (found.as_slice(), health(&seen)),
        (&expected.map(String::from)[..], Health::Unavailable)
    );
    let answer = seen.told.materializers[0].1.as_mut().unwrap();
    answer.empty_groups = vec![4, 5];
    assert_eq!(only(&seen).what, "unit 8 is away");
    assert_eq!(health(&seen), Health::Degraded);
}

#[test]
fn a_unit_that_is_away_is_a_problem_and_a_dead_one_is_not() {
    let mut seen = seen();
    let other = seen.told.units[0].clone();
    seen.told.units.push(other);
    (seen.told.units[1].0.unit_id, seen.told.units[1].0.live) = (8, false);
    let problem = only(&seen);
    assert_eq!(
        (problem.what.as_str(), problem.stops),
        ("unit 8 is away", false)
    );
    assert!(
        problem.act.ends_with("dfsctl node remove unit/8 --lost"),
        "{}",
        problem.act
    );
    seen.told.units[1].0.state = v1::UnitState::Dead as i32;
    assert_eq!(health(&seen), Health::Healthy);
}

#[test]
fn what_mends_itself_needs_nobody() {
    let mut seen = seen();
    let lag = v1::UnitLag {
        unit_id: 7,
        lane: 2,
        durable_idx: 10,
        cut_idx: 110,
    };
    seen.told.sequencer.lagging = vec![lag];
    let answer = seen.told.units[0].1.as_mut().unwrap();
    (answer.records_behind, answer.lanes_behind) = (100, 1);
    let problem = only(&seen);
    assert!(
        problem.what.contains("unit 7 stays out of lane 2"),
        "{problem:?}"
    );
    assert!(
        problem.what.contains("100 records missed") && problem.act.is_empty(),
        "{problem:?}"
    );
    let text = to_text(&seen, false);
    assert!(
        text.contains("repair: unit 7 fetches what it missed: 100 records in 1 lane"),
        "{text}"
    );
    assert!(
        text.starts_with("health        degraded  1 problem; 0 need a person"),
        "{text}"
    );
}

#[test]
fn damage_to_extents_is_told() {
    let mut answer = v1::UnitStatusAnswer {
        damaged_extents: 2,
        ..Default::default()
    };
    let told = |answer: &v1::UnitStatusAnswer| damage(7, answer).map(|problem| problem.what);
    assert_eq!(told(&answer).unwrap(), "unit 7 has 2 damaged extents");
    (answer.damaged_extents, answer.nameless_damage) = (0, 1);
    let nameless = "unit 7 has 1 damaged place that may hold extents";
    assert_eq!(told(&answer).unwrap(), nameless);
    assert_eq!(told(&v1::UnitStatusAnswer::default()), None);
}

#[test]
fn open_and_closed_stripes_and_sealed_lanes_are_told() {
    let mut seen = seen();
    seen.told.units[0].0.live = false;
    let stripe = |stripe, closed| v1::StripeState {
        stripe,
        closed,
        write_quorum: 1,
        first_lsn: 1,
        last_lsn: if closed { 9 } else { 0 },
        units: vec![v1::UnitRef {
            unit_id: 7,
            ..Default::default()
        }],
        ..Default::default()
    };
    let lane = |lane, stripe, sealed| v1::LaneState {
        lane,
        stripe,
        sealed,
        ..Default::default()
    };
    let sequencer = &mut seen.told.sequencer;
    sequencer.stripes = (1..=5).map(|id| stripe(id, id < 5)).collect();
    sequencer.lanes = vec![lane(1, 4, true), lane(2, 5, false)];
    let text = to_text(&seen, true);
    for told in [
        "stripe 5      units [7]  R 1  W 1  open  1 lane\n",
        "stripe 2      units [7]  R 1  W 1  closed, LSNs 1 to 9\n",
        "\n1 closed stripe more\n",
        "\nlanes         1 open, 1 sealed\n",
        "problem: stripe 5 has 0 live units and needs 1",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!to_text(&seen, false).contains("closed, LSNs"));
    assert_eq!(to_json(&seen)["stripes"][0]["closed"], true);
    assert_eq!(
        whats(&seen)[0],
        "stripe 5 has 0 live units and needs 1: its lanes wait, or move when others live"
    );
}

#[test]
fn a_sequencer_that_waits_is_told_once_all_voters_are_known() {
    let mut seen = seen();
    let waits = v1::Member {
        node_id: 9,
        roles: vec!["sequencer".into()],
        address: "h9:1".into(),
        ..Default::default()
    };
    let members = vec![waits];
    seen.told.sequencer.members = Some(v1::Members {
        members,
        ..Default::default()
    });
    assert_eq!(health(&seen), Health::Healthy);
    (seen.group.group[0].node_id, seen.group.group[1].node_id) = (1, 2);
    assert_eq!(only(&seen).act, "dfsctl node add h9:1");
    seen.group.group[1].node_id = 9;
    assert_eq!(health(&seen), Health::Healthy);
}
