//! Where something is: a tree and a path of bytes, checked before the wire.

use std::fmt;

use bytes::Bytes;
use dfs_wire::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use dfs_wire::{Code, Refusal, v1};

/// The main tree; others are branches.
pub const MAIN_TREE: u64 = 0;

/// A tree and a path in it. The path is normalised: names between single slashes, no slash at
/// either end; empty is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    tree: u64,
    path: Bytes,
}

impl Address {
    pub fn root(tree: u64) -> Address {
        Address {
            tree,
            path: Bytes::new(),
        }
    }

    /// Of the main tree; see [`Address::in_tree`].
    pub fn new(path: impl AsRef<[u8]>) -> Result<Address, Refusal> {
        Address::in_tree(MAIN_TREE, path)
    }

    /// Any bytes but NUL. `//`, a slash at the end and `.` collapse; `..` is refused, because what
    /// it means depends on symlinks that nobody follows here. Names of 1–255 bytes, at most 4,096
    /// bytes in all.
    pub fn in_tree(tree: u64, path: impl AsRef<[u8]>) -> Result<Address, Refusal> {
        let path = path.as_ref();
        let mut normal = Vec::with_capacity(path.len());
        for name in path.split(|byte| *byte == b'/') {
            if name.is_empty() || name == b"." {
                continue;
            }
            check_name(path, name)?;
            if !normal.is_empty() {
                normal.push(b'/');
            }
            normal.extend_from_slice(name);
        }
        if normal.len() > PATH_BYTES_MAX {
            let why = format!(
                "a path has at most {PATH_BYTES_MAX} bytes, this one {}",
                normal.len()
            );
            return Err(invalid(path, why));
        }
        Ok(Address {
            tree,
            path: normal.into(),
        })
    }

    pub fn tree(&self) -> u64 {
        self.tree
    }

    /// Without a slash at either end.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    pub fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
    }

    /// The last name; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.names().last()
    }

    /// The directory it stands in; `None` for the root.
    pub fn parent(&self) -> Option<Address> {
        let name = self.name()?;
        let end = (self.path.len() - name.len()).saturating_sub(1);
        Some(Address {
            tree: self.tree,
            path: self.path.slice(..end),
        })
    }

    /// Below this, by one name or several.
    pub fn join(&self, below: impl AsRef<[u8]>) -> Result<Address, Refusal> {
        let mut path = self.path.to_vec();
        path.push(b'/');
        path.extend_from_slice(below.as_ref());
        Address::in_tree(self.tree, path)
    }

    /// True for itself and for everything below it.
    pub fn contains(&self, other: &Address) -> bool {
        let rest = other.path.strip_prefix(&*self.path);
        self.tree == other.tree
            && rest.is_some_and(|rest| self.is_root() || rest.is_empty() || rest[0] == b'/')
    }

    pub(crate) fn to_wire(&self) -> v1::Path {
        v1::Path {
            tree: self.tree,
            base_inode: 0,
            path: self.path.clone(),
        }
    }
}

impl fmt::Display for Address {
    /// `/a/b`; bytes that are not UTF-8 as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.path))
    }
}

fn check_name(path: &[u8], name: &[u8]) -> Result<(), Refusal> {
    if name == b".." {
        return Err(invalid(path, "`..` has no meaning here".into()));
    }
    if name.contains(&0) {
        return Err(invalid(path, "a name cannot hold a NUL byte".into()));
    }
    if name.len() > NAME_BYTES_MAX {
        let why = format!(
            "a name has at most {NAME_BYTES_MAX} bytes, this one {}",
            name.len()
        );
        return Err(invalid(path, why));
    }
    Ok(())
}

/// How much of a bad path an error shows: enough to recognise it on one line.
const SHOWN_BYTES: usize = 80;

fn invalid(path: &[u8], why: String) -> Refusal {
    let mut shown = String::from_utf8_lossy(&path[..path.len().min(SHOWN_BYTES)]).into_owned();
    if path.len() > SHOWN_BYTES {
        shown.push('…');
    }
    Refusal::new(Code::Invalid, format!("path {shown:?}"), why).advice("Correct the path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<u8> {
        Address::new(text).unwrap().path().to_vec()
    }

    #[test]
    fn slashes_collapse_and_bytes_stay() {
        assert_eq!(path("/a//b/"), b"a/b");
        assert_eq!(path("a/./b"), b"a/b");
        assert_eq!(path("///"), b"");
        let odd = Address::new(b"/x/\xff\xfe y\n").unwrap();
        assert_eq!(odd.name(), Some(&b"\xff\xfe y\n"[..]));
        assert_eq!(odd.parent(), Some(Address::new("x").unwrap()));
        assert_eq!(Address::new("/").unwrap().parent(), None);
    }

    #[test]
    fn bounds_are_refused_before_the_wire() {
        for (bad, ok) in [
            ("/a/../b".to_owned(), "/a/..b".to_owned()),
            ("/a\0".to_owned(), "/a".to_owned()),
            ("n".repeat(256), "n".repeat(255)),
            ("d/".repeat(2500), "d/".repeat(40)),
            (
                format!("{}n", "d/".repeat(2048)),
                format!("{}nn", "d/".repeat(2047)),
            ),
        ] {
            assert_eq!(
                Address::new(&bad).unwrap_err().code(),
                Code::Invalid,
                "{bad:.20}"
            );
            assert!(Address::new(&ok).is_ok(), "{ok:.20}");
        }
    }

    #[test]
    fn containing_goes_by_names() {
        let at = |path: &str| Address::new(path).unwrap();
        assert!(at("/a").contains(&at("/a/b")) && at("/a").contains(&at("/a")));
        assert!(at("/").contains(&at("/a")));
        assert!(!at("/a").contains(&at("/ab")) && !at("/a/b").contains(&at("/a")));
        assert!(at("/a").join("b").unwrap().join("..").is_err());
    }
}
