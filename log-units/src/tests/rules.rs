//! Properties of the pure part: whatever a unit is sent and told, it serves only what was cut.

use bytes::Bytes;
use dfs_wire::frame::{self, Frame, FrameDraft, chain_halves};
use dfs_wire::{Tag, v1};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::unit::lane::{Lane, Staged};
use crate::unit::note::{LaneNote, Stamp, StampedRun};
use crate::unit::plan::{Plan, Question, Step, Stop};
use crate::unit::stamps::Given;
use crate::unit::state::Unit;

const FIRST_CHAIN: u128 = 42;
/// Where the two histories part.
const FORK: usize = 6;

fn freeze(lane: u64, before: Option<&Frame>, first: u128, salt: u64, count: usize) -> Frame {
    let record = Bytes::copy_from_slice(&salt.to_le_bytes());
    let tags = vec![Tag::shard(salt % 4)];
    let draft = FrameDraft {
        tags,
        records: vec![record; count],
        ..Default::default()
    };
    let (idx, chain) = before.map_or((0, first), |frame| (frame.end_idx(), frame.chain_after()));
    draft.freeze(lane, idx, chain)
}

/// Two histories of a lane with the same frame boundaries: equal before `FORK`, different after.
fn histories() -> [Vec<Frame>; 2] {
    [0, 100].map(|salt| {
        let mut frames: Vec<Frame> = Vec::new();
        for at in 0..16 {
            let salt = if at < FORK { 0 } else { salt };
            let count = 1 + at % 3;
            let next = freeze(1, frames.last(), FIRST_CHAIN, salt + at as u64, count);
            frames.push(next);
        }
        frames
    })
}

#[derive(Clone, Debug)]
enum Event {
    /// Frame `at` of a history.
    Send {
        other: bool,
        at: usize,
    },
    Sync,
    /// The first history is cut after frame `at`.
    Cut {
        at: usize,
    },
    /// What is on the disk is found again.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    (0..8u8, any::<bool>(), 0..16usize).prop_map(|(kind, other, at)| match kind {
        0..4 => Event::Send { other, at },
        4 | 5 => Event::Sync,
        6 => Event::Cut { at },
        _ => Event::Restart,
    })
}

/// A lane, the frames that are on its disk, and the cuts that were told.
struct Story {
    lane: Lane,
    disk: Vec<Frame>,
    written: usize,
    cut: usize,
    histories: [Vec<Frame>; 2],
}

impl Story {
    fn new() -> Story {
        let (lane, histories) = (Lane::new(Some(1), FIRST_CHAIN), histories());
        Story {
            lane,
            disk: Vec::new(),
            written: 0,
            cut: 0,
            histories,
        }
    }

    fn send(&mut self, other: bool, at: usize) -> Staged {
        let frame = &self.histories[usize::from(other)][at];
        let staged = self.lane.stage(frame);
        if staged == Staged::Taken {
            self.disk.push(frame.clone());
        }
        staged
    }

    fn sync(&mut self) {
        for (at, frame) in self.disk.iter().enumerate().skip(self.written) {
            self.lane
                .written(frame.end_idx(), frame.chain_after(), at as u64);
            self.lane.synced(frame.end_idx(), frame.chain_after());
        }
        self.written = self.disk.len();
    }

    fn tell_cuts(&mut self, from: usize, to: usize) {
        for at in from..to {
            let frame = &self.histories[0][at];
            let (first_idx, end_idx) = (frame.header.first_idx, frame.end_idx());
            self.lane
                .cut(first_idx, end_idx, frame.chain_after(), at as u64 + 1);
        }
    }

