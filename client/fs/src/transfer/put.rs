//! Putting a tree: directories are made as they are met, files go in parallel, times are set last.

use std::fs::ReadDir;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dfs_wire::{Code, Refusal, v1};
use tokio::sync::Semaphore;

use super::local::{self, Found, Named};
use super::progress::{Progress, Summary, add};
use super::schedule::{self, Batch, Way};
use super::tally::Tally;
use super::{TransferOptions, put_file};
use crate::address::Address;
use crate::entry::{Committed, Entry, Kind};
use crate::fs::Fs;
use crate::ops::set_attr::AttrChange;
use crate::when::When;

/// Names of a local directory that are looked at in one go.
const NAMES_MAX: usize = 1024;
/// KiB of local files that are read and not yet handed on, in all.
const READ_KIB_MAX: usize = 32 << 10;

pub(super) struct Put {
    pub(super) fs: Fs,
    pub(super) options: TransferOptions,
    pub(super) tally: Tally,
    pub(super) memory: Arc<Semaphore>,
}

pub(super) struct Directory {
    pub(super) local: PathBuf,
    pub(super) remote: Address,
    attr: v1::Attr,
    /// Made by this transfer: nothing is below it that is not put now.
    pub(super) fresh: AtomicBool,
    /// Something in it was made, which moves its time.
    pub(super) touched: Arc<AtomicBool>,
    /// It is there with other attributes.
    differs: AtomicBool,
    /// Of the directory above, when that is part of the transfer.
    parent: Option<Parent>,
}

#[derive(Clone)]
pub(super) struct Parent {
    fresh: bool,
    touched: Arc<AtomicBool>,
}

pub(super) struct LocalFile {
    pub(super) name: Vec<u8>,
    pub(super) found: Found,
}

impl Fs {
    /// Puts `local` (a file, a symlink or a directory with all below it) at exactly `remote`; the
    /// directories above `remote` are made when they are missing. Symlinks are not followed. What
    /// fails is listed in the summary; `Err` only when nothing could be begun. Running it again
    /// puts what is missing or differs, and removes nothing.
    pub async fn put_tree(
        &self,
        local: &Path,
        remote: &Address,
        options: TransferOptions,
        progress: Arc<Progress>,
    ) -> Result<Summary, Refusal> {
        let path = local.to_owned();
        let found = self.env().blocking(move || local::look(&path)).await?;
        let put = Arc::new(Put::new(self, options, progress));
        put.met(&found);
        put.make_parent(remote).await?;
        if found.kind == Kind::Directory {
            let root = Directory::new(local.to_owned(), remote.clone(), &found, None);
            let jobs = put.options.jobs;
            schedule::run(self.env(), put.clone(), root, jobs).await;
        } else {
            put.one(local, remote, found).await;
        }
        Ok(put.tally.summary())
    }
}

impl Directory {
    pub(super) fn new(
        local: PathBuf,
        remote: Address,
        found: &Found,
        parent: Option<Parent>,
    ) -> Directory {
        Directory {
            local,
            remote,
            attr: found.attr,
            fresh: AtomicBool::new(false),
            touched: Arc::default(),
            differs: AtomicBool::new(false),
            parent,
        }
    }
}

impl Put {
    pub(super) fn new(fs: &Fs, options: TransferOptions, progress: Arc<Progress>) -> Put {
        Put {
            fs: fs.clone(),
            options,
            tally: Tally::new(progress),
            memory: Arc::new(Semaphore::new(READ_KIB_MAX)),
        }
    }

    pub(super) async fn make_parent(&self, remote: &Address) -> Result<(), Refusal> {
        let Some(parent) = remote.parent().filter(|parent| !parent.is_root()) else {
            return Ok(());
        };
        match self.fs.find(&parent, When::Head).await? {
            Some(entry) if entry.is_directory() => Ok(()),
            Some(entry) => {
                let why = format!("it is a {}, not a directory", entry.kind.name());
                Err(Refusal::new(Code::WrongKind, parent.to_string(), why))
            }
            None => self
                .fs
                .mkdir(&parent, None, true)
                .await
                .map(|made| self.committed(&made)),
        }
    }

    /// No time is changed without a word.
    fn met(&self, found: &Found) {
        add(&self.tally.progress.times_cut, u64::from(found.time_cut));
    }

    async fn one(&self, local: &Path, remote: &Address, found: Found) {
        let progress = &self.tally.progress;
        add(&progress.found_files, 1);
        add(&progress.found_bytes, found.size);
        add(&progress.found_all, 1);
        put_file::put(self, local, remote, &found, None).await;
    }

    pub(super) fn committed(&self, committed: &Committed) {
        self.tally
            .progress
            .last_lsn
            .fetch_max(committed.lsn, Ordering::Relaxed);
    }

