//! Rules left out on purpose: a test that still passed without them would prove nothing.
use crate::alone::{Alone, frame, inline, op, path, refold};
use crate::plan::control;
use crate::state;
use crate::view::{MemoryView, View};
use dfs_wire::frame::Order;
use dfs_wire::v1;
use dfs_wire::v1::mutate::Op;
use std::cell::Cell;
use std::sync::Arc;

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// FOLD-P1: the overlay takes in what another guard may still void.
    OverlayOverForeign,
    /// FOLD-S4, FOLD-B3: extents and the past are used without their guards.
    GuardsLeftOut,
    /// FOLD-X4b: digests are told, and nobody listens.
    OddGoesOn,
    /// FOLD-P1: a frame that may turn out void locks the name it came by, and not what other names share.
    InodesUnlocked,
    /// FOLD-G3: guards look at CONTROL as it was before the batch.
    ControlOfTheBatch,
}

thread_local! {
    static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
}

pub(crate) fn on(mutant: Mutant) -> bool {
    ON.get() == Some(mutant)
}

pub(crate) fn under<T>(mutant: Option<Mutant>, run: impl FnOnce() -> T) -> T {
    ON.set(mutant);
    let told = run();
    ON.set(None);
    told
}

fn an_extent(alone: &Alone) -> v1::Content {
    v1::Content {
        size: 9,
        extents: vec![alone.extent(1, 9)],
        ..Default::default()
    }
}

fn put(at: &str, content: v1::Content) -> Op {
    let mode = v1::CommitMode::Replace as i32;
    let (path, content) = (path(at), Some(content));
    Op::Commit(v1::Commit {
        path,
        content,
        mode,
        ..v1::Commit::default()
    })
}

fn commit_of_an_extent(alone: &Alone) -> v1::Mutate {
    op(put("f", an_extent(alone)))
}

/// A commit is in flight, and before it folds its session expires.
fn expire_before_the_commit(alone: &mut Alone) {
    let expiry = control::expire_session(&alone.context(), alone.session);
    let (ticket, _) = alone.in_flight[0];
    alone.in_flight.push_front((ticket, expiry));
    alone.next_lsn += 1;
}

/// Whether a change that was answered as done is there.
fn what_is_answered_is_there() -> bool {
    let mut alone = Alone::new();
    let commit = alone
        .plan(&commit_of_an_extent(&alone), None, None)
        .unwrap();
    alone.fly(commit);
    let chmod = v1::SetAttr {
        path: path("f"),
        mode: Some(0o600),
        ..v1::SetAttr::default()
    };
    let answered = alone.plan(&op(Op::SetAttr(chmod)), None, None);
    if let Ok(planned) = answered.clone() {
        alone.fly(planned);
    }
    expire_before_the_commit(&mut alone);
    let last = alone.land_all().pop().unwrap();
    answered.is_err() || last.void.is_some() || alone.stat("f").is_ok()
}

/// Whether no file names an extent whose session died before it was committed.
fn no_file_names_extents_of_the_dead() -> bool {
    let mut alone = Alone::new();
    let commit = alone
        .plan(&commit_of_an_extent(&alone), None, None)
        .unwrap();
    alone.fly(commit);
    expire_before_the_commit(&mut alone);
    alone.land_all();
    alone.stat("f").is_err()
}

/// Whether what one name was given is waited for by a plan that comes by another.
fn names_wait_for_each_other() -> bool {
    let mut alone = Alone::new();
    alone.act(put("f", inline(b"long"))).unwrap();
    let (from, to) = (path("f"), path("g"));
    alone.act(Op::Link(v1::Link { from, to })).unwrap();
    let commit = op(put("f", an_extent(&alone)));
    let commit = alone.plan(&commit, None, None).unwrap();
    alone.fly(commit);
    let (path, size) = (path("g"), 9);
    let truncate = op(Op::Truncate(v1::Truncate { path, size }));
    matches!(
        alone.plan(&truncate, None, None),
        Err(crate::plan::Unplanned::Blocked(_))
    )
}

/// Whether a fold gives the same however its frames are batched.
fn batches_do_not_matter() -> bool {
    let mut alone = Alone::new();
    let frames = alone.frames.clone();
    let campaign = control::term_started(0, 1, crate::alone::owner(crate::alone::NODE));
    alone.counted += 1;
    let late = control::tick(&alone.context());
    let order = Some(Order {
        shard: 0,
        term: 1,
        n: alone.counted,
    });
    let next = alone.next_lsn;
    let tail = [
        frame(next, &campaign, None, vec![campaign.encoded.clone()]),
        frame(next + 1, &late, order, vec![late.encoded.clone()]),
        frame(next + 2, &campaign, None, vec![campaign.encoded.clone()]),
    ];
    let frames = [&frames[..], &tail].concat();
    let term_after = |every: bool| {
        let view: Arc<dyn View> = Arc::new(MemoryView::new());
        let folder = refold(view, &frames, |_| every).map_err(drop)?;
        Ok::<_, ()>((
            folder.stamp(),
            state::term(folder.snapshot(), 0).map_err(drop)?,
        ))
    };
    term_after(true) == term_after(false)
}

#[test]
fn every_mutant_is_caught() {
    let judges: [(Mutant, fn() -> bool); 4] = [
        (Mutant::OverlayOverForeign, what_is_answered_is_there),
        (Mutant::GuardsLeftOut, no_file_names_extents_of_the_dead),
        (Mutant::InodesUnlocked, names_wait_for_each_other),
        (Mutant::ControlOfTheBatch, batches_do_not_matter),
    ];
    for (mutant, sound) in judges {
        assert!(under(None, sound), "{mutant:?}: the rule itself fails");
        assert!(!under(Some(mutant), sound), "{mutant:?} is not caught");
    }
}
