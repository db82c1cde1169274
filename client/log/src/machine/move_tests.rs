//! The append machine through moves at random moments: every record once, in order, whatever was heard when.
use std::collections::{BTreeMap, VecDeque};

use dfs_wire::Tag;
use dfs_wire::frame::{Frame, chain_halves};
use futures::FutureExt;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::tests::Unit;
use super::{Bytes, Disagreement, Draft, FramePlace, Link, Machine, Tail, Ticket, v1};

const R: usize = 3;
const W: usize = 2;
const IDS: [u64; R] = [1, 2, 3];

/// One lane: the appender's machine for it, its units, and what the sequencer has applied.
struct Lane {
    machine: Machine,
    units: Vec<Unit>,
    length: u64,
    sealed: bool,
}

impl Lane {
    fn new(id: u64, machine: Machine) -> Lane {
        Lane {
            machine,
            units: (0..R).map(|_| Unit::of(id)).collect(),
            length: 0,
            sealed: false,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        size: usize,
        key: u64,
    },
    Take {
        unit: usize,
    },
    Receive(usize),
    Sync(usize),
    Hear(usize),
    Disconnect {
        unit: usize,
        restart: bool,
    },
    Connect(usize),
    Resume(usize),
    /// The sequencer applies; the appender does not hear it yet.
    Cut,
    /// The appender hears the oldest cut that it has not heard.
    Told,
    /// The sequencer seals, and answers at once.
    Move,
    /// The answer is under way while other things happen; then it comes.
    Seal,
}

fn step() -> impl Strategy<Value = (Step, bool)> {
    let unit = || 0..R;
    let step = prop_oneof![
        6 => (0usize..900, 0u64..2).prop_map(|(size, key)| Step::Push { size, key }),
        6 => unit().prop_map(|unit| Step::Take { unit }),
        6 => unit().prop_map(Step::Receive),
        4 => unit().prop_map(Step::Sync),
        6 => unit().prop_map(Step::Hear),
        1 => (unit(), any::<bool>()).prop_map(|(unit, restart)| Step::Disconnect { unit, restart }),
        4 => unit().prop_map(Step::Connect),
        2 => unit().prop_map(Step::Resume),
        4 => proptest::strategy::Just(Step::Cut),
        3 => proptest::strategy::Just(Step::Told),
        1 => proptest::strategy::Just(Step::Move),
        1 => proptest::strategy::Just(Step::Seal),
    ];
    // Now and then something happens on the lane before.
    (step, proptest::bool::weighted(0.2))
}

struct World {
    lanes: Vec<Lane>,
    /// Cuts that were applied and not heard: (lane, cut, place).
    told: VecDeque<(usize, v1::CutLane, FramePlace)>,
    /// What the sequencer has given LSNs, from 1.
    log: Vec<Bytes>,
    pushed: Vec<Bytes>,
    tickets: Vec<Option<Ticket>>,
    /// LOG-A4 broken: what is sent again is more than what the seal leaves.
    early: bool,
}

impl World {
    fn new() -> World {
        let machine = Machine::new(Tail::new(1, 99), &IDS, W);
        World {
            lanes: vec![Lane::new(1, machine)],
            told: VecDeque::new(),
            log: Vec::new(),
            pushed: Vec::new(),
            tickets: Vec::new(),
            early: false,
        }
    }

    fn step(&mut self, step: Step, before: bool) {
        let last = self.lanes.len() - 1;
        let at = last.saturating_sub(usize::from(before));
        let lane = &mut self.lanes[at];
        match step {
            Step::Push { size, key } => self.push(size, key),
            Step::Take { unit } => {
                lane.machine.freeze_due();
                if let Some(send) = lane.machine.take(unit, 5000) {
                    lane.units[unit].inbox.push_back(send.frames);
                }
            }
            Step::Receive(unit) => lane.units[unit].receive(),
            Step::Sync(unit) => lane.units[unit].sync(),
            Step::Hear(unit) => {
                let credit = lane.units[unit].credits.pop_front();
                if let Some(credit) = credit.filter(|_| lane.machine.link(unit) != Link::Away) {
                    lane.machine.credit(unit, &credit);
                }
            }
            Step::Disconnect { unit, restart } => {
                lane.machine.disconnected(unit);
                let unit = &mut lane.units[unit];
                unit.inbox.clear();
                unit.credits.clear();
                if restart {
                    unit.restart();
                }
            }
            Step::Connect(unit) => {
                lane.units[unit].knows_lane = true;
                if lane.machine.link(unit) == Link::Away {
                    lane.machine.connected(unit);
                }
            }
            Step::Resume(unit) => lane.machine.resume(unit),
            Step::Cut => self.cut(at),
            Step::Told => self.hear_cut(),
            Step::Seal => self.lanes[last].sealed = true,
            Step::Move => self.go_on(),
        }
    }

