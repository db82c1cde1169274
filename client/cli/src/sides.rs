//! The two sides of diff and sync: an address, or local files.
use crate::address;
use crate::call::{Call, Place};
use crate::failure::{Failure, Outcome};
use crate::local::Local;
use crate::output::Item;
use crate::{calendar, figures, json, quote};
use dfs_fs::compare::{Changes, Node, Pair, Side};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One side, and how it is called.
pub(crate) enum Named {
    Local(PathBuf),
    Remote(Box<Place>),
}

impl Named {
    pub(crate) fn side(&self) -> Side {
        match self {
            Named::Local(path) => Side::Local(path.clone()),
            Named::Remote(place) => Side::Remote(place.fs.clone(), place.at.clone(), place.when),
        }
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Named::Remote(place) => Some(place),
            Named::Local(_) => None,
        }
    }
}

/// What begins with `/` or has a tree or a profile before it is an address; all else is local.
pub(crate) fn is_local(argument: &OsStr) -> bool {
    let bytes = argument.as_bytes();
    let before = bytes.split(|b| *b == b'/').next().unwrap_or_default();
    bytes.starts_with(b"file:")
        || !bytes.contains(&b'/')
        || !(before.is_empty() || before.ends_with(b":"))
}

impl Call {
    /// Something to read. `written`: something to write.
    pub(crate) async fn side(&self, argument: &OsStr, written: bool) -> Outcome<Named> {
        if is_local(argument) {
            return match Local::parse(argument) {
                Local::Path(path) => Ok(Named::Local(path)),
                Local::Standard => {
                    let advice = "Name a file or a directory";
                    Err(Failure::usage(
                        "bad side `-`",
                        "a stream is no tree",
                        advice,
                    ))
                }
            };
        }
        let place = match written {
            true => self.target(argument).await?,
            false => self.place(argument).await?,
        };
        Ok(Named::Remote(Box::new(place)))
    }
}

/// What has become of a path between the left and the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Become {
    Added,
    Removed,
    Changed,
}

/// `None`: nothing that counts.
pub(crate) fn become_of(pair: &Pair, attributes: bool) -> Option<Become> {
    match (&pair.left, &pair.right) {
        (None, _) => Some(Become::Added),
        (_, None) => Some(Become::Removed),
        _ if pair.changes.content || attributes && pair.changes.attributes() => {
            Some(Become::Changed)
        }
        _ => None,
    }
}

/// A line `~ a/b (size 10 → 12, content)` and its JSON.
pub(crate) fn item(pair: &Pair, became: Become, attributes: bool) -> Item {
    let path = match pair.path.as_slice() {
        b"" => b".".as_slice(),
        path => path,
    };
    let mut shown = quote::shown(path);
    let node = pair.right.as_ref().or(pair.left.as_ref());
    if node.is_some_and(Node::is_directory) && !pair.path.is_empty() {
        shown.push('/');
    }
    let (mark, word) = match became {
        Become::Added => ("+", "added"),
        Become::Removed => ("-", "removed"),
        Become::Changed => ("~", "changed"),
    };
    let differs = differences(pair, attributes);
    let more = match differs.is_empty() {
        true => String::new(),
        false => format!(" ({})", differs.join(", ")),
    };
    let mut fields = json!({ "change": word });
    json::put_bytes(&mut fields, "path", path);
    fields["left"] = pair.left.as_ref().map_or(Value::Null, node_json);
    fields["right"] = pair.right.as_ref().map_or(Value::Null, node_json);
    fields["differs"] = kinds(&pair.changes, attributes).into();
    Item {
        json: fields,
        name: address::escape(path)[1..].to_vec(),
        cells: vec![format!("{mark} {shown}{more}")],
    }
}

fn kinds(changes: &Changes, attributes: bool) -> Vec<&'static str> {
    let all = [
        (changes.kind, "kind"),
        (changes.size, "size"),
        (changes.content, "content"),
        (attributes && changes.mode, "mode"),
        (attributes && changes.owner, "owner"),
        (attributes && changes.mtime, "mtime"),
    ];
    all.iter()
        .filter(|(differs, _)| *differs)
        .map(|(_, name)| *name)
        .collect()
}

fn differences(pair: &Pair, attributes: bool) -> Vec<String> {
    let (Some(left), Some(right)) = (&pair.left, &pair.right) else {
        return Vec::new();
    };
    let changes = &pair.changes;
    let mut told = Vec::new();
    if changes.kind {
        told.push(format!("{} → {}", left.kind.name(), right.kind.name()));
    }
    if changes.size {
        told.push(format!("size {} → {}", left.size, right.size));
    }
    if changes.content && !changes.kind {
        told.push("content".to_string());
    }
    if !attributes {
        return told;
    }
    if changes.mode {
        told.push(format!(
            "mode {:04o} → {:04o}",
            left.attr.mode, right.attr.mode
        ));
    }
    if changes.owner {
        let owner = |node: &Node| format!("{}:{}", node.attr.uid, node.attr.gid);
        told.push(format!("owner {} → {}", owner(left), owner(right)));
    }
    if changes.mtime {
        let time = |node: &Node| calendar::format_mtime(node.attr.mtime_ns);
        told.push(format!("modified {} → {}", time(left), time(right)));
    }
    told
}

fn node_json(node: &Node) -> Value {
    let crc32c = node.crc32c.map(|sum| format!("{sum:08x}"));
    let mut fields = json!({
        "type": node.kind.name(), "size": node.size, "mode": node.attr.mode, "uid": node.attr.uid,
        "gid": node.attr.gid, "mtime_ns": node.attr.mtime_ns, "crc32c": crc32c,
    });
    if !node.target.is_empty() {
        json::put_bytes(&mut fields, "target", &node.target);
    }
    fields
}

/// `3 differences: 1 added, 2 changed`.
pub(crate) fn sum(counts: [u64; 3]) -> String {
    let words = ["added", "removed", "changed"];
    let told = counts.iter().zip(words).filter(|(count, _)| **count > 0);
    let told: Vec<String> = told
        .map(|(count, word)| format!("{} {word}", figures::thousands(*count)))
        .collect();
    match told.is_empty() {
        true => "no difference".to_string(),
        false => format!(
            "{}: {}",
            figures::count(counts.iter().sum(), "difference", "differences"),
            told.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_begin_with_a_slash_or_a_name_before_one() {
        for remote in ["/", "/a", "main:/a", "dev:main:/a"] {
            assert!(!is_local(OsStr::new(remote)), "{remote}");
        }
        for local in [
            "a", ".", "./a", "../a", "a/b", "file:/a", "file:a", "a:b", "-",
        ] {
            assert!(is_local(OsStr::new(local)), "{local}");
        }
    }

    #[test]
    fn differences_are_summed_up() {
        assert_eq!(sum([0, 0, 0]), "no difference");
        assert_eq!(sum([1, 0, 0]), "1 difference: 1 added");
        assert_eq!(
            sum([1, 0, 2000]),
            "2,001 differences: 1 added, 2,000 changed"
        );
    }
}
