//! A namespace in a map from paths; it has no past.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfs_extents::combine;
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, Refusal, v1};

/// Later than any time that a test sets.
const NOW_NS: i64 = 2_000_000_000_000_000_000;

pub(crate) struct Namespace {
    pub(crate) lsn: u64,
    pub(crate) mutations: u64,
    /// By the path without a slash at either end; the root is "".
    pub(crate) nodes: BTreeMap<Vec<u8>, Node>,
}

#[derive(Clone, Default)]
pub(crate) struct Node {
    inode: u64,
    kind: v1::Kind,
    pub(crate) attr: v1::Attr,
    pub(crate) content: v1::Content,
    target: Bytes,
    lsn: u64,
}

impl Default for Namespace {
    fn default() -> Self {
        let root = Node {
            inode: 1,
            kind: v1::Kind::Directory,
            ..Node::default()
        };
        let nodes = BTreeMap::from([(Vec::new(), root)]);
        Namespace {
            lsn: 1,
            mutations: 0,
            nodes,
        }
    }
}

fn refuse(code: Code, path: &[u8]) -> Refusal {
    Refusal::new(code, String::from_utf8_lossy(path), "the fake says so")
}

fn parent(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path[..end].to_vec()
}

fn name(path: &[u8]) -> Bytes {
    let begin = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    Bytes::copy_from_slice(&path[begin..])
}

fn path(path: Option<v1::Path>) -> Vec<u8> {
    path.expect("a path").path.to_vec()
}

impl Namespace {
    pub(crate) fn entry(&self, path: &[u8], with_content: bool) -> Result<v1::Entry, Refusal> {
        let node = self
            .nodes
            .get(path)
            .ok_or_else(|| refuse(Code::NotFound, path))?;
        Ok(v1::Entry {
            inode: node.inode,
            parent: 0,
            name: name(path),
            kind: node.kind.into(),
            attr: Some(node.attr),
            size: node.content.size,
            lsn: node.lsn,
            log_time_us: node.lsn,
            content: with_content.then(|| node.content.clone()),
            link_target: node.target.clone(),
            children: self.children(path).count() as u64,
            crc32c: node.content.crc32c,
            extents: node.content.extents.len() as u32,
            links: 1,
            ..v1::Entry::default()
        })
    }

    fn children<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a Vec<u8>> {
        let below = self.nodes.range(path.to_vec()..).map(|(child, _)| child);
        let below = below
            .skip(1)
            .take_while(move |child| child.starts_with(path));
        below.filter(move |child| parent(child) == path)
    }

    pub(crate) fn list(&self, request: &v1::ListRequest) -> Result<v1::Listing, Refusal> {
        let at = path(request.path.clone());
        let directory = self.entry(&at, false)?;
        if directory.kind() != v1::Kind::Directory {
            return Err(refuse(Code::WrongKind, &at));
        }
        let limit = if request.limit == 0 {
            1000
        } else {
            request.limit as usize
        };
        let mut names: Vec<&Vec<u8>> = self.children(&at).collect();
        names.sort_by_key(|path| name(path));
        names.retain(|path| name(path) > request.after_name);
        let more = names.len() > limit;
        let entries = names
            .iter()
            .take(limit)
            .map(|path| self.entry(path, request.with_content));
        Ok(v1::Listing {
            directory: Some(directory),
            entries: entries.collect::<Result<_, _>>()?,
            more,
        })
    }

    fn check_version(&self, op: &Op, if_lsn: Option<u64>) -> Result<(), Refusal> {
        let (at, if_lsn) = match op {
            Op::Commit(op) => (&op.path, op.if_lsn.or(if_lsn)),
            Op::Append(op) => (&op.path, if_lsn),
            Op::SetAttr(op) => (&op.path, if_lsn),
            Op::Remove(op) => (&op.path, if_lsn),
            Op::Copy(op) => (&op.to, if_lsn),
            _ => return Ok(()),
        };
        let at = path(at.clone());
        let version = self.nodes.get(&at).map_or(0, |node| node.lsn);
        match if_lsn.is_none_or(|if_lsn| if_lsn == version) {
            true => Ok(()),
            false => Err(refuse(Code::Conflict, &at)),
        }
    }

    pub(crate) fn mutate(&mut self, mutate: v1::Mutate) -> Result<v1::Done, Refusal> {
        let op = mutate.op.expect("an operation");
        self.check_version(&op, mutate.if_lsn)?;
        let done = match op {
            Op::MakeDirectory(make) => self.make_directory(make)?,
            Op::Commit(commit) => {
                let at = path(commit.path);
                let node = Node {
                    kind: v1::Kind::File,
                    attr: commit.attr.unwrap_or_default(),
                    content: commit.content.unwrap_or_default(),
                    ..Node::default()
                };
                self.put(at, node, commit.mode == v1::CommitMode::Replace as i32)?
            }
            Op::MakeSymlink(make) => {
                let attr = make.attr.unwrap_or_default();
                let target = make.target;
                let node = Node {
                    kind: v1::Kind::Symlink,
                    attr,
                    target,
                    ..Node::default()
                };
                self.put(path(make.path), node, make.replace)?
            }
            Op::Remove(remove) => self.remove(&path(remove.path), remove.recursive)?,
            Op::SetAttr(set) => self.set_attr(set)?,
            Op::Append(append) => self.append(append)?,
            Op::Copy(copy) => self.copy_file(&path(copy.from), path(copy.to))?,
            other => return Err(refuse(Code::Invalid, format!("{other:?}").as_bytes())),
        };
        self.mutations += 1;
        Ok(done)
    }