    fn push(&mut self, size: usize, key: u64) {
        let mut record = (self.pushed.len() as u64).to_le_bytes().to_vec();
        record.resize(8 + size, key as u8);
        let record = Bytes::from(record);
        let draft = Draft {
            tags: vec![Tag::shard(key)],
            order: Some((key, 5)),
            record: record.clone(),
            ..Draft::default()
        };
        let lane = self.lanes.last_mut().unwrap();
        let (ticket, _) = lane.machine.push(draft);
        assert_eq!(ticket.nth(), self.pushed.len() as u64);
        self.pushed.push(record);
        self.tickets.push(Some(ticket));
    }

    /// LOG-D2, LOG-I6: the largest frame end that W units hold durably; nothing of a sealed lane.
    fn cut(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        let mut ends: Vec<u64> = lane.units.iter().map(Unit::durable_idx).collect();
        ends.sort_unstable();
        let (from_idx, to_idx) = (lane.length, ends[R - W]);
        if lane.sealed || to_idx <= from_idx {
            return;
        }
        let holds = |unit: &&Unit| unit.durable_idx() >= to_idx;
        let frames = &lane.units.iter().find(holds).unwrap().frames;
        let cut = frames
            .iter()
            .filter(|frame| frame.header.first_idx >= from_idx && frame.end_idx() <= to_idx);
        let first_lsn = 1 + self.log.len() as u64;
        let mut chain = 0;
        for frame in cut {
            self.log.extend(frame.records().unwrap());
            chain = frame.chain_after();
        }
        let (chain_high, chain_low) = chain_halves(chain);
        let cut = v1::CutLane {
            lane: lane.units[0].lane,
            from_idx,
            to_idx,
            chain_high,
            chain_low,
        };
        lane.length = to_idx;
        let place = FramePlace {
            first_lsn,
            log_time_us: first_lsn,
            cut_seq: first_lsn,
        };
        self.told.push_back((at, cut, place));
    }

    fn hear_cut(&mut self) {
        let Some((at, cut, place)) = self.told.pop_front() else {
            return;
        };
        let settled = self.lanes[at].machine.cut(&cut, place).unwrap();
        for (outcome, place) in settled.answers {
            assert!(outcome.get().is_none(), "answered twice");
            outcome.set(Ok(place));
        }
    }

    /// MoveLane: applied, and answered.
    fn go_on(&mut self) {
        let id = self.lanes.len() as u64 + 1;
        let lane = self.lanes.last_mut().unwrap();
        lane.sealed = !self.early;
        // What is early takes for final what it has heard.
        let heard = lane.machine.cut_idx();
        let final_length = if self.early { heard } else { lane.length };
        let left = lane.machine.hand_over(final_length).unwrap();
        let machine = Machine::succeed(left, id, 99 + u128::from(id), &IDS, W);
        self.lanes.push(Lane::new(id, machine));
    }