    fn restart(&mut self) {
        self.disk.truncate(self.written);
        self.lane = Lane::new(Some(1), FIRST_CHAIN);
        for (at, frame) in self.disk.iter().enumerate() {
            self.lane.recover(frame, at as u64);
        }
        self.lane.recovered();
        self.tell_cuts(0, self.cut);
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Send { other, at } => drop(self.send(*other, *at)),
            Event::Sync => self.sync(),
            Event::Cut { at } => {
                self.tell_cuts(self.cut, *at);
                self.cut = self.cut.max(*at);
            }
            Event::Restart => self.restart(),
        }
    }

    /// LOG-U4, LOG-I2, LOG-I3.
    fn check(&self) -> Result<(), String> {
        let cut_idx = self
            .cut
            .checked_sub(1)
            .map_or(0, |at| self.histories[0][at].end_idx());
        let lane = &self.lane;
        if lane.agreed_idx() > cut_idx || lane.durable_idx() > lane.staged_idx() {
            return Err(format!("lengths are out of order: {lane:?}"));
        }
        for frame in self.histories[0]
            .iter()
            .filter(|f| f.end_idx() <= lane.agreed_idx())
        {
            let held = lane
                .frame_holding(frame.header.first_idx)
                .map(|held| held.chain_after());
            if held != Some(frame.chain_after()) {
                return Err(format!(
                    "serves other bytes at idx {}",
                    frame.header.first_idx
                ));
            }
        }
        let synced = &self.disk[..self.written];
        let durable = |end: &(u64, u128)| {
            synced
                .iter()
                .any(|f| f.end_idx() == end.0 && f.chain_after() == end.1)
        };
        if !lane.ends_to_report(100).iter().all(durable) {
            return Err("reports what is not synced".to_string());
        }
        Ok(())
    }
}

/// LOG-U6: joining the points of cuts far ahead must not make a unit claim what it does not hold.
#[test]
fn every_cut_is_waited_for_however_many_there_are() {
    let mut lane = Lane::new(Some(1), FIRST_CHAIN);
    let cuts = 3000;
    for cut in 1..=cuts {
        lane.cut(cut - 1, cut, u128::from(cut), cut);
        assert_eq!(lane.waits_for_cut(0), Some(1));
    }
    for oldest in 1..=cuts {
        assert_eq!(lane.waits_for_cut(oldest), Some(oldest));
    }
    assert_eq!(lane.waits_for_cut(cuts + 1), None);
}

/// LOG-I6, LOG-U7: what was sent and not cut before the seal is nobody's; damage of it holds nothing up.
#[test]
fn damage_beyond_the_final_length_is_no_damage() {
    let [frames, _] = histories();
    let cut = |at: usize| (frames[at].end_idx(), frames[at].chain_after());
    let lane_cut_at = |at: usize| {
        let mut lane = Lane::new(Some(1), FIRST_CHAIN);
        for frame in &frames[..8] {
            lane.stage(frame);
            lane.synced(frame.end_idx(), frame.chain_after());
        }
        let (length, chain) = cut(at);
        lane.cut(0, length, chain, 1);
        lane
    };
    let mut lane = lane_cut_at(4);
    lane.forget(cut(5).0..cut(6).0);
    assert!(lane.is_behind());
    lane.seal(cut(4).0);
    assert!(!lane.is_behind());
    assert_eq!((lane.bad_ranges(), lane.staged_idx()), (vec![], cut(4).0));
    let mut lane = lane_cut_at(4);
    lane.forget(cut(3).0..cut(5).0);
    lane.seal(cut(4).0);
    let left = lane.bad_ranges().pop();
    assert_eq!(left, Some(cut(3).0..cut(4).0), "what was cut counts");
    let wanted = lane.wants(1).pop().expect("peers are asked for it");
    assert_eq!((wanted.first_idx, wanted.anchors), (cut(3).0, vec![cut(4)]));
    let mut lane = lane_cut_at(4);
    lane.seal(cut(4).0);
    lane.forget(cut(5).0..cut(6).0);
    assert!(!lane.is_behind(), "found after the seal");
}

