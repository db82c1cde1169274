//! Frames with records of sampled requests: their spans, from the append stream to the sync.

use dfs_env::Env;
use dfs_rpc::trace::{FRAME_REQUESTS_MAX, Span, TraceContext, Who};
use dfs_wire::frame::FrameHeader;
use dfs_wire::v1;

use crate::config::UnitConfig;

/// One frame that was taken.
pub(crate) struct Traced {
    trace: v1::FrameTrace,
    appends: Vec<Span>,
    syncs: Vec<Span>,
}

/// Of the frame that ends at `end_idx`, if anybody who is sampled is in it.
pub(crate) fn of_frame(traces: &mut Vec<v1::FrameTrace>, end_idx: u64) -> Option<v1::FrameTrace> {
    let at = traces.iter().position(|trace| trace.end_idx == end_idx)?;
    Some(traces.swap_remove(at))
}

impl Traced {
    pub(crate) fn begin(
        env: &Env,
        config: &UnitConfig,
        header: &FrameHeader,
        stripe: Option<u64>,
        trace: v1::FrameTrace,
    ) -> Box<Traced> {
        let who = Who::log_unit(config.node.node_id);
        let requests = trace.requests.iter().take(FRAME_REQUESTS_MAX);
        let appends = requests.map(|request| {
            let more = (trace.requests.len() as u32).saturating_sub(1);
            let others = trace.others.saturating_add(more);
            let parent = TraceContext::from_wire(Some(request));
            Span::begin(env, parent, "unit.append", who)
                .with("unit", config.unit_id)
                .with("lane", header.lane)
                .with("stripe", stripe.unwrap_or_default())
                .with("first_idx", header.first_idx)
                .with("records", header.count)
                .with("others", others)
        });
        Box::new(Traced {
            appends: appends.collect(),
            trace,
            syncs: Vec::new(),
        })
    }

    /// The round that it is in is being written and synced.
    pub(crate) fn syncs(&mut self, env: &Env, config: &UnitConfig, frames: usize) {
        if !self.syncs.is_empty() {
            return; // the disk was full, and it is tried again
        }
        let who = Who::log_unit(config.node.node_id);
        let syncs = self.appends.iter().map(|append| {
            append.waits_for(|| "its own disk".into());
            Span::begin(env, append.context(), "unit.log_fsync", who)
                .with("unit", config.unit_id)
                .with("frames", frames)
        });
        self.syncs = syncs.collect();
    }

    /// For the sequencer, once it is durable: the spans end here.
    pub(crate) fn durable(self) -> v1::FrameTrace {
        drop(self.syncs);
        drop(self.appends);
        self.trace
    }
}
