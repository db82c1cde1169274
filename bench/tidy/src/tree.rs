//! The files of the tree: what git tracks, and what is about to be tracked.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::root;

/// One text file. `path` is relative to the root, with `/`.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

impl SourceFile {
    pub fn extension(&self) -> &str {
        self.path
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }

    pub fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// A file that holds only tests: below a `tests` directory, or moved out of the file it tests.
    pub fn is_test(&self) -> bool {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        path.ends_with("_tests") || path.split('/').any(|part| part == "tests")
    }
}

/// All text files, sorted by path. Files that are not UTF-8 are left out.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub files: Vec<SourceFile>,
}

impl Tree {
    /// Reads the tree at `root`; outside of a git clone (an unpacked archive) it walks the disk.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut paths = match from_git(root) {
            Some(paths) => paths,
            None => walk(root)?,
        };
        paths.sort();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            let whole = root.join(&path);
            // Tracked but deleted, or a link: not there to be checked.
            if !fs::symlink_metadata(&whole).is_ok_and(|meta| meta.is_file()) {
                continue;
            }
            if let Ok(text) = String::from_utf8(fs::read(&whole)?) {
                files.push(SourceFile { path, text });
            }
        }
        Ok(Self { files })
    }

    /// A tree made of `(path, text)`, for examples.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter();
        let files = files.map(|(path, text)| SourceFile {
            path: (*path).into(),
            text: (*text).into(),
        });
        Self {
            files: files.collect(),
        }
    }

    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Tracked files, and untracked ones in the tree's own rooms: what somebody fetched into a directory
/// beside them is not ours to judge.
fn from_git(root: &Path) -> Option<Vec<String>> {
    let mut paths = git_ls(root, &["--cached"])?;
    let mut untracked = vec!["--others", "--exclude-standard", "--"];
    untracked.extend(root::VISIBLE.iter().filter(|name| root.join(name).exists()));
    paths.extend(git_ls(root, &untracked)?);
    Some(paths)
}

fn git_ls(root: &Path, arguments: &[&str]) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let git = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z"])
        .args(arguments)
        .output();
    let output = git.ok().filter(|output| output.status.success())?;
    let listing = String::from_utf8_lossy(&output.stdout);
    Some(
        listing
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}

fn walk(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name == "target" || name == ".git" {
                continue;
            }
            let path = if directory.is_empty() {
                name
            } else {
                format!("{directory}/{name}")
            };
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_are_told_by_place_and_name() {
        let is_test = |path: &str| {
            SourceFile {
                path: path.into(),
                text: String::new(),
            }
            .is_test()
        };
        assert!(is_test("client/log/tests/merge.rs"));
        assert!(is_test("client/log/src/tests.rs"));
        assert!(is_test("client/log/src/appender_tests.rs"));
        assert!(!is_test("client/log/src/appender.rs"));
        assert!(!is_test("bench/tidy/src/contests.rs"));
    }

    #[test]
    fn an_unpacked_archive_is_walked() {
        let room = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tree = Tree::read(room).unwrap();
        assert!(tree.file("src/tree.rs").is_some());
        assert!(tree.file("Cargo.toml").is_some());
    }
}
