//! What planning promises: overlay and locks, refusals with words, guards, tags, POSIX's corners.
use super::{Planned, Ticket, Unplanned, control};
use crate::alone::{Alone, inline, op, owner, path};
use crate::read::{self, At};
use dfs_wire::limits::{INLINE_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX, RECORD_BYTES_MAX};
use dfs_wire::v1::guard::Guard;
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, Tag, v1};

fn put(at: &str, content: v1::Content) -> Op {
    let (path, content, mode) = (path(at), Some(content), v1::CommitMode::Replace as i32);
    Op::Commit(v1::Commit {
        path,
        content,
        mode,
        ..v1::Commit::default()
    })
}

fn make(at: &str) -> Op {
    Op::MakeDirectory(v1::MakeDirectory {
        path: path(at),
        parents: true,
        ..Default::default()
    })
}

fn remove(at: &str, recursive: bool) -> Op {
    Op::Remove(v1::Remove {
        path: path(at),
        recursive,
    })
}

fn rename(from: &str, to: &str) -> Op {
    Op::Rename(v1::Rename {
        from: path(from),
        to: path(to),
        no_replace: false,
    })
}

fn stored(alone: &Alone, counters: std::ops::Range<u64>) -> v1::Content {
    let extents: Vec<v1::ExtentRef> = counters.map(|counter| alone.extent(counter, 10)).collect();
    v1::Content {
        size: extents.len() as u64 * 10,
        extents,
        ..v1::Content::default()
    }
}

fn plan(alone: &mut Alone, request: Op) -> Result<Planned, Unplanned> {
    alone.plan(&op(request), None, None)
}

fn code(planned: Result<Planned, Unplanned>) -> Option<Code> {
    match planned {
        Err(Unplanned::Refused(refusal)) => Some(refusal.code()),
        _ => None,
    }
}

/// FOLD-P1: own-term frames are seen through the overlay, and it is empty once they are folded.
#[test]
fn a_primary_pipelines() {
    let mut alone = Alone::new();
    for request in [
        make("d"),
        put("d/f", inline(b"1")),
        rename("d", "e"),
        remove("e/f", false),
    ] {
        let planned = plan(&mut alone, request).unwrap();
        assert!(!planned.foreign && planned.ordered);
        alone.fly(planned);
    }
    assert_eq!(
        code(plan(&mut alone, put("d/g", inline(b"2")))),
        Some(Code::NotFound)
    );
    assert_eq!(alone.overlay.newest(), Some(Ticket(alone.next_lsn - 1)));
    assert!(
        alone.stat("e").is_err(),
        "FOLD-P2: reads do not see the overlay"
    );
    alone.land_all();
    assert_eq!(alone.overlay.newest(), None);
    assert_eq!(alone.stat("e").unwrap().children, 0);
}

/// FOLD-P1: what another guard may still void is not relied on; its keys wait, others do not.
#[test]
fn keys_of_a_frame_under_other_guards_are_locked() {
    let mut alone = Alone::new();
    alone.act(make("d/sub")).unwrap();
    let content = stored(&alone, 1..3);
    let planned = plan(&mut alone, put("d/f", content)).unwrap();
    assert!(planned.foreign);
    let lsn = alone.fly(planned);
    let blocked = Err(Unplanned::Blocked(Ticket(lsn)));
    assert_eq!(plan(&mut alone, put("d/f", inline(b"x"))), blocked);
    assert_eq!(plan(&mut alone, remove("d/f", false)), blocked);
    assert_eq!(plan(&mut alone, rename("d/sub", "d/f")), blocked);
    assert_eq!(
        plan(&mut alone, remove("d", true)),
        blocked,
        "how many go with it is not known"
    );
    let sibling = plan(&mut alone, put("d/g", inline(b"x"))).unwrap();
    alone.fly(sibling);
    alone.land_all();
    assert_eq!(
        alone.stat("d").unwrap().children,
        3,
        "deltas do not mind each other"
    );
    assert!(plan(&mut alone, remove("d/f", false)).is_ok());
}

