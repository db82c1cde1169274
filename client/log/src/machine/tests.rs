//! The append machine under random units: doubled credits, lost connections, restarts, full disks, cuts.
use std::collections::{BTreeMap, VecDeque};

use dfs_wire::Tag;
use dfs_wire::frame::{Frame, chain_halves};
use futures::FutureExt;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Bytes, Disagreement, Draft, FramePlace, Link, Machine, Tail, Ticket, v1};

const LANE: u64 = 7;
const R: usize = 3;
const W: usize = 2;

/// A log unit as LOG-U1 says: contiguous, refuses gaps, forgets what is not synced.
#[derive(Default)]
pub(super) struct Unit {
    pub(super) lane: u64,
    pub(super) frames: Vec<Frame>,
    durable: usize,
    pub(super) knows_lane: bool,
    full: bool,
    pub(super) inbox: VecDeque<Vec<Bytes>>,
    pub(super) credits: VecDeque<v1::Credit>,
    last: Option<v1::Credit>,
}

impl Unit {
    pub(super) fn of(lane: u64) -> Unit {
        Unit {
            lane,
            ..Unit::default()
        }
    }

    fn end(&self) -> u64 {
        self.frames.last().map_or(0, Frame::end_idx)
    }

    pub(super) fn durable_idx(&self) -> u64 {
        self.frames[..self.durable].last().map_or(0, Frame::end_idx)
    }

    fn credit(&mut self, gap: bool) {
        self.credits.push_back(v1::Credit {
            lane: self.lane,
            staged_idx: self.end(),
            durable_idx: self.durable_idx(),
            window_bytes: 3000,
            full: self.full,
            unknown_lane: !self.knows_lane,
            gap,
        });
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.frames.len();
        self.credit(false);
    }

    pub(super) fn receive(&mut self) {
        let Some(frames) = self.inbox.pop_front() else {
            return;
        };
        let mut gap = false;
        for bytes in frames {
            let frame = Frame::parse(bytes).unwrap();
            gap |= frame.header.first_idx > self.end();
            let next = frame.header.first_idx == self.end();
            if self.knows_lane && next && (!self.full || frame.header.privileged) {
                self.frames.push(frame);
            }
        }
        self.credit(gap && self.knows_lane);
    }

    pub(super) fn restart(&mut self) {
        self.frames.truncate(self.durable);
        self.inbox.clear();
        self.credits.clear();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        size: usize,
        key: u64,
        privileged: bool,
    },
    Take {
        unit: usize,
        bytes_max: usize,
    },
    Receive(usize),
    Sync(usize),
    Hear(usize),
    HearAgain(usize),
    Disconnect {
        unit: usize,
        restart: bool,
    },
    Connect(usize),
    Resume(usize),
    Learn(usize),
    Full(usize, bool),
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let unit = || 0..R;
    prop_oneof![
        6 => (0usize..900, 0u64..2, any::<bool>())
            .prop_map(|(size, key, privileged)| Step::Push { size, key, privileged: privileged && key == 1 }),
        6 => (unit(), 1usize..5000).prop_map(|(unit, bytes_max)| Step::Take { unit, bytes_max }),
        6 => unit().prop_map(Step::Receive),
        4 => unit().prop_map(Step::Sync),
        6 => unit().prop_map(Step::Hear),
        1 => unit().prop_map(Step::HearAgain),
        1 => (unit(), any::<bool>()).prop_map(|(unit, restart)| Step::Disconnect { unit, restart }),
        3 => unit().prop_map(Step::Connect),
        3 => unit().prop_map(Step::Resume),
        1 => unit().prop_map(Step::Learn),
        1 => (unit(), any::<bool>()).prop_map(|(unit, full)| Step::Full(unit, full)),
        3 => proptest::strategy::Just(Step::Cut),
    ]
}

struct World {
    machine: Machine,
    units: Vec<Unit>,
    /// Every byte string ever sent for an idx.
    sent: BTreeMap<u64, Bytes>,
    pushed: Vec<Bytes>,
    tickets: Vec<Option<Ticket>>,
    cut_seq: u64,
}

impl World {
    fn new() -> World {
        World {
            machine: Machine::new(Tail::new(LANE, 99), &[1, 2, 3], W),
            units: (0..R).map(|_| Unit::of(LANE)).collect(),
            sent: BTreeMap::new(),
            pushed: Vec::new(),
            tickets: Vec::new(),
            cut_seq: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push {
                size,
                key,
                privileged,
            } => self.push(size, key, privileged),
            Step::Take { unit, bytes_max } => self.take(unit, bytes_max),
            Step::Receive(unit) => self.units[unit].receive(),
            Step::Sync(unit) => self.units[unit].sync(),
            Step::Hear(unit) => {
                if let Some(credit) = self.units[unit].credits.pop_front() {
                    self.hear(unit, credit);
                }
            }
            Step::HearAgain(unit) => {
                if let Some(credit) = self.units[unit].last {
                    self.hear(unit, credit);
                }
            }
            Step::Disconnect { unit, restart } => {
                self.machine.disconnected(unit);
                self.units[unit].inbox.clear();
                self.units[unit].credits.clear();
                if restart {
                    self.units[unit].restart();
                }
            }
            Step::Connect(unit) => {
                if self.machine.link(unit) == Link::Away {
                    self.machine.connected(unit);
                }
            }
            Step::Resume(unit) => self.machine.resume(unit),
            Step::Learn(unit) => self.units[unit].knows_lane = true,
            Step::Full(unit, full) => {
                self.units[unit].full = full;
                self.units[unit].credit(false);
            }
            Step::Cut => self.cut(),
        }
    }

