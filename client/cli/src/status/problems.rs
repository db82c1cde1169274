//! What in a cluster is not as it should be, whether it stops anything, and what a person can do.
use super::Seen;
use crate::figures;
use dfs_wire::v1;
use std::collections::BTreeMap;

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) what: String,
    /// The command that mends it, where it does not mend itself; empty: nobody need do anything.
    pub(crate) act: String,
    /// Reads or writes wait for it, or are refused.
    pub(crate) stops: bool,
}

impl Problem {
    fn of(what: impl Into<String>) -> Problem {
        Problem {
            what: what.into(),
            ..Problem::default()
        }
    }

    fn act(self, act: impl Into<String>) -> Problem {
        Problem {
            act: act.into(),
            ..self
        }
    }

    fn stops(self, stops: bool) -> Problem {
        Problem { stops, ..self }
    }
}

/// What stops something first, then what needs a person.
pub(crate) fn problems(seen: &Seen) -> Vec<Problem> {
    let mut found = sequencers(seen);
    found.extend(units(seen));
    found.extend(stripes(seen));
    found.extend(materializers(seen));
    found.extend(groups(seen));
    found.sort_by_key(|problem| (!problem.stops, problem.act.is_empty()));
    found
}

fn again(address: &str, otherwise: &str) -> String {
    format!("start its process at {address} again; if it never comes back: {otherwise}")
}

fn sequencers(seen: &Seen) -> Vec<Problem> {
    let mut found = Vec::new();
    let told = &seen.told.sequencer;
    if !told.halted.is_empty() {
        let what = format!("the sequencer has halted: {}", told.halted);
        let id = seen.group.voter;
        let act = format!(
            "dfsctl node remove sequencer/{id}, empty its directory, start it with join = true, \
             and dfsctl node add its address"
        );
        found.push(Problem::of(what).act(act).stops(true));
    }
    if !seen.is_led() {
        let what = "no sequencer leads: nothing can be written";
        let act = "start the sequencers that are away: most of them have to live";
        found.push(Problem::of(what).act(act).stops(true));
        return found;
    }
    for member in seen.group.group.iter().filter(|member| !member.live) {
        let (id, address) = (member.id, &member.address);
        if member.leads {
            continue;
        }
        let what = format!("sequencer {id} is away");
        let act = again(address, &format!("dfsctl node remove sequencer/{id}"));
        found.push(Problem::of(what).act(act));
    }
    found.extend(outside(seen));
    found
}

/// Sequencers that were started to join. Where a voter was started at a new address, it is not known yet
/// which of them it is.
fn outside(seen: &Seen) -> Vec<Problem> {
    let group = &seen.group.group;
    if group.is_empty() || group.iter().any(|voter| voter.node_id == 0) {
        return Vec::new();
    }
    let is_one = |member: &v1::Member| member.roles.iter().any(|role| role == "sequencer");
    let is_in = |member: &v1::Member| {
        let same =
            |at: &v1::GroupMember| at.node_id == member.node_id || at.address == member.address;
        group.iter().any(same)
    };
    let members = seen.members().members.into_iter();
    let waiting = members.filter(|it| is_one(it) && !it.removed && !it.gone && !is_in(it));
    let told = waiting.map(|member| {
        let what = format!("the sequencer of node {} waits to be added", member.node_id);
        Problem::of(what).act(format!("dfsctl node add {}", member.address))
    });
    told.collect()
}

fn units(seen: &Seen) -> Vec<Problem> {
    let mut found = Vec::new();
    for (unit, answer) in &seen.told.units {
        // Of a dead one its place was taken by another; nothing is waited for.
        if unit.state() == v1::UnitState::Dead {
            continue;
        }
        let id = unit.unit_id;
        if !unit.live {
            let what = format!("unit {id} is away");
            let act = again(
                &unit.address,
                &format!("dfsctl node remove unit/{id} --lost"),
            );
            found.push(Problem::of(what).act(act));
        }
        if unit.full || answer.as_ref().is_ok_and(|answer| answer.full) {
            let what = format!("unit {id} is full: only privileged records are taken");
            found.push(Problem::of(what).act(ROOM));
        }
        match answer {
            Ok(answer) => found.extend(unit_answer(id, answer)),
            Err(refusal) if unit.live => {
                let what = format!("unit {id} does not say how it is: {refusal}");
                let act = again(
                    &unit.address,
                    &format!("dfsctl node remove unit/{id} --lost"),
                );
                found.push(Problem::of(what).act(act));
            }
            Err(_) => {}
        }
    }
    found
}

