//! The state of a cluster in raw numbers.
use super::problems::{Problem, problems};
use super::{Health, Seen, history, members, repairs, unit_state};
use crate::quote::hex;
use crate::record;
use dfs_wire::v1;
use serde_json::{Value, json};

/// Everything that was asked, and what is to be thought of it.
pub(crate) fn to_json(seen: &Seen) -> Value {
    let sequencer = &seen.told.sequencer;
    let problems = problems(seen);
    let capacity = members::Capacity::of(seen);
    let units = seen.told.units.iter();
    let materializers = seen.told.materializers.iter();
    json!({
        "health": Health::of(&problems).word(),
        "cluster_id": hex(&sequencer.cluster_id),
        "next_lsn": sequencer.next_lsn,
        "log_time_us": sequencer.log_time_us,
        "cut_seq": sequencer.cut_seq,
        "history": history::to_json(&seen.told),
        "capacity": {
            "log_bytes": capacity.log, "extent_bytes": capacity.extents,
            "available_bytes": capacity.available, "total_bytes": capacity.total,
        },
        "sequencer": {
            "node_id": sequencer.node_id, "role": sequencer.role, "term": sequencer.term,
            "leader": sequencer.leader, "raft_last_index": sequencer.raft_last_index,
            "raft_applied_index": sequencer.raft_applied_index, "cuts_held": sequencer.cuts_held,
            "voters": seen.group.group.iter().map(|member| voter_json(seen, member)).collect::<Vec<_>>(),
        },
        "stripes": sequencer.stripes.iter().map(stripe_json).collect::<Vec<_>>(),
        "lanes": sequencer.lanes.iter().map(lane_json).collect::<Vec<_>>(),
        "units": units.map(|(unit, told)| unit_json(unit, told.as_ref().ok())).collect::<Vec<_>>(),
        "materializers": materializers.map(|(member, told)| {
            materializer_json(member, told.as_ref().ok(), seen.last_lsn())
        }).collect::<Vec<_>>(),
        "repairs": repairs::repairs(seen),
        "problems": problems.iter().map(problem_json).collect::<Vec<_>>(),
    })
}

fn problem_json(problem: &Problem) -> Value {
    json!({ "what": problem.what, "do": problem.act, "stops": problem.stops })
}

fn voter_json(seen: &Seen, member: &v1::GroupMember) -> Value {
    json!({
        "id": member.id, "address": member.address, "voter": member.is_voter,
        "leads": member.leads, "live": member.live || member.leads,
        "matched_index": member.matched_index,
        "lag_entries": seen.group.last_index.saturating_sub(member.matched_index),
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
            "lanes_behind": answer.lanes_behind, "records_behind": answer.records_behind,
            "bytes_to_fetch": answer.bytes_to_fetch,
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

fn materializer_json(
    member: &v1::Member,
    answer: Option<&v1::MaterializerStatusAnswer>,
    last_lsn: u64,
) -> Value {
    let answered = answer.map(|answer| {
        let groups = answer.groups.iter().map(|group| {
            json!({
                "group": group.group, "generation": group.generation, "units": group.unit_ids,
                "redundancy": record::redundancy(group.redundancy.as_ref()),
                "closed": group.closed,
                "under_replicated": answer.short_groups.contains(&group.group),
                "empty": answer.empty_groups.contains(&group.group),
            })
        });
        json!({
            "shard": answer.shard, "role": answer.role, "term": answer.term,
            "applied_lsn": answer.applied_lsn, "durable_lsn": answer.durable_lsn,
            "lag_records": last_lsn.saturating_sub(answer.applied_lsn),
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
