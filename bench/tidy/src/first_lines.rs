//! The first line of a file says what it holds.

use crate::{Fault, Tree, rust};

pub fn check(tree: &Tree) -> Vec<Fault> {
    let files = tree
        .files
        .iter()
        .filter(|file| file.is_rust() && !rust::is_generated(&file.text));
    files
        .filter(|file| !says_what_it_holds(&file.text))
        .map(|file| {
            Fault::new(
                &file.path,
                1,
                "begin with a `//! …` line that says, in two words or more, what the file holds",
            )
        })
        .collect()
}

/// A name alone (`//! dfs-log.`) says nothing that the path does not say.
fn says_what_it_holds(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("//! ")
        .is_some_and(|words| words.split_whitespace().count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_first_line_is_refused() {
        let good = ("a.rs", "//! Reads one frame.\nfn a() {}\n");
        let bare = ("b.rs", "fn a() {}\n");
        let name_only = ("c.rs", "//! dfs-log.\n");
        let faults = check(&Tree::of(&[good, bare, name_only, ("d.md", "# Text")]));
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["b.rs", "c.rs"]);
    }
}