/// Mutant "overlay over a foreign-guarded frame": the emptiness of a directory waits for what may appear in it.
#[test]
fn a_directory_is_not_empty_while_a_locked_frame_may_fill_it() {
    let mut alone = Alone::new();
    alone.act(make("d")).unwrap();
    alone.act(make("e")).unwrap();
    let content = stored(&alone, 1..2);
    let planned = plan(&mut alone, put("d/f", content)).unwrap();
    let lsn = alone.fly(planned);
    let blocked = Err(Unplanned::Blocked(Ticket(lsn)));
    assert_eq!(plan(&mut alone, remove("d", false)), blocked);
    assert_eq!(plan(&mut alone, rename("e", "d")), blocked);
}

/// FOLD-S4: session and group of each uncommitted extent; nothing of the kind for bytes in the record.
#[test]
fn extents_are_guarded_by_session_and_group() {
    let mut alone = Alone::new();
    let (session, group) = (alone.session, alone.group);
    let content = stored(&alone, 1..4);
    let planned = plan(&mut alone, put("f", content)).unwrap();
    let guards: Vec<Guard> = planned
        .guards
        .guards
        .iter()
        .filter_map(|guard| guard.guard)
        .collect();
    let own = Guard::Term(v1::TermGuard { shard: 0, term: 1 });
    let of_group = Guard::Group(v1::GroupGuard {
        group,
        generation: 0,
    });
    assert_eq!(guards, [own, Guard::Session(session), of_group]);
    assert_eq!(planned.tags, [Tag::shard(0), Tag::blocks(group)]);
    let planned = plan(&mut alone, put("f", inline(b"x"))).unwrap();
    assert_eq!(
        (planned.guards.guards.len(), planned.tags),
        (1, vec![Tag::shard(0)])
    );
    let mut strange = stored(&alone, 1..2);
    strange.extents[0].generation = 1;
    assert_eq!(
        code(plan(&mut alone, put("f", strange.clone()))),
        Some(Code::Conflict)
    );
    strange.extents[0].extent = Some(v1::ExtentId {
        session: 999,
        counter: 1,
    });
    assert_eq!(
        code(plan(&mut alone, put("f", strange))),
        Some(Code::SessionGone)
    );
}

/// FOLD-B3: what was read at p is guarded by Readable(p); what stands now needs no guard.
#[test]
fn a_copy_from_the_past_is_guarded_by_its_lsn() {
    let mut alone = Alone::new();
    let content = stored(&alone, 1..3);
    let lsn = alone.act(put("f", content)).unwrap();
    alone.act(remove("f", false)).unwrap();
    let at = At::lsn(alone.snapshot(), lsn).unwrap();
    let entry = read::stat(at, &path("f").unwrap(), true).unwrap();
    let source = super::CopySource { lsn, entry };
    let mode = v1::CommitMode::Create as i32;
    let copy = Op::Copy(v1::Copy {
        from: path("f"),
        to: path("g"),
        mode,
        from_view: None,
    });
    let planned = alone.plan(&op(copy.clone()), Some(&source), None).unwrap();
    assert!(planned.guards.guards.contains(&v1::Guard {
        guard: Some(Guard::ReadableLsn(lsn))
    }));
    assert!(planned.foreign);
    assert_eq!(
        code(alone.plan(&op(copy), None, None)),
        Some(Code::NotFound)
    );
    alone.fly(planned);
    alone.land_all();
    assert_eq!(alone.stat("g").unwrap().content.unwrap().extents.len(), 2);
}

