//! The state of a cluster, as text and as JSON, and what in it is not as it should be.
pub(crate) mod history;

use crate::quote::hex;
use crate::{calendar, figures, record};
use dfs_fs::Status;
use dfs_wire::v1;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

pub(crate) fn to_text(status: &Status, wide: bool) -> String {
    let sequencer = &status.sequencer;
    let mut text = String::new();
    let time = calendar::format(sequencer.log_time_us);
    let last = sequencer.next_lsn.saturating_sub(1);
    let _ = writeln!(text, "cluster       {}", hex(&sequencer.cluster_id));
    let _ = writeln!(
        text,
        "log           lsn {last}  time {time}  cut {}",
        sequencer.cut_seq
    );
    history::to_text(&mut text, status);
    let _ = writeln!(
        text,
        "sequencer     node {} {}  term {}  leader {}",
        sequencer.node_id, sequencer.role, sequencer.term, sequencer.leader
    );
    text.push_str(&stripe_lines(sequencer));
    for (unit, answer) in &status.units {
        let _ = writeln!(text, "{}", unit_line(unit, answer.as_ref().ok()));
    }
    for (member, answer) in &status.materializers {
        materializer_lines(&mut text, member, answer.as_ref().ok(), last, wide);
    }
    let problems = problems(status);
    match problems.as_slice() {
        // Nobody looks at bytes that nobody reads.
        [] => text.push_str("no problem is known; bytes are checked whenever they are read"),
        problems => text.push_str(&problems.join("\n")),
    }
    text
}

/// Closed ones are only read from, and only the newest are told.
const CLOSED_TOLD: usize = 3;

fn stripe_lines(sequencer: &v1::SequencerStatusAnswer) -> String {
    let (stripes, lanes) = (&sequencer.stripes, &sequencer.lanes);
    let open = stripes.iter().filter(|stripe| !stripe.closed);
    let closed: Vec<_> = stripes.iter().filter(|stripe| stripe.closed).collect();
    let (left_out, told) = closed.split_at(closed.len().saturating_sub(CLOSED_TOLD));
    let mut text = String::new();
    for stripe in open.chain(told.iter().copied()) {
        let units: Vec<u64> = stripe.units.iter().map(|unit| unit.unit_id).collect();
        let (r, w) = (units.len(), stripe.write_quorum);
        let state = if stripe.closed {
            let waiting = match stripe.waiting_runs {
                0 => String::new(),
                runs => format!("  {runs} runs wait for its units to come back"),
            };
            let (first, last) = (stripe.first_lsn, stripe.last_lsn);
            format!("closed, LSNs {first} to {last}{waiting}")
        } else {
            let on_it = |lane: &&v1::LaneState| !lane.sealed && lane.stripe == stripe.stripe;
            let count = lanes.iter().filter(on_it).count() as u64;
            format!("open  {}", figures::count(count, "lane", "lanes"))
        };
        let id = stripe.stripe;
        let _ = writeln!(
            text,
            "stripe {id:<6} units {units:?}  R {r}  W {w}  {state}"
        );
    }
    if !left_out.is_empty() {
        let count = figures::count(left_out.len() as u64, "closed stripe", "closed stripes");
        let _ = writeln!(text, "{count} more");
    }
    let sealed = lanes.iter().filter(|lane| lane.sealed).count();
    if sealed > 0 {
        let open = lanes.len() - sealed;
        let _ = writeln!(text, "lanes         {open} open, {sealed} sealed");
    }
    text
}

/// LOG-D6: as long as there are no other units, its lanes wait.
fn weak_stripes(sequencer: &v1::SequencerStatusAnswer) -> Vec<String> {
    let members = sequencer.members.as_ref();
    let is_live = |id: u64| {
        let mut units = members.iter().flat_map(|members| &members.units);
        units.any(|unit| unit.unit_id == id && unit.live)
    };
    let open = sequencer.stripes.iter().filter(|stripe| !stripe.closed);
    let live = |stripe: &v1::StripeState| {
        let units = stripe.units.iter();
        units.filter(|unit| is_live(unit.unit_id)).count()
    };
    let weak = open.filter(|stripe| live(stripe) < stripe.write_quorum as usize);
    weak.map(|stripe| {
        let (id, live, w) = (stripe.stripe, live(stripe), stripe.write_quorum);
        format!("stripe {id} has {live} live units and needs {w}: its lanes wait, or move when others live")
    })
    .collect()
}