proptest! {
    #[test]
    fn a_lane_serves_only_what_was_cut(events in proptest::collection::vec(event(), 1..80)) {
        let mut story = Story::new();
        for event in &events {
            story.happen(event);
            let checked = story.check();
            prop_assert!(checked.is_ok(), "{event:?}: {checked:?}");
        }
        // Whatever happened, the true history can be completed unless other bytes are held uncut.
        story.happen(&Event::Cut { at: 16 });
        for at in 0..16 {
            story.send(false, at);
        }
        story.sync();
        prop_assert_eq!(story.check(), Ok(()));
        prop_assert_eq!(story.lane.agreed_idx(), story.histories[0][15].end_idx());
        prop_assert_eq!(story.lane.waits_for_cut(0), None);
    }

    /// LOG-R2: over any window, the frames' and the skips' counts of all stripes sum to its width.
    #[test]
    fn every_lsn_is_answered_once(
        cuts in proptest::collection::vec((0..15u8, 1..4usize), 1..30),
        window in (any::<u16>(), any::<u16>()),
        tags in any::<u64>(),
        except in 1..5u64,
    ) {
        let (unit, next_lsn) = unit_with(&cuts);
        let last_lsn = 1 + u64::from(window.0) % (next_lsn - 1);
        let from_lsn = 1 + u64::from(window.1) % last_lsn;
        let count: u64 = [1, 2].map(|stripe| {
            let question =
                Question { stripe, tag_filter: tags, except_lanes: vec![except], last_lsn };
            answered(&unit, &question, from_lsn)
        }).iter().sum();
        prop_assert_eq!(count, last_lsn - from_lsn + 1);
    }
}

/// Counts what plans of small batches answer, up to the end of the question.
fn answered(unit: &Unit, question: &Question, from_lsn: u64) -> u64 {
    let (mut cursor, mut count) = (from_lsn, 0);
    loop {
        let Plan {
            steps,
            cursor: next,
            stop,
        } = unit.plan(question, cursor, 150);
        for step in steps {
            count += match step {
                Step::Frame(frame) => frame.asked.1 - frame.asked.0,
                Step::Skip(skip) => skip.count,
            };
        }
        if stop == Stop::Done {
            return count;
        }
        assert_eq!(stop, Stop::Batch);
        assert!(next > cursor, "no progress at {cursor}");
        cursor = next;
    }
}

/// Lanes 1 to 4 on stripes 1 and 2; each cut takes a frame of some of them.
fn unit_with(cuts: &[(u8, usize)]) -> (Unit, u64) {
    let units = vec![v1::UnitRef {
        unit_id: 7,
        ..Default::default()
    }];
    let stripe = |stripe| v1::StripeState {
        stripe,
        units: units.clone(),
        first_lsn: 1,
        ..Default::default()
    };
    let mut unit = Unit::new(7, Vec::new());
    let stripes = vec![stripe(1), stripe(2)];
    unit.base(&v1::Base {
        next_lsn: 1,
        stripes,
        ..Default::default()
    })
    .expect("a base");
    let mut last: [Option<Frame>; 4] = Default::default();
    for lane in 1..5 {
        let (chain_high, chain_low) = chain_halves(u128::from(lane));
        let (units, stripe) = (units.clone(), 1 + lane % 2);
        unit.lane_opened(&v1::LaneOpened {
            lane,
            stripe,
            units,
            chain_high,
            chain_low,
            ..Default::default()
        });
    }
    let mut next_lsn = 1;
    for (seq, (members, count)) in cuts.iter().enumerate() {
        let mut cut = v1::Cut {
            cut_seq: seq as u64 + 1,
            first_lsn: next_lsn,
            ..Default::default()
        };
        for lane in (1..5u64).filter(|lane| (members + 1) >> (lane - 1) & 1 == 1) {
            let before = &mut last[lane as usize - 1];
            let frame = freeze(lane, before.as_ref(), u128::from(lane), seq as u64, *count);
            assert_eq!(unit.stage(&frame), Some(Staged::Taken));
            let (from_idx, to_idx) = (frame.header.first_idx, frame.end_idx());
            let (chain_high, chain_low) = chain_halves(frame.chain_after());
            cut.lanes.push(v1::CutLane {
                lane,
                from_idx,
                to_idx,
                chain_high,
                chain_low,
            });
            next_lsn += *count as u64;
            *before = Some(frame);
        }
        unit.cut(&cut).expect("the next cut");
    }
    (unit, next_lsn)
}

