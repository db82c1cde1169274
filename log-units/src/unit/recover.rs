//! What is found in the log stream at open, in stream order, becomes the state again.

use dfs_wire::frame::Frame;
use dfs_wire::v1;

use crate::unit::lane::Lane;
use crate::unit::note::{BeginNote, LaneNote, Stamp};
use crate::unit::state::{Heard, Unit};

impl Unit {
    /// Before the first entry: where the stream begins now.
    pub(crate) fn recovering(&mut self, start: u64) {
        self.was_released = start > 0;
    }

    pub(crate) fn recover_begin(&mut self, note: BeginNote) {
        let first_chain = note.chain.unwrap_or_default();
        let lane = self
            .lanes
            .entry(note.lane)
            .or_insert_with(|| Lane::new(note.stripe, first_chain));
        lane.stripe = note.stripe.or(lane.stripe);
        let agrees = lane.trim(note.begin_idx, note.chain);
        self.after_check(note.lane, agrees);
    }

    pub(crate) fn recover_lane(&mut self, note: LaneNote) {
        let (stripe, chain) = (Some(note.stripe), note.first_chain);
        let lane = self
            .lanes
            .entry(note.lane)
            .or_insert_with(|| Lane::new(stripe, chain));
        lane.stripe = stripe;
    }

    /// A frame whose lane's note was lost is held all the same; Base will name the stripe.
    pub(crate) fn recover_frame(&mut self, frame: &Frame, position: u64) {
        let chain = frame.header.chain;
        let lane = self
            .lanes
            .entry(frame.header.lane)
            .or_insert_with(|| Lane::new(None, chain));
        lane.recover(frame, position);
    }

    pub(crate) fn recover_stamp(&mut self, stamp: &Stamp) {
        for run in &stamp.runs {
            let chain = run.chain;
            self.lanes
                .entry(run.lane)
                .or_insert_with(|| Lane::new(None, chain));
        }
        let is_first = self.last_noted_seq == 0 && self.was_released;
        if stamp.previous_cut_seq > self.last_noted_seq && !is_first {
            let lost_above = self.last_noted_seq;
            self.stamps_lost_above = Some(self.stamps_lost_above.unwrap_or(lost_above));
        }
        self.cover(stamp);
        self.stamped(stamp);
        self.last_noted_seq = self.last_noted_seq.max(stamp.cut_seq);
        if stamp.cut_seq > self.heard.cut_seq {
            let (cut_seq, next_lsn) = (stamp.cut_seq, stamp.next_lsn);
            self.heard = Heard {
                cut_seq,
                next_lsn,
                raft_index: stamp.raft_index,
            };
            self.known_from_lsn = next_lsn;
        }
        self.stamp_synced(synced_stamp(stamp));
    }

    pub(crate) fn recover_copied(&mut self, stripe: u64, stamp: &Stamp) {
        for run in &stamp.runs {
            let chain = run.chain;
            self.lanes
                .entry(run.lane)
                .or_insert_with(|| Lane::new(Some(stripe), chain));
        }
        self.cover_copied(stripe, stamp);
        self.stamped(stamp);
    }

    /// After the last entry.
    pub(crate) fn recovered(&mut self) {
        let ids: Vec<u64> = self.lanes.keys().copied().collect();
        for id in ids {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.recovered();
            }
            self.note_waiting(id);
        }
    }
}

/// How a stamp is named to the sequencer: by the last LSN it gave.
pub(crate) fn synced_stamp(stamp: &Stamp) -> v1::Stamp {
    let lsn = stamp.next_lsn.saturating_sub(1);
    v1::Stamp {
        lsn,
        cut_seq: stamp.cut_seq,
        raft_index: stamp.raft_index,
    }
}