fn unit_line(unit: &v1::UnitRef, answer: Option<&v1::UnitStatusAnswer>) -> String {
    let live = if unit.live { "live" } else { "away" };
    let mut line = format!(
        "unit {:<8} node {} slot {}  {} {live}  {}",
        unit.unit_id,
        unit.node_id,
        unit.slot,
        unit_state(unit.state),
        unit.address
    );
    if let Some(answer) = answer {
        let (log, extents) = (answer.log_bytes, answer.extent_bytes);
        let _ = write!(
            line,
            "  log {}  extents {} in {}  free {} of {}",
            figures::bytes(log),
            figures::thousands(answer.extents),
            figures::bytes(extents),
            figures::bytes(answer.available_bytes),
            figures::bytes(answer.total_bytes)
        );
        if answer.scrub_found + answer.mended_frames > 0 {
            let (found, mended) = (answer.scrub_found, answer.mended_frames);
            let _ = write!(line, "  frames found damaged {found}, mended {mended}");
        }
    }
    line
}

fn materializer_lines(
    text: &mut String,
    member: &v1::Member,
    answer: Option<&v1::MaterializerStatusAnswer>,
    last_lsn: u64,
    wide: bool,
) {
    let Some(answer) = answer else {
        let _ = writeln!(
            text,
            "materializer  node {}  {}",
            member.node_id, member.address
        );
        return;
    };
    let behind = last_lsn.saturating_sub(answer.applied_lsn);
    let _ = writeln!(
        text,
        "materializer  node {} shard {} {}  term {}  applied {} ({behind} behind)  durable {}",
        answer.node_id,
        answer.shard,
        answer.role,
        answer.term,
        answer.applied_lsn,
        answer.durable_lsn
    );
    let _ = writeln!(
        text,
        "              {}  {}  digest {:016x}",
        figures::count(answer.entries, "entry", "entries"),
        figures::count(answer.sessions, "session", "sessions"),
        answer.digest
    );
    let shown = |group: &&v1::Group| wide || !group.closed;
    for group in answer.groups.iter().filter(shown) {
        let redundancy = record::redundancy(group.redundancy.as_ref());
        let state = if group.closed { "closed" } else { "open" };
        let _ = writeln!(
            text,
            "group {:<7} {redundancy} {state}  units {:?}",
            group.group, group.unit_ids
        );
    }
}

pub(crate) fn unit_state(state: i32) -> &'static str {
    match v1::UnitState::try_from(state) {
        Ok(v1::UnitState::Active) => "active",
        Ok(v1::UnitState::ReadOnly) => "read-only",
        Ok(v1::UnitState::Draining) => "draining",
        Ok(v1::UnitState::Dead) => "dead",
        Ok(v1::UnitState::Unspecified) | Err(_) => "unknown",
    }
}

/// One line each, so that `status | grep problem` finds them.
fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    for (unit, answer) in &status.units {
        let id = unit.unit_id;
        match v1::UnitState::try_from(unit.state) {
            // Its place was taken by another; nothing is waited for.
            Ok(v1::UnitState::Dead) => continue,
            _ if !unit.live => problems.push(format!("unit {id} is away")),
            _ => {}
        }
        if unit.full || answer.as_ref().is_ok_and(|answer| answer.full) {
            problems.push(format!(
                "unit {id} is full: only privileged records are taken"
            ));
        }
        problems.extend(
            answer
                .as_ref()
                .ok()
                .and_then(|answer| low_space(id, answer)),
        );
        let ranges = answer.as_ref().map_or(0, |answer| answer.bad_ranges.len());
        if ranges > 0 {
            let ranges = figures::count(ranges as u64, "damaged range", "damaged ranges");
            problems.push(format!("unit {id} has {ranges} in its log"));
        }
        problems.extend(answer.as_ref().ok().and_then(|answer| damage(id, answer)));
        if let (true, Err(refusal)) = (unit.live, answer) {
            problems.push(format!("unit {id} does not say how it is: {refusal}"));
        }
    }
    let halted = &status.sequencer.halted;
    if !halted.is_empty() {
        problems.push(format!("the sequencer has halted: {halted}"));
    }
    for lag in &status.sequencer.lagging {
        let missed = lag.cut_idx.saturating_sub(lag.durable_idx);
        problems.push(format!(
            "unit {} stays out of lane {} until the lane moves: {missed} records missed",
            lag.unit_id, lag.lane
        ));
    }
    problems.extend(weak_stripes(&status.sequencer));
    problems.extend(materializer_problems(status));
    problems
        .iter()
        .map(|problem| format!("problem: {problem}"))
        .collect()
}