/// A stripe that nobody has written to yet has nothing at LSNs before: somebody must say so.
#[test]
fn a_new_unit_answers_for_a_stripe_with_nothing_in_it() {
    let base = |length| v1::Base {
        cut_seq: 4,
        next_lsn: 5,
        stripes: vec![v1::StripeState {
            stripe: 1,
            units: vec![v1::UnitRef {
                unit_id: 7,
                ..Default::default()
            }],
            first_lsn: 1,
            ..Default::default()
        }],
        lanes: vec![v1::LaneState {
            lane: 1,
            stripe: 1,
            length,
            ..Default::default()
        }],
        ..Default::default()
    };
    let plan = |length| {
        let mut unit = Unit::new(7, Vec::new());
        unit.base(&base(length)).expect("a base");
        let question = Question {
            stripe: 1,
            tag_filter: 0,
            except_lanes: Vec::new(),
            last_lsn: 4,
        };
        unit.plan(&question, 1, 1 << 20)
    };
    let (empty, emptied) = (plan(0), plan(3));
    assert_eq!((empty.stop, empty.cursor), (Stop::Done, 5));
    // One that lost what it had says nothing: others know (LOG-U7).
    assert!(matches!(emptied.stop, Stop::Refused(_)), "{emptied:?}");
}

/// What a unit has stamped comes back; cuts that touched it not were forgotten meanwhile.
#[test]
fn a_unit_that_rested_while_others_worked_answers_for_it_after_a_restart() {
    let unit_ref = |unit_id| v1::UnitRef {
        unit_id,
        ..Default::default()
    };
    let (lane, first) = (1, frame::first_chain(&[], 0, 1, 0, 0));
    let held = freeze(lane, None, first, 0, 2);
    let (chain_high, chain_low) = chain_halves(held.chain_after());
    let run = StampedRun {
        lane,
        from_idx: 0,
        to_idx: 2,
        first_lsn: 1,
        chain: held.chain_after(),
    };
    let stamp = Stamp {
        cut_seq: 1,
        raft_index: 1,
        log_time_us: 1,
        known_from_lsn: 1,
        next_lsn: 3,
        previous_cut_seq: 0,
        runs: vec![run],
    };
    for length in [2, 4] {
        let mut unit = Unit::new(7, Vec::new());
        unit.recover_lane(LaneNote {
            lane,
            stripe: 1,
            first_chain: first,
            node_id: 0,
            incarnation: 0,
        });
        unit.recover_frame(&held, 0);
        unit.recover_stamp(&stamp);
        unit.recovered();
        let state = v1::LaneState {
            lane,
            stripe: 1,
            length,
            chain_high,
            chain_low,
            ..Default::default()
        };
        let stripe = v1::StripeState {
            stripe: 1,
            units: vec![unit_ref(7)],
            first_lsn: 1,
            ..Default::default()
        };
        let base = v1::Base {
            cut_seq: 9,
            next_lsn: 100,
            lanes: vec![state],
            stripes: vec![stripe],
            ..Default::default()
        };
        unit.base(&base).expect("a base");
        let question = Question {
            stripe: 1,
            tag_filter: 0,
            except_lanes: Vec::new(),
            last_lsn: 0,
        };
        let stop = unit.plan(&question, 3, 150).stop;
        // A lane that grew unheard: other units have it, and this one must not say "nothing".
        assert_eq!(stop == Stop::End, length == 2, "{stop:?}");
    }
}

/// LSNs 1 to 4 and 7 to 12 lie on lane 1, 5 and 6 on lane 2. What unit 7 held of lane 1 from idx 2 to 8 is
/// damaged, with the stamps of LSNs 7 to 10.
fn damaged_unit(trim_lsn: u64) -> (Unit, Vec<StampedRun>) {
    let mut unit = Unit::new(7, Vec::new());
    let mut last: [Option<Frame>; 2] = Default::default();
    let mut runs = Vec::new();
    for lane in [1, 2] {
        unit.recover_lane(LaneNote {
            lane,
            stripe: 1,
            first_chain: frame::first_chain(&[], 0, lane, 0, 0),
            node_id: 0,
            incarnation: 0,
        });
    }
    for lsn in 1..13 {
        let lane = if [5, 6].contains(&lsn) { 2 } else { 1 };
        let before = &mut last[lane as usize - 1];
        let first = frame::first_chain(&[], 0, lane, 0, 0);
        let next = freeze(lane, before.as_ref(), first, lsn, 1);
        let (from_idx, to_idx) = (next.header.first_idx, next.end_idx());
        runs.push(StampedRun {
            lane,
            from_idx,
            to_idx,
            first_lsn: lsn,
            chain: next.chain_after(),
        });
        if lane == 2 || !(2..8).contains(&from_idx) {
            unit.recover_frame(&next, lsn * 100);
        }
        if !(7..11).contains(&lsn) {
            unit.recover_stamp(&Stamp {
                cut_seq: lsn,
                raft_index: lsn,
                log_time_us: lsn,
                known_from_lsn: lsn,
                next_lsn: lsn + 1,
                previous_cut_seq: lsn - 1,
                runs: runs[lsn as usize - 1..].to_vec(),
            });
        }
        *before = Some(next);
    }
    unit.recovered();
    let base = base_of(last.iter().flatten(), trim_lsn);
    unit.base(&base).expect("a base");
    (unit, runs)
}

