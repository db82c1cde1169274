//! All states there ever were, by LSN.
use crate::operations;
use crate::tree::{Node, Tree};
use dfs_wire::{Code, v1};
use std::collections::BTreeMap;
use std::sync::Arc;

/// For whom an operation is done, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Who {
    pub uid: u32,
    pub gid: u32,
    pub now_ns: i64,
}

/// The reference file system with its whole past.
#[derive(Clone, Debug)]
pub struct Model {
    states: BTreeMap<u64, Arc<Tree>>,
}

impl Model {
    /// Born at `lsn` with an empty root.
    pub fn new(lsn: u64, root: v1::Attr) -> Model {
        Model {
            states: BTreeMap::from([(lsn, Arc::new(Tree::new(lsn, root)))]),
        }
    }

    /// The state after the last record ≤ `lsn`; `None` before its birth.
    pub fn at(&self, lsn: u64) -> Option<&Tree> {
        self.states
            .range(..=lsn)
            .next_back()
            .map(|(_, tree)| &**tree)
    }

    /// The newest state.
    pub fn now(&self) -> &Tree {
        self.at(u64::MAX).expect("a model is born with a state")
    }

    /// What a request would be refused with now; `None`: it would be done.
    pub fn refusal(&self, request: &v1::Mutate) -> Option<Code> {
        operations::apply(self, request, 0, Who::default()).err()
    }

    /// Does a request as the record at `lsn`, above all before it.
    pub fn apply(&mut self, request: &v1::Mutate, lsn: u64, who: Who) -> Result<(), Code> {
        assert!(self.states.keys().next_back() < Some(&lsn), "LSNs rise");
        let tree = operations::apply(self, request, lsn, who)?;
        self.states.insert(lsn, Arc::new(tree));
        Ok(())
    }

    pub fn stat(&self, lsn: u64, path: &v1::Path) -> Result<Node, Code> {
        let tree = self.at(lsn).ok_or(Code::NotFound)?;
        let names = tree.resolve(path)?;
        tree.node(&names).cloned().ok_or(Code::NotFound)
    }

    pub fn list(&self, lsn: u64, path: &v1::Path) -> Result<Vec<(Vec<u8>, Node)>, Code> {
        let tree = self.at(lsn).ok_or(Code::NotFound)?;
        let names = tree.resolve(path)?;
        match tree.node(&names) {
            None => Err(Code::NotFound),
            Some(node) if node.kind != v1::Kind::Directory => Err(Code::WrongKind),
            Some(_) => {
                let children = tree.children(&names).into_iter();
                Ok(children.map(|(name, node)| (name, node.clone())).collect())
            }
        }
    }
}
