//! Which state a read wants: a `View` becomes one snapshot and one LSN in it (FOLD-R1, R3, R4).
use std::sync::Arc;
use std::time::Duration;

use dfs_wire::v1::view::View as Wanted;
use dfs_wire::{Code, Refusal, v1};
use tokio::time::Instant;

use super::hub::Hub;
use super::ops::Work;
use crate::read::{self, At, Moment};
use crate::view::Snapshot;

/// The state that a read sees.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) snapshot: Arc<Snapshot>,
    /// `None`: all that the snapshot holds.
    past: Option<Moment>,
    /// The sequencer's `now` when it was asked for; 0 if it was not.
    pub(crate) now_us: u64,
}

impl Seen {
    fn head(snapshot: Arc<Snapshot>, now_us: u64) -> Seen {
        Seen {
            snapshot,
            past: None,
            now_us,
        }
    }

    fn past(snapshot: Arc<Snapshot>, lsn: u64, now_us: u64) -> Result<Seen, Refusal> {
        read::check_floor(&snapshot, lsn)?;
        let past = Some(read::moment_of(&snapshot, lsn)?);
        Ok(Seen {
            snapshot,
            past,
            now_us,
        })
    }

    pub(crate) fn at(&self) -> Result<At<'_>, Refusal> {
        match self.past {
            Some(moment) => At::lsn(&self.snapshot, moment.lsn),
            None => Ok(At::head(&self.snapshot)),
        }
    }

    /// The LSN at which what is read here is true.
    pub(crate) fn moment(&self) -> Moment {
        let stamp = self.snapshot.stamp;
        self.past.unwrap_or(Moment {
            lsn: stamp.lsn,
            log_time_us: stamp.log_time_us,
        })
    }
}

impl Hub {
    /// Waits for the state that `view` asks for; the caller bounds the wait.
    pub(crate) async fn seen(&self, view: &v1::View, deadline: Instant) -> Result<Seen, Refusal> {
        match view.view {
            None | Some(Wanted::Linearizable(_)) => self.linearizable().await,
            Some(Wanted::AtLeastLsn(lsn)) => Ok(Seen::head(self.published.at_least(lsn).await?, 0)),
            Some(Wanted::BoundedUs(us)) => self.bounded(Duration::from_micros(us)).await,
            Some(Wanted::AtLsn(lsn)) => self.at_lsn(lsn).await,
            Some(Wanted::AtTimeUs(time_us)) => self.at_time(time_us, deadline).await,
            Some(Wanted::AgoUs(ago_us)) => {
                // FOLD-R4: `now`, not the last record's log time: on an idle cluster they are hours apart.
                let end = self.end().await?;
                self.at_past_time(end.now_us.saturating_sub(ago_us), end, deadline)
                    .await
            }
        }
    }

    /// As it is, rightly or not: for whoever compares.
    pub(crate) fn held(&self) -> Result<Seen, Refusal> {
        Ok(Seen::head(self.published.newest()?, 0))
    }

    /// LOG-I10.
    async fn linearizable(&self) -> Result<Seen, Refusal> {
        let end = self.end().await?;
        let snapshot = self.published.at_least(end.next_lsn - 1).await?;
        Ok(Seen::head(snapshot, end.now_us))
    }

    /// FOLD-R3.
    async fn bounded(&self, age_max: Duration) -> Result<Seen, Refusal> {
        let fresh = self.published.fresh_since();
        let age = fresh.map(|since| self.env.now().saturating_duration_since(since));
        match age {
            Some(age) if age <= age_max => Ok(Seen::head(self.published.at_least(0).await?, 0)),
            _ => self.linearizable().await,
        }
    }

    async fn at_lsn(&self, lsn: u64) -> Result<Seen, Refusal> {
        let newest = self.published.at_least(0).await?;
        if lsn <= newest.stamp.lsn {
            return Seen::past(newest, lsn, 0); // the past needs no end
        }
        let end = self.end().await?;
        if lsn >= end.next_lsn {
            let why = format!(
                "it lies in the future: the last record is {}",
                end.next_lsn - 1
            );
            return Err(Refusal::new(Code::Invalid, format!("LSN {lsn}"), why));
        }
        Seen::past(self.published.at_least(lsn).await?, lsn, end.now_us)
    }

    async fn at_time(&self, time_us: u64, deadline: Instant) -> Result<Seen, Refusal> {
        let newest = self.published.at_least(0).await?;
        if newest.stamp.log_time_us > time_us {
            let lsn = read::resolve_time(&newest, time_us)?.lsn;
            return Seen::past(newest, lsn, 0);
        }
        let end = self.end().await?;
        self.at_past_time(time_us, end, deadline).await
    }

    /// FOLD-R4: answered only when a record with a later log time is folded; on an idle log that is a Tick.
    async fn at_past_time(
        &self,
        time_us: u64,
        end: v1::EndAnswer,
        deadline: Instant,
    ) -> Result<Seen, Refusal> {
        if time_us > end.now_us {
            let why = format!(
                "it lies in the future: the log's clock stands at {} µs",
                end.now_us
            );
            return Err(Refusal::new(
                Code::Invalid,
                format!("time {time_us} µs"),
                why,
            ));
        }
        let mut snapshot = self.published.at_least(end.next_lsn - 1).await?;
        while snapshot.stamp.log_time_us <= time_us {
            let ticked = self.ask_loop(Work::Tick, deadline).await?;
            snapshot = self.published.at_least(ticked.lsn).await?;
        }
        let lsn = read::resolve_time(&snapshot, time_us)?.lsn;
        Seen::past(snapshot, lsn, end.now_us)
    }
}