    /// Made, or found: then its attributes are compared.
    async fn make(&self, directory: &Directory) -> Result<(), Refusal> {
        let at = &directory.remote;
        if !directory.parent.as_ref().is_some_and(|parent| parent.fresh)
            && let Some(entry) = self.fs.find(at, When::Head).await?
        {
            return self.keep(directory, &entry);
        }
        match self.fs.make_directory(at, directory.attr, false).await {
            Ok(made) => {
                self.committed(&made);
                directory.fresh.store(true, Ordering::Relaxed);
                if let Some(parent) = &directory.parent {
                    parent.touched.store(true, Ordering::Relaxed);
                }
                add(&self.tally.progress.directories, 1);
                Ok(())
            }
            // Somebody else was quicker, or an attempt of ours with an unknown outcome.
            Err(refusal) if refusal.code() == Code::Exists => {
                let entry = self.fs.stat(at, When::Head).await?;
                self.keep(directory, &entry)
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn keep(&self, directory: &Directory, entry: &Entry) -> Result<(), Refusal> {
        if !entry.is_directory() {
            let why = format!(
                "a {} is there, where a directory should be",
                entry.kind.name()
            );
            return Err(Refusal::new(
                Code::WrongKind,
                directory.remote.to_string(),
                why,
            ));
        }
        let differs = !same_attr(entry, &directory.attr);
        directory.differs.store(differs, Ordering::Relaxed);
        Ok(())
    }

    fn sort(&self, directory: &Directory, names: Vec<Named>, rest: Option<ReadDir>) -> Batch<Put> {
        let parent = Parent {
            fresh: directory.fresh.load(Ordering::Relaxed),
            touched: directory.touched.clone(),
        };
        let mut batch = Batch {
            files: Vec::new(),
            directories: Vec::new(),
            rest,
        };
        for (name, found) in names {
            let local = local::join(&directory.local, &name);
            let sorted = found.and_then(|found| Ok((found, directory.remote.join(&name)?)));
            if let Ok((found, _)) = &sorted {
                self.met(found);
            }
            match sorted {
                Ok((found, remote)) if found.kind == Kind::Directory => {
                    batch.directories.push(Directory::new(
                        local,
                        remote,
                        &found,
                        Some(parent.clone()),
                    ));
                }
                Ok((found, _)) => {
                    add(&self.tally.progress.found_files, 1);
                    add(&self.tally.progress.found_bytes, found.size);
                    batch.files.push(LocalFile { name, found });
                }
                Err(refusal) => self.tally.failed(&local, &directory.remote, refusal),
            }
        }
        batch
    }
}

pub(super) fn same_attr(entry: &Entry, attr: &v1::Attr) -> bool {
    (entry.mode, entry.uid, entry.gid, entry.mtime_ns)
        == (attr.mode, attr.uid, attr.gid, attr.mtime_ns)
}

pub(super) fn change(attr: &v1::Attr) -> AttrChange {
    AttrChange {
        mode: Some(attr.mode),
        uid: Some(attr.uid),
        gid: Some(attr.gid),
        mtime_ns: Some(attr.mtime_ns),
    }
}

#[async_trait]
impl Way for Put {
    type Directory = Directory;
    type Cursor = ReadDir;
    type File = LocalFile;

    fn tally(&self) -> &Tally {
        &self.tally
    }

    async fn expand(&self, directory: &Directory, cursor: Option<ReadDir>) -> Option<Batch<Put>> {
        if cursor.is_none()
            && let Err(refusal) = self.make(directory).await
        {
            self.tally
                .failed(&directory.local, &directory.remote, refusal);
            return None;
        }
        let path = directory.local.clone();
        let listed = self.fs.env().blocking(move || {
            let mut listing = match cursor {
                Some(listing) => listing,
                None => local::open_directory(&path)?,
            };
            let names = local::next_names(&path, &mut listing, NAMES_MAX)?;
            Ok((names, listing))
        });
        match listed.await {
            Ok((names, listing)) => {
                let rest = (names.len() == NAMES_MAX).then_some(listing);
                Some(self.sort(directory, names, rest))
            }
            Err(refusal) => {
                self.tally
                    .failed(&directory.local, &directory.remote, refusal);
                None
            }
        }
    }

    async fn transfer(&self, directory: &Directory, file: LocalFile) {
        let local = local::join(&directory.local, &file.name);
        match directory.remote.join(&file.name) {
            Ok(remote) => put_file::put(self, &local, &remote, &file.found, Some(directory)).await,
            Err(refusal) => self.tally.failed(&local, &directory.remote, refusal),
        }
    }

    async fn finish(&self, directory: &Directory) {
        let moved = directory.touched.load(Ordering::Relaxed);
        if !moved && !directory.differs.load(Ordering::Relaxed) {
            return;
        }
        match self
            .fs
            .set_attr(&directory.remote, change(&directory.attr))
            .await
        {
            Ok(committed) => self.committed(&committed),
            Err(refusal) => self
                .tally
                .failed(&directory.local, &directory.remote, refusal),
        }
    }
}
