//! Where everything stands when a run hangs: what each role says of itself, for whoever looks for the cause.
use crate::cluster::Cluster;
use dfs_env::Env;
use dfs_wire::v1;
use std::time::Duration;

/// A role that hangs itself says nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A line for the sequencer, and one for each unit and materializer.
pub(crate) async fn describe(cluster: &Cluster, env: &Env) -> Vec<String> {
    let mut lines = Vec::new();
    match cluster.leading().await {
        Some((name, status)) => lines.extend(of_sequencer(name, &status)),
        None => lines.push("no sequencer leads".into()),
    }
    for name in cluster.units() {
        let Some((unit_id, role)) = cluster.unit(name) else {
            lines.push(format!("{name}: no unit runs"));
            continue;
        };
        let asked = role.status(v1::UnitStatusRequest { unit_id });
        let answer = env.timeout(ANSWER_WITHIN, asked).await;
        lines.push(match answer {
            Ok(Ok(status)) => of_unit(name, &status),
            Ok(Err(refusal)) => format!("{name}: {refusal}"),
            Err(_) => format!("{name} does not answer"),
        });
    }
    for name in cluster.materializers() {
        let Some(role) = cluster.materializer(name) else {
            lines.push(format!("{name}: no materializer runs"));
            continue;
        };
        lines.push(match env.timeout(ANSWER_WITHIN, role.status()).await {
            Ok(Ok(status)) => format!(
                "{name}: {} applied {} {}",
                status.role, status.applied_lsn, status.halted
            ),
            Ok(Err(refusal)) => format!("{name}: {refusal}"),
            Err(_) => format!("{name} does not answer"),
        });
    }
    lines
}

fn of_sequencer(name: &str, status: &v1::SequencerStatusAnswer) -> Vec<String> {
    let (end, cut, held) = (status.next_lsn, status.cut_seq, status.cuts_held);
    let mut lines = vec![format!(
        "{name} leads: end {end}, cut {cut}, {held} cuts held"
    )];
    for stripe in &status.stripes {
        let units: Vec<u64> = stripe.units.iter().map(|unit| unit.unit_id).collect();
        let (first, last) = (stripe.first_lsn, stripe.last_lsn);
        let (id, closed, at) = (stripe.stripe, stripe.closed, &stripe.locations);
        lines.push(format!(
            "  stripe {id}: units {units:?}, LSN {first} to {last}, closed {closed}, whole on {at:?}"
        ));
    }
    let lanes = status.lanes.iter();
    lines.extend(lanes.map(|lane| {
        let (id, stripe, length, sealed) = (lane.lane, lane.stripe, lane.length, lane.sealed);
        format!("  lane {id}: stripe {stripe}, length {length}, sealed {sealed}")
    }));
    lines
}

fn of_unit(name: &str, status: &v1::UnitStatusAnswer) -> String {
    let (id, heard) = (status.unit_id, status.heard_cut_seq);
    let (stamped, lanes) = (status.stamped_through, status.lanes_behind);
    let (records, bad) = (status.records_behind, &status.bad_ranges);
    format!(
        "{name}: unit {id}, heard cut {heard}, stamped through {stamped}, {records} records of {lanes} lanes missing, bad {bad:?}"
    )
}
