//! What the sequencer is told: Hello at the begin of a conversation, then what became durable since.

use std::ops::Range;

use bytes::Bytes;
use dfs_wire::frame::chain_halves;
use dfs_wire::limits::FRAME_ENDS_KEPT;
use dfs_wire::v1;

use crate::unit::lane::Lane;
use crate::unit::state::Unit;

impl Unit {
    /// Replaces everything that the sequencer knew of this unit (LOG-D1). What comes after it is
    /// told by `durable` of the same conversation.
    pub(crate) fn hello(
        &mut self,
        conversation: u64,
        nonce: Bytes,
        node: v1::Owner,
    ) -> v1::UnitHello {
        self.conversation = conversation;
        self.lanes
            .values_mut()
            .for_each(|lane| lane.reported_idx = 0);
        self.to_report = self.lanes.keys().copied().collect();
        let ends = self.take_ends();
        self.told_stamped = self.stamped_through();
        self.told_full = self.full;
        self.wholes.tell_torn_again();
        let damaged = self.lanes.iter();
        let damaged = damaged.filter(|(_, lane)| !lane.bad_ranges().is_empty());
        self.told_bad = damaged.map(|(id, _)| *id).collect();
        v1::UnitHello {
            unit_id: self.unit_id,
            nonce,
            node: Some(node),
            ends,
            bad_ranges: self.bad_ranges(),
            last_stamp: self.last_synced,
            stamped_through: self.told_stamped,
            full: self.full,
            whole_stripes: self.wholes.all(),
        }
    }

    /// What is new since the last call; `None` when nothing is, or another conversation has begun.
    pub(crate) fn durable(&mut self, conversation: u64) -> Option<v1::Durable> {
        if conversation != self.conversation {
            return None;
        }
        let (ends, stamped_through) = (self.take_ends(), self.stamped_through());
        let (whole_lanes, whole_stripes) = (self.take_whole(), self.take_whole_stripes());
        let torn_stripes = self.wholes.take_torn();
        let news = !ends.is_empty()
            || !torn_stripes.is_empty()
            || !whole_stripes.is_empty()
            || !whole_lanes.is_empty()
            || stamped_through != self.told_stamped
            || self.full != self.told_full;
        (self.told_stamped, self.told_full) = (stamped_through, self.full);
        news.then_some(v1::Durable {
            ends,
            stamped_through,
            full: self.full,
            whole_lanes,
            whole_stripes,
            torn_stripes,
            traces: Vec::new(),
        })
    }

    /// Something was told that is neither cut nor cut off.
    pub(crate) fn expects_a_cut(&self) -> bool {
        self.lanes.values().any(Lane::expects_a_cut)
    }

    /// LOG-D2: the leader keeps the first so many ends above the cut, so no more are told; the
    /// others follow when the cut has moved.
    fn take_ends(&mut self) -> Vec<v1::FrameEnd> {
        let mut ends = Vec::new();
        for id in std::mem::take(&mut self.to_report) {
            let Some(lane) = self.lanes.get_mut(&id) else {
                continue;
            };
            for (end_idx, chain) in lane.ends_to_report(FRAME_ENDS_KEPT) {
                let (chain_high, chain_low) = chain_halves(chain);
                ends.push(v1::FrameEnd {
                    lane: id,
                    end_idx,
                    chain_high,
                    chain_low,
                });
                lane.reported_idx = end_idx;
            }
        }
        ends
    }

    pub(crate) fn bad_ranges(&self) -> Vec<v1::LaneRange> {
        let range = |lane: u64, bad: Range<u64>| v1::LaneRange {
            lane,
            first_idx: bad.start,
            end_idx: bad.end,
        };
        let lanes = self.lanes.iter();
        lanes
            .flat_map(|(id, lane)| lane.bad_ranges().into_iter().map(|bad| range(*id, bad)))
            .collect()
    }
}
