//! A system for one test: its own directory, port and profile; gone with the test.
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) struct System {
    scratch: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl System {
    /// Nothing runs yet.
    pub(crate) fn new() -> System {
        let scratch = tempfile::tempdir().expect("a directory");
        System { scratch }
    }

    /// `dev up` on a free port.
    pub(crate) fn up() -> System {
        let system = System::new();
        system.ok(["dev", "up", "--port", "0"]);
        system
    }

    /// A path of this test on this machine.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    pub(crate) fn command<I>(&self, words: I) -> Command
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfsctl"));
        command.args(words).env_clear();
        self.settle(&mut command);
        command.stdin(Stdio::null());
        command
    }

    /// In this test's directory, with its profile.
    pub(crate) fn settle(&self, command: &mut Command) {
        command.current_dir(self.scratch.path());
        command.env("USER", "tester");
        command.env("DFSCTL_CONFIG", self.path("config.toml"));
        command.env("DFSCTL_DEV_DIR", self.path("dev"));
    }

    pub(crate) fn run<I>(&self, words: I) -> Ended
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        Ended::of(self.command(words).output().expect("it runs"))
    }

    /// Must succeed; what it printed.
    pub(crate) fn ok<I>(&self, words: I) -> String
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let ended = self.run(words);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        String::from_utf8(ended.stdout).expect("text")
    }

    /// Must be refused with this code and one error of three lines, and the line for the record.
    pub(crate) fn refused<I>(&self, code: i32, words: I) -> String
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let ended = self.run(words);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let starts = ["error: ", "  why: ", "  do:  ", "  request_id "];
        let lines: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), starts.len(), "{}", ended.stderr);
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
            assert!(line.len() > start.len(), "`{line}` says nothing");
        }
        assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
        ended.stderr
    }
}

impl Ended {
    pub(crate) fn with_code(code: i32) -> Ended {
        Ended {
            code,
            stdout: Vec::new(),
            stderr: String::new(),
        }
    }

    pub(crate) fn of(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // A test that failed leaves nothing running either.
        let _ = self.command(["dev", "down"]).output();
    }
}

/// The number behind the last `lsn` of what a writer printed.
pub(crate) fn lsn(printed: &str) -> u64 {
    let (_, behind) = printed.rsplit_once("lsn ").expect("a write says its LSN");
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

/// Asserts that two trees hold the same, links, modes and times included.
pub(crate) fn assert_equal_trees(one: &Path, other: &Path) {
    let list = |top: &Path| {
        let mut found = Vec::new();
        let mut todo = vec![top.to_path_buf()];
        while let Some(path) = todo.pop() {
            found.push(describe(top, &path));
            if path.is_dir() && !path.is_symlink() {
                let entries = std::fs::read_dir(&path).expect("listed");
                todo.extend(entries.map(|entry| entry.expect("read").path()));
            }
        }
        found.sort();
        found
    };
    assert_eq!(list(one), list(other));
}

fn describe(top: &Path, path: &Path) -> (PathBuf, u32, i64, i64, Vec<u8>) {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path).expect("there");
    let bytes = match (metadata.is_symlink(), metadata.is_file()) {
        (true, _) => std::fs::read_link(path)
            .expect("a link")
            .into_os_string()
            .into_vec(),
        (_, true) => std::fs::read(path).expect("a file"),
        _ => Vec::new(),
    };
    let below = path.strip_prefix(top).expect("below").to_path_buf();
    (
        below,
        metadata.mode(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        bytes,
    )
}
