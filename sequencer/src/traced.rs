//! Frames with records of sampled requests, from the first unit that holds them to their cut: spans, nothing else.
use crate::order::Order;
use crate::order::command::ProposedEnd;
use dfs_env::Env;
use dfs_rpc::trace::{FRAME_REQUESTS_MAX, FRAMES_FOLLOWED_MAX, Span, TraceContext, Who};
use dfs_wire::v1;
use std::collections::BTreeMap;

/// What the leader follows. No decision looks at it.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    pub(crate) voter: u64,
    /// By lane and end of the frame.
    waiting: BTreeMap<(u64, u64), Waiting>,
    /// How far each lane was proposed: a unit that says so while that is in flight is late.
    proposed: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Waiting {
    others: u32,
    quorums: Vec<Span>,
    requests: Vec<Option<TraceContext>>,
}

impl Traced {
    fn who(&self) -> Who {
        Who::sequencer(self.voter)
    }

    /// A unit holds these durably. The first that says so counts; what is cut already is no news.
    pub(crate) fn hear(&mut self, env: &Env, order: &Order, unit: u64, frames: &[v1::FrameTrace]) {
        if frames.is_empty() {
            return;
        }
        let uncut = |lane: u64, end_idx: u64| {
            let lane = order.lanes.get(&lane);
            lane.is_some_and(|lane| !lane.sealed && lane.length < end_idx)
        };
        self.proposed.retain(|lane, end| uncut(*lane, *end));
        self.waiting.retain(|(lane, end), _| uncut(*lane, *end));
        for frame in frames {
            let key = (frame.lane, frame.end_idx);
            let is_proposed = self.proposed.get(&key.0).is_some_and(|end| *end >= key.1);
            let is_new = !is_proposed && !self.waiting.contains_key(&key);
            if is_new && uncut(key.0, key.1) && self.waiting.len() < FRAMES_FOLLOWED_MAX {
                let stripe = order.lanes.get(&frame.lane).map_or(0, |lane| lane.stripe);
                let waiting = self.begin(env, stripe, unit, frame);
                self.waiting.insert(key, waiting);
            }
        }
    }

    fn begin(&self, env: &Env, stripe: u64, unit: u64, frame: &v1::FrameTrace) -> Waiting {
        let requests = frame.requests.iter().take(FRAME_REQUESTS_MAX);
        let requests: Vec<_> = requests
            .map(|request| TraceContext::from_wire(Some(request)))
            .collect();
        let quorum = |request: &Option<TraceContext>| {
            let span = Span::begin(env, *request, "sequencer.quorum", self.who())
                .with("lane", frame.lane)
                .with("stripe", stripe)
                .with("end_idx", frame.end_idx)
                .with("unit", unit);
            span.waits_for(|| format!("more units of stripe {stripe} to hold it durably"));
            span
        };
        Waiting {
            others: frame.others,
            quorums: requests.iter().map(quorum).collect(),
            requests,
        }
    }

    /// The spans of a cut that is about to be proposed; they end when it is applied.
    pub(crate) fn proposed(&mut self, env: &Env, ends: &[ProposedEnd]) -> Vec<Span> {
        let mut cuts = Vec::new();
        if self.waiting.is_empty() {
            return cuts;
        }
        for end in ends {
            let covered = (end.lane, 0)..=(end.lane, end.end_idx);
            let keys: Vec<_> = self.waiting.range(covered).map(|(key, _)| *key).collect();
            for key in keys {
                let Some(waiting) = self.waiting.remove(&key) else {
                    continue;
                };
                let more = (waiting.requests.len() as u32).saturating_sub(1);
                let others = waiting.others.saturating_add(more);
                drop(waiting.quorums);
                self.proposed.insert(end.lane, end.end_idx);
                cuts.extend(waiting.requests.into_iter().map(|request| {
                    let span = Span::begin(env, request, "sequencer.cut", self.who())
                        .with("lane", key.0)
                        .with("end_idx", key.1)
                        .with("others", others);
                    span.waits_for(|| "most voters' journals".into());
                    span
                }));
            }
        }
        cuts
    }

    /// Another leads: whoever waits here is told of there.
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
        self.proposed.clear();
    }
}
