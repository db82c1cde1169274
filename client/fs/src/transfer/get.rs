//! Getting a tree: listed with its contents at one LSN, files written beside and renamed, times last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use dfs_wire::{Code, Refusal, v1};
use tokio::sync::Semaphore;

use super::progress::{Progress, Summary, add};
use super::schedule::{self, Batch, Way};
use super::tally::Tally;
use super::{TransferOptions, get_file, local};
use crate::address::Address;
use crate::entry::{Entry, Kind};
use crate::fs::Fs;
use crate::when::When;

/// Entries of one page, with contents: at most 128 × 64 KiB, half of what a message may have.
const PAGE_ENTRIES: u32 = 128;
/// KiB of files that are loaded and not yet written, in all.
const LOADED_KIB_MAX: usize = 64 << 10;

pub(super) struct Get {
    pub(super) fs: Fs,
    pub(super) options: TransferOptions,
    pub(super) tally: Tally,
    pub(super) memory: Arc<Semaphore>,
    pub(super) when: When,
}

pub(super) struct Directory {
    pub(super) local: PathBuf,
    pub(super) remote: Address,
    attr: v1::Attr,
}

impl Fs {
    /// Gets `remote` as it was at `when` to exactly the path `local`, all at one LSN (F6). Files are
    /// written beside and renamed, so none is ever half there. What fails is listed in the summary;
    /// `Err` only when nothing could be begun.
    pub async fn get_tree(
        &self,
        remote: &Address,
        when: When,
        local: &Path,
        options: TransferOptions,
        progress: Arc<Progress>,
    ) -> Result<Summary, Refusal> {
        let moment = self.resolve(when).await?;
        let root = self.stat_with_content(remote, moment.when()).await?.value;
        progress.last_lsn.store(moment.lsn, Ordering::Relaxed);
        let get = Arc::new(Get::new(self, options, progress, moment.when()));
        if root.is_directory() {
            let root = Directory::new(local.to_owned(), remote.clone(), &root);
            let jobs = get.options.jobs;
            schedule::run(self.env(), get.clone(), root, jobs).await;
        } else {
            add(&get.tally.progress.found_files, 1);
            add(&get.tally.progress.found_bytes, root.size);
            add(&get.tally.progress.found_all, 1);
            get_file::get(&get, local, remote, root).await;
        }
        Ok(get.tally.summary())
    }
}

pub(super) fn attr_of(entry: &Entry) -> v1::Attr {
    v1::Attr {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime_ns: entry.mtime_ns,
    }
}

impl Directory {
    pub(super) fn new(local: PathBuf, remote: Address, entry: &Entry) -> Directory {
        Directory {
            local,
            remote,
            attr: attr_of(entry),
        }
    }
}

impl Get {
    pub(super) fn new(
        fs: &Fs,
        options: TransferOptions,
        progress: Arc<Progress>,
        when: When,
    ) -> Get {
        Get {
            fs: fs.clone(),
            options,
            tally: Tally::new(progress),
            memory: Arc::new(Semaphore::new(LOADED_KIB_MAX)),
            when,
        }
    }

    /// Made if it is not there; open for writing by its owner until it is finished.
    async fn make(&self, directory: &Directory) -> Result<(), Refusal> {
        let path = directory.local.clone();
        let make = move || match std::fs::create_dir(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = local::look(&path)?;
                if found.kind == Kind::Directory {
                    return Ok(false);
                }
                let what = path.display().to_string();
                let why = format!(
                    "a {} is there, where a directory should be",
                    found.kind.name()
                );
                Err(Refusal::new(Code::WrongKind, what, why))
            }
            Err(e) => Err(local::refusal("making", &path, &e)),
        };
        if self.fs.env().blocking(make).await? {
            add(&self.tally.progress.directories, 1);
        }
        Ok(())
    }

    fn sort(&self, directory: &Directory, entries: Vec<Entry>, more: bool) -> Batch<Get> {
        let rest = entries
            .last()
            .filter(|_| more)
            .map(|last| last.name.clone());
        let mut batch = Batch {
            files: Vec::new(),
            directories: Vec::new(),
            rest,
        };
        for entry in entries {
            if local::is_unfinished(&entry.name) {
                continue; // of a put that goes on, or was killed
            }
            let local = local::join(&directory.local, &entry.name);
            if entry.is_directory() {
                match directory.remote.join(&entry.name) {
                    Ok(remote) => batch
                        .directories
                        .push(Directory::new(local, remote, &entry)),
                    Err(refusal) => self.tally.failed(&local, &directory.remote, refusal),
                }
            } else {
                add(&self.tally.progress.found_files, 1);
                add(&self.tally.progress.found_bytes, entry.size);
                batch.files.push(entry);
            }
        }
        batch
    }
}

#[async_trait]
impl Way for Get {
    type Directory = Directory;
    type Cursor = Bytes;
    type File = Entry;

    fn tally(&self) -> &Tally {
        &self.tally
    }

    async fn expand(&self, directory: &Directory, cursor: Option<Bytes>) -> Option<Batch<Get>> {
        let expanded = async {
            if cursor.is_none() {
                self.make(directory).await?;
            }
            let after = cursor.unwrap_or_default();
            let at = &directory.remote;
            self.fs
                .list_with_content(at, self.when, &after, PAGE_ENTRIES)
                .await
        };
        match expanded.await {
            Ok(page) => Some(self.sort(directory, page.value.entries, page.value.more)),
            Err(refusal) => {
                self.tally
                    .failed(&directory.local, &directory.remote, refusal);
                None
            }
        }
    }

    async fn transfer(&self, directory: &Directory, entry: Entry) {
        let local = local::join(&directory.local, &entry.name);
        match directory.remote.join(&entry.name) {
            Ok(remote) => get_file::get(self, &local, &remote, entry).await,
            Err(refusal) => self.tally.failed(&local, &directory.remote, refusal),
        }
    }

    async fn finish(&self, directory: &Directory) {
        let (path, attr) = (directory.local.clone(), directory.attr);
        let keep_owner = self.options.keep_owner;
        let set = move || local::set_path_attr(&path, &attr, keep_owner);
        if let Err(refusal) = self.fs.env().blocking(set).await {
            self.tally
                .failed(&directory.local, &directory.remote, refusal);
        }
    }
}
