//! What the fold promises: guards, terms, order, slots, halts, digests.
use super::{FoldFrame, Folded, Folder, Halt};
use crate::alone::{Alone, NODE, frame, inline, log_time_us, op, owner, path};
use crate::plan::Planned;
use crate::plan::control;
use crate::state;
use crate::view::{Keyspace, MemoryView, Read, dump};
use bytes::Bytes;
use dfs_wire::frame::{FrameDraft, Order};
use dfs_wire::v1::guard::Guard;
use dfs_wire::v1::mutate::Op;
use dfs_wire::v1::slot_result::Outcome;
use dfs_wire::{Refusal, v1};
use prost::Message;
use std::sync::Arc;

fn put(at: &str, bytes: &[u8]) -> Op {
    Op::Commit(v1::Commit {
        path: path(at),
        content: Some(inline(bytes)),
        mode: v1::CommitMode::Replace as i32,
        ..v1::Commit::default()
    })
}

fn next(alone: &Alone) -> u64 {
    alone.folder.stamp().lsn + 1
}

/// Folds a plan as the next frame, numbered as given.
fn fold(alone: &mut Alone, planned: &Planned, order: Option<(u64, u64)>) -> Result<Folded, Halt> {
    let order = order.map(|(term, n)| Order { shard: 0, term, n });
    let frame = frame(next(alone), planned, order, vec![planned.encoded.clone()]);
    let folded = alone.folder.fold(&frame);
    alone.folder.commit().unwrap();
    folded
}

fn planned(alone: &mut Alone, request: Op) -> Planned {
    alone.plan(&op(request), None, None).unwrap()
}

/// The same plan under other guards.
fn guarded(planned: &Planned, guards: Vec<Guard>) -> Planned {
    let guards = guards
        .into_iter()
        .map(|guard| v1::Guard { guard: Some(guard) })
        .collect();
    let guards = v1::Guards { guards };
    let guards_encoded = Bytes::from(guards.encode_to_vec());
    Planned {
        guards,
        guards_encoded,
        ..planned.clone()
    }
}

fn term(term: u64) -> Guard {
    Guard::Term(v1::TermGuard { shard: 0, term })
}

/// FOLD-T0: whoever comes first wins.
#[test]
fn the_second_genesis_is_void() {
    let mut alone = Alone::new();
    let again = control::genesis(b"other", v1::Settings::default(), &[99], owner(99));
    let folded = fold(&mut alone, &again, None).unwrap();
    assert!(folded.void.is_some() && folded.control.is_empty());
    assert_eq!(state::replicas(alone.snapshot(), 0).unwrap(), [NODE]);
    assert_eq!(
        &state::cluster(alone.snapshot())
            .unwrap()
            .unwrap()
            .cluster_id[..],
        b"cluster"
    );
}

/// FOLD-T1, FOLD-X5: a late frame of the old term has no effect and is not counted; the new term counts from 1.
#[test]
fn a_new_term_voids_what_the_old_one_still_had_in_flight() {
    let mut alone = Alone::new();
    let late = planned(&mut alone, put("late", b"x"));
    let term_lsn = next(&alone);
    let counted = alone.counted;
    let taken = fold(&mut alone, &control::term_started(0, 1, owner(NODE)), None).unwrap();
    assert_eq!((taken.void, taken.control.len()), (None, 1));
    let folded = fold(&mut alone, &late, Some((1, counted + 1))).unwrap();
    assert_eq!(folded.void.as_deref(), Some("term 1 of shard 0 is over"));
    assert!(alone.stat("late").is_err());
    let found = state::term(alone.snapshot(), 0).unwrap().unwrap();
    assert_eq!(
        (found.lsn, found.frames, found.owner),
        (term_lsn, 0, owner(NODE))
    );
    alone.term = term_lsn;
    let fresh = planned(&mut alone, put("fresh", b"x"));
    assert_eq!(
        fold(&mut alone, &fresh, Some((term_lsn, 1))).unwrap().void,
        None
    );
    assert_eq!(state::term(alone.snapshot(), 0).unwrap().unwrap().frames, 1);
}

/// FOLD-T1: terms are compared and set; a second campaign on the same previous term is void, as is a stranger's.
#[test]
fn only_one_campaign_wins_and_only_a_replica() {
    let mut alone = Alone::new();
    let stranger = fold(&mut alone, &control::term_started(0, 1, owner(99)), None).unwrap();
    assert_eq!(
        stranger.void.as_deref(),
        Some("node 99 is no replica of shard 0")
    );
    let first = next(&alone);
    fold(&mut alone, &control::term_started(0, 1, owner(NODE)), None).unwrap();
    assert!(
        fold(&mut alone, &control::term_started(0, 1, owner(NODE)), None)
            .unwrap()
            .void
            .is_some()
    );
    assert_eq!(
        state::term(alone.snapshot(), 0).unwrap().unwrap().lsn,
        first
    );
}