const ROOM: &str = "start another log unit: dfsctl serve unit --config FILE; \
                    or make room: dfsctl rm -r ADDRESS (see dfsctl df)";

fn unit_answer(id: u64, answer: &v1::UnitStatusAnswer) -> Vec<Problem> {
    let mut found: Vec<Problem> = low_space(id, answer).into_iter().collect();
    let ranges = answer.bad_ranges.len() as u64;
    if ranges > 0 {
        let ranges = figures::count(ranges, "damaged range", "damaged ranges");
        // Its peers mend it.
        found.push(Problem::of(format!("unit {id} has {ranges} in its log")));
    }
    found.extend(damage(id, answer));
    found
}

/// What cannot be read of files here; other units of the group have it.
pub(super) fn damage(id: u64, answer: &v1::UnitStatusAnswer) -> Option<Problem> {
    let (extents, nameless) = (answer.damaged_extents, answer.nameless_damage);
    let extents =
        (extents > 0).then(|| figures::count(extents, "damaged extent", "damaged extents"));
    let nameless = (nameless > 0).then(|| {
        figures::count(nameless, "damaged place", "damaged places") + " that may hold extents"
    });
    let told: Vec<String> = extents.into_iter().chain(nameless).collect();
    let what = format!("unit {id} has {}", told.join(" and "));
    let act = format!("take its disk out of use: dfsctl node drain unit/{id}");
    (!told.is_empty()).then(|| Problem::of(what).act(act))
}

/// LOG-U8: below the headroom only deletions and the log's own upkeep go on.
fn low_space(id: u64, answer: &v1::UnitStatusAnswer) -> Option<Problem> {
    let space = dfs_env::Space {
        total: answer.total_bytes,
        available: answer.available_bytes,
    };
    let low = answer.total_bytes > 0 && !answer.full && space.beyond_headroom() == 0;
    let what =
        format!("the disk of unit {id} is nearly full: writes are refused until space is back");
    low.then(|| Problem::of(what).act(ROOM))
}

/// LOG-D6: as long as there are no other units, the lanes of a weak stripe wait.
fn stripes(seen: &Seen) -> Vec<Problem> {
    let told = &seen.told.sequencer;
    let mut found: Vec<Problem> = told.lagging.iter().map(lagging).collect();
    let is_live = |id: u64| {
        let mut units = seen.told.units.iter();
        units.any(|(unit, _)| unit.unit_id == id && unit.live)
    };
    let open: Vec<_> = told.stripes.iter().filter(|it| !it.closed).collect();
    let live = |stripe: &v1::StripeState| {
        let units = stripe.units.iter();
        units.filter(|unit| is_live(unit.unit_id)).count()
    };
    let is_weak = |stripe: &v1::StripeState| live(stripe) < stripe.write_quorum as usize;
    let all_weak = open.iter().all(|stripe| is_weak(stripe));
    found.extend(open.iter().filter(|stripe| is_weak(stripe)).map(|stripe| {
        let (id, live, w) = (stripe.stripe, live(stripe), stripe.write_quorum);
        let what = format!(
            "stripe {id} has {live} live units and needs {w}: its lanes wait, or move when others live"
        );
        let problem = Problem::of(what).stops(all_weak);
        match all_weak {
            true => problem.act("start the log units that are away, or others: dfsctl serve unit --config FILE"),
            false => problem,
        }
    }));
    if open.is_empty() && !seen.told.units.iter().any(|(unit, _)| unit.live) {
        let what = "no log unit lives: nothing can be written";
        let act = "start one: dfsctl serve unit --config FILE";
        found.push(Problem::of(what).act(act).stops(true));
    }
    found
}

fn lagging(lag: &v1::UnitLag) -> Problem {
    let missed = lag.cut_idx.saturating_sub(lag.durable_idx);
    let (unit, lane) = (lag.unit_id, lag.lane);
    Problem::of(format!(
        "unit {unit} stays out of lane {lane} until the lane moves: {missed} records missed"
    ))
}

