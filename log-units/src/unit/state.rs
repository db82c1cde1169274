//! All that a unit knows: its lanes, what was cut, what is stamped. Input in, outputs out; nothing waits here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use dfs_wire::frame::{Frame, chain_of, first_chain};
use dfs_wire::{Code, Refusal, v1};

use crate::unit::copies::Copied;
use crate::unit::lane::{Agrees, Held, Lane, Staged};
use crate::unit::note::{LaneNote, Note, Stamp, StampedRun};
use crate::unit::runs::Runs;
use crate::unit::trim::{Passed, is_trimmed};
use crate::unit::wholes::Wholes;

/// How far the cuts are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) cut_seq: u64,
    /// The first LSN not yet assigned.
    pub(crate) next_lsn: u64,
    pub(crate) raft_index: u64,
}

/// A stripe that this unit is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stripe {
    /// No record of the stripe lies below.
    pub(crate) first_lsn: u64,
    /// Of a closed one: nor above.
    pub(crate) last_lsn: Option<u64>,
}

impl Stripe {
    pub(super) fn of(state: &v1::StripeState) -> Stripe {
        Stripe {
            first_lsn: state.first_lsn,
            last_lsn: state.closed.then_some(state.last_lsn),
        }
    }

    /// Whether a record of it can lie there.
    pub(super) fn may_hold(&self, lsns: &Range<u64>) -> bool {
        let over = self.last_lsn.is_some_and(|last| last < lsns.start);
        self.first_lsn < lsns.end && !over
    }
}

/// Another unit of a stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) unit_id: u64,
    pub(crate) address: String,
}

#[derive(Debug, Default)]
pub(crate) struct Unit {
    pub(super) unit_id: u64,
    pub(super) cluster_id: Vec<u8>,
    pub(super) lanes: BTreeMap<u64, Lane>,
    pub(super) stripes: BTreeMap<u64, Stripe>,
    /// Of each stripe, as last heard.
    peers: BTreeMap<u64, Vec<Peer>>,
    /// Closed stripes of other units that this one copies.
    pub(super) copies: BTreeMap<u64, Copied>,
    pub(super) wholes: Wholes,
    /// Of closed stripes, by stripe: what the last Base said of LSNs whose cuts it holds no more.
    pub(super) set_aside: BTreeMap<u64, v1::WaitingRuns>,
    generation: u64,
    pub(super) runs: Runs,
    pub(super) heard: Heard,
    /// A Base was applied since the start.
    based: bool,
    /// Contiguous knowledge that no stamp covers yet begins here.
    pub(super) known_from_lsn: u64,
    pub(super) notes: Vec<Note>,
    /// Cuts whose stamps are not synced.
    unsynced: BTreeSet<u64>,
    pub(super) last_noted_seq: u64,
    pub(super) last_synced: Option<v1::Stamp>,
    /// Stamps above this were lost; ends with the next Base.
    pub(super) stamps_lost_above: Option<u64>,
    /// The oldest cut that the sequencer held at the last Base.
    cuts_held_from: u64,
    /// Lanes with a cut that is not yet durably held and agreed.
    pub(super) waiting: BTreeSet<u64>,
    /// Lanes with something new to tell the sequencer.
    pub(super) to_report: BTreeSet<u64>,
    /// Who is told: reports of an older conversation take nothing any more.
    pub(super) conversation: u64,
    pub(super) told_stamped: u64,
    pub(super) told_full: bool,
    pub(super) full: bool,
    /// Lanes whose own content disagreed with a cut: a person should know.
    pub(super) disagreed: BTreeSet<u64>,
    /// A lane of which two cuts say different things (LOG-U9).
    went_back: Option<u64>,
    /// Lanes that were told to be damaged, and are no more.
    pub(super) told_bad: BTreeSet<u64>,
    /// Records below are gone; 0: none are.
    pub(super) trim_lsn: u64,
    /// Places of the stream, rising, and what the stamps before them are about.
    pub(super) passed: Vec<Passed>,
    /// No stamp in the stream tells of this LSN or a later one.
    pub(super) stamped_lsn: u64,
    /// The front of the stream was released before it was opened.
    pub(super) was_released: bool,
}