/// FOLD-G1, FOLD-G3: each of the five, held and broken, for the frame as a whole.
#[test]
fn every_guard_holds_and_breaks() {
    let mut alone = Alone::new();
    let (session, group) = (alone.session, alone.group);
    let of_group = |generation| Guard::Group(v1::GroupGuard { group, generation });
    let replica = |node_id| Guard::Replica(v1::ReplicaGuard { shard: 0, node_id });
    let mut n = alone.counted;
    let readable = next(&alone);
    let cases = [
        (vec![term(1), Guard::Session(session)], true),
        (vec![term(1), Guard::Session(session + 100)], false),
        (vec![term(1), of_group(0)], true),
        (vec![term(1), of_group(1)], false),
        (vec![term(1), replica(NODE)], true),
        (vec![term(1), replica(NODE + 1)], false),
        (vec![term(1), Guard::ReadableLsn(readable - 1)], true),
        (vec![term(1), Guard::ReadableLsn(readable + 100)], false),
        (vec![term(2)], false),
    ];
    for (guards, holds) in cases {
        let plan = planned(&mut alone, put("f", b"x"));
        n += 1;
        let folded = fold(&mut alone, &guarded(&plan, guards.clone()), Some((1, n))).unwrap();
        assert_eq!(folded.void.is_none(), holds, "{guards:?}");
    }
}

/// FOLD-B3: the floor only rises, never beyond what is folded, and what lies below is not readable.
#[test]
fn a_frame_that_stands_on_what_lies_below_the_floor_is_void() {
    let mut alone = Alone::new();
    let mut n = alone.counted;
    let mut run = |alone: &mut Alone, planned: &Planned| {
        n += 1;
        fold(alone, planned, Some((1, n))).unwrap()
    };
    for _ in 0..10 {
        let plan = planned(&mut alone, put("f", b"x"));
        run(&mut alone, &plan);
    }
    for (moved, floor) in [(8, 8), (5, 8), (9, 9)] {
        let plan = control::floor_moved(&alone.context(), moved);
        run(&mut alone, &plan);
        assert_eq!(state::floor(alone.snapshot()).unwrap(), floor);
        for (readable, holds) in [(floor - 1, false), (floor, true)] {
            let plan = planned(&mut alone, put("f", b"x"));
            let guards = vec![term(1), Guard::ReadableLsn(readable)];
            let folded = run(&mut alone, &guarded(&plan, guards));
            assert_eq!(folded.void.is_none(), holds, "Readable({readable})");
        }
    }
    let lsn = next(&alone);
    let plan = control::floor_moved(&alone.context(), lsn + 1000);
    run(&mut alone, &plan);
    assert_eq!(state::floor(alone.snapshot()).unwrap(), lsn);
}

/// FOLD-B1: a commit planned before the group was closed still takes effect.
#[test]
fn closing_a_group_leaves_its_guard_as_it_is() {
    let mut alone = Alone::new();
    let closing = control::close_group(&alone.context(), alone.group);
    alone.fly(closing);
    alone.land_all();
    let group = state::group(alone.snapshot(), alone.group)
        .unwrap()
        .unwrap();
    assert!(group.closed && group.generation == 0);
    let guard = Guard::Group(v1::GroupGuard {
        group: alone.group,
        generation: 0,
    });
    let plan = guarded(&planned(&mut alone, put("f", b"x")), vec![term(1), guard]);
    let n = alone.counted + 1;
    assert_eq!(fold(&mut alone, &plan, Some((1, n))).unwrap().void, None);
}

/// FOLD-G1: the body of a void frame is never decoded; of any other frame, what does not decode halts.
#[test]
fn a_void_body_is_not_decoded() {
    let mut alone = Alone::new();
    let rubbish = Planned {
        encoded: Bytes::from_static(&[0xff, 0xff]),
        ..guarded(&planned(&mut alone, put("f", b"x")), vec![term(77)])
    };
    assert!(fold(&mut alone, &rubbish, None).unwrap().void.is_some());
    let before = (alone.folder.stamp(), dump(alone.snapshot()));
    let halted = fold(&mut alone, &guarded(&rubbish, vec![term(1)]), None);
    assert!(
        matches!(halted, Err(Halt::Undecodable { .. })),
        "{halted:?}"
    );
    assert_eq!((alone.folder.stamp(), dump(alone.snapshot())), before);
}

