//! Getting one file or symlink: skipped when it is there and equal, else written beside and renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use dfs_wire::{Code, Refusal};
use futures::TryStreamExt;

use super::Skip;
use super::get::{Get, attr_of};
use super::progress::add;
use super::{get_large, local};
use crate::address::Address;
use crate::entry::{Entry, Kind};

/// What a file is called until it is whole; then comes a number that its own name says, so that the
/// same get again finds what one that was killed has left.
pub(super) const UNFINISHED: &str = ".dfs-unfinished-";

/// Where a file of this name is written.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    path.file_name().hash(&mut hasher);
    path.with_file_name(format!("{UNFINISHED}{:016x}", hasher.finish()))
}

pub(super) async fn get(get: &Get, path: &Path, remote: &Address, entry: Entry) {
    let progress = &get.tally.progress;
    match once(get, path, remote, &entry).await {
        Ok(true) if entry.kind == Kind::Symlink => add(&progress.symlinks, 1),
        Ok(true) => add(&progress.files, 1),
        Ok(false) => {
            add(&progress.skipped_files, 1);
            add(&progress.skipped_bytes, entry.size);
        }
        Err(refusal) => get.tally.failed(path, remote, refusal),
    }
}

/// Whether it had to be got.
async fn once(get: &Get, path: &Path, remote: &Address, entry: &Entry) -> Result<bool, Refusal> {
    let target = Target {
        unfinished: unfinished(path),
        begun: AtomicBool::new(false),
        path: path.to_owned(),
        entry: Entry {
            content: None,
            ..entry.clone()
        },
        skip: get.options.skip,
        resumes: AtomicBool::new(entry.size > get.options.piece_bytes),
        keep_owner: get.options.keep_owner,
    };
    let in_record = entry
        .content
        .as_ref()
        .is_none_or(|content| content.extents.is_empty());
    if entry.kind == Kind::Symlink || in_record {
        return get_small(get, remote, entry, target).await;
    }
    let target = Arc::new(target);
    let looking = target.clone();
    if get.fs.env().blocking(move || looking.is_there()).await? {
        return Ok(false);
    }
    get_large::get(get, remote, entry, &target)
        .await
        .map(|()| true)
}

/// Everything in one go on a thread that may block.
async fn get_small(
    get: &Get,
    remote: &Address,
    entry: &Entry,
    target: Target,
) -> Result<bool, Refusal> {
    let bytes = get
        .fs
        .read_content(&remote.to_string(), entry.content.as_ref(), None)?;
    let bytes: Vec<Bytes> = bytes.try_collect().await?;
    add(
        &get.tally.progress.bytes,
        bytes.iter().map(|part| part.len() as u64).sum(),
    );
    let make = move || {
        if target.is_there()? {
            return Ok(false);
        }
        let made = match target.entry.kind {
            Kind::Symlink => target.make_link(),
            _ => target.make_file(&bytes),
        };
        made.map(|()| true)
    };
    get.fs.env().blocking(make).await
}

/// A local path that is to become like `entry`.
pub(super) struct Target {
    path: PathBuf,
    unfinished: PathBuf,
    /// Whether `unfinished` is there, and ours.
    begun: AtomicBool,
    /// Whether what is there of it stays for the next get when this one ends early.
    pub(super) resumes: AtomicBool,
    entry: Entry,
    skip: Skip,
    keep_owner: bool,
}

impl Target {
    /// There and equal; then only attributes are set.
    fn is_there(&self) -> Result<bool, Refusal> {
        if self.skip == Skip::Nothing {
            return Ok(false);
        }
        let found = match local::look(&self.path) {
            Ok(found) => found,
            Err(refusal) if refusal.code() == Code::NotFound => return Ok(false),
            Err(refusal) => return Err(refusal),
        };
        if found.kind != self.entry.kind {
            return Ok(false);
        }
        if found.kind == Kind::Symlink {
            let same = local::read_link(&self.path)? == self.entry.link_target;
            return Ok(same && found.attr.mtime_ns == self.entry.mtime_ns);
        }
        let same = found.size == self.entry.size
            && match self.skip {
                Skip::SameChecksum => local::checksum(&self.path)? == self.entry.crc32c,
                _ => found.attr.mtime_ns == self.entry.mtime_ns,
            };
        let attr = attr_of(&self.entry);
        if same && (found.attr.mode, found.attr.mtime_ns) != (attr.mode, attr.mtime_ns) {
            let file = local::open(&self.path)?;
            local::set_attr_of(&file, &attr, self.keep_owner).map_err(|e| self.refusal(&e))?;
        }
        Ok(same)
    }

