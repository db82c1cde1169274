//! The tree this test stands in keeps its own rules: all faults at once, each with what to do.

use std::path::Path;

use dfs_tidy::{Tree, check, lengths, rust};

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = Tree::read(&root).expect("the tree can be read");
    let functions = lengths::functions(&rust::parse(&tree).0);
    println!(
        "{} files, {} functions, p95 {} lines (aim: {}, at most: {})",
        tree.files.len(),
        functions.len(),
        lengths::p95(&functions),
        lengths::P95_AIM,
        lengths::P95_MAX,
    );
    let faults = check(&tree);
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}\n",
        faults.len(),
        list.join("\n")
    );
}
