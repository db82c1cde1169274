//! One step of a sampled request: begun, given fields, ended by being dropped.
use super::ring::{self, Row};
use super::{TraceContext, Within, current};
use dfs_env::Env;
use dfs_wire::Refusal;
use std::fmt::Display;
use std::future::Future;
use tokio::time::Instant;

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub role: &'static str,
    /// 0: a process that is no member.
    pub node_id: u64,
}

impl Who {
    pub const CLI: Who = Who {
        role: "cli",
        node_id: 0,
    };
    pub const CLIENT: Who = Who {
        role: "client",
        node_id: 0,
    };

    pub const fn materializer(node_id: u64) -> Who {
        Who {
            role: "materializer",
            node_id,
        }
    }

    pub const fn log_unit(node_id: u64) -> Who {
        Who {
            role: "log unit",
            node_id,
        }
    }

    /// By its voter's id.
    pub const fn sequencer(voter: u64) -> Who {
        Who {
            role: "sequencer",
            node_id: voter,
        }
    }
}

/// Ends when it is dropped. Of a request that is not sampled it is nothing, and costs nothing.
#[derive(Debug, Default)]
#[must_use = "a span that is dropped at once has no length"]
pub struct Span {
    parent: Option<TraceContext>,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    env: Env,
    context: TraceContext,
    told: tracing::Span,
    ends: Option<Instant>,
}

impl Span {
    /// The first of a request.
    pub fn root(env: &Env, trace_id: u128, name: &'static str, who: Who) -> Span {
        let parent = TraceContext { trace_id, span: 0 };
        Span::begin(env, Some(parent), name, who)
    }

    /// Below whatever the running task works for.
    pub fn here(env: &Env, name: &'static str, who: Who) -> Span {
        Span::begin(env, current(), name, who)
    }

    pub fn begin(env: &Env, parent: Option<TraceContext>, name: &'static str, who: Who) -> Span {
        let Some(parent) = parent else {
            return Span::default();
        };
        Span::opened(env, parent, (name, who), env.now())
    }

    /// One that began a while ago.
    pub fn begin_at(
        env: &Env,
        parent: Option<TraceContext>,
        name: &'static str,
        who: Who,
        since: Instant,
    ) -> Span {
        let Some(parent) = parent else {
            return Span::default();
        };
        Span::opened(env, parent, (name, who), since)
    }

    fn opened(
        env: &Env,
        parent: TraceContext,
        (name, who): (&'static str, Who),
        since: Instant,
    ) -> Span {
        let context = TraceContext {
            span: env.random_u64().max(1),
            ..parent
        };
        let ago = env.now().saturating_duration_since(since).as_micros() as u64;
        let row = Row::new(context, parent.span, name, who, since)
            .starting(env.wall_us().saturating_sub(ago));
        let is_kept = ring::begin(row);
        let open = is_kept.then(|| {
            Box::new(Open {
                env: env.clone(),
                context,
                told: told(context, name, who),
                ends: None,
            })
        });
        Span {
            parent: Some(parent),
            open,
        }
    }

    /// For whoever is asked in its course. Of one that was not kept, its parent's.
    pub fn context(&self) -> Option<TraceContext> {
        let own = self.open.as_ref().map(|open| open.context);
        own.or(self.parent)
    }

    pub fn is_kept(&self) -> bool {
        self.open.is_some()
    }

    pub fn with(self, field: &'static str, value: impl Display) -> Span {
        self.set(field, value);
        self
    }

    pub fn set(&self, field: &'static str, value: impl Display) {
        if let Some(open) = &self.open {
            ring::change(open.context.span, |row| row.set(field, value.to_string()));
        }
    }

    /// What it waits for now, for whoever asks before it ends.
    pub fn waits_for(&self, what: impl FnOnce() -> String) {
        if let Some(open) = &self.open {
            let what = what();
            ring::change(open.context.span, |row| row.waits_for = what);
        }
    }

    /// It failed. Roles say so in their logs, with the request's id.
    pub fn refused(&self, refusal: &Refusal) {
        if let Some(open) = &self.open {
            let why = refusal.to_string();
            open.told.in_scope(|| tracing::info!(%refusal, "refused"));
            ring::change(open.context.span, |row| row.refusal = why);
        }
    }

    /// It ended then.
    pub fn end_at(mut self, ends: Instant) {
        if let Some(open) = &mut self.open {
            open.ends = Some(ends);
        }
    }

    /// What it was begun for did not come about.
    pub fn discard(mut self) {
        if let Some(open) = self.open.take() {
            ring::discard(open.context.span);
        }
    }

    /// Does `work` in its course.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        match &self.open {
            None => super::within(self.parent, work).await,
            Some(open) => Within::new(self.context(), open.told.clone(), work).await,
        }
    }

    /// Lasts as long as `work`, and notes its refusal.
    pub async fn covers<T>(
        self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        if self.parent.is_none() {
            return work.await;
        }
        self.run(work)
            .await
            .inspect_err(|refusal| self.refused(refusal))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let ends = open.ends.unwrap_or_else(|| open.env.now());
            ring::end(open.context.span, ends);
        }
    }
}

/// What stands in every line that is logged in its course. An error's: whatever is logged, it stands there.
fn told(context: TraceContext, name: &'static str, who: Who) -> tracing::Span {
    tracing::error_span!(
        "request",
        request_id = %format_args!("{:032x}", context.trace_id),
        role = who.role,
        node = who.node_id,
        step = name,
    )
}
