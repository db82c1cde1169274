//! What must hold in every state of the model of terms, and what must be reached.

use stateright::Property;

use crate::terms::TermsModel;
use crate::terms::fold::{Frame, Slot};
use crate::terms::state::{Outcome, REPLICAS, State};

pub(crate) fn all() -> Vec<Property<TermsModel>> {
    vec![
        Property::always("all replicas void the same frames", same_verdicts),
        Property::always("each request takes effect at most once", at_most_once),
        Property::always("an effect meets what its plan relied on", nothing_broken),
        Property::always(
            "what is answered as done is in the log and not void",
            done_is_done,
        ),
        Property::always(
            "what is answered as not done never happens",
            not_done_never_happens,
        ),
        Property::always("a term has one owner", one_owner),
        Property::always("refusals and reads are linearizable", |_, state: &State| {
            !state.stale
        }),
        Property::sometimes("both requests are done", |_, state: &State| {
            state
                .requests
                .iter()
                .all(|request| request.outcome == Outcome::Done)
        }),
        Property::sometimes("a request is refused for good", |_, state: &State| {
            state
                .requests
                .iter()
                .any(|request| request.outcome == Outcome::NotDone)
        }),
        Property::sometimes(
            "a frame of an old term comes late and is void",
            late_and_void,
        ),
        Property::sometimes("a second primary's slot answers a retry", retry_from_slot),
    ]
}

/// FOLD-G3, FOLD-G5: verdicts are the published function's.
fn same_verdicts(model: &TermsModel, state: &State) -> bool {
    let truth = model.truth(&state.log).1;
    state.replicas.iter().all(|replica| {
        let folded = (1_u32 << (replica.applied + 1)) - 1;
        replica.took == truth & folded
    })
}

fn at_most_once(model: &TermsModel, state: &State) -> bool {
    let folds = (0..REPLICAS).map(|replica| model.folded(state, replica));
    let mut effects = folds.flat_map(|folded| folded.effects);
    effects.all(|times| times <= 1)
}

fn nothing_broken(model: &TermsModel, state: &State) -> bool {
    (0..REPLICAS).all(|replica| !model.folded(state, replica).broken)
}

fn done_is_done(model: &TermsModel, state: &State) -> bool {
    let effects = model.truth(&state.log).0.effects;
    let mut answered = state.requests.iter().zip(effects);
    answered.all(|(request, times)| request.outcome != Outcome::Done || times > 0)
}

fn not_done_never_happens(model: &TermsModel, state: &State) -> bool {
    let effects = model.truth(&state.log).0.effects;
    let mut answered = state.requests.iter().zip(effects);
    answered.all(|(request, times)| request.outcome != Outcome::NotDone || times == 0)
}

fn one_owner(_: &TermsModel, state: &State) -> bool {
    let [one, other] = &state.replicas;
    one.owns.is_none() || one.owns != other.owns
}

fn late_and_void(model: &TermsModel, state: &State) -> bool {
    let (truth, took) = model.truth(&state.log);
    let mut frames = state.log.iter().zip(1..);
    frames.any(|(frame, lsn)| {
        let old = matches!(frame, Frame::Change { term, .. } if *term < truth.term);
        old && took & (1_u32 << lsn) == 0
    })
}

fn retry_from_slot(model: &TermsModel, state: &State) -> bool {
    let second = &state.replicas[1];
    second.owns.is_some()
        && second
            .seen
            .iter()
            .zip(model.folded(state, 1).slots)
            .any(|(seen, slot)| *seen > 1 && slot == Slot::Done)
}
