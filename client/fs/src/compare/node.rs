//! One entry of a compared tree, the order they come in, and in what two differ.

use std::cmp::Ordering;

use bytes::Bytes;
use dfs_wire::{Refusal, v1};

use crate::entry::{Entry, Kind};
use crate::transfer::local::Found;

/// What stands at a path.
#[derive(Clone, Debug)]
pub struct Node {
    /// Below the root; empty: the root itself.
    pub path: Vec<u8>,
    pub kind: Kind,
    pub size: u64,
    pub attr: v1::Attr,
    /// Of the content of a file, where it is known.
    pub crc32c: Option<u32>,
    /// Of a symlink.
    pub target: Bytes,
    /// The LSN it was read at; 0 of a local one.
    pub seen_lsn: u64,
    /// It is there, but cannot be read or stored.
    pub unreadable: Option<Refusal>,
    /// Nothing is said of it, and of what stands at its path on the other side.
    pub(crate) is_left_out: bool,
}

impl Node {
    pub(crate) fn of_entry(path: Vec<u8>, entry: &Entry, lsn: u64) -> Node {
        // Of a file that was cut inside an extent no checksum is known, and 0 is written.
        let known = entry.crc32c != 0 || entry.size == 0;
        Node {
            path,
            kind: entry.kind,
            size: if entry.is_file() { entry.size } else { 0 },
            attr: v1::Attr {
                mode: entry.mode,
                uid: entry.uid,
                gid: entry.gid,
                mtime_ns: entry.mtime_ns,
            },
            crc32c: (entry.is_file() && known).then_some(entry.crc32c),
            target: entry.link_target.clone(),
            seen_lsn: lsn,
            unreadable: None,
            is_left_out: false,
        }
    }

    pub(crate) fn of_local(path: Vec<u8>, found: &Found, target: Vec<u8>) -> Node {
        Node {
            path,
            kind: found.kind,
            size: if found.kind == Kind::File {
                found.size
            } else {
                0
            },
            attr: found.attr,
            crc32c: None,
            target: target.into(),
            seen_lsn: 0,
            unreadable: None,
            is_left_out: false,
        }
    }

    pub(crate) fn unreadable(path: Vec<u8>, refusal: Refusal) -> Node {
        Node {
            path,
            kind: Kind::File,
            size: 0,
            attr: v1::Attr::default(),
            crc32c: None,
            target: Bytes::new(),
            seen_lsn: 0,
            unreadable: Some(refusal),
            is_left_out: false,
        }
    }

    pub(crate) fn directory(path: Vec<u8>, attr: v1::Attr) -> Node {
        Node {
            path,
            kind: Kind::Directory,
            size: 0,
            attr,
            crc32c: None,
            target: Bytes::new(),
            seen_lsn: 0,
            unreadable: None,
            is_left_out: false,
        }
    }

    pub(crate) fn left_out(path: Vec<u8>) -> Node {
        Node {
            is_left_out: true,
            ..Node::directory(path, v1::Attr::default())
        }
    }

    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

/// A directory comes before what it holds, and all of that before what follows it.
pub(crate) fn order(left: &[u8], right: &[u8]) -> Ordering {
    let names = |path| <[u8]>::split(path, |b: &u8| *b == b'/').filter(|name| !name.is_empty());
    names(left).cmp(names(right))
}

pub(crate) fn is_below(path: &[u8], above: &Option<Vec<u8>>) -> bool {
    let Some(above) = above else {
        return false;
    };
    let rest = path.strip_prefix(above.as_slice());
    rest.is_some_and(|rest| above.is_empty() || rest.first() == Some(&b'/'))
}

pub(crate) fn are_files_of_one_size(left: &Node, right: &Node) -> bool {
    left.kind == Kind::File && right.kind == Kind::File && left.size == right.size
}

/// In what two entries at one path differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub kind: bool,
    pub size: bool,
    /// Kind, bytes or target: it has to be transferred.
    pub content: bool,
    pub mode: bool,
    pub owner: bool,
    pub mtime: bool,
}

impl Changes {
    /// `by_content`: checksums decide where both are known; else the mtime does.
    pub(crate) fn between(left: &Node, right: &Node, by_content: bool) -> Changes {
        let kind = left.kind != right.kind;
        let is_file = !kind && left.kind == Kind::File;
        let size = is_file && left.size != right.size;
        let mtime = left.attr.mtime_ns != right.attr.mtime_ns;
        let bytes = match (left.crc32c, right.crc32c) {
            (Some(left), Some(right)) if by_content => left != right,
            _ => mtime,
        };
        let target = !kind && left.kind == Kind::Symlink && left.target != right.target;
        let owner = |attr: &v1::Attr| (attr.uid, attr.gid);
        Changes {
            kind,
            size,
            content: kind || target || size || is_file && bytes,
            mode: left.attr.mode != right.attr.mode && left.kind != Kind::Symlink,
            owner: owner(&left.attr) != owner(&right.attr),
            mtime,
        }
    }

    pub fn attributes(&self) -> bool {
        self.mode || self.owner || self.mtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, mtime_ns: i64, crc32c: Option<u32>) -> Node {
        Node {
            kind: Kind::File,
            size,
            crc32c,
            attr: v1::Attr {
                mtime_ns,
                ..v1::Attr::default()
            },
            unreadable: None,
            ..Node::unreadable(b"f".to_vec(), Refusal::new(dfs_wire::Code::Invalid, "", ""))
        }
    }

    #[test]
    fn what_a_directory_holds_comes_before_what_follows_it() {
        let mut paths = vec!["b", "a-b", "a/z", "a", "", "a/b/c", "a/b"];
        paths.sort_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        assert_eq!(paths, ["", "a", "a/b", "a/b/c", "a/z", "a-b", "b"]);
    }

    #[test]
    fn below_goes_by_names() {
        let above = |path: &str| Some(path.as_bytes().to_vec());
        assert!(is_below(b"a/b", &above("a")) && is_below(b"a", &above("")));
        assert!(!is_below(b"ab", &above("a")) && !is_below(b"a", &above("a")));
        assert!(!is_below(b"a", &None));
    }

    #[test]
    fn size_and_time_or_the_checksum_decide() {
        let one = file(5, 10, Some(1));
        let between = |other: &Node, by_content| Changes::between(&one, other, by_content);
        assert_eq!(between(&one, false), Changes::default());
        assert!(between(&file(5, 11, Some(1)), false).content);
        assert!(!between(&file(5, 11, Some(1)), true).content);
        assert!(between(&file(5, 11, Some(1)), true).mtime);
        assert!(between(&file(5, 10, Some(2)), true).content);
        assert!(!between(&file(5, 10, Some(2)), false).content);
        let larger = between(&file(6, 10, None), true);
        assert!(larger.size && larger.content);
        assert!(
            between(&file(5, 11, None), true).content,
            "not known: by time"
        );
    }

    #[test]
    fn kinds_and_targets_are_content() {
        let link = |target: &'static str| Node {
            kind: Kind::Symlink,
            target: Bytes::from_static(target.as_bytes()),
            ..file(0, 1, None)
        };
        assert!(Changes::between(&link("a"), &link("b"), false).content);
        assert!(!Changes::between(&link("a"), &link("a"), true).content);
        let changed = Changes::between(&link("a"), &file(0, 1, None), true);
        assert!(changed.kind && changed.content && !changed.size);
    }
}