/// Lanes that end with these frames, after 12 LSNs, on units 7 and 8.
fn base_of<'a>(last: impl Iterator<Item = &'a Frame>, trim_lsn: u64) -> v1::Base {
    let state = |last: &Frame| {
        let (chain_high, chain_low) = chain_halves(last.chain_after());
        v1::LaneState {
            lane: last.header.lane,
            stripe: 1,
            length: last.end_idx(),
            chain_high,
            chain_low,
            ..Default::default()
        }
    };
    let unit_ref = |unit_id| v1::UnitRef {
        unit_id,
        ..Default::default()
    };
    let stripe = v1::StripeState {
        stripe: 1,
        units: vec![unit_ref(7), unit_ref(8)],
        first_lsn: 1,
        ..Default::default()
    };
    v1::Base {
        cut_seq: 12,
        next_lsn: 13,
        lanes: last.map(state).collect(),
        stripes: vec![stripe],
        trim_lsn,
        ..Default::default()
    }
}

/// As a peer says it.
fn told(run: &StampedRun) -> v1::StampedRun {
    let (chain_high, chain_low) = chain_halves(run.chain);
    v1::StampedRun {
        lane: run.lane,
        from_idx: run.from_idx,
        to_idx: run.to_idx,
        first_lsn: run.first_lsn,
        cut_seq: run.first_lsn,
        log_time_us: run.first_lsn,
        chain_high,
        chain_low,
    }
}

/// LOG.md §8: where a lane begins is the same on all units, also where this one holds damage and does not
/// know which LSNs lie there; else it would ask for ever for what nobody has any more.
#[test]
fn a_lane_that_is_damaged_where_it_was_trimmed_begins_where_it_does_on_peers() {
    for (trim_lsn, begin_idx) in [(5, 4), (7, 4), (9, 6)] {
        let (mut unit, runs) = damaged_unit(trim_lsn);
        let unknown = unit.unknown();
        assert_eq!(unknown.len(), 1, "{unknown:?}");
        assert_eq!(unknown[0].lsns, trim_lsn.max(7)..11);
        let given = runs.iter().filter(|run| run.first_lsn >= trim_lsn.max(7));
        let given = Given {
            runs: given
                .map(told)
                .take_while(|run| run.first_lsn < 11)
                .collect(),
            known_until_lsn: 11,
        };
        unit.learn_given(&unknown[0], &[given]);
        let wants = unit.wants();
        let begins: Vec<u64> = wants.iter().map(|want| want.first_idx).collect();
        assert_eq!(begins, [begin_idx], "trimmed to LSN {trim_lsn}");
    }
}

/// Nothing is trimmed on the word of a peer alone: what lies before an unknown part is known here.
#[test]
fn a_lane_that_is_damaged_and_not_trimmed_begins_where_it_did() {
    let (mut unit, runs) = damaged_unit(3);
    let unknown = unit.unknown();
    let given = Given {
        runs: vec![told(&runs[6])],
        known_until_lsn: 8,
    };
    unit.learn_given(&unknown[0], &[given]);
    let wants: Vec<u64> = unit.wants().iter().map(|want| want.first_idx).collect();
    assert_eq!(wants, [2], "LSN 3, the first that is kept");
}
