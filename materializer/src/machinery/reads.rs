//! Reads, on tasks of their own, from published state; never in the shard loop.
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dfs_rpc::trace::{Span, Who};
use dfs_wire::v1::request::Op as Asked;
use dfs_wire::v1::view::View as Wanted;
use dfs_wire::{Code, Refusal, v1};
use tokio::time::Instant;

use super::census;
use super::config::SHARD;
use super::hub::Hub;
use super::open::view_failed;
use super::ops::{Arrival, Asker, By, Waiter, Work};
use super::placing::Units;
use super::streams::{Body, Reply};
use super::views::Seen;
use crate::plan::CopySource;
use crate::read;
use crate::state;

/// Reads between two chances for other tasks: about a third of a millisecond.
const READS_PER_TURN: usize = 64;

/// A read, and who waits for it.
pub(crate) struct Read {
    pub(crate) asked: Asked,
    pub(crate) reply: Reply,
    pub(crate) deadline: Instant,
}

/// Reads of one message: those that want the same state get it together (LOG-I10: one End serves many).
pub(crate) fn serve(hub: &Arc<Hub>, reads: Vec<Read>) {
    let mut by_view: Vec<(v1::View, Vec<Read>)> = Vec::new();
    for read in reads {
        let view = view_of(&read.asked);
        match by_view.iter_mut().find(|(other, _)| *other == view) {
            Some((_, reads)) => reads.push(read),
            None => by_view.push((view, vec![read])),
        }
    }
    for (view, reads) in by_view {
        let task = serve_at(hub.clone(), view, reads);
        hub.env.spawn("reads", task);
    }
}

async fn serve_at(hub: Arc<Hub>, view: v1::View, reads: Vec<Read>) {
    let Some(deadline) = reads.iter().map(|read| read.deadline).max() else {
        return;
    };
    let wait = deadline.saturating_duration_since(hub.env.now());
    // Digests are compared at the same LSN: they need no end, and are told also where they are doubted.
    let compares = reads
        .iter()
        .all(|read| matches!(read.asked, Asked::Digest(_)));
    let spans = views_of(&hub, &reads);
    let seen = match compares {
        true => Ok(hub.held()),
        false => hub.env.timeout(wait, hub.seen(&view, deadline)).await,
    };
    drop(spans);
    let seen = seen.unwrap_or_else(|_| Err(too_late()));
    for (n, read) in reads.into_iter().enumerate() {
        if n % READS_PER_TURN == READS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        match &seen {
            Err(refusal) => read.reply.refuse(refusal.clone()),
            Ok(seen) => {
                let wait = read.deadline.saturating_duration_since(hub.env.now());
                match hub.env.timeout(wait, read.reply.drained()).await {
                    Ok(()) => serve_one(&hub, seen, read),
                    Err(_) => read.reply.refuse(too_late()),
                }
            }
        }
    }
}

/// Those of sampled requests wait for the same state together with the others.
fn views_of(hub: &Hub, reads: &[Read]) -> Vec<Span> {
    let who = Who::materializer(hub.owner.node_id);
    let traced = reads.iter().filter_map(|read| read.reply.trace());
    let view = |trace| {
        let span = Span::begin(&hub.env, Some(trace), "materializer.view", who);
        span.waits_for(|| "the log's end, and the fold up to it".into());
        span.with("reads", reads.len())
    };
    traced.map(view).collect()
}

fn serve_one(hub: &Arc<Hub>, seen: &Seen, read: Read) {
    let moment = seen.moment();
    let body = match read.asked {
        Asked::Digest(request) if request.at_lsn != 0 => {
            let task = super::refold::answer(hub.clone(), request.at_lsn, read.reply);
            hub.env.spawn("refold", task);
            return;
        }
        asked => body_of(hub, seen, asked),
    };
    match body {
        Ok(body) => read.reply.answer(moment.lsn, moment.log_time_us, body),
        Err(refusal) => {
            let at = if refusal.get().lsn == 0 {
                refusal.at(moment.lsn)
            } else {
                refusal
            };
            read.reply.refuse(at);
        }
    }
}

fn body_of(hub: &Hub, seen: &Seen, asked: Asked) -> Result<Body, Refusal> {
    let moment = seen.moment();
    match asked {
        Asked::Stat(request) => {
            let path = request.path.unwrap_or_default();
            let stat = match request.with_xattrs {
                true => read::stat_with_xattrs,
                false => read::stat,
            };
            stat(seen.at()?, &path, request.with_content).map(Body::Entry)
        }
        Asked::List(request) => read::list(seen.at()?, &request).map(Body::Listing),
        Asked::Resolve(_) => Ok(Body::Resolved(v1::Resolved {
            lsn: moment.lsn,
            log_time_us: moment.log_time_us,
            now_us: seen.now_us,
        })),
        Asked::Settings(_) => read::settings(seen.at()?)
            .map(Body::Settings)
            .map_err(view_failed),
        Asked::SettingHistory(request) => read::setting_history(seen.at()?, &request)
            .map(Body::SettingHistory)
            .map_err(view_failed),
        Asked::Groups(request) => groups(hub, seen, &request.groups).map(Body::Placement),
        Asked::Digest(_) => Ok(Body::Digest(v1::DigestAnswer {
            lsn: seen.snapshot.stamp.lsn,
            digest: seen.snapshot.stamp.digest,
            refolded: false,
        })),
        _ => Err(Refusal::new(Code::Invalid, "request", "it is not a read")),
    }
}

