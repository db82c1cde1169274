//! A local tree in the order of its names. Of each directory on the way down all names are held, because
//! the operating system gives them in no order.

use std::path::PathBuf;

use dfs_env::Env;
use dfs_wire::{Code, Refusal};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::node::Node;
use super::remote::below;
use super::{Keep, Nodes};
use crate::entry::Kind;
use crate::transfer::local::{self as files, Found};

struct Walk {
    env: Env,
    root: PathBuf,
    keep: Option<Keep>,
    /// From the root down: what is left of each directory on the way, the last name first.
    levels: Vec<Vec<Node>>,
}

/// Nothing when there is nothing at `root`.
pub(super) fn walk(env: Env, root: PathBuf, keep: Option<Keep>) -> Nodes {
    let begun = async move {
        let path = root.clone();
        let first = env.blocking(move || look(path, Vec::new())).await;
        let levels = match first {
            Err(refusal) if refusal.code() == Code::NotFound => Vec::new(),
            first => vec![vec![first?]],
        };
        let walk = Walk {
            env,
            root,
            keep,
            levels,
        };
        Ok::<_, Refusal>(stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|node| (node, walk)))
        }))
    };
    stream::once(begun).try_flatten().boxed()
}

fn look(path: PathBuf, at: Vec<u8>) -> Result<Node, Refusal> {
    let found = files::look(&path)?;
    let target = match found.kind {
        Kind::Symlink => files::read_link(&path)?,
        _ => Vec::new(),
    };
    Ok(Node::of_local(at, &found, target))
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Node>, Refusal> {
        while let Some(level) = self.levels.last_mut() {
            let Some(node) = level.pop() else {
                self.levels.pop();
                continue;
            };
            if !node.is_directory() || node.is_left_out || node.unreadable.is_some() {
                return Ok(Some(node));
            }
            let (root, keep, at) = (self.root.clone(), self.keep.clone(), node.path.clone());
            let listed = self.env.blocking(move || list(root, at, &keep)).await;
            return Ok(Some(match listed {
                Ok(nodes) => {
                    self.levels.push(nodes);
                    node
                }
                // Nothing is said of what it holds: neither that it is there nor that it is gone.
                Err(refusal) => Node {
                    unreadable: Some(refusal),
                    ..node
                },
            }));
        }
        Ok(None)
    }
}

/// What cannot be looked at may be a directory: it counts if it would as one or as a file, so that it is
/// told of and not taken for gone.
fn counts(keep: &Option<Keep>, path: &[u8], found: &Result<Found, Refusal>) -> bool {
    match found {
        Ok(found) => Keep::all(keep, path, found.kind == Kind::Directory),
        // A pipe or a device.
        Err(refusal) if refusal.code() == Code::WrongKind => Keep::all(keep, path, false),
        Err(_) => Keep::all(keep, path, true) || Keep::all(keep, path, false),
    }
}

/// What a directory holds, the last name first.
fn list(root: PathBuf, at: Vec<u8>, keep: &Option<Keep>) -> Result<Vec<Node>, Refusal> {
    let directory = files::below(&root, &at);
    let mut listing = files::open_directory(&directory)?;
    let names = files::next_names(&directory, &mut listing, usize::MAX)?;
    let mut nodes = Vec::with_capacity(names.len());
    for (name, found) in names {
        let path = below(&at, &name);
        if files::is_unfinished(&name) {
            continue;
        }
        if !counts(keep, &path, &found) {
            nodes.push(Node::left_out(path));
            continue;
        }
        nodes.push(match found {
            Ok(found) if found.kind == Kind::Symlink => {
                let target = files::read_link(&files::join(&directory, &name));
                match target {
                    Ok(target) => Node::of_local(path, &found, target),
                    Err(refusal) => Node::unreadable(path, refusal),
                }
            }
            Ok(found) => Node::of_local(path, &found, Vec::new()),
            Err(refusal) => Node::unreadable(path, refusal),
        });
    }
    // Of one directory: by name is by path.
    nodes.sort_by(|a, b| b.path.cmp(&a.path));
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_a_file() {
        let jpg = |path: &[u8], directory: bool| directory || path.ends_with(b".jpg");
        let not_o = |path: &[u8], _: bool| !path.ends_with(b".o");
        let only_jpg = Some(Keep(Arc::new(jpg)));
        let no_o = Some(Keep(Arc::new(not_o)));
        let failed = |code| Err(Refusal::new(code, "looking", "it failed"));
        assert!(counts(&only_jpg, b"photos", &failed(Code::Corrupt)));
        assert!(!counts(&only_jpg, b"pipe", &failed(Code::WrongKind)));
        assert!(!counts(&no_o, b"a.o", &failed(Code::Denied)));
        assert!(counts(&None, b"a.o", &failed(Code::Denied)));
    }
}
