//! `dfsctl log tail|show|snapshot|usage`: the records that everything is made of.
use super::log_snapshot;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Item};
use crate::{calendar, figures, record};
use clap::Subcommand;
use dfs_log::{Event, Follow, FrameAt, SharedLog};
use dfs_wire::{Code, Refusal, v1};
use prost::Message;
use serde_json::json;

/// As `tail` has it.
const LIMIT_DEFAULT: u64 = 10;

#[derive(Subcommand, Debug)]
pub enum Args {
    /// The last records, or those from an LSN on, one line each
    #[command(after_help = "Examples:
  dfsctl log tail
  dfsctl log tail --from 1200 --limit 20
  dfsctl log tail -f -o jsonl")]
    Tail(TailArgs),
    /// One record with all that is in it
    #[command(after_help = "Examples:\n  dfsctl log show 1219\n  dfsctl log show 1219 -o json")]
    Show {
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        lsn: u64,
    },
    /// Take a snapshot of the folded state now; the log may be trimmed to the one before it
    #[command(after_help = "Examples:\n  dfsctl log snapshot\n  dfsctl log snapshot -o json")]
    Snapshot,
    /// From where to where the log goes, and what holds it back
    #[command(after_help = "Examples:\n  dfsctl log usage\n  dfsctl log usage -o json")]
    Usage,
}