/// I5: field 3000 of a oneof is from a newer build.
#[test]
fn what_this_build_does_not_know_halts_it() {
    const FIELD_3000_EMPTY: [u8; 4] = [0xc2, 0xbb, 0x01, 0x00];
    let mut alone = Alone::new();
    let known = planned(&mut alone, put("f", b"x"));
    let mutation = [&[0x0a, 4][..], &FIELD_3000_EMPTY].concat();
    let unknown = Planned {
        encoded: mutation.clone().into(),
        ..known.clone()
    };
    let lsn = next(&alone);
    let halted = fold(&mut alone, &unknown, None);
    assert_eq!(
        halted,
        Err(Halt::Unknown {
            lsn,
            what: "a kind of mutation".to_owned()
        })
    );
    let unknown = Planned {
        guards_encoded: mutation.into(),
        ..known
    };
    let halted = fold(&mut alone, &unknown, None);
    assert_eq!(
        halted,
        Err(Halt::Unknown {
            lsn,
            what: "a guard".to_owned()
        })
    );
}

/// FOLD-X5.
#[test]
fn a_missing_or_repeated_frame_halts() {
    let mut alone = Alone::new();
    let plan = planned(&mut alone, put("f", b"x"));
    let (lsn, folded) = (next(&alone), alone.counted);
    for found in [folded, folded + 2] {
        let halted = fold(&mut alone, &plan, Some((1, found)));
        assert_eq!(
            halted,
            Err(Halt::Gap {
                lsn,
                shard: 0,
                folded,
                found
            })
        );
    }
    // A term that was never seen to start.
    assert!(matches!(
        fold(&mut alone, &plan, Some((9, 1))),
        Err(Halt::Gap { .. })
    ));
    // Void under another guard, it was given its number all the same.
    let void = guarded(&plan, vec![term(1), Guard::Session(999)]);
    assert!(
        fold(&mut alone, &void, Some((1, folded + 1)))
            .unwrap()
            .void
            .is_some()
    );
    assert_eq!(
        fold(&mut alone, &plan, Some((1, folded + 2))).unwrap().void,
        None
    );
}

#[test]
fn frames_come_in_order() {
    let mut alone = Alone::new();
    let plan = planned(&mut alone, put("f", b"x"));
    let expected = next(&alone);
    let early = frame(expected + 1, &plan, None, vec![plan.encoded.clone()]);
    let halted = alone.folder.fold(&early);
    assert_eq!(
        halted,
        Err(Halt::NotNext {
            lsn: expected + 1,
            expected
        })
    );
}

fn slot_use(seq: u64, attempt: u32) -> v1::SlotUse {
    v1::SlotUse {
        session: 2,
        slot: 3,
        seq,
        attempt,
        term: 1,
        ..v1::SlotUse::default()
    }
}

fn refused(seq: u64, attempt: u32) -> v1::SlotDone {
    let refusal = Refusal::new(dfs_wire::Code::Exists, "x", "y").into_wire();
    v1::SlotDone {
        session: 2,
        slot: 3,
        seq,
        attempt,
        result: Some(v1::SlotResult {
            outcome: Some(Outcome::Refusal(refusal)),
        }),
        ..v1::SlotDone::default()
    }
}

/// FOLD-S3: success counts from any attempt, a refusal only from the last; the larger seq wins.
#[test]
fn a_slot_keeps_the_result_that_counts() {
    let mut alone = Alone::new();
    assert_eq!(alone.session, 2);
    let mut give = |seq, attempt, done: bool| {
        let mut planned = alone
            .plan(&op(put("f", b"x")), None, Some(slot_use(seq, attempt)))
            .unwrap();
        if !done {
            planned.record.slot = Some(refused(seq, attempt));
            planned.encoded = planned.record.encode_to_vec().into();
        }
        let lsn = alone.fly(planned);
        let folded = alone.land_all();
        assert_eq!(folded[0].slots.len(), 1);
        let slot = state::slot(alone.snapshot(), 2, 0, 3).unwrap().unwrap();
        let succeeded = matches!(slot.result.outcome, Some(Outcome::Done(_)));
        (slot.seq, slot.attempt, succeeded, slot.lsn == lsn)
    };
    assert_eq!(give(1, 2, false), (1, 2, false, true));
    assert_eq!(give(1, 1, false), (1, 2, false, false));
    assert_eq!(give(1, 1, true), (1, 1, true, true));
    assert_eq!(give(1, 4, false), (1, 1, true, false));
    assert_eq!(give(2, 1, true), (2, 1, true, true));
    assert_eq!(give(1, 9, true), (2, 1, true, false));
}