fn groups(hub: &Hub, seen: &Seen, ids: &[u64]) -> Result<v1::Placement, Refusal> {
    let mut groups = Vec::with_capacity(ids.len());
    for id in ids {
        let group = state::group(&*seen.snapshot, *id).map_err(view_failed)?;
        let unknown = || {
            Refusal::new(
                Code::NotFound,
                format!("group {id}"),
                "there is no such group",
            )
        };
        groups.push(group.ok_or_else(unknown)?);
    }
    let units = Units::new(&hub.members()).of(&groups);
    Ok(v1::Placement { groups, units })
}

fn view_of(asked: &Asked) -> v1::View {
    let view = match asked {
        Asked::Stat(request) => request.view,
        Asked::List(request) => request.view,
        Asked::Resolve(request) => request.view,
        Asked::Settings(request) => request.view,
        Asked::SettingHistory(request) => request.view,
        // Nobody else asks for this one.
        Asked::Digest(_) => Some(v1::View {
            view: Some(Wanted::AtLeastLsn(u64::MAX)),
        }),
        _ => None,
    };
    view.unwrap_or_default()
}

/// A copy from the past: what is copied is read here, the loop only plans (FOLD-P5).
pub(crate) async fn read_source(hub: Arc<Hub>, copy: v1::Copy, arrival: Arrival) {
    let Arrival {
        work: Work::Mutate { request, slot, .. },
        by,
        waiter: Some(waiter),
    } = arrival
    else {
        return;
    };
    // FOLD-S3: an earlier attempt may have taken effect, so a refusal goes by way of the slot too.
    let source = source_of(&hub, copy, waiter.deadline).await;
    let work = Work::Mutate {
        request,
        source: Some(source.map(Box::new)),
        slot,
    };
    let arrival = Arrival {
        work,
        by,
        waiter: Some(waiter),
    };
    let _ = hub.arrivals.send(vec![arrival]).await; // the loop ended: the reply says so
}

async fn source_of(hub: &Hub, copy: v1::Copy, deadline: Instant) -> Result<CopySource, Refusal> {
    let view = copy.from_view.unwrap_or_default();
    let wait = deadline.saturating_duration_since(hub.env.now());
    let seen = hub.env.timeout(wait, hub.seen(&view, deadline)).await;
    let seen = seen.unwrap_or_else(|_| Err(too_late()))?;
    let entry = read::stat_with_xattrs(seen.at()?, &copy.from.unwrap_or_default(), true)?;
    Ok(CopySource {
        lsn: seen.moment().lsn,
        entry,
    })
}

/// A copy of anything but the present state.
pub(crate) fn copies_past(request: &v1::Mutate) -> Option<v1::Copy> {
    let Some(v1::mutate::Op::Copy(copy)) = &request.op else {
        return None;
    };
    let view = copy.from_view.as_ref()?.view.as_ref()?;
    (!matches!(view, Wanted::Linearizable(_))).then(|| copy.clone())
}

fn too_late() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "read",
        "the state asked for was not folded by the deadline",
    )
}

pub(crate) fn by(request: &v1::Request) -> By {
    By {
        actor: request.actor.clone(),
        uid: request.uid,
        gid: request.gid,
    }
}

pub(crate) fn waiter(reply: Reply, deadline: Instant) -> Option<Waiter> {
    Some(Waiter {
        asker: Asker::Stream(reply),
        deadline,
    })
}

impl Hub {
    pub(crate) fn status(&self) -> Result<v1::MaterializerStatusAnswer, Refusal> {
        let (standing, doubt) = (self.standing.load_full(), self.published.doubt());
        let mut answer = v1::MaterializerStatusAnswer {
            node_id: self.owner.node_id,
            shard: SHARD,
            role: standing.role.to_string(),
            term: standing.term.map_or(0, |term| term.lsn),
            owner: standing.term.map(|term| term.owner),
            durable_lsn: self.durable_lsn.load(Ordering::Relaxed),
            halted: standing.halted.clone(),
            doubt: doubt.map_or_else(String::new, |doubt| doubt.why.to_string()),
            ..Default::default()
        };
        if let Ok(newest) = self.published.newest() {
            answer.applied_lsn = newest.stamp.lsn;
            answer.log_time_us = newest.stamp.log_time_us;
            answer.digest = newest.stamp.digest;
            answer.sessions = state::sessions(&*newest).map_err(view_failed)?.len() as u64;
            answer.entries = state::entries(&*newest).map_err(view_failed)?;
            answer.groups = state::groups(&*newest).map_err(view_failed)?;
            census::tell(self, &mut answer);
            let snapshots = state::snapshots(&*newest, SHARD).map_err(view_failed)?;
            answer.snapshot_lsns = snapshots.iter().map(|taken| taken.lsn).collect();
            answer.floor_lsn = state::floor(&*newest).map_err(view_failed)?;
            answer.floor_log_time_us = read::moment_of(&newest, answer.floor_lsn)?.log_time_us;
            answer.snapshot_bytes = snapshots.last().map_or(0, |newest| newest.bytes);
            answer.agreed_lsn = state::agreed(&*newest, SHARD).map_err(view_failed)?.0;
            answer.settings = Some(state::settings(&*newest).map_err(view_failed)?);
            answer.settings_lsn = self.settings_lsn.load(Ordering::Relaxed);
            answer.digests_told = state::digests_told(&*newest, SHARD).map_err(view_failed)?;
        }
        Ok(answer)
    }
}