/// What cannot be read of files here; other units of the group have it.
fn damage(id: u64, answer: &v1::UnitStatusAnswer) -> Option<String> {
    let (extents, nameless) = (answer.damaged_extents, answer.nameless_damage);
    let extents =
        (extents > 0).then(|| figures::count(extents, "damaged extent", "damaged extents"));
    let nameless = (nameless > 0).then(|| {
        figures::count(nameless, "damaged place", "damaged places") + " that may hold extents"
    });
    let told: Vec<String> = extents.into_iter().chain(nameless).collect();
    (!told.is_empty()).then(|| format!("unit {id} has {}", told.join(" and ")))
}

/// LOG-U8: below the headroom only deletions and the log's own upkeep go on.
fn low_space(id: u64, answer: &v1::UnitStatusAnswer) -> Option<String> {
    let space = dfs_env::Space {
        total: answer.total_bytes,
        available: answer.available_bytes,
    };
    let low = answer.total_bytes > 0 && !answer.full && space.beyond_headroom() == 0;
    low.then(|| {
        format!("the disk of unit {id} is nearly full: writes are refused until space is back")
    })
}

fn materializer_problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    let mut short = BTreeMap::new();
    for (member, answer) in &status.materializers {
        let id = member.node_id;
        match answer {
            Err(refusal) => problems.push(format!("materializer of node {id}: {refusal}")),
            Ok(answer) if !answer.halted.is_empty() => {
                problems.push(format!(
                    "materializer of node {id} has halted: {}",
                    answer.halted
                ));
            }
            Ok(answer) if !answer.doubt.is_empty() => {
                problems.push(format!(
                    "materializer of node {id} answers nothing: {}",
                    answer.doubt
                ));
            }
            Ok(answer) => {
                let told = |group: &v1::Group| Some((group.group, group_problem(status, group)?));
                short.extend(answer.groups.iter().filter_map(told));
            }
        }
    }
    if status.materializers.is_empty() {
        problems.push("no materializer is registered: nothing is served".into());
    }
    problems.extend(odd_replicas(status));
    problems.extend(short.into_values());
    problems
}

/// FOLD-X4b: what replicas told last of the same LSN.
fn odd_replicas(status: &Status) -> Option<String> {
    let answers = status
        .materializers
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok());
    let newest = answers.max_by_key(|answer| answer.applied_lsn)?;
    let told = &newest.digests_told;
    let differs = |one: &v1::DigestTold| {
        told.iter()
            .any(|other| other.lsn == one.lsn && other.digest != one.digest)
    };
    let listed: Vec<String> = told
        .iter()
        .filter(|one| differs(one))
        .map(|one| format!("node {} {:016x}", one.node_id, one.digest))
        .collect();
    let lsn = told.iter().find(|one| differs(one))?.lsn;
    Some(format!(
        "replicas folded LSN {lsn} to different digests: {}",
        listed.join(", ")
    ))
}