    pub(super) fn refusal(&self, error: &io::Error) -> Refusal {
        local::refusal("writing", &self.path, error)
    }

    /// What a get before has left of it; `None` when there is nothing of ours that nobody writes.
    pub(super) fn take_up(&self) -> Option<File> {
        // Whoever may write into the directory could have put a link or a file of his own there.
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true);
        let options = options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        let file = options.open(&self.unfinished).ok()?;
        file.try_lock().ok()?;
        let (held, named) = (
            file.metadata().ok()?,
            fs::symlink_metadata(&self.unfinished).ok()?,
        );
        let is_ours = held.uid() == rustix::process::geteuid().as_raw();
        // Between the open and the lock it may have become the finished file.
        let is_still_it = (held.dev(), held.ino()) == (named.dev(), named.ino());
        if !held.is_file() || held.nlink() != 1 || !is_ours || !is_still_it {
            return None;
        }
        self.begun.store(true, Ordering::Relaxed);
        Some(file)
    }

    /// Only its owner may read it before it has the mode it is to have.
    pub(super) fn create(&self) -> Result<File, Refusal> {
        let create = || {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create_new(true).mode(0o600);
            options.open(&self.unfinished)
        };
        let created = create().or_else(|e| match e.kind() {
            ErrorKind::AlreadyExists => clear_abandoned(&self.unfinished).and_then(|()| create()),
            _ => Err(e),
        });
        let file = created.map_err(|e| self.refusal(&e))?;
        // Where there are no locks, what is left behind is merely cleared without asking.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(self.refusal(&is_written()));
        }
        self.begun.store(true, Ordering::Relaxed);
        Ok(file)
    }

    fn rename(&self) -> io::Result<()> {
        fs::rename(&self.unfinished, &self.path)?;
        self.begun.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn write(&self, mut file: &File, bytes: &[u8]) -> Result<(), Refusal> {
        file.write_all(bytes).map_err(|e| {
            // A full disk is not kept full.
            self.resumes.store(false, Ordering::Relaxed);
            self.refusal(&e)
        })
    }

    pub(super) fn finish_file(&self, file: &File) -> Result<(), Refusal> {
        let attr = attr_of(&self.entry);
        let set = local::set_attr_of(file, &attr, self.keep_owner);
        set.and_then(|()| self.rename())
            .map_err(|e| self.refusal(&e))
    }

    fn make_file(&self, bytes: &[Bytes]) -> Result<(), Refusal> {
        let file = self.create()?;
        for part in bytes {
            self.write(&file, part)?;
        }
        self.finish_file(&file)
    }

    fn make_link(&self) -> Result<(), Refusal> {
        let target = std::ffi::OsStr::from_bytes(&self.entry.link_target);
        let attr = attr_of(&self.entry);
        let make = || std::os::unix::fs::symlink(target, &self.unfinished);
        let made = make().or_else(|e| match e.kind() {
            ErrorKind::AlreadyExists => clear_abandoned(&self.unfinished).and_then(|()| make()),
            _ => Err(e),
        });
        made.inspect(|()| self.begun.store(true, Ordering::Relaxed))
            .and_then(|()| local::set_link_attr(&self.unfinished, &attr, self.keep_owner))
            .and_then(|()| self.rename())
            .map_err(|e| self.refusal(&e))
    }
}

/// However it comes to its end, also by being dropped in the middle.
impl Drop for Target {
    fn drop(&mut self) {
        if *self.begun.get_mut() && !*self.resumes.get_mut() {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Removes what a get that was killed has left; one that goes on holds its lock.
fn clear_abandoned(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_file() {
        let file = File::open(path)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(is_written());
        }
    }
    fs::remove_file(path)
}

fn is_written() -> io::Error {
    io::Error::new(ErrorKind::AlreadyExists, "another get is writing it")
}
