//! The directory of a development system: its lock, and `dev.json`, which says where it runs.
use dfs_cli::{Exit, Failure, Outcome};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";
const STATE: &str = "dev.json";

/// What `dev.json` keeps, also after a stop: the next start has to agree with the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    /// host:port of every role of the process, but for further materializers.
    pub(crate) address: String,
    pub(crate) units: u32,
    /// Sequencer voters.
    #[serde(default = "one")]
    pub(crate) sequencers: u32,
    /// Each with all of the tree.
    #[serde(default = "one")]
    pub(crate) materializers: u32,
    /// Hexadecimal.
    pub(crate) cluster_id: String,
    /// False until the system has answered; then it is true even if it is killed.
    pub(crate) ready: bool,
}

fn one() -> u32 {
    1
}

pub(crate) struct DevDirectory {
    path: PathBuf,
}

/// Held by the one process that serves the directory; freed by the kernel whatever happens to it.
pub(crate) struct Lock {
    _file: File,
}

impl DevDirectory {
    pub(crate) fn new(given: Option<PathBuf>) -> Outcome<DevDirectory> {
        let path = given.map_or_else(default_path, Ok)?;
        let absolute = std::path::absolute(&path);
        let path = absolute.map_err(|e| Failure::local("find", &path, &e))?;
        Ok(DevDirectory { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Of a materializer beside the first, from 2.
    pub(crate) fn replica(&self, number: u32) -> PathBuf {
        self.path.join(format!("replica-{number}"))
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.join("dev.log")
    }

    /// `None` while another process serves it.
    pub(crate) fn lock(&self) -> Outcome<Option<Lock>> {
        let path = self.path.join(LOCK);
        let failed = |e: &io::Error| Failure::local("lock", &path, e);
        fs::create_dir_all(&self.path).map_err(|e| Failure::local("make", &self.path, &e))?;
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(|e| failed(&e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(failed(&e)),
        }
    }

    /// Whether some process serves it now. Does not make the directory.
    pub(crate) fn is_served(&self) -> Outcome<bool> {
        if !self.path.join(LOCK).exists() {
            return Ok(false);
        }
        Ok(self.lock()?.is_none())
    }

    /// What the last process wrote; `None` before the first.
    pub(crate) fn state(&self) -> Outcome<Option<Running>> {
        let path = self.path.join(STATE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Failure::local("read", &path, &e)),
        };
        serde_json::from_str(&text).map(Some).map_err(|e| {
            let what = format!("cannot use {}", path.display());
            let advice = "Restore the file, or choose another --dir";
            Failure::new(Exit::State, what, e.to_string(), advice)
        })
    }

    /// Replaces `dev.json` in one step.
    pub(crate) fn write_state(&self, running: &Running) -> Outcome {
        let path = self.path.join(STATE);
        let draft = self.path.join(format!("{STATE}.new"));
        let text = serde_json::to_string_pretty(running).map_err(io::Error::other);
        text.and_then(|text| fs::write(&draft, text + "\n"))
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|e| Failure::local("write", &path, &e))
    }

    /// Everything in it, and itself. The lock goes last, with the directory.
    pub(crate) fn remove(&self, _held: Lock) -> Outcome {
        fs::remove_dir_all(&self.path).map_err(|e| Failure::local("remove", &self.path, &e))
    }
}

fn default_path() -> Outcome<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = set("DFSCTL_DEV_DIR") {
        return Ok(path);
    }
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("dfsctl/dev")).ok_or_else(|| {
        let why = "neither HOME nor DFSCTL_DEV_DIR is set";
        Failure::usage(
            "nowhere to keep the data",
            why,
            "Give a directory: --dir DIR",
        )
    })
}
