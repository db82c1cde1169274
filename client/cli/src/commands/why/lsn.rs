//! Of an LSN: where its record lies; or what lags, if it is not there yet.
use crate::calendar;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures;
use dfs_fs::Status;
use dfs_log::{Event, Follow, FrameAt};
use dfs_wire::v1;
use serde_json::json;

pub(super) async fn why(call: &Call, lsn: u64) -> Outcome {
    if lsn == 0 {
        let advice = "Ask for 1 or more";
        return Err(Failure::usage(
            "no record has LSN 0",
            "LSNs begin at 1",
            advice,
        ));
    }
    let status = call.cluster().await?.fs.status().await?;
    let next_lsn = status.sequencer.next_lsn;
    if lsn >= next_lsn {
        return missing(call, lsn, &status);
    }
    let at = frame(call, lsn).await?;
    let (lane, idx) = (
        at.frame.header.lane,
        at.frame.header.first_idx + (lsn - at.first_lsn),
    );
    let known = status
        .sequencer
        .lanes
        .iter()
        .find(|known| known.lane == lane);
    let stripe = known.map(|known| known.stripe);
    let units = units_of(&status.sequencer, stripe);
    let behind: Vec<String> = folded_less(&status, lsn);
    let verdict = match behind.is_empty() {
        true => format!("lsn {lsn} is there, and folded everywhere"),
        false => format!("lsn {lsn} is there; {}", behind.join("; ")),
    };
    let mut lines = vec![verdict.clone()];
    lines.push(format!("  lane {lane}, idx {idx}, cut {}", at.cut_seq));
    lines.push(match stripe {
        Some(stripe) => format!("  stripe {stripe} on units {}", listed(&units)),
        None => "  its lane is sealed and trimmed: its stripe is known to units only".into(),
    });
    lines.extend(
        away(&status.sequencer, stripe)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines.push(format!("  log time {}", calendar::format(at.log_time_us)));
    let fields = json!({
        "verdict": verdict, "there": true, "lane": lane, "idx": idx, "cut_seq": at.cut_seq,
        "stripe": stripe, "units": units, "log_time_us": at.log_time_us, "behind": behind,
    });
    let name = lsn.to_string();
    call.output
        .data("Why", lsn, fields, name.as_bytes(), &lines.join("\n"))
}

fn missing(call: &Call, lsn: u64, status: &Status) -> Outcome {
    let end = status.sequencer.next_lsn;
    let open = status
        .sequencer
        .stripes
        .iter()
        .filter(|stripe| !stripe.closed);
    let mut lags: Vec<String> = open
        .flat_map(|stripe| away(&status.sequencer, Some(stripe.stripe)))
        .collect();
    lags.extend(status.sequencer.lagging.iter().map(|lag| {
        let (unit, lane) = (lag.unit_id, lag.lane);
        format!(
            "unit {unit} holds lane {lane} up to {} of {}",
            lag.durable_idx, lag.cut_idx
        )
    }));
    lags.extend(folded_less(status, end.saturating_sub(1)));
    let verdict = match lags.first() {
        None => format!(
            "lsn {lsn} is not there yet: the log ends before {end}, and nothing lags; nobody has appended it"
        ),
        Some(first) => format!("lsn {lsn} is not there yet: the log ends before {end}; {first}"),
    };
    let mut lines = vec![verdict.clone()];
    lines.extend(lags.iter().map(|line| format!("  {line}")));
    let fields = json!({ "verdict": verdict, "there": false, "next_lsn": end, "lags": lags });
    let name = lsn.to_string();
    call.output.data(
        "Why",
        end.saturating_sub(1),
        fields,
        name.as_bytes(),
        &lines.join("\n"),
    )
}

/// The frame that the record is in.
async fn frame(call: &Call, lsn: u64) -> Outcome<FrameAt> {
    let within = call.globals.timeout();
    let found = call.env.timeout(within, read(call, lsn)).await;
    found.unwrap_or_else(|_| {
        let why = format!("no unit gave it within {}", figures::span(within));
        let advice = "Look at dfsctl status, or allow more --timeout";
        Err(Failure::new(
            Exit::Unavailable,
            format!("lsn {lsn}"),
            why,
            advice,
        ))
    })
}

async fn read(call: &Call, lsn: u64) -> Outcome<FrameAt> {
    let log = call.cluster().await?.log();
    let mut follower = log.follow(lsn, Follow::default()).await?;
    loop {
        let batch = follower.next().await?;
        let found = batch.events.into_iter().find_map(|event| match event {
            Event::Frame(at) if at.first_lsn <= lsn && lsn <= at.last_lsn() => Some(at),
            Event::Frame(_) | Event::Through { .. } => None,
        });
        if let Some(at) = found {
            return Ok(at);
        }
    }
}

fn units_of(status: &v1::SequencerStatusAnswer, stripe: Option<u64>) -> Vec<u64> {
    let stripe = status
        .stripes
        .iter()
        .find(|known| Some(known.stripe) == stripe);
    let units = stripe.map_or(&[][..], |stripe| &stripe.units);
    units.iter().map(|unit| unit.unit_id).collect()
}

/// What keeps units of a stripe from serving it: `stripe 1: unit 2 is away`.
pub(super) fn away(status: &v1::SequencerStatusAnswer, stripe: Option<u64>) -> Vec<String> {
    let (Some(stripe), Some(members)) = (stripe, &status.members) else {
        return Vec::new();
    };
    let of_stripe = units_of(status, Some(stripe));
    let units = members
        .units
        .iter()
        .filter(|unit| of_stripe.contains(&unit.unit_id));
    let told = units.filter_map(|unit| {
        let why = match (unit.live, unit.full) {
            (false, _) => "is away",
            (true, true) => "is full",
            (true, false) => return None,
        };
        Some(format!("stripe {stripe}: unit {} {why}", unit.unit_id))
    });
    told.collect()
}

/// Materializers that have folded less than that.
fn folded_less(status: &Status, lsn: u64) -> Vec<String> {
    let told = status.materializers.iter().filter_map(|(member, told)| {
        let node = member.node_id;
        match told {
            Ok(told) if told.applied_lsn >= lsn => None,
            Ok(told) => {
                let (shard, applied) = (told.shard, told.applied_lsn);
                Some(format!(
                    "shard {shard}: materializer {node} has folded up to {applied}"
                ))
            }
            Err(_) => Some(format!("materializer {node} does not answer")),
        }
    });
    told.collect()
}

pub(super) fn listed(units: &[u64]) -> String {
    let units: Vec<String> = units.iter().map(u64::to_string).collect();
    units.join(", ")
}
