//! README's first command: the files here, put, read back, removed, and listed as they were.
use crate::system::System;
use std::process::Command;

#[test]
fn the_demonstration_runs_to_its_end() {
    let system = System::new();
    system.write("tree/src/main.rs", "fn main() {}\n");
    system.write("tree/README.md", "read me");
    system.write("tree/untracked", "not in git");
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        let git = git.args(words).current_dir(system.path("tree"));
        git.output().is_ok_and(|output| output.status.success())
    };
    let tracked = git(&["init", "-q"]) && git(&["add", "src", "README.md"]);
    let shown = system.ok(["dev", "demo", "--exit", "--port", "0", "tree"]);
    let files = if tracked {
        "2 files that git tracks"
    } else {
        "3 files in"
    };
    assert!(shown.contains(files), "{shown}");
    for line in [
        "$ dfsctl put ",
        "$ dfsctl rm -r -y /demo",
        "$ dfsctl ls -l /demo@",
        "README.md",
    ] {
        assert!(shown.contains(line), "{line} is missing in {shown}");
    }
    assert!(system.ok(["dev", "down"]).contains("does not run"));
}

#[test]
fn the_demonstration_uses_a_system_that_runs_and_leaves_others_files_alone() {
    let system = System::up();
    system.ok(["mkdir", "/demo"]);
    system.write("tree/file", "mine");
    let shown = system.ok(["dev", "demo", "tree"]);
    assert!(shown.contains("/demo-2"), "{shown}");
    assert_eq!(system.ok(["ls", "/"]), "demo/\n");
}
