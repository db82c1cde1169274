//! What a cluster is mending or moving by itself.
use super::Seen;
use crate::figures;
use dfs_wire::v1;

/// One line each.
pub(super) fn repairs(seen: &Seen) -> Vec<String> {
    let mut told = Vec::new();
    for (unit, answer) in &seen.told.units {
        let id = unit.unit_id;
        if unit.state() == v1::UnitState::Draining {
            told.push(format!(
                "unit {id} is drained: dfsctl node drain unit/{id} follows it"
            ));
        }
        if let Ok(answer) = answer {
            told.extend(catching_up(id, answer));
            told.extend(mended(id, answer));
        }
    }
    let stripes = &seen.told.sequencer.stripes;
    told.extend(
        stripes
            .iter()
            .filter(|stripe| stripe.closed)
            .filter_map(closed),
    );
    for (member, answer) in &seen.told.materializers {
        let folds = |answer: &&v1::MaterializerStatusAnswer| answer.role == "catching up";
        if let Some(answer) = answer.as_ref().ok().filter(folds) {
            let left = seen.last_lsn().saturating_sub(answer.applied_lsn);
            let left = figures::count(left, "record", "records");
            let id = member.node_id;
            told.push(format!(
                "materializer of node {id} folds what it missed: {left} to go"
            ));
        }
    }
    told
}

fn catching_up(id: u64, answer: &v1::UnitStatusAnswer) -> Option<String> {
    let behind = answer.records_behind > 0 || answer.bytes_to_fetch > 0;
    behind.then(|| {
        format!(
            "unit {id} fetches what it missed: {} in {}, {} of the part under way to go",
            figures::count(answer.records_behind, "record", "records"),
            figures::count(answer.lanes_behind, "lane", "lanes"),
            figures::bytes(answer.bytes_to_fetch)
        )
    })
}

/// Damage that was found in the log: peers have the same frames.
fn mended(id: u64, answer: &v1::UnitStatusAnswer) -> Option<String> {
    let (found, mended) = (answer.scrub_found, answer.mended_frames);
    (found + mended > 0).then(|| {
        format!("unit {id} has found {found} damaged frames and mended {mended} since its start")
    })
}

fn closed(stripe: &v1::StripeState) -> Option<String> {
    let id = stripe.stripe;
    let copies: Vec<u64> = stripe.copies.iter().map(|unit| unit.unit_id).collect();
    let missing: Vec<u64> = copies
        .into_iter()
        .filter(|unit| !stripe.locations.contains(unit))
        .collect();
    match (missing.is_empty(), stripe.waiting_runs) {
        (false, _) => Some(format!("stripe {id} is copied to units {missing:?}")),
        (true, 0) => None,
        (true, runs) => Some(format!(
            "stripe {id}: {runs} runs wait for its units to come back"
        )),
    }
}