fn materializers(seen: &Seen) -> Vec<Problem> {
    let told = &seen.told.materializers;
    let primary = |answer: &v1::MaterializerStatusAnswer| {
        answer.role == "primary" && answer.halted.is_empty() && answer.doubt.is_empty()
    };
    let served = told.iter().any(|(_, it)| it.as_ref().is_ok_and(primary));
    let mut found = Vec::new();
    if told.is_empty() {
        let what = "no materializer is registered: nothing is served";
        let act = "start one: dfsctl serve materializer --config FILE";
        return vec![Problem::of(what).act(act).stops(true)];
    }
    if !served {
        let what = "no materializer is primary: nothing is served";
        let act = "wait for the others to take over; else start those that are away";
        found.push(Problem::of(what).act(act).stops(true));
    }
    for (member, answer) in told {
        let id = member.node_id;
        let anew = format!(
            "stop it, set its directory aside, start it again; or give it up: dfsctl node remove materializer/{id}"
        );
        match answer {
            Err(refusal) => {
                let what = format!("materializer of node {id}: {refusal}");
                let otherwise = format!("dfsctl node remove materializer/{id}");
                found.push(Problem::of(what).act(again(&member.address, &otherwise)));
            }
            Ok(answer) if !answer.halted.is_empty() => {
                let what = format!("materializer of node {id} has halted: {}", answer.halted);
                found.push(Problem::of(what).act(anew));
            }
            Ok(answer) if !answer.doubt.is_empty() => {
                let what = format!(
                    "materializer of node {id} answers nothing: {}",
                    answer.doubt
                );
                found.push(Problem::of(what).act(anew));
            }
            Ok(_) => {}
        }
    }
    found.extend(odd_replicas(seen));
    found
}

/// FOLD-X4b: what replicas told last of the same LSN.
fn odd_replicas(seen: &Seen) -> Option<Problem> {
    let answers = seen.told.materializers.iter();
    let answers = answers.filter_map(|(_, answer)| answer.as_ref().ok());
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
    let what = format!(
        "replicas folded LSN {lsn} to different digests: {}",
        listed.join(", ")
    );
    Some(Problem::of(what).act("find out which is right: dfsctl verify digest --refold"))
}

fn groups(seen: &Seen) -> Vec<Problem> {
    let answers = seen.told.materializers.iter();
    let answers: Vec<_> = answers.filter_map(|(_, it)| it.as_ref().ok()).collect();
    let empty = |group: &v1::Group| {
        answers
            .iter()
            .any(|it| it.empty_groups.contains(&group.group))
    };
    let mut found = BTreeMap::new();
    for answer in &answers {
        // Nobody misses what lies in none of its copies.
        for group in answer.groups.iter().filter(|group| !empty(group)) {
            let short = answer.short_groups.contains(&group.group);
            found.extend(group_problem(seen, group, short).map(|it| (group.group, it)));
        }
    }
    found.into_values().collect()
}

/// A group that holds something, and has fewer copies than it should, or none that can be read now.
fn group_problem(seen: &Seen, group: &v1::Group, short: bool) -> Option<Problem> {
    let (id, units) = (group.group, &group.unit_ids);
    let known = |id: u64| seen.told.units.iter().find(|(unit, _)| unit.unit_id == id);
    let is_left =
        |id: &u64| known(*id).is_some_and(|(unit, _)| unit.state() != v1::UnitState::Dead);
    let is_there = |id: &u64| is_left(id) && known(*id).is_some_and(|(unit, _)| unit.live);
    let left: Vec<u64> = units.iter().copied().filter(is_left).collect();
    let there = units.iter().filter(|id| is_there(id)).count();
    if left.is_empty() {
        let what = format!("group {id} is lost: units {units:?} had it");
        let act = "remove its files, dfsctl rm ADDRESS, or write them again: they are those that cannot be read";
        return Some(Problem::of(what).act(act).stops(true));
    }
    if there == 0 {
        let what = format!("group {id} cannot be read: none of units {left:?} is there");
        let act = format!("start the units {left:?} again");
        return Some(Problem::of(what).act(act).stops(true));
    }
    if short {
        let what = format!("group {id} is under-replicated: only units {left:?} have it");
        let act = "write its files again once there are units enough, for extents do not move yet: \
                   dfsctl serve unit --config FILE";
        return Some(Problem::of(what).act(act));
    }
    // Whoever brings the unit back brings the copy back.
    let all = units.len();
    let what = format!("group {id} has {there} of {all} copies: units {units:?}");
    (there < all).then(|| Problem::of(what))
}
