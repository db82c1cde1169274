//! The files of the demonstration: what git tracks, gathered in a directory, and compared when they are back.
use dfs_cli::{Exit, Failure, Outcome};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Directories that hold what others made: never gathered where git is not asked.
const LEFT_OUT: [&str; 2] = [".git", "target"];
/// Compared at once: two buffers of this size.
const COMPARED_BYTES: usize = 64 << 10;

/// What was gathered or compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// The paths below `top` that git tracks; where there is no git, all files; relative to `top`.
pub(super) fn list(top: &Path) -> Outcome<(Vec<PathBuf>, &'static str)> {
    let git = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(top)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match git {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let names = output.stdout.split(|byte| *byte == 0);
            let names = names.filter(|name| !name.is_empty());
            let paths = names.map(|name| PathBuf::from(OsStr::from_bytes(name)));
            Ok((paths.collect(), "files that git tracks"))
        }
        _ => Ok((walk(top)?, "files")),
    }
}

fn walk(top: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(directory) = todo.pop() {
        let path = top.join(&directory);
        let failed = |e: &io::Error| Failure::local("read", &path, e);
        for entry in fs::read_dir(&path).map_err(|e| failed(&e))? {
            let entry = entry.map_err(|e| failed(&e))?;
            let is_directory = entry.file_type().map_err(|e| failed(&e))?.is_dir();
            let left_out = LEFT_OUT.iter().any(|name| entry.file_name() == *name);
            match is_directory {
                true if !left_out => todo.push(directory.join(entry.file_name())),
                true => {}
                false => found.push(directory.join(entry.file_name())),
            }
        }
    }
    Ok(found)
}

/// Makes `to` a tree of copies: somebody may be at work on the files themselves.
pub(super) fn gather(top: &Path, paths: &[PathBuf], to: &Path) -> Outcome<Sum> {
    let mut sum = Sum::default();
    fs::create_dir_all(to).map_err(|e| Failure::local("make", to, &e))?;
    for path in paths {
        let from = top.join(path);
        // Tracked, and deleted here since: git lists it still.
        let Ok(metadata) = fs::symlink_metadata(&from) else {
            continue;
        };
        if metadata.is_dir() {
            continue;
        }
        place(&from, &metadata, &to.join(path)).map_err(|e| Failure::local("copy", &from, &e))?;
        sum.files += 1;
        sum.bytes += if metadata.is_file() {
            metadata.len()
        } else {
            0
        };
    }
    Ok(sum)
}

/// How many bytes of contents came over.
fn place(from: &Path, metadata: &Metadata, to: &Path) -> io::Result<u64> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    if metadata.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        return Ok(0);
    }
    let bytes = fs::copy(from, to)?;
    // A read-only file too: whoever owns it may change its time.
    File::open(to)?.set_modified(metadata.modified()?)?;
    Ok(bytes)
}

/// Both trees hold the same names, kinds, permission bits, times of files, and bytes.
pub(super) fn compare(one: &Path, other: &Path) -> Outcome<Sum> {
    let mut sum = Sum::default();
    let mut todo = vec![(one.to_path_buf(), other.to_path_buf())];
    while let Some((one, other)) = todo.pop() {
        let metadata =
            |path: &Path| fs::symlink_metadata(path).map_err(|e| Failure::local("read", path, &e));
        let (ours, theirs) = (metadata(&one)?, metadata(&other)?);
        if ours.is_dir() && theirs.is_dir() {
            let names = names(&one)?;
            if names != self::names(&other)? {
                return Err(differs(&one, &other, "they hold other names"));
            }
            todo.extend(names.iter().map(|name| (one.join(name), other.join(name))));
            continue;
        }
        let equal = is_equal(&one, &ours, &other, &theirs);
        if let Some(why) = equal.map_err(|e| Failure::local("compare", &one, &e))? {
            return Err(differs(&one, &other, why));
        }
        sum.files += 1;
        sum.bytes += if ours.is_file() { ours.len() } else { 0 };
    }
    Ok(sum)
}

fn names(directory: &Path) -> Outcome<Vec<OsString>> {
    let failed = |e: io::Error| Failure::local("read", directory, &e);
    let entries = fs::read_dir(directory).map_err(failed)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names: Vec<OsString> = names.collect::<io::Result<_>>().map_err(failed)?;
    names.sort();
    Ok(names)
}

/// `None` when nothing differs, else what.
fn is_equal(
    one: &Path,
    ours: &Metadata,
    other: &Path,
    theirs: &Metadata,
) -> io::Result<Option<&'static str>> {
    if ours.file_type() != theirs.file_type() {
        return Ok(Some("one is of another kind"));
    }
    if ours.is_symlink() {
        let equal = fs::read_link(one)? == fs::read_link(other)?;
        return Ok((!equal).then_some("they point elsewhere"));
    }
    if ours.permissions().mode() != theirs.permissions().mode() {
        return Ok(Some("their permission bits differ"));
    }
    if ours.modified()? != theirs.modified()? {
        return Ok(Some("their times differ"));
    }
    let equal = ours.len() == theirs.len() && same_bytes(one, other)?;
    Ok((!equal).then_some("their bytes differ"))
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        ours.clear();
        theirs.clear();
        let limit = COMPARED_BYTES as u64;
        one.by_ref().take(limit).read_to_end(&mut ours)?;
        other.by_ref().take(limit).read_to_end(&mut theirs)?;
        if ours != theirs {
            return Ok(false);
        }
        if ours.is_empty() {
            return Ok(true);
        }
    }
}

fn differs(one: &Path, other: &Path, why: &str) -> Failure {
    let what = format!(
        "{} is not what came back in {}",
        one.display(),
        other.display()
    );
    Failure::new(Exit::Violation, what, why, "Keep both, and report this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_is_equal_until_a_byte_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let (top, one, other) = (
            directory.path().join("top"),
            directory.path().join("1"),
            directory.path().join("2"),
        );
        fs::create_dir_all(top.join("d")).expect("made");
        fs::create_dir_all(top.join("target")).expect("made");
        fs::write(top.join("d/f"), "12345").expect("written");
        fs::write(top.join("target/left out"), "x").expect("written");
        std::os::unix::fs::symlink("f", top.join("d/l")).expect("made");
        let paths = walk(&top).expect("walked");
        let sum = gather(&top, &paths, &one).expect("gathered");
        assert_eq!(sum, Sum { files: 2, bytes: 5 });
        gather(&top, &paths, &other).expect("gathered");
        assert_eq!(compare(&one, &other).expect("equal"), sum);

        fs::remove_file(other.join("d/f")).expect("removed");
        assert!(compare(&one, &other).is_err());
        fs::write(other.join("d/f"), "1234x").expect("written");
        let modified = fs::metadata(one.join("d/f"))
            .expect("there")
            .modified()
            .expect("known");
        let changed = File::options()
            .write(true)
            .open(other.join("d/f"))
            .expect("opened");
        changed.set_modified(modified).expect("set");
        assert_eq!(
            compare(&one, &other).expect_err("differs").why,
            "their bytes differ"
        );
    }
}