    fn put(&mut self, at: Vec<u8>, node: Node, replace: bool) -> Result<v1::Done, Refusal> {
        match self.nodes.get(&parent(&at)).map(|node| node.kind) {
            Some(v1::Kind::Directory) => {}
            Some(_) => return Err(refuse(Code::WrongKind, &at)),
            None => return Err(refuse(Code::NotFound, &at)),
        }
        match self.nodes.get(&at).map(|node| node.kind) {
            Some(v1::Kind::Directory) if replace => return Err(refuse(Code::WrongKind, &at)),
            Some(_) if !replace => return Err(refuse(Code::Exists, &at)),
            _ => {}
        }
        self.lsn += 1;
        let lsn = self.lsn;
        if let Some(above) = self.nodes.get_mut(&parent(&at)) {
            above.attr.mtime_ns = above.attr.mtime_ns.max(NOW_NS + lsn as i64);
        }
        self.nodes.insert(
            at,
            Node {
                inode: lsn,
                lsn,
                ..node
            },
        );
        Ok(v1::Done {
            inode: lsn,
            entries: 1,
        })
    }

    fn make_directory(&mut self, make: v1::MakeDirectory) -> Result<v1::Done, Refusal> {
        let at = path(make.path);
        let attr = make.attr.unwrap_or_default();
        let mut missing = vec![at.clone()];
        while make.parents
            && !self
                .nodes
                .contains_key(&parent(missing.last().expect("one")))
        {
            missing.push(parent(missing.last().expect("one")));
        }
        if make.exist_ok
            && self
                .nodes
                .get(&at)
                .is_some_and(|n| n.kind == v1::Kind::Directory)
        {
            return Ok(v1::Done::default());
        }
        let mut done = v1::Done::default();
        while let Some(next) = missing.pop() {
            let node = Node {
                kind: v1::Kind::Directory,
                attr,
                ..Node::default()
            };
            done = self.put(next, node, false)?;
        }
        Ok(done)
    }

    fn remove(&mut self, at: &[u8], recursive: bool) -> Result<v1::Done, Refusal> {
        let entry = self.entry(at, false)?;
        if entry.children > 0 && !recursive {
            return Err(refuse(Code::NotEmpty, at));
        }
        self.nodes
            .retain(|path, _| path != at && !path.starts_with(&[at, b"/"].concat()));
        self.lsn += 1;
        Ok(v1::Done {
            inode: entry.inode,
            entries: entry.children,
        })
    }

    /// Of the file as it is, because there is no past.
    fn copy_file(&mut self, from: &[u8], to: Vec<u8>) -> Result<v1::Done, Refusal> {
        let node = self.nodes.get(from).filter(|n| n.kind == v1::Kind::File);
        let node = node.cloned().ok_or_else(|| refuse(Code::NotFound, from))?;
        self.put(to, node, true)
    }

    fn set_attr(&mut self, set: v1::SetAttr) -> Result<v1::Done, Refusal> {
        let at = path(set.path);
        self.lsn += 1;
        let node = self
            .nodes
            .get_mut(&at)
            .ok_or_else(|| refuse(Code::NotFound, &at))?;
        node.lsn = self.lsn;
        node.attr = v1::Attr {
            mode: set.mode.unwrap_or(node.attr.mode),
            uid: set.uid.unwrap_or(node.attr.uid),
            gid: set.gid.unwrap_or(node.attr.gid),
            mtime_ns: set.mtime_ns.unwrap_or(node.attr.mtime_ns),
        };
        Ok(v1::Done {
            inode: node.inode,
            entries: 0,
        })
    }

    fn append(&mut self, append: v1::Append) -> Result<v1::Done, Refusal> {
        let at = path(append.path);
        self.lsn += 1;
        let node = self
            .nodes
            .get_mut(&at)
            .ok_or_else(|| refuse(Code::NotFound, &at))?;
        let more = append.content.unwrap_or_default();
        if !node.content.inline.is_empty() && !more.extents.is_empty()
            || !node.content.extents.is_empty() && !more.inline.is_empty()
        {
            return Err(refuse(Code::State, &at));
        }
        node.lsn = self.lsn;
        node.content.crc32c = combine(node.content.crc32c, more.crc32c, more.size);
        node.content.size += more.size;
        node.content.inline = [&node.content.inline[..], &more.inline[..]].concat().into();
        node.content.extents.extend(more.extents);
        Ok(v1::Done {
            inode: node.inode,
            entries: 0,
        })
    }
}
