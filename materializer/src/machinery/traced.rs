//! Spans of what the shard's loop does for sampled requests. No decision looks at them.
use dfs_rpc::trace::{Span, Who};
use tokio::time::Instant;

use super::config::SHARD;
use super::ops::OpId;
use super::shard::Shard;

impl Shard {
    fn who(&self) -> Who {
        Who::materializer(self.hub.owner.node_id)
    }

    /// It waits for its turn from here on.
    pub(crate) fn trace_queued(&mut self, id: OpId) {
        let who = self.who();
        if let Some(op) = self.ops.get_mut(id).filter(|op| op.trace.is_some()) {
            let span = Span::begin(&self.hub.env, op.trace, "materializer.plan", who);
            op.span = span.with("shard", SHARD);
            op.span.waits_for(|| format!("its turn in shard {SHARD}"));
        }
    }

    /// For a record that is about to be appended.
    pub(crate) fn trace_append(&self, id: OpId, term: u64, lane: u64) -> Span {
        let trace = self.ops.get(id).and_then(|op| op.trace);
        let span = Span::begin(&self.hub.env, trace, "materializer.append", self.who())
            .with("shard", SHARD)
            .with("term", term)
            .with("lane", lane);
        span.waits_for(|| format!("a cut of lane {lane}"));
        span
    }

    /// It was appended: the plan is over, and the record on its way.
    pub(crate) fn trace_appended(&mut self, id: OpId, span: Span) {
        if let Some(op) = self.ops.get_mut(id) {
            op.span = span;
        }
    }

    /// Its cut was heard at `heard`, and by now it is folded as `lsn`.
    pub(crate) fn trace_folded(&mut self, id: OpId, heard: Instant, lsn: u64) {
        let (who, env) = (self.who(), self.hub.env.clone());
        if let Some(op) = self.ops.get_mut(id).filter(|op| op.trace.is_some()) {
            std::mem::take(&mut op.span).end_at(heard);
            let span = Span::begin_at(&env, op.trace, "materializer.fold", who, heard);
            drop(span.with("shard", SHARD).with("lsn", lsn));
        }
    }
}