    fn push(&mut self, size: usize, key: u64, privileged: bool) {
        let mut record = (self.pushed.len() as u64).to_le_bytes().to_vec();
        record.resize(8 + size, key as u8);
        let record = Bytes::from(record);
        let tags = vec![Tag::shard(key)];
        let order = Some((key, 5));
        let draft = Draft {
            tags,
            guards: Bytes::new(),
            order,
            record: record.clone(),
            privileged,
            trace: None,
        };
        let (ticket, _) = self.machine.push(draft);
        assert_eq!(ticket.nth(), self.pushed.len() as u64);
        self.pushed.push(record);
        self.tickets.push(Some(ticket));
    }

    fn take(&mut self, unit: usize, bytes_max: usize) {
        self.machine.freeze_due();
        let Some(send) = self.machine.take(unit, bytes_max) else {
            return;
        };
        let mut at = send.first_idx;
        for bytes in &send.frames {
            // LOG-I1, LOG-A2: one byte string for one place, whoever gets it and however often.
            let first = self.sent.entry(at).or_insert_with(|| bytes.clone());
            assert_eq!(first, bytes);
            let frame = Frame::parse(bytes.clone()).unwrap();
            assert_eq!(frame.header.first_idx, at);
            at = frame.end_idx();
        }
        self.units[unit].inbox.push_back(send.frames);
    }

    fn hear(&mut self, unit: usize, credit: v1::Credit) {
        self.units[unit].last = Some(credit);
        if self.machine.link(unit) != Link::Away {
            self.machine.credit(unit, &credit);
        }
    }

    /// The largest frame end that W units hold durably (LOG-D2).
    fn cut(&mut self) {
        let mut ends: Vec<u64> = self.units.iter().map(Unit::durable_idx).collect();
        ends.sort_unstable();
        let (from_idx, to_idx) = (self.machine.cut_idx(), ends[R - W]);
        let holder = self
            .units
            .iter()
            .find(|unit| unit.durable_idx() >= to_idx)
            .unwrap();
        let frame = holder.frames.iter().find(|frame| frame.end_idx() == to_idx);
        let Some(frame) = frame.filter(|_| to_idx > from_idx) else {
            return;
        };
        let (chain_high, chain_low) = chain_halves(frame.chain_after());
        let cut = v1::CutLane {
            lane: LANE,
            from_idx,
            to_idx,
            chain_high,
            chain_low,
        };
        self.cut_seq += 1;
        let place = FramePlace {
            first_lsn: 1 + from_idx,
            log_time_us: 10,
            cut_seq: self.cut_seq,
        };
        let settled = self.machine.cut(&cut, place).unwrap();
        for (outcome, place) in settled.answers {
            assert!(outcome.get().is_none(), "answered twice");
            outcome.set(Ok(place));
        }
    }

    /// Everybody is well again: what was appended comes to its end.
    fn calm(&mut self) {
        for _ in 0..(self.pushed.len() + 20) * 4 {
            for unit in 0..R {
                self.units[unit].full = false;
                for step in [
                    Step::Learn(unit),
                    Step::Connect(unit),
                    Step::Resume(unit),
                    Step::Take {
                        unit,
                        bytes_max: 5000,
                    },
                    Step::Receive(unit),
                    Step::Sync(unit),
                ] {
                    self.step(step);
                }
                while !self.units[unit].credits.is_empty() {
                    self.step(Step::Hear(unit));
                }
            }
            self.step(Step::Cut);
        }
    }
}

proptest! {
    #[test]
    fn every_record_lies_in_the_lane_once_and_in_order(steps in proptest::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.calm();
        for unit in 0..R {
            prop_assert!(world.machine.link(unit) != Link::GivenUp);
            let records: Vec<Bytes> =
                world.units[unit].frames.iter().flat_map(|frame| frame.records().unwrap()).collect();
            prop_assert_eq!(&records, &world.pushed);
        }
        for (idx, ticket) in world.tickets.iter_mut().enumerate() {
            let committed = ticket.take().unwrap().now_or_never().unwrap().unwrap();
            prop_assert_eq!(committed.lsn, 1 + idx as u64);
        }
        prop_assert_eq!(world.machine.in_flight().records, 0);
        prop_assert_eq!(world.machine.in_flight().bytes, 0);
        prop_assert_eq!((world.machine.kept.len(), world.machine.kept_bytes), (0, 0));
        // FOLD-X5: frames of one (shard, term) are counted from 1.
        let mut counts = BTreeMap::new();
        for frame in &world.units[0].frames {
            let order = frame.header.order.unwrap();
            let n = counts.entry(order.shard).or_insert(0);
            *n += 1;
            prop_assert_eq!(order.n, *n);
        }
    }
}

