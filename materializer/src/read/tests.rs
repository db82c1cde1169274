//! What reads promise: the past stays, time resolves, pages are bounded.
use super::{At, Moment, list, moment_of, resolve_time, stat};
use crate::alone::{Alone, inline, log_time_us, path};
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, v1};

fn put(at: &str, bytes: &[u8]) -> Op {
    let (path, content, mode) = (
        path(at),
        Some(inline(bytes)),
        v1::CommitMode::Replace as i32,
    );
    Op::Commit(v1::Commit {
        path,
        content,
        mode,
        ..v1::Commit::default()
    })
}

fn listing(alone: &Alone, at: At<'_>, after: &str, limit: u32) -> v1::Listing {
    let after_name = after.as_bytes().to_vec().into();
    let request = v1::ListRequest {
        after_name,
        limit,
        ..v1::ListRequest::default()
    };
    assert!(at.lsn <= alone.snapshot().stamp.lsn);
    list(at, &request).unwrap()
}

/// FOLD-R5: overwritten, removed, made again: each version where it was, with what made it.
#[test]
fn every_version_can_be_read_where_it_stood() {
    let mut alone = Alone::new();
    let born = alone.snapshot().stamp.lsn;
    let one = alone.act(put("f", b"one")).unwrap();
    let two = alone.act(put("f", b"two")).unwrap();
    let gone = alone
        .act(Op::Remove(v1::Remove {
            path: path("f"),
            recursive: false,
        }))
        .unwrap();
    let again = alone.act(put("f", b"again")).unwrap();
    let read = |lsn| {
        stat(
            At::lsn(alone.snapshot(), lsn).unwrap(),
            &path("f").unwrap(),
            true,
        )
    };
    let seen = |lsn| {
        read(lsn)
            .ok()
            .map(|entry| (entry.lsn, entry.log_time_us, entry.size))
    };
    assert_eq!(seen(born), None);
    assert_eq!(seen(one), Some((one, log_time_us(one), 3)));
    assert_eq!(seen(two), Some((two, log_time_us(two), 3)));
    assert_eq!(seen(gone), None);
    assert_eq!(read(gone).unwrap_err().get().lsn, gone);
    assert_eq!(seen(again), Some((again, log_time_us(again), 5)));
    let names = |lsn| {
        listing(&alone, At::lsn(alone.snapshot(), lsn).unwrap(), "", 0)
            .entries
            .len()
    };
    assert_eq!([born, one, two, gone, again].map(names), [0, 1, 1, 0, 1]);
    let later = At::lsn(alone.snapshot(), again + 1).map(drop).unwrap_err();
    assert_eq!((later.code(), later.get().lsn), (Code::NotYet, again));
}

#[test]
fn a_page_goes_on_after_a_name() {
    let mut alone = Alone::new();
    for name in ["a", "a!", "aa", "b"] {
        alone.act(put(name, b"")).unwrap();
    }
    let past = alone.snapshot().stamp.lsn;
    alone.act(put("a", b"newer")).unwrap();
    for at in [alone.head(), At::lsn(alone.snapshot(), past).unwrap()] {
        let page = listing(&alone, at, "a", 2);
        let names: Vec<&[u8]> = page.entries.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!((names, page.more), (vec![&b"a!"[..], b"aa"], true));
        assert_eq!(listing(&alone, at, "aa", 2).entries.len(), 1);
        assert_eq!(page.directory.unwrap().children, 4);
    }
    let of_a_file = v1::ListRequest {
        path: path("a"),
        ..v1::ListRequest::default()
    };
    assert_eq!(
        list(alone.head(), &of_a_file).unwrap_err().code(),
        Code::WrongKind
    );
}

/// FOLD-R4: the last LSN at or before the time, void frames included, three to a log time here.
#[test]
fn time_resolves_to_the_last_lsn_at_it() {
    let mut alone = Alone::new();
    for n in 0..8 {
        alone.act(put(&n.to_string(), b"")).unwrap();
    }
    let last = alone.snapshot().stamp.lsn;
    assert_eq!(last, 11);
    for lsn in 1..=last {
        assert_eq!(
            moment_of(alone.snapshot(), lsn).unwrap().log_time_us,
            log_time_us(lsn),
            "{lsn}"
        );
    }
    for (time_us, lsn) in [
        (log_time_us(3), 5),
        (log_time_us(3) + 999, 5),
        (log_time_us(6) - 1, 5),
    ] {
        let moment = Moment {
            lsn,
            log_time_us: log_time_us(lsn),
        };
        assert_eq!(resolve_time(alone.snapshot(), time_us).unwrap(), moment);
    }
    assert_eq!(resolve_time(alone.snapshot(), u64::MAX).unwrap().lsn, last);
    assert_eq!(
        resolve_time(alone.snapshot(), log_time_us(1) - 1).unwrap(),
        Moment {
            lsn: 0,
            log_time_us: 0
        }
    );
    let tree = stat(
        At::lsn(alone.snapshot(), 0).unwrap(),
        &v1::Path::default(),
        false,
    );
    assert_eq!(tree.unwrap_err().code(), Code::NotFound);
}

/// Beyond 64 extents they lie in rows of their own; the entry's row stays small, and the past whole.
#[test]
fn a_file_of_many_extents_is_read_whole_at_every_lsn() {
    let mut alone = Alone::new();
    let of = |alone: &Alone, count: u64| {
        let extents: Vec<_> = (0..count)
            .map(|counter| alone.extent(counter, 10))
            .collect();
        v1::Content {
            size: count * 10,
            extents,
            ..v1::Content::default()
        }
    };
    let mut lsns = Vec::new();
    for count in [64, 65, 200, 130, 3] {
        let content = of(&alone, count);
        let mode = v1::CommitMode::Replace as i32;
        let commit = v1::Commit {
            path: path("f"),
            content: Some(content),
            mode,
            ..Default::default()
        };
        lsns.push((alone.act(Op::Commit(commit)).unwrap(), count));
    }
    for (lsn, count) in lsns {
        let entry = stat(
            At::lsn(alone.snapshot(), lsn).unwrap(),
            &path("f").unwrap(),
            true,
        )
        .unwrap();
        assert_eq!(
            (entry.extents, entry.content),
            (count as u32, Some(of(&alone, count)))
        );
    }
}