/// A group that has fewer copies than it should, or none that can be read now.
fn group_problem(status: &Status, group: &v1::Group) -> Option<String> {
    let (id, units) = (group.group, &group.unit_ids);
    let is_there = |id: &&u64| {
        let unit = status.units.iter().find(|(unit, _)| unit.unit_id == **id);
        unit.is_some_and(|(unit, _)| unit.live && unit.state() != v1::UnitState::Dead)
    };
    let there = units.iter().filter(is_there).count();
    if there == 0 {
        return Some(format!(
            "group {id} cannot be read: none of units {units:?} is there"
        ));
    }
    if there < units.len() {
        return Some(format!(
            "group {id} has {there} of {} copies: units {units:?}",
            units.len()
        ));
    }
    let short = group.under_replicated;
    short.then(|| format!("group {id} is under-replicated: units {units:?}"))
}

/// Raw numbers of everything that was asked.
pub(crate) fn to_json(status: &Status) -> Value {
    let sequencer = &status.sequencer;
    json!({
        "cluster_id": hex(&sequencer.cluster_id),
        "next_lsn": sequencer.next_lsn,
        "log_time_us": sequencer.log_time_us,
        "cut_seq": sequencer.cut_seq,
        "history": history::to_json(status),
        "sequencer": {
            "node_id": sequencer.node_id, "role": sequencer.role, "term": sequencer.term,
            "leader": sequencer.leader, "raft_last_index": sequencer.raft_last_index,
            "raft_applied_index": sequencer.raft_applied_index, "cuts_held": sequencer.cuts_held,
        },
        "stripes": sequencer.stripes.iter().map(stripe_json).collect::<Vec<_>>(),
        "lanes": sequencer.lanes.iter().map(lane_json).collect::<Vec<_>>(),
        "units": status.units.iter().map(|(unit, answer)| {
            unit_json(unit, answer.as_ref().ok())
        }).collect::<Vec<_>>(),
        "materializers": status.materializers.iter().map(|(member, answer)| {
            materializer_json(member, answer.as_ref().ok())
        }).collect::<Vec<_>>(),
        "problems": problems(status),
    })
}

fn stripe_json(stripe: &v1::StripeState) -> Value {
    let units = stripe.units.iter().map(|unit| unit.unit_id);
    json!({
        "stripe": stripe.stripe, "units": units.collect::<Vec<_>>(),
        "write_quorum": stripe.write_quorum,
        "first_lsn": stripe.first_lsn, "last_lsn": stripe.last_lsn, "closed": stripe.closed,
    })
}

fn lane_json(lane: &v1::LaneState) -> Value {
    json!({
        "lane": lane.lane, "stripe": lane.stripe, "length": lane.length, "sealed": lane.sealed,
        "successor": lane.successor, "owner": lane.owner.map(|owner| owner.node_id),
    })
}

fn unit_json(unit: &v1::UnitRef, answer: Option<&v1::UnitStatusAnswer>) -> Value {
    let answered = answer.map(|answer| {
        json!({
            "log_bytes": answer.log_bytes, "extent_bytes": answer.extent_bytes,
            "extents": answer.extents, "fsyncs": answer.fsyncs,
            "appended_frames": answer.appended_frames,
            "appended_records": answer.appended_records,
            "heard_cut_seq": answer.heard_cut_seq, "stamped_through": answer.stamped_through,
            "total_bytes": answer.total_bytes, "available_bytes": answer.available_bytes,
            "damaged_extents": answer.damaged_extents,
            "nameless_damage": answer.nameless_damage,
            "bad_ranges": answer.bad_ranges.len(), "full": answer.full,
        })
    });
    json!({
        "unit_id": unit.unit_id, "node_id": unit.node_id, "slot": unit.slot,
        "address": unit.address, "rack": unit.rack, "state": unit_state(unit.state),
        "live": unit.live, "full": unit.full, "status": answered,
    })
}