/// FOLD-L4: through what is in flight too.
#[test]
fn a_directory_never_ends_up_below_itself() {
    let mut alone = Alone::new();
    for request in [make("a/b"), make("x"), rename("x", "a/b/x")] {
        let planned = plan(&mut alone, request).unwrap();
        alone.fly(planned);
    }
    assert_eq!(
        code(plan(&mut alone, rename("a", "a/b/x/a"))),
        Some(Code::WrongKind)
    );
    assert_eq!(code(plan(&mut alone, rename("a", "a"))), None);
    alone.land_all();
    assert_eq!(
        code(plan(&mut alone, rename("a", "a/b/x"))),
        Some(Code::WrongKind)
    );
}

/// FOLD-P0b: by inode, nothing is planned below a directory that was removed above, nor read after that LSN.
#[test]
fn nothing_happens_below_a_detached_directory() {
    let mut alone = Alone::new();
    let made = alone.act(make("a/b/c")).unwrap();
    let base_inode = alone.stat("a/b").unwrap().inode;
    let below = v1::Path {
        base_inode,
        path: b"c/f"[..].to_vec().into(),
        tree: 0,
    };
    let mut request = v1::Commit {
        path: Some(below.clone()),
        mode: 2,
        ..v1::Commit::default()
    };
    assert!(plan(&mut alone, Op::Commit(request.clone())).is_ok());
    let removal = plan(&mut alone, remove("a", true)).unwrap();
    let removed = alone.fly(removal);
    assert_eq!(
        code(plan(&mut alone, Op::Commit(request.clone()))),
        Some(Code::NotFound)
    );
    alone.land_all();
    assert_eq!(
        code(plan(&mut alone, Op::Commit(request.clone()))),
        Some(Code::NotFound)
    );
    let directory = v1::Path {
        path: b"c"[..].to_vec().into(),
        ..below
    };
    let stat = |lsn| read::stat(At::lsn(alone.snapshot(), lsn).unwrap(), &directory, false);
    assert!(stat(made).is_ok() && stat(removed - 1).is_ok());
    assert_eq!(stat(removed).unwrap_err().code(), Code::NotFound);
    request.path = path("a/b/c/f");
    assert_eq!(
        code(plan(&mut alone, Op::Commit(request))),
        Some(Code::NotFound)
    );
}

#[test]
fn names_and_paths_have_bounds() {
    let mut alone = Alone::new();
    let long = "n".repeat(NAME_BYTES_MAX);
    assert!(plan(&mut alone, make(&long)).is_ok());
    let deep = vec!["d"; 40].join("/");
    assert!(plan(&mut alone, make(&deep)).is_ok());
    let bad = [
        format!("{long}n"),
        "a/".repeat(PATH_BYTES_MAX),
        ".".into(),
        "x/../y".into(),
        "a\0b".into(),
    ];
    for at in bad {
        assert_eq!(
            code(plan(&mut alone, make(&at))),
            Some(Code::Invalid),
            "{at:.20}"
        );
    }
    let bytes = v1::Path {
        path: b"/\xff\xfe/".to_vec().into(),
        ..v1::Path::default()
    };
    let request = v1::MakeDirectory {
        path: Some(bytes),
        ..v1::MakeDirectory::default()
    };
    let planned = plan(&mut alone, Op::MakeDirectory(request)).unwrap();
    alone.fly(planned);
    alone.land_all();
    let listing = read::list(alone.head(), &v1::ListRequest::default()).unwrap();
    assert_eq!(&listing.entries[0].name[..], b"\xff\xfe");
}

/// Three lines for people: what, why, what to do; the path as text, whatever its bytes.
#[test]
fn a_refusal_says_what_and_why() {
    let mut alone = Alone::new();
    alone.act(put("f", inline(b"x"))).unwrap();
    let Err(Unplanned::Refused(refusal)) = plan(&mut alone, put("f/\u{fffd}", inline(b"y"))) else {
        panic!("a file is no directory");
    };
    assert_eq!(refusal.code(), Code::WrongKind);
    assert_eq!(
        refusal.to_string(),
        "put /f/\u{fffd}: `f` on the way is a file"
    );
    assert!(refusal.get().not_done && !refusal.get().advice.is_empty());
}

