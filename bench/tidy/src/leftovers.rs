//! Nothing unfinished, ignored, waited for by the clock, or bound to one machine stays in the tree.

use crate::rust::RustFile;
use crate::{Fault, SourceFile, Tree};

/// Written in two halves, so that this file may be checked too.
const UNFINISHED: [&str; 6] = [
    concat!("to", "do!("),
    concat!("un", "implemented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("not ", "implemented"),
    concat!("not yet ", "implemented"),
];
const IGNORED: &str = concat!("#[ig", "nore");
const SLEEPS: [&str; 2] = [
    concat!("thread::", "sleep"),
    concat!("tokio::time::", "sleep"),
];
/// Where checkouts and scratch files lie on machines that build this, on no machine that runs it.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "bash"),
];

pub fn check(tree: &Tree, parsed: &[RustFile<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &tree.files {
        for (index, text) in file.text.lines().enumerate() {
            if let Some(what) = leftover(file, text) {
                faults.push(Fault::new(&file.path, index + 1, what));
            }
        }
    }
    for rust in parsed {
        for (index, text) in rust.file.text.lines().enumerate() {
            let sleep = SLEEPS.iter().find(|sleep| text.contains(*sleep));
            if let Some(sleep) = sleep.filter(|_| rust.is_test_line(index + 1)) {
                let what =
                    format!("`{sleep}` in a test: wait for the event, or use the given time");
                faults.push(Fault::new(&rust.file.path, index + 1, what));
            }
        }
    }
    faults
}

fn leftover(file: &SourceFile, text: &str) -> Option<String> {
    if let Some(path) = MACHINE_PATHS.iter().find(|path| text.contains(*path)) {
        return Some(format!(
            "`{path}` exists on one machine only: take the path as an input"
        ));
    }
    if !matches!(file.extension(), "rs" | "md" | "proto" | "toml") {
        return None;
    }
    if let Some(word) = UNFINISHED.iter().find(|word| text.contains(*word)) {
        return Some(format!(
            "`{word}`: finish it, or leave it out and say so in the issue"
        ));
    }
    let ignored = file.is_rust() && text.contains(IGNORED);
    ignored.then(|| format!("`{IGNORED}]`: mend the test, or take it out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rust;

    fn lines_of(path: &str, text: &str) -> Vec<usize> {
        let tree = Tree::of(&[(path, text)]);
        let (parsed, _) = rust::parse(&tree);
        check(&tree, &parsed)
            .iter()
            .map(|fault| fault.line)
            .collect()
    }

    #[test]
    fn each_leftover_is_found() {
        for word in UNFINISHED.iter().chain(&MACHINE_PATHS).chain([&IGNORED]) {
            assert_eq!(
                lines_of("a.rs", &format!("//! A file.\n// {word}\n")),
                [2],
                "{word}"
            );
        }
        assert_eq!(
            lines_of(
                "bench/results/a.json",
                &format!("\"{}x\"", MACHINE_PATHS[0])
            ),
            [1]
        );
    }

    #[test]
    fn only_tests_may_not_sleep() {
        for sleep in SLEEPS {
            let text = format!(
                "fn a() {{ {sleep}(b) }}\n#[cfg(test)]\nmod tests {{\n fn a() {{ {sleep}(b) }}\n}}\n"
            );
            assert_eq!(lines_of("src/a.rs", &text), [4]);
            assert_eq!(lines_of("tests/a.rs", &text), [1, 4]);
        }
    }

    #[test]
    fn ordinary_words_pass() {
        let text = "//! A list of tasks to do.\nfn a() { b().ignore(); }\n";
        assert_eq!(lines_of("a.rs", text), Vec::<usize>::new());
    }
}
