//! The visible root: it names the parts of the system and nothing else.

use std::collections::BTreeMap;

use crate::{Fault, Tree};

/// All that may stand in the root, beside dot-files.
pub const VISIBLE: [&str; 11] = [
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "client",
    "deploy",
    "log-units",
    "materializer",
    "sequencer",
];

pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut names = BTreeMap::new();
    for file in &tree.files {
        let name = file.path.split('/').next().unwrap_or_default();
        names.entry(name).or_insert(file.path.as_str());
    }
    names.retain(|name, _| !name.starts_with('.') && !VISIBLE.contains(name));
    let names = names.iter();
    names
        .map(|(name, path)| {
            Fault::new(
                path,
                1,
                format!("`{name}` stands in the root: move it beside what it describes"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_name_is_named_once() {
        let tree = Tree::of(&[
            ("Cargo.toml", ""),
            (".ci/run", ""),
            ("scripts/a.sh", ""),
            ("scripts/b.sh", ""),
            ("client/log/LOG.md", ""),
        ]);
        let faults = check(&tree);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("`scripts`"));
    }
}
