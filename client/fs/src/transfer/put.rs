//! Putting a tree: directories are made as they are met, files go in parallel, times are set last.

use std::collections::HashMap;
use std::fs::ReadDir;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use dfs_wire::{Code, Refusal, v1};
use tokio::sync::Semaphore;

use super::local::{self, Found, Named};
use super::progress::{Progress, Summary, add};
use super::schedule::{self, Batch, Way};
use super::tally::Tally;
use super::{Skip, TransferOptions, put_file};
use crate::address::Address;
use crate::entry::{Committed, Entry, Kind};
use crate::fs::Fs;
use crate::ops::set_attr::AttrChange;
use crate::when::When;

/// Names of a local directory that are looked at in one go.
const NAMES_MAX: usize = 1024;
/// KiB of local files that are read and not yet handed on, in all.
const READ_KIB_MAX: usize = 32 << 10;
/// Entries of a directory of the target that are listed in one go, instead of being asked for one by one: one
/// answer, about 1 MiB. What a larger directory holds is asked for file by file.
const LISTED_MAX: u64 = 4096;

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
    /// What stands at `remote`, as far as the directory above knows.
    there: There,
    /// What it holds at the target, once that is known whole.
    holds: OnceLock<HashMap<Bytes, Entry>>,
    /// Something in it was made, which moves its time.
    pub(super) touched: Arc<AtomicBool>,
    /// It is there with other attributes.
    differs: AtomicBool,
    /// Of the directory above, when that is part of the transfer.
    parent_touched: Option<Arc<AtomicBool>>,
}

/// What stands at a place of the target before anything is put there.
#[derive(Clone, Debug)]
pub(super) enum There {
    /// It has to be asked for.
    Unknown,
    Nothing,
    Entry(Box<Entry>),
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
            let root = Directory::new(local.to_owned(), remote.clone(), &found);
            let jobs = put.options.jobs;
            schedule::run(self.env(), put.clone(), root, jobs).await;
        } else {
            put.one(local, remote, found).await;
        }
        Ok(put.tally.summary())
    }
}

impl Directory {
    pub(super) fn new(local: PathBuf, remote: Address, found: &Found) -> Directory {
        Directory {
            local,
            remote,
            attr: found.attr,
            there: There::Unknown,
            holds: OnceLock::new(),
            touched: Arc::default(),
            differs: AtomicBool::new(false),
            parent_touched: None,
        }
    }

    pub(super) fn there(&self, name: &[u8]) -> There {
        match self.holds.get() {
            None => There::Unknown,
            Some(holds) => match holds.get(name) {
                None => There::Nothing,
                Some(entry) => There::Entry(Box::new(entry.clone())),
            },
        }
    }

    fn below(&self, local: PathBuf, remote: Address, name: &[u8], found: &Found) -> Directory {
        Directory {
            there: self.there(name),
            parent_touched: Some(self.touched.clone()),
            ..Directory::new(local, remote, found)
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

    /// Made, or found: then its attributes are compared, and what it holds is listed.
    async fn make(&self, directory: &Directory) -> Result<(), Refusal> {
        let at = &directory.remote;
        let there = match &directory.there {
            There::Unknown => self.fs.find(at, When::Head).await?.map(|seen| seen.value),
            There::Nothing => None,
            There::Entry(entry) => Some((**entry).clone()),
        };
        if let Some(entry) = there {
            return self.keep(directory, &entry).await;
        }
        match self.fs.make_directory(at, directory.attr, false).await {
            Ok(made) => {
                self.committed(&made);
                let _ = directory.holds.set(HashMap::new());
                if let Some(touched) = &directory.parent_touched {
                    touched.store(true, Ordering::Relaxed);
                }
                add(&self.tally.progress.directories, 1);
                Ok(())
            }
            // Somebody else was quicker, or an attempt of ours with an unknown outcome.
            Err(refusal) if refusal.code() == Code::Exists => {
                let entry = self.fs.stat(at, When::Head).await?;
                self.keep(directory, &entry).await
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn keep(&self, directory: &Directory, entry: &Entry) -> Result<(), Refusal> {
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
        if entry.children <= LISTED_MAX && self.options.skip != Skip::Nothing {
            self.list(directory, entry.children).await?;
        }
        Ok(())
    }

    /// Unless more has come into it meanwhile.
    async fn list(&self, directory: &Directory, children: u64) -> Result<(), Refusal> {
        if children == 0 {
            let _ = directory.holds.set(HashMap::new());
            return Ok(());
        }
        let limit = LISTED_MAX as u32;
        let page = self
            .fs
            .list(&directory.remote, When::Head, &[], limit)
            .await?
            .value;
        if !page.more {
            let named = page
                .entries
                .into_iter()
                .map(|entry| (entry.name.clone(), entry));
            let _ = directory.holds.set(named.collect());
        }
        Ok(())
    }

    /// Without a look into it, and with nothing to set: it is not worth a task.
    fn is_known_equal(&self, there: &There, found: &Found) -> bool {
        let There::Entry(there) = there else {
            return false;
        };
        self.options.skip == Skip::SameSizeAndTime
            && (there.kind, found.kind) == (Kind::File, Kind::File)
            && there.size == found.size
            && found.size <= self.options.piece_bytes
            && same_attr(there, &found.attr)
    }

    pub(super) fn skipped(&self, found: &Found) {
        add(&self.tally.progress.skipped_files, 1);
        add(&self.tally.progress.skipped_bytes, found.size);
    }

    fn sort(&self, directory: &Directory, names: Vec<Named>, rest: Option<ReadDir>) -> Batch<Put> {
        let mut batch = Batch {
            files: Vec::new(),
            directories: Vec::new(),
            rest,
        };
        for (name, found) in names {
            if local::is_unfinished(&name) {
                continue; // of a get that was killed
            }
            let local = local::join(&directory.local, &name);
            let sorted = found.and_then(|found| Ok((found, directory.remote.join(&name)?)));
            if let Ok((found, _)) = &sorted {
                self.met(found);
            }
            match sorted {
                Ok((found, remote)) if found.kind == Kind::Directory => {
                    let below = directory.below(local, remote, &name, &found);
                    batch.directories.push(below);
                }
                Ok((found, _)) => {
                    add(&self.tally.progress.found_files, 1);
                    add(&self.tally.progress.found_bytes, found.size);
                    match self.is_known_equal(&directory.there(&name), &found) {
                        true => self.skipped(&found),
                        false => batch.files.push(LocalFile { name, found }),
                    }
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
