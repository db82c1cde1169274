//! `dfsctl top`: what each role does now, per second.
use super::status::parse_seconds;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures;
use crate::output::{Column, aligned_text};
use crate::rates::{Row, lags, rows};
use crate::screen::Screen;
use crate::tellers::{Told, ask_all};
use dfs_rpc::connector::NodeConnector;
use serde_json::json;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// As `top` has it.
const EVERY: &str = "2";

#[derive(clap::Args, Debug)]
#[command(
    after_help = "REQ/S is of all kinds, KINDS the most frequent of them; BYTES/S is made durable and read for others by
a log unit, folded by a materializer. P99 is of all requests in between, FSYNC the mean of a commit
with its fdatasync, QUEUE how full the fullest queue is, LAG what is missing (records, raft entries).
Figures are those of deploy/METRICS.md, asked of each process over the port where its roles answer.
On a terminal it is drawn again until Ctrl-C (130); a pipe gets a block, or a JSON line, each time.

Examples:
  dfsctl top
  dfsctl top --sort p99 --every 5
  dfsctl top -n 1                  once, over two seconds, for scripts
  dfsctl top -n 10 -o jsonl"
)]
pub struct Args {
    /// Seconds over which rates are taken
    #[arg(short, long, visible_alias = "watch", value_name = "SECONDS", default_value = EVERY,
          value_parser = parse_seconds)]
    every: Duration,
    /// End after so many times
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// The most first
    #[arg(long, value_enum, value_name = "FIGURE", default_value_t)]
    sort: Sort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// By role and number
    #[default]
    Name,
    Requests,
    Bytes,
    P99,
    Fsync,
    Queue,
    Lag,
    Memory,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let connector = call.connector().await?;
    let screen = Screen::open(call)?;
    let mut before = ask(call, &connector).await?;
    let mut times = 0;
    loop {
        call.env.sleep(args.every).await;
        match ask(call, &connector).await {
            Ok(now) => {
                show(call, &screen, &args, (&before, &now))?;
                before = now;
            }
            // It is between two leaders, or starts again.
            Err(failure) if failure.exit == Exit::Unavailable => away(call, &screen, &failure)?,
            Err(failure) => return Err(failure),
        }
        times += 1;
        if args.count.is_some_and(|count| times >= count) {
            return Ok(());
        }
    }
}

async fn ask(call: &Call, connector: &Arc<NodeConnector>) -> Outcome<Vec<Told>> {
    let asked = ask_all(&call.env, connector).await;
    asked.map_err(|refusal| {
        let mut failure = Failure::from(refusal);
        // Nothing was to be done, so nothing about it is unknown.
        if failure.exit == Exit::TimedOut {
            failure.exit = Exit::Unavailable;
        }
        failure
    })
}

fn away(call: &Call, screen: &Screen, failure: &Failure) -> Outcome {
    let text = format!("{}: {}\nlooking for it again …", failure.what, failure.why);
    if !screen.draw(call, &text)? {
        call.tell(failure);
    }
    Ok(())
}

fn show(call: &Call, screen: &Screen, args: &Args, pair: (&[Told], &[Told])) -> Outcome {
    let rows = between(pair, args.sort);
    let silent = pair.1.iter().filter_map(silence);
    let silent: Vec<String> = silent.collect();
    if !call.output.is_table() {
        let items = rows.iter().map(to_json).collect::<Vec<_>>();
        let fields = json!({
            "every_seconds": args.every.as_secs_f64(), "members": items, "silent": silent,
        });
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let names = names.join("\n");
        return call.output.data("Top", 0, fields, names.as_bytes(), "");
    }
    let mut text = aligned_text(&columns(), rows.iter().map(cells).collect());
    for silent in silent {
        text.push_str(&format!("\n{silent}"));
    }
    if !screen.draw(call, &text)? {
        call.output.raw(format!("{text}\n\n").as_bytes())?;
        call.output.flush()?;
    }
    Ok(())
}

fn silence(told: &Told) -> Option<String> {
    let refusal = told.answer.as_ref().err()?;
    Some(format!(
        "{} tells nothing: {}",
        told.address,
        refusal.get().why
    ))
}

