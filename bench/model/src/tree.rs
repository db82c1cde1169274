//! One state of the namespace: a map from whole paths to nodes; what has several names is there as often.
use dfs_wire::Code;
use dfs_wire::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use dfs_wire::v1;
use std::collections::BTreeMap;

/// Names from the root down; empty: the root.
pub(crate) type Names = Vec<Vec<u8>>;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: v1::Kind,
    pub attr: v1::Attr,
    /// Of a file; its checksum is 0, for nobody here computes it.
    pub content: v1::Content,
    pub link_target: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The record by which it got its second name, and by which its names know each other; 0: it had only this one.
    pub link: u64,
    /// Names that lead to it, with those that went away with a directory above them.
    pub links: u64,
    /// The last record that changed the node; of a directory also one that changed what is in it.
    pub lsn: u64,
}

/// All nodes at one LSN.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    nodes: BTreeMap<Names, Node>,
    /// By number: the last record that changed it, and to what (`None`: what the cluster was made with).
    pub settings: BTreeMap<u32, (u64, Option<u64>)>,
}

impl Tree {
    /// An empty root.
    pub(crate) fn new(lsn: u64, attr: v1::Attr) -> Tree {
        Tree {
            nodes: BTreeMap::from([(Names::new(), Node::directory(attr, lsn))]),
            settings: BTreeMap::new(),
        }
    }

    pub(crate) fn node(&self, names: &[Vec<u8>]) -> Option<&Node> {
        self.nodes.get(names)
    }

    pub(crate) fn node_mut(&mut self, names: &[Vec<u8>]) -> Option<&mut Node> {
        self.nodes.get_mut(names)
    }

    pub(crate) fn put(&mut self, names: Names, node: Node) {
        self.nodes.insert(names, node);
    }

    /// Everything at and below a path, taken out: paths relative to it.
    pub(crate) fn take(&mut self, names: &[Vec<u8>]) -> Vec<(Names, Node)> {
        let below: Vec<Names> = self
            .nodes
            .keys()
            .filter(|path| path.starts_with(names))
            .cloned()
            .collect();
        below
            .into_iter()
            .filter_map(|path| {
                let node = self.nodes.remove(&path)?;
                Some((path[names.len()..].to_vec(), node))
            })
            .collect()
    }

    /// The other names of a node that was linked are what this one is.
    pub(crate) fn spread(&mut self, node: &Node) {
        let others = self.nodes.values_mut();
        for other in others.filter(|other| node.link > 0 && other.link == node.link) {
            *other = node.clone();
        }
    }

    /// (name, node) of each entry of a directory, by name.
    pub fn children(&self, names: &[Vec<u8>]) -> Vec<(Vec<u8>, &Node)> {
        let inside = |path: &&Names| path.len() == names.len() + 1 && path.starts_with(names);
        let paths = self.nodes.keys().filter(inside);
        paths
            .filter_map(|path| Some((path.last()?.clone(), self.node(path)?)))
            .collect()
    }

    /// Every path with its node.
    pub fn all(&self) -> impl Iterator<Item = (&[Vec<u8>], &Node)> {
        self.nodes.iter().map(|(path, node)| (&path[..], node))
    }

    /// The names of a path, all but the last of which must be directories that exist.
    pub(crate) fn resolve(&self, path: &v1::Path) -> Result<Names, Code> {
        let names = names(path)?;
        if path.tree != 0 || path.base_inode > 1 {
            return Err(Code::NotFound);
        }
        for depth in 1..names.len() {
            let above = self.node(&names[..depth]).ok_or(Code::NotFound)?;
            if above.kind != v1::Kind::Directory {
                return Err(Code::WrongKind);
            }
        }
        Ok(names)
    }
}

pub(crate) fn names(path: &v1::Path) -> Result<Names, Code> {
    let names: Names = path
        .path
        .split(|byte| *byte == b'/')
        .filter(|n| !n.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let wrong = |name: &Vec<u8>| {
        name.len() > NAME_BYTES_MAX || name == b"." || name == b".." || name.contains(&0)
    };
    if path.path.len() > PATH_BYTES_MAX || names.iter().any(wrong) {
        return Err(Code::Invalid);
    }
    Ok(names)
}

impl Node {
    pub(crate) fn directory(attr: v1::Attr, lsn: u64) -> Node {
        let (content, link_target) = Default::default();
        Node {
            kind: v1::Kind::Directory,
            attr,
            content,
            link_target,
            xattrs: BTreeMap::new(),
            link: 0,
            links: 1,
            lsn,
        }
    }

    pub(crate) fn file(attr: v1::Attr, content: v1::Content, lsn: u64) -> Node {
        let content = v1::Content {
            crc32c: 0,
            ..content
        };
        Node {
            kind: v1::Kind::File,
            attr,
            content,
            link_target: Vec::new(),
            xattrs: BTreeMap::new(),
            link: 0,
            links: 1,
            lsn,
        }
    }
}
