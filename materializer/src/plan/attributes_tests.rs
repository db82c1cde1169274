//! Extended attributes and ACLs: bounds, masks, what is inherited, what all names share, and the past.
use super::Unplanned;
use crate::alone::{Alone, inline, path};
use crate::read::{self, At};
use dfs_wire::limits::XATTR_BYTES_MAX;
use dfs_wire::v1::AclTag::{self, Group, GroupObj, Mask, Other, User, UserObj};
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, v1};

fn put(at: &str) -> Op {
    Op::Commit(v1::Commit {
        path: path(at),
        content: Some(inline(b"1")),
        mode: v1::CommitMode::Replace as i32,
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

fn xattrs(at: &str, set: &[(&str, &[u8])], remove: &[&str]) -> Op {
    let set = set.iter().map(|(name, value)| v1::Xattr {
        name: name.as_bytes().to_vec().into(),
        value: value.to_vec().into(),
    });
    Op::SetXattr(v1::SetXattr {
        path: path(at),
        set: set.collect(),
        remove: remove
            .iter()
            .map(|name| name.as_bytes().to_vec().into())
            .collect(),
    })
}

fn code(done: Result<u64, Unplanned>) -> Option<Code> {
    match done {
        Err(Unplanned::Refused(refusal)) => Some(refusal.code()),
        _ => None,
    }
}

fn names(at: At<'_>, file: &str) -> Vec<String> {
    let entry = read::stat_with_xattrs(at, &path(file).unwrap(), false).unwrap();
    let name = |xattr: &v1::Xattr| String::from_utf8(xattr.name.to_vec()).unwrap();
    entry.xattrs.iter().map(name).collect()
}

#[test]
fn attributes_have_names_bounds_and_a_past() {
    let mut alone = Alone::new();
    alone.act(put("f")).unwrap();
    let first = alone
        .act(xattrs("f", &[("user.b", b"1"), ("user.a", b"2")], &[]))
        .unwrap();
    alone
        .act(xattrs("f", &[("user.c", b"")], &["user.a"]))
        .unwrap();
    assert_eq!(names(alone.head(), "f"), ["user.b", "user.c"]);
    let past = At::lsn(alone.snapshot(), first).unwrap();
    assert_eq!(names(past, "f"), ["user.a", "user.b"]);
    assert!(alone.stat("f").unwrap().xattrs.is_empty(), "nobody asked");
    let long = format!("user.{}", "n".repeat(251));
    for bad in ["user.", "trusted.a", "user.a\0", &long] {
        let refused = alone.act(xattrs("f", &[(bad, b"1")], &[]));
        assert_eq!(code(refused), Some(Code::Invalid), "{bad}");
    }
    let twice = xattrs("f", &[("user.b", b"1")], &["user.b"]);
    assert_eq!(code(alone.act(twice)), Some(Code::Invalid));
    let absent = alone.act(xattrs("f", &[], &["user.a"]));
    assert_eq!(code(absent), Some(Code::NotFound));
    let (room, large) = (XATTR_BYTES_MAX - 18, vec![7; XATTR_BYTES_MAX - 17]);
    assert_eq!(
        code(alone.act(xattrs("f", &[("user.d", &large)], &[]))),
        Some(Code::Invalid)
    );
    alone
        .act(xattrs("f", &[("user.d", &large[..room - 1])], &[]))
        .unwrap();
}

#[test]
fn attributes_belong_to_the_inode_and_go_with_a_copy() {
    let mut alone = Alone::new();
    alone.act(put("f")).unwrap();
    let (from, to) = (path("f"), path("g"));
    alone.act(Op::Link(v1::Link { from, to })).unwrap();
    alone.act(xattrs("g", &[("user.a", b"1")], &[])).unwrap();
    assert_eq!(names(alone.head(), "f"), ["user.a"]);
    alone.act(put("f")).unwrap();
    assert_eq!(
        names(alone.head(), "g"),
        ["user.a"],
        "other bytes, the same file"
    );
    alone.act(put("h")).unwrap();
    alone.act(xattrs("h", &[("user.old", b"1")], &[])).unwrap();
    let copy = Op::Copy(v1::Copy {
        from: path("f"),
        to: path("h"),
        mode: v1::CommitMode::Replace as i32,
        ..v1::Copy::default()
    });
    alone.act(copy).unwrap();
    assert_eq!(names(alone.head(), "h"), ["user.a"]);
}

type Entry = (AclTag, u32, u32);

fn entries(of: &[Entry]) -> Vec<v1::AclEntry> {
    let one = |(tag, id, perms): &Entry| v1::AclEntry {
        tag: *tag as i32,
        id: *id,
        perms: *perms,
    };
    of.iter().map(one).collect()
}

fn modify(at: &str, access: &[Entry], default: &[Entry]) -> Op {
    Op::SetAcl(v1::SetAcl {
        path: path(at),
        modify: entries(access),
        modify_in_default: entries(default),
        ..v1::SetAcl::default()
    })
}

/// (permission bits, access, default)
fn acl(alone: &Alone, at: &str) -> (u32, Vec<Entry>, Vec<Entry>) {
    let entry = alone.stat(at).unwrap();
    let all = |acl: &Option<v1::Acl>| {
        let entries = acl.iter().flat_map(|acl| &acl.entries);
        entries.map(|e| (e.tag(), e.id, e.perms)).collect()
    };
    let mode = entry.attr.unwrap().mode;
    (mode, all(&entry.acl), all(&entry.default_acl))
}

#[test]
fn the_mask_follows_from_the_entries_and_is_the_modes_group() {
    let mut alone = Alone::new();
    alone.act(put("f")).unwrap();
    let named = [(User, 7, 7), (Group, 8, 1)];
    alone.act(modify("f", &named, &[])).unwrap();
    let all = vec![(User, 7, 7), (GroupObj, 0, 4), (Group, 8, 1)];
    assert_eq!(acl(&alone, "f"), (0o674, all.clone(), vec![]));
    let chmod = |mode| {
        Op::SetAttr(v1::SetAttr {
            path: path("f"),
            mode: Some(mode),
            ..v1::SetAttr::default()
        })
    };
    alone.act(chmod(0o640)).unwrap();
    assert_eq!(acl(&alone, "f"), (0o640, all.clone(), vec![]));
    alone.act(modify("f", &[(Mask, 0, 5)], &[])).unwrap();
    assert_eq!(acl(&alone, "f"), (0o650, all, vec![]));
    let remove = Op::SetAcl(v1::SetAcl {
        path: path("f"),
        remove: entries(&named),
        ..v1::SetAcl::default()
    });
    alone.act(remove).unwrap();
    assert_eq!(
        acl(&alone, "f"),
        (0o640, vec![], vec![]),
        "nobody is named any more"
    );
    alone.act(modify("f", &named, &[])).unwrap();
    let bare = Op::SetAcl(v1::SetAcl {
        path: path("f"),
        remove_access: true,
        remove_default: true,
        ..v1::SetAcl::default()
    });
    alone.act(bare).unwrap();
    assert_eq!(acl(&alone, "f"), (0o640, vec![], vec![]));
    let many: Vec<Entry> = (0..32).map(|id| (User, id, 4)).collect();
    assert_eq!(
        code(alone.act(modify("f", &many, &[]))),
        Some(Code::Invalid)
    );
    let of_a_file = alone.act(modify("f", &[], &[(User, 7, 7)]));
    assert_eq!(code(of_a_file), Some(Code::WrongKind));
    let unknown = alone.act(modify("f", &[(UserObj, 0, 8)], &[]));
    assert_eq!(code(unknown), Some(Code::Invalid));
}

#[test]
fn what_is_made_inherits_the_default() {
    let mut alone = Alone::new();
    alone.act(make("d")).unwrap();
    alone.act(modify("d", &[], &[(User, 7, 7)])).unwrap();
    let default = vec![
        (UserObj, 0, 7),
        (User, 7, 7),
        (GroupObj, 0, 5),
        (Mask, 0, 7),
        (Other, 0, 5),
    ];
    let access = vec![(User, 7, 7), (GroupObj, 0, 5)];
    assert_eq!(acl(&alone, "d"), (0o755, vec![], default.clone()));
    alone.act(put("d/f")).unwrap();
    assert_eq!(acl(&alone, "d/f"), (0o644, access.clone(), vec![]));
    // Also through directories that are made with it, and seen from below.
    alone.act(make("d/a/b")).unwrap();
    let made = (0o755, access.clone(), default);
    assert_eq!(
        (acl(&alone, "d/a/b"), acl(&alone, "d/a").2),
        (made.clone(), made.2)
    );
    let base_inode = alone.stat("d").unwrap().inode;
    let mut below = put("g");
    if let Op::Commit(commit) = &mut below {
        let path = commit.path.get_or_insert_default();
        path.base_inode = base_inode;
    }
    alone.act(below).unwrap();
    assert_eq!(acl(&alone, "d/g"), (0o644, access, vec![]));
    alone.act(make("e/f")).unwrap();
    assert_eq!(acl(&alone, "e/f"), (0o755, vec![], vec![]));
}