fn well() -> World {
    let mut world = World::new();
    for unit in 0..R {
        world.step(Step::Learn(unit));
        world.step(Step::Connect(unit));
    }
    world
}

fn serve(world: &mut World, unit: usize) {
    world.step(Step::Take {
        unit,
        bytes_max: 1 << 20,
    });
    world.step(Step::Receive(unit));
    world.step(Step::Sync(unit));
    while !world.units[unit].credits.is_empty() {
        world.step(Step::Hear(unit));
    }
}

#[test]
fn records_gather_while_the_frame_before_is_not_staged() {
    let mut world = well();
    world.push(10, 0, false);
    world.step(Step::Take {
        unit: 0,
        bytes_max: 9999,
    });
    (0..5).for_each(|_| world.push(10, 0, false));
    world.step(Step::Take {
        unit: 1,
        bytes_max: 9999,
    });
    (0..2).for_each(|unit| serve(&mut world, unit));
    (0..2).for_each(|unit| serve(&mut world, unit));
    let counts: Vec<u32> = world.units[0]
        .frames
        .iter()
        .map(|frame| frame.header.count)
        .collect();
    assert_eq!(counts, [1, 5]);
}

/// `count` frames, held by two of three units and cut.
fn write_without_the_third(world: &mut World, count: usize) {
    for _ in 0..count {
        world.push(800, 0, false);
        (0..2).for_each(|unit| serve(world, unit));
        world.cut();
    }
}

#[test]
fn one_slow_unit_never_holds_back_the_others() {
    let mut world = well();
    write_without_the_third(&mut world, 100);
    assert_eq!(world.machine.cut_idx(), 100);
    assert_eq!(world.units[2].end(), 0);
    assert_eq!(
        world.machine.kept.len(),
        100,
        "LOG-A3: kept for the unit that lags"
    );
}

#[test]
fn a_unit_that_missed_more_than_is_kept_is_given_up() {
    let mut world = well();
    world.machine.keep_at_most(20_000);
    write_without_the_third(&mut world, 100);
    assert_eq!(world.machine.given_up().collect::<Vec<_>>(), [(3, 0, 100)]);
    assert_eq!(world.machine.kept.len(), 0);
    assert!(world.machine.take(2, 1 << 20).is_none());
}

/// One round of a unit whose peers give it nothing, or all that they have before it is sent to.
fn try_out(world: &mut World, caught_up: bool) {
    world.push(800, 0, false);
    (0..2).for_each(|unit| serve(world, unit));
    if caught_up {
        world.units[2].frames = world.units[0].frames.clone();
        world.units[2].frames.pop();
    }
    serve(world, 2);
    world.step(Step::Resume(2));
}

/// LOG-A3
#[test]
fn a_unit_that_was_given_up_is_taken_back_when_it_has_caught_up() {
    let mut world = well();
    world.machine.keep_at_most(20_000);
    write_without_the_third(&mut world, 100);
    assert_eq!(world.machine.link(2), Link::GivenUp);
    let first = world.machine.trial_after(2).expect("it is given up");
    world.machine.try_again(2);
    world.step(Step::Connect(2));
    for _ in 0..15 {
        try_out(&mut world, false);
        world.cut();
        let given_up: Vec<u64> = world.machine.given_up().map(|unit| unit.0).collect();
        assert_eq!((given_up, world.machine.missed_units()), (vec![3], vec![3]));
    }
    assert_eq!(world.machine.kept.len(), 15, "it is kept for it");
    for _ in 0..30 {
        try_out(&mut world, false);
        world.cut();
    }
    assert_eq!(world.machine.link(2), Link::GivenUp, "it lags as before");
    assert_eq!(world.machine.kept.len(), 0);
    assert!(world.machine.trial_after(2) > Some(first));
    world.machine.try_again(2);
    world.step(Step::Connect(2));
    try_out(&mut world, true);
    world.cut();
    assert_eq!(world.machine.given_up().count(), 0);
    assert_eq!(world.machine.missed_units(), [0; 0]);
    world.push(800, 0, false);
    (0..R).for_each(|unit| serve(&mut world, unit));
    world.cut();
    assert_eq!(world.units[2].end(), world.units[0].end());
    assert_eq!(world.machine.kept.len(), 0);
}

#[test]
fn a_cut_that_tells_of_other_bytes_is_an_alarm() {
    let place = FramePlace {
        first_lsn: 1,
        log_time_us: 1,
        cut_seq: 1,
    };
    let mut world = well();
    world.push(10, 0, false);
    (0..R).for_each(|unit| serve(&mut world, unit));
    let cut = |from_idx, to_idx| v1::CutLane {
        lane: LANE,
        from_idx,
        to_idx,
        ..Default::default()
    };
    let mut alarm = |cut| world.machine.cut(&cut, place).err().unwrap();
    assert_eq!(alarm(cut(0, 1)), Disagreement::Chain);
    assert_eq!(alarm(cut(0, 2)), Disagreement::End);
    assert_eq!(alarm(cut(1, 2)), Disagreement::From);
}