    /// Everybody is well again, and no lane is left: what was appended comes to its end.
    fn calm(&mut self) {
        if self.lanes.last().unwrap().sealed {
            self.go_on();
        }
        for _ in 0..(self.pushed.len() + 20) * 4 {
            for unit in 0..R {
                for step in [
                    Step::Connect(unit),
                    Step::Resume(unit),
                    Step::Take { unit },
                    Step::Receive(unit),
                    Step::Sync(unit),
                ] {
                    self.step(step, false);
                }
                while !self.lanes.last().unwrap().units[unit].credits.is_empty() {
                    self.step(Step::Hear(unit), false);
                }
            }
            self.step(Step::Cut, false);
            while !self.told.is_empty() {
                self.hear_cut();
            }
        }
    }
}

proptest! {
    /// LOG-A4, LOG-I6, LOG-I7: each record lies in the log once, in the order of the appends, and is
    /// answered once with its LSN.
    #[test]
    fn moves_lose_nothing_and_double_nothing(steps in proptest::collection::vec(step(), 1..300)) {
        let mut world = World::new();
        steps.into_iter().for_each(|(step, before)| world.step(step, before));
        world.calm();
        prop_assert_eq!(&world.log, &world.pushed);
        for (nth, ticket) in world.tickets.iter_mut().enumerate() {
            let committed = ticket.take().unwrap().now_or_never().unwrap().unwrap();
            prop_assert_eq!(committed.lsn, 1 + nth as u64);
        }
        let last = world.lanes.len() - 1;
        for (at, lane) in world.lanes.iter().enumerate() {
            let in_flight = lane.machine.in_flight();
            prop_assert_eq!((in_flight.records, in_flight.bytes), (0, 0));
            prop_assert!(at == last || lane.machine.is_settled());
        }
        // FOLD-X5: the count of frames goes on through the lanes of a term.
        let mut counts = BTreeMap::new();
        for lane in &world.lanes {
            let cut = |frame: &&Frame| frame.end_idx() <= lane.length;
            let longest = lane.units.iter().max_by_key(|unit| unit.frames.len()).unwrap();
            for frame in longest.frames.iter().take_while(cut) {
                let order = frame.header.order.unwrap();
                let n = counts.entry(order.shard).or_insert(0);
                *n += 1;
                prop_assert_eq!(order.n, *n);
            }
        }
    }
}

fn served(world: &mut World, units: std::ops::Range<usize>) {
    for unit in units {
        world.step(Step::Connect(unit), false);
        for step in [
            Step::Take { unit },
            Step::Receive(unit),
            Step::Sync(unit),
            Step::Hear(unit),
            Step::Hear(unit),
        ] {
            world.step(step, false);
        }
    }
}

fn push(world: &mut World, count: usize) {
    for _ in 0..count {
        world.push(100, 0);
        let lane = world.lanes.last_mut().unwrap();
        lane.machine.freeze_due();
        if let Some(frozen) = lane.machine.tail.freeze() {
            lane.machine.keep(frozen); // one record in each frame
        }
    }
}

/// LOG-I7, the mutation: what is sent again before the seal is applied comes to lie in the log twice.
#[test]
fn sending_again_before_the_seal_applies_doubles_records() {
    let mut world = World::new();
    world.early = true;
    push(&mut world, 3);
    served(&mut world, 0..2);
    world.go_on();
    world.cut(0);
    served(&mut world, 0..2);
    world.step(Step::Cut, false);
    assert_eq!(world.log.len(), 6, "twice");
}

#[test]
fn what_lies_below_the_final_length_is_answered_when_its_cut_is_heard() {
    let mut world = World::new();
    push(&mut world, 3);
    served(&mut world, 0..2);
    world.cut(0);
    push(&mut world, 2);
    world.go_on();
    push(&mut world, 1);
    assert!(!world.lanes[0].machine.is_settled());
    assert_eq!(world.lanes[0].machine.in_flight().records, 3);
    assert_eq!(world.lanes[1].machine.in_flight().records, 3);
    world.hear_cut();
    assert!(world.lanes[0].machine.is_settled());
    // It still serves the unit that has not got them (LOG-A3), until the next move.
    world.lanes[0].machine.connected(2);
    let send = world.lanes[0].machine.take(2, 1 << 20).unwrap();
    assert_eq!((send.first_idx, send.frames.len()), (0, 3));
    world.lanes[0].machine.let_go();
    assert!(world.lanes[0].machine.kept.is_empty() && world.lanes[0].machine.is_done(2));
}

#[test]
fn a_seal_that_contradicts_the_lane_is_an_alarm() {
    let mut world = World::new();
    push(&mut world, 3);
    served(&mut world, 0..2);
    world.cut(0);
    world.hear_cut();
    world.push(100, 0);
    world.push(100, 0);
    let machine = &mut world.lanes[0].machine;
    machine
        .tail
        .freeze()
        .into_iter()
        .for_each(|frozen| machine.keep(frozen));
    for wrong in [2, 4, 9] {
        assert_eq!(machine.hand_over(wrong).err(), Some(Disagreement::Seal));
    }
    assert!(machine.hand_over(3).is_ok());
}

#[test]
fn units_are_missed_only_when_something_is_due_to_them() {
    let mut world = World::new();
    assert!(
        !world.lanes[0].machine.misses_a_unit(),
        "an idle lane opens no streams"
    );
    push(&mut world, 1);
    assert_eq!(world.lanes[0].machine.missed_units(), IDS);
    served(&mut world, 0..2);
    assert_eq!(world.lanes[0].machine.missed_units(), [3]);
    served(&mut world, 2..3);
    assert!(!world.lanes[0].machine.misses_a_unit());
}