#[derive(clap::Args, Debug)]
pub struct TailArgs {
    /// The first LSN to show; else the last N
    #[arg(long, value_name = "LSN", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// So many records at most (10 where --from is not given)
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
    /// Go on with what is written, until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// A record and its place.
struct Placed {
    lsn: u64,
    log_time_us: u64,
    lane: u64,
    idx: u64,
    order: Option<(u64, u64, u64)>,
    record: v1::Record,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    match args {
        Args::Tail(args) => tail(call, args).await,
        Args::Show { lsn } => show(call, lsn).await,
        Args::Snapshot => log_snapshot::take(call).await,
        Args::Usage => log_snapshot::usage(call).await,
    }
}

async fn tail(call: &Call, args: TailArgs) -> Outcome {
    let log = call.cluster().await?.log();
    let end = log.end(true).await?.next_lsn;
    let last_n = args.limit.unwrap_or(LIMIT_DEFAULT);
    let from = match args.from {
        Some(from) => from,
        None => {
            let first = log.history().await?.trim_lsn.max(1);
            end.saturating_sub(last_n).max(first)
        }
    };
    let limit = match (args.limit, args.from) {
        (Some(limit), Some(_)) => limit,
        _ => u64::MAX,
    };
    let mut list = call.output.list("RecordList", columns());
    let mut lsn = end.saturating_sub(1);
    let until = if args.follow { u64::MAX } else { end };
    read(call, from, until, limit, |placed| {
        lsn = placed.lsn;
        list.push(placed.lsn, item(&placed))?;
        // Whoever follows wants to see each as it comes.
        if args.follow { list.flush() } else { Ok(()) }
    })
    .await?;
    list.end(lsn, false)
}

/// Gives the records of [from, until) to `take`, at most `limit`.
async fn read(
    call: &Call,
    from: u64,
    until: u64,
    limit: u64,
    mut take: impl FnMut(Placed) -> Outcome,
) -> Outcome {
    if from >= until || limit == 0 {
        return Ok(());
    }
    let log = call.cluster().await?.log();
    let followed = log.follow(from, Follow::default()).await;
    let mut follower = match followed {
        Err(refusal) => return Err(begin_told(&*log, refusal).await.into()),
        Ok(follower) => follower,
    };
    let mut left = limit;
    loop {
        let batch = match next(call, &mut follower, until).await? {
            Err(refusal) => return Err(begin_told(&*log, refusal).await.into()),
            Ok(batch) => batch,
        };
        for event in batch.events {
            let frame = match event {
                Event::Frame(frame) => frame,
                Event::Through { lsn, .. } if lsn + 1 >= until => return Ok(()),
                Event::Through { .. } => continue,
            };
            for placed in records(&frame)? {
                if placed.lsn < from {
                    continue;
                }
                if placed.lsn >= until || left == 0 {
                    return Ok(());
                }
                left -= 1;
                take(placed)?;
            }
        }
        if left == 0 {
            return Ok(());
        }
    }
}

/// What is known to exist has to come in time; what may come is waited for.
async fn next(
    call: &Call,
    follower: &mut dfs_log::Follower,
    until: u64,
) -> Outcome<Result<dfs_log::Batch, Refusal>> {
    if until == u64::MAX {
        return Ok(follower.next().await);
    }
    let waited = call
        .env
        .timeout(call.globals.timeout(), follower.next())
        .await;
    let Ok(batch) = waited else {
        let why = format!(
            "no unit gave more within {}",
            figures::span(call.globals.timeout())
        );
        let advice = "Look at dfsctl status, or allow more --timeout";
        return Err(Failure::new(Exit::Unavailable, "the log", why, advice));
    };
    Ok(batch)
}

/// What is trimmed is told with the time of the first record that is left.
async fn begin_told(log: &dyn SharedLog, refusal: Refusal) -> Refusal {
    let begin = refusal.get().lsn;
    if refusal.code() != Code::Trimmed || begin == 0 {
        return refusal;
    }
    let Ok(mut follower) = log.follow(begin, Follow::default()).await else {
        return refusal;
    };
    let Ok(batch) = follower.next().await else {
        return refusal;
    };
    let first = batch.events.into_iter().find_map(|event| match event {
        Event::Frame(frame) => Some(frame.log_time_us),
        Event::Through { .. } => None,
    });
    refusal.at_moment(begin, first.unwrap_or_default())
}

fn records(at: &FrameAt) -> Outcome<Vec<Placed>> {
    let damaged = |why: String| {
        let what = format!("the frame at lsn {}", at.first_lsn);
        Failure::new(
            Exit::Integrity,
            what,
            why,
            "Report this: the frame was stored whole",
        )
    };
    let header = &at.frame.header;
    let order = header
        .order
        .as_ref()
        .map(|order| (order.shard, order.term, order.n));
    let bodies = at.frame.records().map_err(|e| damaged(e.to_string()))?;
    let placed = bodies.into_iter().zip(0..).map(|(body, i)| {
        Ok(Placed {
            lsn: at.first_lsn + i,
            log_time_us: at.log_time_us,
            lane: header.lane,
            idx: header.first_idx + i,
            order,
            record: v1::Record::decode(body).map_err(|e| damaged(e.to_string()))?,
        })
    });
    placed.collect()
}

fn columns() -> Vec<Column> {
    vec![
        Column::figure("LSN"),
        Column::text("TIME"),
        Column::text("LANE"),
        Column::text("ACTOR"),
        Column::text("MUTATIONS"),
    ]
}

fn item(placed: &Placed) -> Item {
    let mutations = placed.record.mutations.iter().map(record::line);
    let mutations: Vec<String> = mutations.collect();
    Item {
        json: fields(placed),
        name: placed.lsn.to_string().into_bytes(),
        cells: vec![
            placed.lsn.to_string(),
            calendar::format(placed.log_time_us),
            placed.lane.to_string(),
            crate::quote::shown(placed.record.actor.as_bytes()),
            mutations.join("; "),
        ],
    }
}

fn fields(placed: &Placed) -> serde_json::Value {
    let mutations = placed.record.mutations.iter().map(record::json);
    let slot = placed.record.slot.as_ref();
    let order = placed
        .order
        .map(|(shard, term, n)| json!({ "shard": shard, "term": term, "n": n }));
    json!({
        "record_lsn": placed.lsn,
        "log_time_us": placed.log_time_us,
        "lane": placed.lane,
        "idx": placed.idx,
        "order": order,
        "actor": placed.record.actor,
        "slot": slot.map(|slot| json!({
            "session": slot.session, "slot": slot.slot, "seq": slot.seq, "attempt": slot.attempt,
        })),
        "mutations": mutations.collect::<Vec<_>>(),
    })
}

async fn show(call: &Call, lsn: u64) -> Outcome {
    let end = call.cluster().await?.log().end(true).await?.next_lsn;
    if lsn >= end {
        let what = format!("no record at lsn {lsn}");
        let why = format!("the last is {}", end.saturating_sub(1));
        return Err(Failure::new(
            Exit::NotFound,
            what,
            why,
            "Name an LSN of the past",
        ));
    }
    let mut shown = None;
    read(call, lsn, lsn + 1, 1, |placed| {
        shown = Some(placed);
        Ok(())
    })
    .await?;
    let Some(placed) = shown else {
        let what = format!("no record at lsn {lsn}");
        let advice = "Report this: every LSN has its record";
        return Err(Failure::new(
            Exit::Integrity,
            what,
            "the log has a hole there",
            advice,
        ));
    };
    call.output
        .shown("Record", lsn, long_item(&placed), &long_columns(&placed))
}

fn long_columns(placed: &Placed) -> Vec<Column> {
    let titles = ["lsn", "time", "lane", "term", "actor", "answers"];
    let mutations = placed.record.mutations.iter().map(|_| "mutation");
    titles
        .into_iter()
        .chain(mutations)
        .map(Column::text)
        .collect()
}

fn long_item(placed: &Placed) -> Item {
    let slot = placed.record.slot.as_ref().map_or("nobody".into(), |slot| {
        let v1::SlotDone {
            session,
            slot,
            seq,
            attempt,
            ..
        } = slot;
        format!("session {session} slot {slot} seq {seq} attempt {attempt}")
    });
    let order = placed.order.map_or("none".into(), |(shard, term, n)| {
        format!("{term} of shard {shard}, its frame {n}")
    });
    let mut cells = vec![
        placed.lsn.to_string(),
        calendar::format(placed.log_time_us),
        format!("{} idx {}", placed.lane, placed.idx),
        order,
        crate::quote::shown(placed.record.actor.as_bytes()),
        slot,
    ];
    cells.extend(placed.record.mutations.iter().map(record::line));
    Item {
        json: fields(placed),
        name: placed.lsn.to_string().into_bytes(),
        cells,
    }
}
