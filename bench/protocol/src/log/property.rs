//! What must hold in every state, and what must be reached in some.

use stateright::Property;

use crate::log::LogModel;
use crate::log::content::Content;
use crate::log::scenario::{LANES, QUORUM, UNITS};
use crate::log::state::{Phase, State, Unit};

pub(crate) fn all() -> Vec<Property<LogModel>> {
    vec![
        Property::always(
            "what a unit serves is committed, and is the committed payload",
            served_is_committed,
        ),
        Property::always("a reader holds a prefix of the log", reader_holds_a_prefix),
        Property::always("one content per (lane, idx)", one_content),
        Property::always("LSNs are dense: each is one record of one lane", dense),
        Property::always("no payload has two LSNs", no_payload_twice),
        Property::always("a sealed length is final", sealed_is_final),
        Property::always(
            "what is cut is durable on W units, visible losses aside",
            durable_on_w,
        ),
        Property::always(
            "no cut counts on a copy known to be lost",
            |_, state: &State| !state.miscounted,
        ),
        Property::always(
            "the order of what is cut is known to Raft or to W units",
            order_on_w,
        ),
        Property::always("what is cut can be read from one unit", readable),
        Property::sometimes("everything is committed", |model, state| {
            model.is_finished(state)
        }),
        Property::sometimes(
            "everything is committed and the cuts are forgotten",
            |model, state| model.is_finished(state) && state.forgotten == state.cut_seq(),
        ),
        Property::sometimes(
            "a cut holds two records, if there are two",
            |model: &LogModel, state: &State| {
                let first = state.cut_ends.at(0).unwrap_or(0);
                first > 1 || first == model.payloads()
            },
        ),
        Property::sometimes(
            "the scenario's faults have all happened, and all is committed",
            |model, state| {
                let spent = crate::log::scenario::Budget::default();
                model.is_finished(state) && state.budget == spent
            },
        ),
    ]
}

/// LOG-I8, LOG-U4: for every reader, whatever unit it asks, whenever.
fn served_is_committed(model: &LogModel, state: &State) -> bool {
    let lsns = 0..state.end();
    lsns.into_iter().all(|lsn| {
        (0..UNITS)
            .filter_map(|unit| model.served(state, unit, lsn))
            .all(|payload| state.truth.at(lsn) == Some(payload))
    })
}

/// One LSN, one payload, for all readers for ever: `truth` only grows, and each reader is within it.
fn reader_holds_a_prefix(_: &LogModel, state: &State) -> bool {
    state.truth.starts_with(state.reader)
}

/// LOG-I1, LOG-I2, among the owner and all copies. Not while an owner is doubled: that breaks it, and the
/// scenario asks whether the other properties survive.
fn one_content(model: &LogModel, state: &State) -> bool {
    if model.doubles_owners() {
        return true;
    }
    (0..LANES).all(|lane| {
        let of = &state.lanes[lane];
        let copies = state.units.iter().map(|unit| unit.held[lane]);
        let all: Vec<Content> = copies.chain([of.content, of.cut, of.cloned]).collect();
        all.iter()
            .all(|one| all.iter().all(|other| one.agrees_with(*other)))
    })
}

/// LOG-I5: as many LSNs as records cut, each lane's in its own order.
fn dense(_: &LogModel, state: &State) -> bool {
    let mut of = [Content::EMPTY; LANES];
    for (lane, payload) in state.order.numbers().zip(state.truth.numbers()) {
        of[usize::from(lane)] = of[usize::from(lane)].and(payload);
    }
    state.truth.len() == state.order.len()
        && (0..LANES).all(|lane| of[lane] == state.lanes[lane].cut)
}

fn no_payload_twice(_: &LogModel, state: &State) -> bool {
    let lsns = state.truth.numbers().enumerate();
    let mut later = lsns.map(|(lsn, payload)| (payload, state.truth.after(lsn as u8 + 1)));
    later.all(|(payload, rest)| rest.numbers().all(|other| other != payload))
}

/// LOG-I6: what was sent again begins where the sealed lane ends.
fn sealed_is_final(_: &LogModel, state: &State) -> bool {
    let sealed = |lane: &&crate::log::state::Lane| lane.phase == Phase::Sealed && lane.resent;
    state.lanes.iter().filter(sealed).all(|lane| {
        let successor = lane.successor.map(|new| &state.lanes[usize::from(new)]);
        successor.is_none_or(|new| new.content == lane.content.after(lane.cut.len()))
    })
}

/// Each LSN with its lane, idx and cut.
fn committed(state: &State) -> impl Iterator<Item = (usize, u8, u8)> + '_ {
    (0..state.end()).filter_map(|lsn| {
        let (lane, idx) = state.place_of(lsn)?;
        Some((lane, idx, state.cut_of(lsn)))
    })
}

/// Whether the unit would have this record, as committed, after a loss of power.
fn keeps(state: &State, unit: &Unit, lane: usize, idx: u8) -> bool {
    let committed = state.lanes[lane].cut.prefix(idx + 1);
    unit.is_up() && unit.durable(lane).starts_with(committed)
}

/// A disk that is lost, or that has said what it lacks: somebody will repair it.
fn is_visible_loss(unit: &Unit) -> bool {
    !unit.is_up() || unit.is_lossy()
}

/// LOG-I4, and that no copy goes missing unnoticed.
fn durable_on_w(model: &LogModel, state: &State) -> bool {
    committed(state).all(|(lane, idx, _)| {
        let units = state.units_of(&model.scenario, lane);
        let counting = |unit: &&Unit| is_visible_loss(unit) || keeps(state, unit, lane, idx);
        units.filter(counting).count() >= QUORUM
    })
}

/// LOG-U6: never held by one place alone.
fn order_on_w(model: &LogModel, state: &State) -> bool {
    committed(state).all(|(lane, _, cut)| {
        let units = state.units_of(&model.scenario, lane);
        let counting = |unit: &&Unit| is_visible_loss(unit) || unit.stamped >= cut;
        cut > state.forgotten || units.filter(counting).count() >= QUORUM
    })
}

/// LOG-U6: a cold reader finds frame and place together; and nothing that is committed is lost.
fn readable(model: &LogModel, state: &State) -> bool {
    committed(state).all(|(lane, idx, cut)| {
        let mut units = state.units_of(&model.scenario, lane);
        units.any(|unit| {
            keeps(state, unit, lane, idx) && (cut > state.forgotten || unit.stamped >= cut)
        })
    })
}