#[test]
fn content_is_checked_before_it_is_committed() {
    let mut alone = Alone::new();
    let good = inline(b"abc");
    for content in [
        v1::Content {
            size: 4,
            ..good.clone()
        },
        v1::Content {
            crc32c: 1,
            ..good.clone()
        },
        inline(&[0; INLINE_BYTES_MAX + 1]),
        v1::Content {
            size: 1,
            ..stored(&alone, 1..2)
        },
        v1::Content {
            inline: good.inline.clone(),
            ..stored(&alone, 1..2)
        },
    ] {
        assert_eq!(
            code(plan(&mut alone, put("f", content))),
            Some(Code::Invalid)
        );
    }
}

#[test]
fn a_record_above_its_bound_is_refused() {
    let mut alone = Alone::new();
    let content = stored(&alone, 0..RECORD_BYTES_MAX as u64 / 10);
    assert_eq!(
        code(plan(&mut alone, put("f", content))),
        Some(Code::Invalid)
    );
}

#[test]
fn bytes_in_the_entry_and_bytes_in_extents_do_not_mix() {
    let mut alone = Alone::new();
    alone.act(put("f", inline(b"abc"))).unwrap();
    let content = Some(stored(&alone, 1..2));
    let append = |content, if_size| {
        Op::Append(v1::Append {
            path: path("f"),
            content,
            if_size,
        })
    };
    assert_eq!(
        code(plan(&mut alone, append(content, None))),
        Some(Code::State)
    );
    assert_eq!(
        code(plan(&mut alone, append(Some(inline(b"d")), Some(9)))),
        Some(Code::Conflict)
    );
    alone.act(append(Some(inline(b"d")), Some(3))).unwrap();
    assert_eq!(alone.stat("f").unwrap().content, Some(inline(b"abcd")));
}

/// 0 says "not known" of extents only: of bytes in the entry it is a checksum like any other.
#[test]
fn bytes_whose_checksum_is_zero_are_appended_to() {
    let mut alone = Alone::new();
    let zero = inline(b"\xab\x9b\xe0\x9b");
    assert_eq!(zero.crc32c, 0);
    alone.act(put("f", zero)).unwrap();
    let more = v1::Append {
        path: path("f"),
        content: Some(inline(b"d")),
        if_size: None,
    };
    alone.act(Op::Append(more)).unwrap();
    let whole = inline(b"\xab\x9b\xe0\x9bd");
    assert_eq!(alone.stat("f").unwrap().content, Some(whole));
}

/// FOLD-S1: a repeated nonce gets its session, and waits for it while it is being opened.
#[test]
fn a_nonce_opens_one_session() {
    let mut alone = Alone::new();
    assert_eq!(alone.open_session(1), alone.session);
    assert_ne!(alone.open_session(2), alone.session);
}

/// Ids go on above all that took effect, whoever gave them out.
#[test]
fn a_new_owner_repeats_no_id() {
    let mut alone = Alone::new();
    alone.act(make("a/b")).unwrap();
    let largest = alone.stat("a/b").unwrap().inode;
    let resumed = super::Ids::resume(alone.snapshot()).unwrap();
    assert_eq!(resumed, alone.ids);
    assert_eq!(resumed.clone().allocate(), largest + 1);
}

/// FOLD-X5: what an owner counts and what it does not.
#[test]
fn terms_and_digests_are_outside_the_count() {
    let alone = Alone::new();
    let context = alone.context();
    assert!(!control::term_started(0, 1, owner(1)).ordered);
    assert!(!control::digest_taken(0, 1, (1, 1), 0).ordered);
    assert!(control::tick(&context).ordered && control::replica_added(&context, 4).ordered);
    assert_eq!(control::tick(&context).tags, [Tag::shard(0), Tag::CONTROL]);
}
