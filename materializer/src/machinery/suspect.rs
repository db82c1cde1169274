//! A store that is known to hold another state than the log's: set aside, and what is remembered of it until a
//! new one has proved itself (FOLD-X4b).
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Beside the store: that it is to be set aside, or that the one in its place has not proved itself.
const MARK: &str = "odd";
/// Where the last one lies that was set aside, for whoever wants to know why.
const ASIDE_DIR: &str = "view.odd";

/// Beside the store: the LSN of the snapshot that it was begun from.
const BEGUN: &str = "begun";

/// Why a replica begins anew, and what it must prove before it answers anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Up to where its digest must agree with the others'.
    pub lsn: u64,
    /// The last LSN agreed on: a snapshot above it may hold the same mistake.
    pub agreed_lsn: u64,
    /// Most others hold the same, so whatever it begins from is found out.
    pub by_majority: bool,
    /// How often in a row, from 1.
    pub attempt: u32,
}

impl Suspect {
    /// The newest snapshot that is tried: what went wrong twice went wrong further back.
    pub(crate) fn snapshot_max(&self) -> u64 {
        if self.attempt > 1 { 0 } else { self.agreed_lsn }
    }

    fn encode(&self) -> String {
        let by = u8::from(self.by_majority);
        format!("{} {} {by} {}\n", self.lsn, self.agreed_lsn, self.attempt)
    }

    fn decode(text: &str) -> Option<Suspect> {
        let numbers = text.split_whitespace().map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
        let [lsn, agreed_lsn, by_majority, attempt] = numbers[..] else {
            return None;
        };
        Some(Suspect {
            lsn,
            agreed_lsn,
            by_majority: by_majority == 1,
            attempt: u32::try_from(attempt).ok()?,
        })
    }
}

/// Sets the store at `view` aside if that has not been done, and says what the one in its place must prove.
/// Blocks on the disk.
pub(crate) fn settle(
    dir: &Path,
    view: &Path,
    told: Option<Suspect>,
) -> std::io::Result<Option<Suspect>> {
    let known = read(dir)?;
    let Some(suspect) = told.filter(|told| known != Some(*told)) else {
        return Ok(told.or(known));
    };
    let aside = dir.join(ASIDE_DIR);
    if aside.exists() {
        tracing::warn!(path = %aside.display(), "delete what was set aside before");
        std::fs::remove_dir_all(&aside)?;
    }
    // First: a wrong store with the mark is found out again, a new one without it would prove nothing.
    write(dir, &suspect)?;
    match std::fs::rename(view, &aside) {
        Ok(()) => {
            tracing::warn!(path = %aside.display(), lsn = suspect.lsn, "set a wrong state aside");
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => {
            clear(dir)?; // it is to be tried again
            return Err(e);
        }
    }
    Ok(Some(suspect))
}

fn write(dir: &Path, suspect: &Suspect) -> std::io::Result<()> {
    let mut file = File::create(mark(dir))?;
    file.write_all(suspect.encode().as_bytes())?;
    file.sync_all()?;
    File::open(dir)?.sync_all()
}

/// It has proved itself.
pub(crate) fn clear(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(mark(dir)) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Blocks on the disk.
pub(crate) fn note_begun(dir: &Path, lsn: u64) -> std::io::Result<()> {
    let mut file = File::create(dir.join(BEGUN))?;
    file.write_all(lsn.to_string().as_bytes())?;
    file.sync_all()
}

/// 0: from LSN 1. What cannot be read says that it is nobody's own.
pub(crate) fn begun(dir: &Path) -> std::io::Result<u64> {
    match std::fs::read_to_string(dir.join(BEGUN)) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e),
        Ok(text) => Ok(text.parse().unwrap_or(u64::MAX)),
    }
}

fn read(dir: &Path) -> std::io::Result<Option<Suspect>> {
    match std::fs::read_to_string(mark(dir)) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
        Ok(text) => Ok(Suspect::decode(&text)),
    }
}

fn mark(dir: &Path) -> PathBuf {
    dir.join(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_set_aside_once_and_the_mark_stays_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, view) = (dir.path(), dir.path().join("view"));
        let make = |what: &str| {
            std::fs::create_dir(&view).unwrap();
            std::fs::write(view.join("rows"), what).unwrap();
        };
        let first = Suspect {
            lsn: 8192,
            agreed_lsn: 4096,
            by_majority: true,
            attempt: 1,
        };
        assert_eq!(settle(dir, &view, None).unwrap(), None);
        make("wrong");
        assert_eq!(settle(dir, &view, Some(first)).unwrap(), Some(first));
        let aside = || std::fs::read_to_string(dir.join("view.odd/rows")).unwrap();
        assert!(!view.exists() && aside() == "wrong");
        // Opened again, by the same process or the next one: the new store stays.
        make("new");
        assert_eq!(settle(dir, &view, Some(first)).unwrap(), Some(first));
        assert_eq!(settle(dir, &view, None).unwrap(), Some(first));
        assert!(view.exists() && aside() == "wrong");
        let again = Suspect {
            attempt: 2,
            ..first
        };
        assert_eq!(settle(dir, &view, Some(again)).unwrap(), Some(again));
        assert!(!view.exists() && aside() == "new");
        clear(dir).unwrap();
        clear(dir).unwrap();
        assert_eq!(settle(dir, &view, None).unwrap(), None);
    }
}
