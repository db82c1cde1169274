//! Cut: lengths of lanes become LSNs (LOG-I5).
use crate::order::command::{ProposedCut, ProposedEnd};
use crate::order::{CUTS_HELD_MAX, Effects, Event, Order, Outcome};
use dfs_wire::v1;
use std::collections::BTreeMap;

impl Order {
    /// Max-merge: what a lane has already, or a lane that takes nothing more, is passed over; so
    /// duplicate, stale and reordered proposals are harmless.
    pub(super) fn cut(&mut self, index: u64, proposed: &ProposedCut) -> Effects {
        self.forget(proposed);
        if self.cuts.len() >= CUTS_HELD_MAX {
            return Effects::quiet(Outcome::Stands);
        }
        let first_lsn = self.next_lsn;
        let lanes = self.grow_lanes(&proposed.ends);
        if lanes.is_empty() {
            return Effects::quiet(Outcome::Stands);
        }
        let records: u64 = lanes.iter().map(|lane| lane.to_idx - lane.from_idx).sum();
        self.next_lsn = first_lsn
            .checked_add(records)
            .expect("2^64 records were never written");
        self.log_time_us = proposed.log_time_us.max(self.log_time_us + 1);
        self.cut_seq += 1;
        let (cut_seq, log_time_us) = (self.cut_seq, self.log_time_us);
        let cut = v1::Cut {
            cut_seq,
            raft_index: index,
            first_lsn,
            log_time_us,
            lanes,
        };
        self.hold(cut.clone());
        Effects {
            outcome: Outcome::Stands,
            events: vec![Event::Cut(cut)],
            members_changed: false,
        }
    }

    fn grow_lanes(&mut self, ends: &[ProposedEnd]) -> Vec<v1::CutLane> {
        let mut largest = BTreeMap::<u64, &ProposedEnd>::new();
        for end in ends {
            let known = largest.entry(end.lane).or_insert(end);
            if end.end_idx > known.end_idx {
                *known = end;
            }
        }
        let mut grown = Vec::with_capacity(largest.len());
        for (id, end) in largest {
            let Some(lane) = self.lanes.get_mut(&id) else {
                continue;
            };
            if lane.sealed || end.end_idx <= lane.length {
                continue; // LOG-I6: a sealed length is final
            }
            grown.push(v1::CutLane {
                lane: id,
                from_idx: lane.length,
                to_idx: end.end_idx,
                chain_high: end.chain_high,
                chain_low: end.chain_low,
            });
            lane.length = end.end_idx;
            (lane.chain_high, lane.chain_low) = (end.chain_high, end.chain_low);
        }
        grown
    }

    /// The run of held cuts stays contiguous, in cut_seq and in LSNs.
    fn hold(&mut self, cut: v1::Cut) {
        if let Some(last) = self.cuts.back() {
            let records: u64 = last
                .lanes
                .iter()
                .map(|lane| lane.to_idx - lane.from_idx)
                .sum();
            assert_eq!(last.cut_seq + 1, cut.cut_seq, "held cuts have a gap");
            assert_eq!(
                last.first_lsn + records,
                cut.first_lsn,
                "I5: LSNs have a gap"
            );
            assert!(last.log_time_us < cut.log_time_us, "log time did not rise");
        }
        self.cuts.push_back(cut);
    }

    /// LOG-U6, as the leader found it; what closed stripes wait for is set aside.
    fn forget(&mut self, proposed: &ProposedCut) {
        while let Some(cut) = self.cuts.pop_front() {
            let goes = cut.cut_seq <= proposed.forget_through;
            if !goes || !self.set_aside(&cut, &proposed.waits) {
                self.cuts.push_front(cut);
                return;
            }
        }
    }
}
