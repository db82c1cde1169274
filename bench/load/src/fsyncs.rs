//! `bench fsyncs`: what the two fsyncs in series of an append cost, each taken away in turn.
use crate::drive::closed;
use crate::report::{Figure, Machine};
use crate::telemetry::median;
use crate::workloads::appends::{Appends, IN_FLIGHT};
use anyhow::Result;
use dfs_env::Env;
use dfs_log::ClusterLog;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Where the units' logs and the sequencer's journal lie: on the disk, or in memory, where an fsync is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Placing {
    pub units_in_memory: bool,
    pub journal_in_memory: bool,
}

impl Placing {
    /// As it is in use first: everything else is compared with it.
    pub const ALL: [Placing; 4] = [
        Placing::of(false, false),
        Placing::of(false, true),
        Placing::of(true, false),
        Placing::of(true, true),
    ];

    const fn of(units_in_memory: bool, journal_in_memory: bool) -> Placing {
        Placing {
            units_in_memory,
            journal_in_memory,
        }
    }

    pub fn as_str(self) -> &'static str {
        match (self.units_in_memory, self.journal_in_memory) {
            (false, false) => "both on disk",
            (false, true) => "units only (journal in memory)",
            (true, false) => "journal only (units in memory)",
            (true, true) => "neither (both in memory)",
        }
    }
}

/// One row of the table: the medians of all rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub fsyncs: &'static str,
    #[serde(flatten)]
    pub placing: Placing,
    pub in_flight: u64,
    pub p50_us: u64,
    pub per_second: f64,
    /// Of p50, this placing's to that of both on disk.
    pub p50_ratio: f64,
    pub per_second_ratio: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub api_version: &'static str,
    pub command: String,
    /// RFC 3339.
    pub date: String,
    pub machine: Machine,
    pub rounds: usize,
    pub rows: Vec<Row>,
}

/// Durable appends of 1 KiB through one lane, at each number in flight.
///
/// # Errors
/// When no lane can be had; errors of single appends are counted.
pub async fn appends(
    env: &Env,
    connector: Arc<dyn Connector>,
    owner: v1::Owner,
    length: Duration,
) -> Result<Vec<Figure>> {
    let log = ClusterLog::open(env.clone(), connector, owner);
    let appends = Appends::open(&*log, owner, || env.random_u64()).await?;
    let mut figures = Vec::new();
    for in_flight in IN_FLIGHT {
        let measured = closed(env, appends.clone(), in_flight, length).await?;
        let figure = Figure::of("append 1 KiB", "closed", in_flight, &measured, None);
        anyhow::ensure!(figure.errors == 0, "{:?}", figure.first_error);
        figures.push(figure);
    }
    Ok(figures)
}

/// The table: of each placing and number in flight the medians of `rounds`, in the order of [`Placing::ALL`].
pub fn rows(rounds: &[Vec<(Placing, Vec<Figure>)>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for in_flight in IN_FLIGHT {
        for placing in Placing::ALL {
            let seen = rounds.iter().flatten().filter(|(at, _)| *at == placing);
            let of = seen.flat_map(|(_, figures)| figures);
            let same: Vec<&Figure> = of.filter(|f| f.in_flight == in_flight).collect();
            let p50_us = median(same.iter().map(|f| f.p50_us as f64).collect());
            let per_second = median(same.iter().map(|f| f.per_second).collect());
            let base = rows.iter().rfind(|row| row.placing == Placing::ALL[0]);
            let base = base.filter(|row| row.in_flight == in_flight);
            let base = base.map_or((p50_us, per_second), |row| {
                (row.p50_us as f64, row.per_second)
            });
            rows.push(Row {
                fsyncs: placing.as_str(),
                placing,
                in_flight,
                p50_us: p50_us as u64,
                per_second,
                p50_ratio: p50_us / base.0,
                per_second_ratio: per_second / base.1,
            });
        }
    }
    rows
}

impl Row {
    /// One line of the table.
    pub fn line(&self) -> String {
        format!(
            "{:>4} in flight  {:32} p50 {:>7} µs ({:>4.2}x) {:>9.0} /s ({:>4.2}x)",
            self.in_flight,
            self.fsyncs,
            self.p50_us,
            self.p50_ratio,
            self.per_second,
            self.per_second_ratio
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(in_flight: u64, p50_us: u64, per_second: f64) -> Figure {
        Figure {
            name: String::new(),
            r#loop: "closed",
            in_flight,
            operations: 1,
            errors: 0,
            first_error: None,
            seconds: 1.0,
            per_second,
            p50_us,
            p99_us: p50_us,
            max_us: p50_us,
            cpu_us_per_operation: 1.0,
            mb_per_second: None,
        }
    }

    #[test]
    fn rows_are_medians_beside_both_on_disk() {
        let round = |factor: u64| -> Vec<(Placing, Vec<Figure>)> {
            let one = |(i, placing): (usize, Placing)| {
                let p50 = factor * (400 - 100 * i as u64);
                let figures = IN_FLIGHT.map(|n| figure(n, p50, 1e6 / p50 as f64));
                (placing, figures.to_vec())
            };
            Placing::ALL.into_iter().enumerate().map(one).collect()
        };
        let rows = rows(&[round(7), round(1), round(2)]);
        assert_eq!(rows.len(), IN_FLIGHT.len() * Placing::ALL.len());
        assert_eq!((rows[0].p50_us, rows[0].p50_ratio), (800, 1.0));
        assert_eq!((rows[1].p50_us, rows[1].p50_ratio), (600, 0.75));
        assert_eq!((rows[3].p50_us, rows[3].per_second_ratio), (200, 4.0));
        assert_eq!((rows[4].in_flight, rows[4].p50_ratio), (64, 1.0));
    }
}
