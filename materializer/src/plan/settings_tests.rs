//! Settings in records: bounds, compare-and-set, history, and each limit used by the plans after it.
use super::Unplanned;
use crate::alone::{Alone, inline, op, path, refold};
use crate::fold::kinds::KEPT_SETTINGS;
use crate::read::{self, At};
use crate::state;
use crate::view::{MemoryView, View};
use dfs_wire::limits::INLINE_BYTES_MAX;
use dfs_wire::v1::Setting::{
    DirectoryEntriesMax, FileBytesMax, InlineBytes, NameBytesMax, Replication,
};
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, Refusal, Tag, v1};
use std::sync::Arc;

fn set(changes: &[(v1::Setting, Option<u64>)]) -> Op {
    let changes = changes.iter().map(|(setting, value)| v1::SettingChanged {
        setting: *setting as u32,
        value: *value,
    });
    Op::SetSettings(v1::SetSettings {
        changes: changes.collect(),
    })
}

fn put(at: &str, bytes: &[u8]) -> Op {
    Op::Commit(v1::Commit {
        path: path(at),
        content: Some(inline(bytes)),
        mode: v1::CommitMode::Replace as i32,
        ..v1::Commit::default()
    })
}

fn refused(done: Result<u64, Unplanned>) -> Refusal {
    match done {
        Err(Unplanned::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn why(done: Result<u64, Unplanned>) -> String {
    refused(done).get().why.clone()
}

#[test]
fn what_is_unknown_out_of_bounds_or_named_twice_is_refused() {
    let mut alone = Alone::new();
    let unknown = Op::SetSettings(v1::SetSettings {
        changes: vec![v1::SettingChanged {
            setting: 99,
            value: Some(1),
        }],
    });
    assert!(why(alone.act(unknown)).contains("it knows shard_replicas, replication,"));
    let zero = alone.act(set(&[(Replication, Some(0))]));
    assert!(why(zero).contains("a whole number, 1 to 7 (copies)"));
    let twice = alone.act(set(&[(Replication, Some(2)), (Replication, None)]));
    assert!(why(twice).contains("named twice"));
    assert_eq!(refused(alone.act(set(&[]))).code(), Code::Invalid);
    assert_eq!(state::settings_lsn(alone.snapshot()), Ok(0));
}

/// FOLD-G2: every materializer needs the frame, and it has no guard but the term's.
#[test]
fn a_change_is_of_control_and_of_the_own_term_alone() {
    let mut alone = Alone::new();
    let planned = alone.plan(&op(set(&[(Replication, Some(2))])), None, None);
    let planned = planned.unwrap();
    assert_eq!(planned.tags, [Tag::shard(0), Tag::CONTROL]);
    assert!(!planned.foreign && planned.ordered);
    assert_eq!(planned.guards.guards.len(), 1);
}

#[test]
fn a_change_compares_the_last_change_of_what_it_names() {
    let mut alone = Alone::new();
    let if_lsn = |if_lsn| v1::Mutate {
        if_lsn: Some(if_lsn),
        ..op(set(&[(Replication, Some(3))]))
    };
    let first = alone.act(set(&[(Replication, Some(2))])).unwrap();
    alone.act(set(&[(InlineBytes, Some(2))])).unwrap();
    let inline = alone.act(set(&[(InlineBytes, Some(3))])).unwrap();
    for wrong in [0, first - 1] {
        let refused = alone.plan(&if_lsn(wrong), None, None);
        assert!(matches!(refused, Err(Unplanned::Refused(r)) if r.code() == Code::Conflict));
    }
    alone.plan(&if_lsn(inline), None, None).unwrap();
    let planned = alone.plan(&if_lsn(first), None, None).unwrap();
    let second = alone.fly(planned);
    let again = alone.plan(&if_lsn(first), None, None);
    let blocked = Unplanned::Blocked(super::Ticket(second));
    assert_eq!(again, Err(blocked), "known only when nothing is in flight");
}

#[test]
fn each_limit_refuses_with_its_name_and_leaves_what_stands() {
    let mut alone = Alone::new();
    let long = "n".repeat(33);
    alone.act(put(&long, b"1")).unwrap();
    alone.act(put("f", b"1")).unwrap();
    let limits = [
        (NameBytesMax, Some(32)),
        (DirectoryEntriesMax, Some(2)),
        (FileBytesMax, Some(1 << 16)),
        (InlineBytes, Some(2)),
    ];
    alone.act(set(&limits)).unwrap();
    let other = "m".repeat(33);
    assert!(why(alone.act(put(&other, b"1"))).ends_with("(setting name_bytes_max)"));
    let moved = Op::Rename(v1::Rename {
        from: path("f"),
        to: path(&other),
        no_replace: false,
    });
    assert!(why(alone.act(moved)).ends_with("(setting name_bytes_max)"));
    assert!(why(alone.act(put("g", b"1"))).ends_with("(setting directory_entries_max)"));
    // A writer that has not heard of it yet goes on: only the limit of all refuses.
    alone.act(put("f", b"123")).unwrap();
    let most = vec![0; INLINE_BYTES_MAX];
    alone.act(put("f", &most)).unwrap();
    let above = vec![0; INLINE_BYTES_MAX + 1];
    assert!(why(alone.act(put("f", &above))).contains("at most 65536 may"));
    let longer = |size| {
        Op::Truncate(v1::Truncate {
            path: path("f"),
            size,
        })
    };
    alone.act(longer(0)).unwrap();
    let refused = why(alone.act(longer((1 << 16) + 1)));
    assert!(refused.ends_with("(setting file_bytes_max)"), "{refused}");
    alone.act(longer(1 << 16)).unwrap();
    alone.act(put(&long, b"2")).unwrap();
    let back = limits.map(|(setting, _)| (setting, None));
    alone.act(set(&back)).unwrap();
    alone.act(put(&other, b"123")).unwrap();
}

#[test]
fn the_past_is_read_as_it_was_with_who_and_when() {
    let mut alone = Alone::new();
    let first = alone.act(set(&[(InlineBytes, Some(100))])).unwrap();
    let both = [(InlineBytes, None), (Replication, Some(3))];
    let second = alone.act(set(&both)).unwrap();
    let of = |lsn| {
        let at = At::lsn(alone.snapshot(), lsn).unwrap();
        let list = read::settings(at).unwrap().settings;
        let number = InlineBytes as u32;
        let mut found = list.into_iter().filter(|state| state.setting == number);
        let state = found.next().unwrap();
        (state.value, state.default_value, state.lsn, state.is_set)
    };
    assert_eq!(of(first - 1), (4096, 4096, 0, false));
    assert_eq!(of(first), (100, 4096, first, true));
    assert_eq!(of(second), (4096, 4096, second, false));
    let history = |before_lsn, limit| {
        let request = v1::SettingHistoryRequest {
            before_lsn,
            limit,
            ..Default::default()
        };
        let history = read::setting_history(alone.head(), &request).unwrap();
        let change = |c: &v1::SettingChange| (c.setting, c.lsn, c.old_value, c.new_value);
        assert!(
            history
                .changes
                .iter()
                .all(|change| change.actor == "tester")
        );
        let changes: Vec<_> = history.changes.iter().map(change).collect();
        (changes, history.more)
    };
    let (inline, copies) = (InlineBytes as u32, Replication as u32);
    let newest = vec![
        (copies, second, None, Some(3)),
        (inline, second, Some(100), None),
    ];
    assert_eq!(history(0, 1), (newest, true), "one record is on one page");
    let oldest = vec![(inline, first, None, Some(100))];
    assert_eq!(history(second, 1), (oldest, false));
}

/// The same rows and digest, however the log is cut into batches; old values are let go of below the floor, and
/// what is listed says what it superseded.
#[test]
fn history_has_a_bound_below_the_floor_and_folds_alike() {
    let mut alone = Alone::new();
    let changes = KEPT_SETTINGS as u64 + 5;
    let mut lsns = vec![0];
    for value in 1..=changes {
        let planned = alone.plan(&op(set(&[(InlineBytes, Some(value))])), None, None);
        lsns.push(alone.fly(planned.unwrap()));
        if value % 100 == 0 {
            alone.land_all();
        }
    }
    alone.land_all();
    let request = v1::SettingHistoryRequest {
        limit: 4096,
        ..Default::default()
    };
    let inline_at = |alone: &Alone, lsn| {
        let list = read::settings(At::lsn(alone.snapshot(), lsn).unwrap()).unwrap();
        list.settings[InlineBytes as usize - 1].value
    };
    for value in 1..=changes {
        assert_eq!(inline_at(&alone, lsns[value as usize]), value);
    }
    let oldest = |alone: &Alone| {
        let history = read::setting_history(alone.head(), &request).unwrap();
        let oldest = history.changes.last().unwrap().clone();
        (history.changes.len(), oldest.old_value, oldest.new_value)
    };
    for (floor, first) in [(3, 3), (10, 7)] {
        let floor_lsn = lsns[floor];
        let moved = super::control::floor_moved(&alone.context(), floor_lsn);
        alone.fly(moved);
        lsns.push(alone.act(set(&[(InlineBytes, Some(changes))])).unwrap());
        assert_eq!(inline_at(&alone, floor_lsn), floor as u64);
        let kept = lsns.len() - first - 1;
        let listed = (kept, Some(first as u64), Some(first as u64 + 1));
        assert_eq!(oldest(&alone), listed);
    }
    let history = read::setting_history(alone.head(), &request).unwrap();
    assert_eq!(history.changes.len(), KEPT_SETTINGS);
    assert_eq!(history.changes[0].new_value, Some(changes));
    let view: Arc<dyn View> = Arc::new(MemoryView::new());
    let again = refold(view, &alone.frames, |n| n % 7 == 0).unwrap();
    assert_eq!(again.stamp().digest, alone.snapshot().stamp.digest);
    let other = read::setting_history(At::head(again.snapshot()), &request);
    assert_eq!(other.unwrap(), history);
}

/// A newer build's: held by all, used by nobody.
#[test]
fn a_number_that_this_build_does_not_know_is_folded() {
    let mut alone = Alone::new();
    let mut planned = alone.plan(&op(set(&[(InlineBytes, Some(7))])), None, None);
    let before = alone.snapshot().stamp.digest;
    if let Ok(planned) = &mut planned {
        let unknown = v1::SettingChanged {
            setting: 99,
            value: Some(7),
        };
        planned.record.mutations[0].kind = Some(v1::mutation::Kind::SettingChanged(unknown));
        planned.encoded = prost::Message::encode_to_vec(&planned.record).into();
    }
    alone.fly(planned.unwrap());
    alone.land_all();
    assert_eq!(alone.settings.inline_bytes_max, 4096);
    assert_ne!(alone.snapshot().stamp.digest, before);
}