/// Of those that answered both times.
fn between((before, now): (&[Told], &[Told]), sort: Sort) -> Vec<Row> {
    let mut all = Vec::new();
    for told in now {
        let earlier = before
            .iter()
            .find(|earlier| earlier.address == told.address);
        let Some((earlier, (Ok(was), Ok(is)))) =
            earlier.map(|earlier| (earlier, (&earlier.answer, &told.answer)))
        else {
            continue;
        };
        let seconds = told.at.saturating_duration_since(earlier.at);
        all.extend(rows(was, is, seconds.as_secs_f64()));
    }
    let answers: Vec<_> = now
        .iter()
        .filter_map(|told| told.answer.as_ref().ok())
        .collect();
    lags(&mut all, &answers);
    let role = |row: &Row| {
        let (word, id) = row.name.split_once('/').unwrap_or_default();
        let rank = ["sequencer", "unit", "materializer"]
            .iter()
            .position(|it| *it == word);
        (rank, id.parse::<u64>().unwrap_or(u64::MAX))
    };
    all.sort_by(|a, b| most(sort, a, b).then_with(|| role(a).cmp(&role(b))));
    all
}

fn most(sort: Sort, a: &Row, b: &Row) -> Ordering {
    let figure = |row: &Row| match sort {
        Sort::Name => 0.0,
        Sort::Requests => row.requests,
        Sort::Bytes => row.bytes.unwrap_or(0.0),
        Sort::P99 => row.p99.unwrap_or(0.0),
        Sort::Fsync => row.fsync.unwrap_or(0.0),
        Sort::Queue => row.queue,
        Sort::Lag => row.lag.unwrap_or(0.0),
        Sort::Memory => row.memory.unwrap_or(0.0),
    };
    figure(b).total_cmp(&figure(a))
}

fn columns() -> Vec<Column> {
    let figures = [
        "REQ/S",
        "REFUSED/S",
        "BYTES/S",
        "P99",
        "FSYNC",
        "QUEUE",
        "LAG",
        "MEMORY",
    ];
    let mut columns = vec![Column::text("MEMBER"), Column::text("STATE")];
    columns.extend(figures.map(Column::figure));
    columns.push(Column::text("KINDS"));
    columns
}

/// Kinds that are told: more do not fit a line.
const KINDS_TOLD: usize = 3;

fn cells(row: &Row) -> Vec<String> {
    let none = || "-".to_string();
    let bytes = |bytes: Option<f64>| bytes.map_or_else(none, |it| figures::bytes(it as u64));
    let seconds = |seconds: Option<f64>| seconds.map_or_else(none, milliseconds);
    let kinds = row.kinds.iter().take(KINDS_TOLD);
    let kinds: Vec<String> = kinds
        .map(|(kind, rate)| format!("{kind} {}", rate_of(*rate)))
        .collect();
    vec![
        row.name.clone(),
        if row.state.is_empty() {
            none()
        } else {
            row.state.clone()
        },
        rate_of(row.requests),
        rate_of(row.refused),
        bytes(row.bytes),
        seconds(row.p99),
        seconds(row.fsync),
        format!("{:.0}%", row.queue * 100.0),
        row.lag
            .map_or_else(none, |lag| figures::thousands(lag as u64)),
        bytes(row.memory),
        kinds.join(", "),
    ]
}

fn rate_of(rate: f64) -> String {
    match rate {
        ..10.0 => format!("{rate:.1}"),
        _ => figures::thousands(rate.round() as u64),
    }
}

fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1e3;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

fn to_json(row: &Row) -> serde_json::Value {
    let kinds: serde_json::Map<String, serde_json::Value> = row
        .kinds
        .iter()
        .map(|(kind, rate)| (kind.clone(), (*rate).into()))
        .collect();
    json!({
        "name": row.name, "state": row.state, "requests_per_second": row.requests, "kinds": kinds,
        "refused_per_second": row.refused, "bytes_per_second": row.bytes,
        "p99_seconds": row.p99, "fsync_seconds": row.fsync, "queue": row.queue,
        "lag": row.lag, "resident_bytes": row.memory,
    })
}
