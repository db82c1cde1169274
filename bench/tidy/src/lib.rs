//! The rules of the source tree itself, as pure checks over its files; `tests/tree.rs` runs them all.
//!
//! Map: `tree` reads what git tracks (and what is about to be), `rust` what every look at a Rust file
//! needs; each other module is one rule and answers with its [`Fault`]s, all of them at once.
//!
//! 1. A check sees only the [`Tree`] it is given, so each one is shown to fail on a bad example.
//! 2. A fault names file, line and what to do.

pub mod arrows;
pub mod citations;
pub mod first_lines;
pub mod leftovers;
pub mod lengths;
pub mod names;
pub mod purity;
pub mod root;
pub mod rust;
pub mod tree;

pub use tree::{SourceFile, Tree};

/// One place that breaks a rule. `what` says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Relative to the root of the tree.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub what: String,
}

impl Fault {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Every rule over the whole tree, sorted by place.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let (parsed, mut faults) = rust::parse(tree);
    faults.extend(arrows::check(tree));
    faults.extend(citations::check(tree));
    faults.extend(first_lines::check(tree));
    faults.extend(leftovers::check(tree, &parsed));
    faults.extend(lengths::check(&parsed));
    faults.extend(names::check(tree, &parsed));
    faults.extend(purity::check(&parsed));
    faults.extend(root::check(tree));
    faults.sort();
    faults.dedup();
    faults
}