impl Unit {
    pub(crate) fn new(unit_id: u64, cluster_id: Vec<u8>) -> Unit {
        Unit {
            unit_id,
            cluster_id,
            ..Unit::default()
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard
    }

    pub(crate) fn is_based(&self) -> bool {
        self.based
    }

    pub(crate) fn lane(&self, lane: u64) -> Option<&Lane> {
        self.lanes.get(&lane)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// LOG-U5: `None` for a lane that this unit was not told of.
    pub(crate) fn stage(&mut self, frame: &Frame) -> Option<Staged> {
        let lane = self.lanes.get_mut(&frame.header.lane)?;
        Some(lane.stage(frame))
    }

    pub(crate) fn written(&mut self, lane: u64, end_idx: u64, chain: u128, position: u64) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.written(end_idx, chain, position);
        }
    }

    /// LOG-I3: after a successful fdatasync.
    pub(crate) fn synced(&mut self, id: u64, end_idx: u64, chain: u128) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.synced(end_idx, chain);
            self.to_report.insert(id);
            self.note_waiting(id);
        }
    }

    pub(super) fn note_waiting(&mut self, id: u64) {
        match self.lanes.get(&id).and_then(|lane| lane.waits_for_cut(0)) {
            Some(_) => self.waiting.insert(id),
            None => self.waiting.remove(&id),
        };
    }

    /// What has to go into the stream, oldest first; the caller writes it before any frame that it
    /// stages from now on.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.wholes.taken += self.notes.len() as u64;
        std::mem::take(&mut self.notes)
    }

    pub(crate) fn notes_waiting(&self) -> usize {
        self.notes.len()
    }

    /// A stamp among the notes taken is durable.
    pub(crate) fn stamp_synced(&mut self, stamp: v1::Stamp) {
        self.unsynced.remove(&stamp.cut_seq);
        if self
            .last_synced
            .is_none_or(|last| last.cut_seq < stamp.cut_seq)
        {
            self.last_synced = Some(stamp);
        }
    }

    /// Every cut up to it that touches this unit is stamped durably, and held (LOG-U6). Cuts that the
    /// sequencer has forgotten no longer matter: what is damaged of them must not hold back others.
    pub(crate) fn stamped_through(&self) -> u64 {
        let synced = self
            .unsynced
            .first()
            .map_or(self.heard.cut_seq, |seq| seq - 1);
        let waits = self
            .waiting
            .iter()
            .filter_map(|lane| self.lanes.get(lane)?.waits_for_cut(self.cuts_held_from));
        let held = waits.min().map_or(u64::MAX, |seq| seq - 1);
        synced
            .min(held)
            .min(self.stamps_lost_above.unwrap_or(u64::MAX))
    }

    pub(crate) fn lane_opened(&mut self, opened: &v1::LaneOpened) {
        let ours = opened.units.iter().any(|unit| unit.unit_id == self.unit_id);
        if !ours {
            return;
        }
        // No record of a stripe is older than its first lane.
        let first_lsn = self.heard.next_lsn.max(1);
        self.stripes.entry(opened.stripe).or_insert(Stripe {
            first_lsn,
            last_lsn: None,
        });
        self.know_peers(opened.stripe, &opened.units);
        let owner = opened.owner.unwrap_or_default();
        let first_chain = chain_of(opened.chain_high, opened.chain_low);
        self.know_lane(opened.lane, opened.stripe, first_chain, owner);
    }

    pub(super) fn know_peers<'a>(
        &mut self,
        stripe: u64,
        units: impl IntoIterator<Item = &'a v1::UnitRef>,
    ) {
        let peer = |unit: &v1::UnitRef| Peer {
            unit_id: unit.unit_id,
            address: unit.address.clone(),
        };
        let own = self.unit_id;
        let others = units.into_iter().filter(|unit| unit.unit_id != own);
        self.peers.insert(stripe, others.map(peer).collect());
    }

    /// Who else holds the stripe.
    pub(crate) fn peers(&self, stripe: u64) -> &[Peer] {
        self.peers.get(&stripe).map_or(&[], Vec::as_slice)
    }

    /// LOG-U7: what was read back of a frame was not what was written. Nothing is marked when another
    /// one, or the same at another place, is held there by now.
    pub(crate) fn forget_held(&mut self, id: u64, held: &Held, position: u64) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let now = lane.frame_holding(held.first_idx());
        if now.is_some_and(|now| now.position() == Some(position)) {
            lane.forget(held.first_idx()..held.end_idx());
            let stripe = lane.stripe;
            self.wholes.torn(stripe);
        }
    }

    pub(super) fn know_lane(&mut self, id: u64, stripe: u64, first_chain: u128, owner: v1::Owner) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.name(stripe, first_chain);
            return;
        }
        self.lanes.insert(id, Lane::new(Some(stripe), first_chain));
        let (node_id, incarnation) = (owner.node_id, owner.incarnation);
        let note = LaneNote {
            lane: id,
            stripe,
            first_chain,
            node_id,
            incarnation,
        };
        self.notes.push(Note::Lane(note));
    }

    pub(crate) fn lane_sealed(&mut self, sealed: &v1::LaneSealed) {
        if let Some(lane) = self.lanes.get_mut(&sealed.lane) {
            lane.seal(sealed.final_length);
        }
    }

    /// The next cut, in order; an error means that this conversation skipped or contradicted one.
    pub(crate) fn cut(&mut self, cut: &v1::Cut) -> Result<(), Refusal> {
        if cut.cut_seq <= self.heard.cut_seq {
            return Ok(());
        }
        let heard = self.heard;
        if cut.cut_seq != heard.cut_seq + 1 || cut.first_lsn != heard.next_lsn {
            let why = format!(
                "cut {} at LSN {} does not follow cut {} with end {}",
                cut.cut_seq, cut.first_lsn, heard.cut_seq, heard.next_lsn
            );
            return Err(Refusal::new(Code::Mismatch, "the sequencer's orders", why));
        }
        self.learn(cut);
        Ok(())
    }

    fn learn(&mut self, cut: &v1::Cut) {
        let mut next_lsn = cut.first_lsn;
        let mut runs = Vec::new();
        for part in &cut.lanes {
            let first_lsn = next_lsn;
            next_lsn += part.to_idx.saturating_sub(part.from_idx);
            let (lane, from_idx, to_idx) = (part.lane, part.from_idx, part.to_idx);
            let chain = chain_of(part.chain_high, part.chain_low);
            if self.lanes.contains_key(&lane) && to_idx > from_idx {
                runs.push(StampedRun {
                    lane,
                    from_idx,
                    to_idx,
                    first_lsn,
                    chain,
                });
            }
        }
        self.heard = Heard {
            cut_seq: cut.cut_seq,
            next_lsn,
            raft_index: cut.raft_index,
        };
        let stamp = Stamp {
            cut_seq: cut.cut_seq,
            raft_index: cut.raft_index,
            log_time_us: cut.log_time_us,
            known_from_lsn: self.known_from_lsn,
            next_lsn,
            previous_cut_seq: self.last_noted_seq,
            runs,
        };
        self.cover(&stamp);
        if !stamp.runs.is_empty() {
            self.known_from_lsn = next_lsn;
            self.last_noted_seq = cut.cut_seq;
            self.unsynced.insert(cut.cut_seq);
            self.notes.push(Note::Stamp(stamp));
        }
    }

    /// Takes a stamp's runs into the index and holds them against the lanes.
    pub(super) fn cover(&mut self, stamp: &Stamp) {
        self.compare(&stamp.runs, stamp.cut_seq);
        self.runs
            .learn(stamp.known_from_lsn..stamp.next_lsn, &stamp.runs());
    }

    pub(super) fn compare(&mut self, runs: &[StampedRun], cut_seq: u64) {
        for run in runs {
            if let Some(lane) = self.lanes.get_mut(&run.lane) {
                let agrees = lane.cut(run.from_idx, run.to_idx, run.chain, cut_seq);
                self.after_check(run.lane, agrees);
            }
        }
    }

    pub(super) fn after_check(&mut self, id: u64, agrees: Agrees) {
        match agrees {
            Agrees::Yes => {}
            Agrees::SetAside => {
                self.disagreed.insert(id);
                let lane = self.lanes.get(&id);
                self.wholes.torn(lane.and_then(|lane| lane.stripe));
            }
            Agrees::Never => {
                self.went_back.get_or_insert(id);
            }
        }
        self.to_report.insert(id);
        self.note_waiting(id);
    }

    /// Lanes that disagreed with a cut since the last call.
    pub(crate) fn take_disagreed(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.disagreed)
    }

    /// LOG-U9: the lane of which the sequencer says something else than it said before.
    pub(crate) fn went_back(&self) -> Option<u64> {
        self.went_back
    }

    /// What the sequencer holds, at the begin of a conversation.
    pub(crate) fn base(&mut self, base: &v1::Base) -> Result<(), Refusal> {
        self.check_base(base)?;
        self.generation = base.generation;
        for stripe in &base.stripes {
            if stripe.units.iter().any(|unit| unit.unit_id == self.unit_id) {
                self.know_holders(stripe);
                self.stripes.insert(stripe.stripe, Stripe::of(stripe));
            }
        }
        let ours: Vec<&v1::LaneState> = base
            .lanes
            .iter()
            .filter(|lane| {
                self.stripes.contains_key(&lane.stripe) && !is_trimmed(lane, base.trim_lsn)
            })
            .collect();
        self.forget_unlisted(base);
        for lane in &ours {
            let owner = lane.owner.unwrap_or_default();
            let chain = self.first_chain(lane.lane, owner);
            self.know_lane(lane.lane, lane.stripe, chain, owner);
        }
        self.base_cuts(base)?;
        base.stripes
            .iter()
            .for_each(|stripe| self.copy(stripe, &base.lanes, base.trim_lsn));
        self.copies.retain(|_, copied| copied.bounds.is_some());
        for state in ours {
            let Some(lane) = self.lanes.get_mut(&state.lane) else {
                continue;
            };
            let chain = chain_of(state.chain_high, state.chain_low);
            let agrees = lane.base(state.length, chain, base.cut_seq);
            if state.sealed {
                lane.seal(state.length);
            }
            self.after_check(state.lane, agrees);
        }
        self.based = true;
        let oldest = base.cuts.first().map(|cut| cut.cut_seq);
        self.cuts_held_from = oldest.unwrap_or(base.cut_seq + 1);
        self.stamps_lost_above = None;
        let set_aside = base.waiting.iter();
        self.set_aside = set_aside.map(|row| (row.stripe, row.clone())).collect();
        self.trim(base.trim_lsn);
        self.settle_closed();
        Ok(())
    }

    pub(super) fn first_chain(&self, lane: u64, owner: v1::Owner) -> u128 {
        let (node_id, incarnation) = (owner.node_id, owner.incarnation);
        first_chain(
            &self.cluster_id,
            self.generation,
            lane,
            node_id,
            incarnation,
        )
    }

    fn check_base(&self, base: &v1::Base) -> Result<(), Refusal> {
        if base.cluster_id != self.cluster_id {
            let why = "it belongs to another cluster";
            return Err(Refusal::new(Code::Mismatch, "the sequencer", why));
        }
        let heard = self.heard;
        let behind = base.cut_seq < heard.cut_seq || base.next_lsn < heard.next_lsn;
        if behind {
            let why = format!(
                "it is at cut {} and end {}, this unit has heard cut {} and end {}",
                base.cut_seq, base.next_lsn, heard.cut_seq, heard.next_lsn
            );
            return Err(Refusal::new(Code::Unavailable, "the sequencer", why));
        }
        Ok(())
    }

    /// The cuts that Base still holds: those not heard, and those whose stamps were lost here.
    fn base_cuts(&mut self, base: &v1::Base) -> Result<(), Refusal> {
        for cut in &base.cuts {
            if cut.cut_seq <= self.heard.cut_seq {
                self.hear_again(cut);
                continue;
            }
            if cut.cut_seq != self.heard.cut_seq + 1 || cut.first_lsn != self.heard.next_lsn {
                self.pass_forgotten(base, cut.first_lsn);
                self.heard.cut_seq = cut.cut_seq - 1;
                self.heard.next_lsn = cut.first_lsn;
            }
            self.cut(cut)?;
        }
        if base.cut_seq > self.heard.cut_seq {
            self.pass_forgotten(base, base.next_lsn);
        }
        let (cut_seq, next_lsn) = (base.cut_seq, base.next_lsn);
        self.heard = Heard {
            cut_seq,
            next_lsn,
            raft_index: base.raft_index,
        };
        if self.known_from_lsn == 0 {
            self.known_from_lsn = next_lsn;
        }
        Ok(())
    }

    /// Cuts up to `to_lsn` were forgotten unheard. If a lane of this unit grew in them, W other units
    /// have it; if none did, nothing of this unit lies there, and that is known: else a stripe that
    /// rests while others work would have LSNs that none of its units answers for after a restart. The
    /// same holds from the begin of the log on for one that has no stamp at all yet.
    fn pass_forgotten(&mut self, base: &v1::Base, to_lsn: u64) {
        let knew = self.heard.next_lsn > 0 && self.known_from_lsn > 0;
        let from_lsn = match knew {
            true => self.known_from_lsn,
            false => base.trim_lsn.max(1), // lanes that ended before it are not listed any more
        };
        let has_stamps = self.last_synced.is_some() || self.last_noted_seq > 0;
        if (knew || !has_stamps) && !self.grew_unheard(base) {
            self.runs.learn(from_lsn..to_lsn, &[]);
            self.known_from_lsn = from_lsn;
        } else {
            self.known_from_lsn = to_lsn;
        }
    }

    /// Whether a lane of this unit is longer than was heard, before the first unheard cut of Base.
    fn grew_unheard(&self, base: &v1::Base) -> bool {
        let mut lengths: BTreeMap<u64, u64> = base
            .lanes
            .iter()
            .map(|lane| (lane.lane, lane.length))
            .collect();
        let unheard = base.cuts.iter().rev();
        let unheard = unheard.filter(|cut| cut.cut_seq > self.heard.cut_seq);
        lengths.extend(
            unheard.flat_map(|cut| cut.lanes.iter().map(|part| (part.lane, part.from_idx))),
        );
        let copied = |lane: &Lane| {
            lane.stripe
                .is_some_and(|stripe| !self.stripes.contains_key(&stripe))
        };
        let mut lanes = self.lanes.iter().filter(|(_, lane)| !copied(lane));
        lanes.any(|(id, lane)| lengths.get(id) != Some(&lane.cut_idx()))
    }

    fn hear_again(&mut self, cut: &v1::Cut) {
        if self.runs.covered_until(cut.first_lsn).is_some() {
            return;
        }
        let (heard, known_from_lsn) = (self.heard, self.known_from_lsn);
        self.known_from_lsn = cut.first_lsn;
        self.learn(cut);
        (self.heard, self.known_from_lsn) = (heard, known_from_lsn);
    }
}