/// FOLD-S1: with the session go its slots and its nonce; from then on its guard breaks.
#[test]
fn an_expired_session_leaves_nothing() {
    let mut alone = Alone::new();
    let planned = alone
        .plan(&op(put("f", b"x")), None, Some(slot_use(1, 1)))
        .unwrap();
    alone.fly(planned);
    alone.land_all();
    let expiring = control::expire_session(&alone.context(), 2);
    alone.fly(expiring);
    alone.land_all();
    assert!(state::sessions(alone.snapshot()).unwrap().is_empty());
    assert_eq!(state::slot(alone.snapshot(), 2, 0, 3).unwrap(), None);
    assert_ne!(alone.open_session(1), 2, "ids never return");
}

/// FOLD-B3: alive in [made, released); taken again, it is alive again.
#[test]
fn holds_on_extents_follow_the_content() {
    let mut alone = Alone::new();
    let of = |extents: Vec<v1::ExtentRef>| v1::Content {
        size: extents.iter().map(|extent| u64::from(extent.length)).sum(),
        extents,
        ..v1::Content::default()
    };
    let (one, two) = (alone.extent(1, 10), alone.extent(2, 20));
    let commit = |content| {
        let mode = v1::CommitMode::Replace as i32;
        Op::Commit(v1::Commit {
            path: path("f"),
            content: Some(content),
            mode,
            ..v1::Commit::default()
        })
    };
    let made = alone.act(commit(of(vec![one]))).unwrap();
    let replaced = alone.act(commit(of(vec![two]))).unwrap();
    let copy = v1::Copy {
        from: path("f"),
        to: path("g"),
        mode: v1::CommitMode::Create as i32,
        from_view: None,
    };
    alone.act(Op::Copy(copy)).unwrap();
    let removed = alone
        .act(Op::Remove(v1::Remove {
            path: path("f"),
            recursive: false,
        }))
        .unwrap();
    let rows: Vec<(u64, u64)> = alone
        .snapshot()
        .scan(Keyspace::Blocks, &[], &[0xff; 4])
        .map(|row| {
            let hold: state::values::HoldValue = state::rows::value_of(row.unwrap().1).unwrap();
            (hold.made, hold.released)
        })
        .collect();
    assert_eq!(
        rows,
        [(made, replaced), (replaced, removed), (replaced + 1, 0)]
    );
}

/// FOLD-X4: a ring of the last 64, at multiples of 4096; void frames advance it too.
#[test]
fn the_ring_of_digests_is_kept_and_bounded() {
    let mut folder = Folder::new(Arc::new(MemoryView::new())).unwrap();
    let mut digests = Vec::new();
    let draft = FrameDraft {
        guards: Bytes::from(v1::Guards::default().encode_to_vec()),
        records: vec![Bytes::new(); 512],
        ..FrameDraft::default()
    };
    let frame = draft.freeze(1, 0, 0);
    for index in 0..(8 * 66) {
        let first_lsn = index * 512 + 1;
        let log_time_us = log_time_us(first_lsn);
        folder
            .fold(&FoldFrame {
                first_lsn,
                log_time_us,
                cut_seq: 1,
                frame: frame.clone(),
            })
            .unwrap();
        digests.push(folder.stamp().digest);
        if folder.is_full() {
            folder.commit().unwrap();
        }
    }
    let kept = |k: u64| state::digest(folder.snapshot(), k * 4096).unwrap();
    assert_eq!((kept(1), kept(2), kept(3)), (None, None, Some(digests[23])));
    assert_eq!(kept(66), Some(folder.stamp().digest));
}

/// FOLD-X4: the digest is of effects: another value, another digest; the same frames, the same one.
#[test]
fn a_different_effect_gives_a_different_digest() {
    let digest = |bytes: &[u8]| {
        let mut alone = Alone::new();
        alone.act(put("f", bytes)).unwrap();
        alone.snapshot().stamp.digest
    };
    assert_eq!(digest(b"same"), digest(b"same"));
    assert_ne!(digest(b"same"), digest(b"other"));
}

/// FOLD-X4b: what a replica says is compared with what this one held there.
#[test]
fn digests_of_replicas_are_reported_beside_the_own() {
    let mut alone = Alone::new();
    let taken = control::digest_taken(0, NODE, (4096, 5), 0);
    alone.fly(taken);
    let folded = alone.land_all();
    let said = v1::DigestTaken {
        shard: 0,
        node_id: NODE,
        lsn: 4096,
        digest: 5,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        begun_lsn: 0,
    };
    assert_eq!(folded[0].digests, [(said, None)]);
}