fn materializer_json(member: &v1::Member, answer: Option<&v1::MaterializerStatusAnswer>) -> Value {
    let answered = answer.map(|answer| {
        let groups = answer.groups.iter().map(|group| {
            json!({
                "group": group.group, "generation": group.generation, "units": group.unit_ids,
                "redundancy": record::redundancy(group.redundancy.as_ref()),
                "closed": group.closed, "under_replicated": group.under_replicated,
            })
        });
        json!({
            "shard": answer.shard, "role": answer.role, "term": answer.term,
            "applied_lsn": answer.applied_lsn, "durable_lsn": answer.durable_lsn,
            "digest": format!("{:016x}", answer.digest), "sessions": answer.sessions,
            "entries": answer.entries, "halted": answer.halted, "doubt": answer.doubt,
            "agreed_lsn": answer.agreed_lsn,
            "digests_told": answer.digests_told.iter().map(|told| json!({
                "node_id": told.node_id, "lsn": told.lsn, "digest": format!("{:016x}", told.digest),
            })).collect::<Vec<_>>(),
            "groups": groups.collect::<Vec<_>>(),
        })
    });
    json!({
        "node_id": member.node_id, "address": member.address, "gone": member.gone,
        "status": answered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let unit = v1::UnitRef {
            unit_id: 7,
            state: v1::UnitState::Active as i32,
            live: true,
            ..Default::default()
        };
        let group = v1::Group {
            group: 3,
            unit_ids: vec![7],
            under_replicated: true,
            ..Default::default()
        };
        let served = v1::MaterializerStatusAnswer {
            role: "primary".into(),
            applied_lsn: 41,
            groups: vec![group],
            ..Default::default()
        };
        Status {
            sequencer: v1::SequencerStatusAnswer {
                cluster_id: vec![0xab].into(),
                next_lsn: 42,
                ..Default::default()
            },
            units: vec![(unit, Ok(v1::UnitStatusAnswer::default()))],
            materializers: vec![(v1::Member::default(), Ok(served))],
        }
    }

    #[test]
    fn under_replicated_groups_are_listed() {
        let text = to_text(&status(), false);
        assert!(
            text.starts_with("cluster       ab\nlog           lsn 41"),
            "{text}"
        );
        assert!(
            text.ends_with("problem: group 3 is under-replicated: units [7]"),
            "{text}"
        );
        assert_eq!(to_json(&status())["units"][0]["live"], true);
    }

    #[test]
    fn a_unit_that_is_away_is_a_problem_and_a_dead_one_is_not() {
        let mut status = status();
        status.units[0].0.live = false;
        assert!(problems(&status).contains(&"problem: unit 7 is away".to_string()));
        status.units[0].0.state = v1::UnitState::Dead as i32;
        assert_eq!(problems(&status).len(), 1);
    }

    #[test]
    fn a_unit_out_of_a_lane_is_told() {
        let mut status = status();
        status.sequencer.lagging = vec![v1::UnitLag {
            unit_id: 7,
            lane: 2,
            durable_idx: 10,
            cut_idx: 110,
        }];
        let problems = problems(&status).join("\n");
        assert!(
            problems.contains("unit 7 stays out of lane 2"),
            "{problems}"
        );
        assert!(problems.contains("100 records missed"), "{problems}");
    }
    #[test]
    fn damage_to_extents_is_told() {
        let mut answer = v1::UnitStatusAnswer {
            damaged_extents: 2,
            ..Default::default()
        };
        let told = damage(7, &answer).unwrap_or_default();
        assert_eq!(told, "unit 7 has 2 damaged extents");
        (answer.damaged_extents, answer.nameless_damage) = (0, 1);
        let told = damage(7, &answer).unwrap_or_default();
        assert_eq!(told, "unit 7 has 1 damaged place that may hold extents");
        assert_eq!(damage(7, &v1::UnitStatusAnswer::default()), None);
    }

    #[test]
    fn open_and_closed_stripes_and_sealed_lanes_are_told() {
        let mut status = status();
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
        let sequencer = &mut status.sequencer;
        sequencer.stripes = (1..=5).map(|id| stripe(id, id < 5)).collect();
        sequencer.lanes = vec![lane(1, 4, true), lane(2, 5, false)];
        let text = to_text(&status, false);
        for told in [
            "stripe 5      units [7]  R 1  W 1  open  1 lane\n",
            "stripe 2      units [7]  R 1  W 1  closed, LSNs 1 to 9\n",
            "\n1 closed stripe more\n",
            "\nlanes         1 open, 1 sealed\n",
            "problem: stripe 5 has 0 live units and needs 1",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert_eq!(to_json(&status)["stripes"][0]["closed"], true);
    }
}
