//! What a sync does at one path: by put where the target is remote, by get where it is local, and by reference
//! or as a stream between two remote sides.

use std::path::PathBuf;
use std::sync::Arc;

use dfs_env::Env;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;

use super::SyncOptions;
use crate::address::Address;
use crate::compare::{Changes, Node, Side};
use crate::entry::{Committed, Kind};
use crate::fs::Fs;
use crate::ops::write::WriteOptions;
use crate::transfer::get::{self, Get};
use crate::transfer::progress::{Progress, Summary, add};
use crate::transfer::put::{self, Put, change};
use crate::transfer::tally::Tally;
use crate::transfer::{Skip, TransferOptions, get_file, local, put_file, schedule};
use crate::when::When;

pub(super) struct Act {
    pub(super) progress: Arc<Progress>,
    env: Env,
    way: Way,
    /// Of what is done here; put and get have their own beside it.
    tally: Tally,
    keep_owner: bool,
}

enum Way {
    Put(PathBuf, Arc<Put>, Address),
    Get(Fs, Address, Arc<Get>, PathBuf),
    /// The moment is that of the source.
    Copy(Fs, Address, When, Arc<Put>, Address),
}

fn new_put(fs: &Fs, options: &TransferOptions, progress: &Arc<Progress>) -> Arc<Put> {
    Arc::new(Put::new(fs, options.clone(), progress.clone()))
}

impl Act {
    pub(super) fn new(
        env: &Env,
        from: Side,
        to: Side,
        options: &SyncOptions,
        progress: Arc<Progress>,
    ) -> Result<Act, Refusal> {
        let skip = match options.checksum {
            true => Skip::SameChecksum,
            false => Skip::SameSizeAndTime,
        };
        let transfer = TransferOptions {
            skip,
            ..options.transfer.clone()
        };
        let way = match (from, to) {
            (Side::Local(path), Side::Remote(fs, at, _)) => {
                Way::Put(path, new_put(&fs, &transfer, &progress), at)
            }
            (Side::Remote(fs, at, when), Side::Local(path)) => {
                let get = Get::new(&fs, transfer, progress.clone(), when);
                Way::Get(fs, at, Arc::new(get), path)
            }
            (Side::Remote(fs, from, when), Side::Remote(to_fs, to, _)) => {
                Way::Copy(fs, from, when, new_put(&to_fs, &transfer, &progress), to)
            }
            (Side::Local(path), Side::Local(_)) => {
                let what = format!("sync of {}", path.display());
                let refusal = Refusal::new(Code::Invalid, what, "both sides are local");
                return Err(refusal.advice("Use cp or rsync, or name an address"));
            }
        };
        Ok(Act {
            tally: Tally::new(progress.clone()),
            progress,
            env: env.clone(),
            way,
            keep_owner: options.transfer.keep_owner,
        })
    }

    /// The source has to be there: nothing would be an empty tree, and everything be removed.
    pub(super) async fn begin(&self) -> Result<(), Refusal> {
        match &self.way {
            Way::Put(from, put, to) => {
                let path = from.clone();
                self.env.blocking(move || local::look(&path)).await?;
                put.make_parent(to).await
            }
            Way::Get(fs, at, get, _) => fs.stat(at, get.when).await.map(drop),
            Way::Copy(fs, at, when, put, to) => {
                fs.stat(at, *when).await.map(drop)?;
                put.make_parent(to).await
            }
        }
    }

    /// The source was there, and is not any more.
    pub(super) fn gone(&self) -> Refusal {
        let from = match &self.way {
            Way::Put(from, ..) => from.display().to_string(),
            Way::Get(_, from, ..) | Way::Copy(_, from, ..) => from.to_string(),
        };
        Refusal::new(Code::NotFound, from, "it is gone since this began")
    }

    pub(super) fn is_stopped(&self) -> bool {
        let stopped = match &self.way {
            Way::Put(_, put, _) | Way::Copy(_, _, _, put, _) => put.tally.is_stopped(),
            Way::Get(_, _, get, _) => get.tally.is_stopped(),
        };
        stopped || self.tally.is_stopped()
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = match &self.way {
            Way::Put(_, put, _) | Way::Copy(_, _, _, put, _) => put.tally.summary(),
            Way::Get(_, _, get, _) => get.tally.summary(),
        };
        let own = self.tally.summary();
        summary.failures.extend(own.failures);
        summary.stopped = summary.stopped.or(own.stopped);
        summary
    }

    /// Where it stands at the target.
    pub(super) fn shown(&self, path: &[u8]) -> String {
        match &self.way {
            Way::Get(_, _, _, to) => local::below(to, path).display().to_string(),
            Way::Put(_, _, to) | Way::Copy(_, _, _, _, to) => match to.join(path) {
                Ok(at) => at.to_string(),
                Err(_) => String::from_utf8_lossy(path).into_owned(),
            },
        }
    }

    pub(super) fn failed(&self, path: &[u8], refusal: Refusal) {
        let (local, remote) = match &self.way {
            Way::Put(from, _, to) => (local::below(from, path), to),
            Way::Get(_, from, _, to) => (local::below(to, path), from),
            Way::Copy(_, _, _, _, to) => (PathBuf::from(self.shown(path)), to),
        };
        self.tally.failed(&local, remote, refusal);
    }

    /// True: done; else it was told.
    fn told(&self, path: &[u8], done: Result<(), Refusal>) -> bool {
        match done {
            Ok(()) => true,
            Err(refusal) => {
                self.failed(path, refusal);
                false
            }
        }
    }

    fn committed(&self, committed: &Committed) {
        use std::sync::atomic::Ordering;
        self.progress
            .last_lsn
            .fetch_max(committed.lsn, Ordering::Relaxed);
    }

    pub(super) fn found(&self, node: &Node) {
        add(&self.progress.found_files, 1);
        add(&self.progress.found_bytes, node.size);
    }

    pub(super) fn skipped(&self, node: &Node) {
        add(&self.progress.skipped_files, 1);
        add(&self.progress.skipped_bytes, node.size);
    }

    pub(super) fn attributes_differ(&self, changes: &Changes) -> bool {
        let owner_counts = self.keep_owner || !matches!(self.way, Way::Get(..));
        changes.mode || changes.mtime || changes.owner && owner_counts
    }

    /// Whether what is only at the source is moved in one go.
    pub(super) fn moves_trees(&self) -> bool {
        !matches!(self.way, Way::Copy(..))
    }

    pub(super) async fn transfer_tree(&self, path: &[u8], jobs: usize) {
        let done = match &self.way {
            Way::Put(from, put, to) => self.put_tree(from, put, to, path, jobs).await,
            Way::Get(fs, from, get, to) => self.get_tree(fs, from, get, to, path, jobs).await,
            Way::Copy(..) => Ok(()),
        };
        self.told(path, done);
    }

    async fn put_tree(
        &self,
        from: &std::path::Path,
        put: &Arc<Put>,
        to: &Address,
        path: &[u8],
        jobs: usize,
    ) -> Result<(), Refusal> {
        let (from, to) = (local::below(from, path), to.join(path)?);
        let looked = from.clone();
        let found = self.env.blocking(move || local::look(&looked)).await?;
        let root = put::Directory::new(from, to, &found);
        schedule::run(&self.env, put.clone(), root, jobs).await;
        Ok(())
    }

    async fn get_tree(
        &self,
        fs: &Fs,
        from: &Address,
        get: &Arc<Get>,
        to: &std::path::Path,
        path: &[u8],
        jobs: usize,
    ) -> Result<(), Refusal> {
        let (from, to) = (from.join(path)?, local::below(to, path));
        let entry = fs.stat(&from, get.when).await?;
        let root = get::Directory::new(to, from, &entry);
        schedule::run(&self.env, get.clone(), root, jobs).await;
        Ok(())
    }

    /// A file or a symlink. Put and get tell of their failures themselves.
    pub(super) async fn transfer(&self, path: &[u8], node: &Node) -> bool {
        let done = match &self.way {
            Way::Put(from, put, to) => self.put_one(from, put, to, path).await,
            Way::Get(fs, from, get, to) => self.get_one(fs, from, get, to, path).await,
            Way::Copy(fs, from, _, put, to) => self.copy_one(fs, from, put, to, path, node).await,
        };
        self.told(path, done)
    }

    async fn put_one(
        &self,
        from: &std::path::Path,
        put: &Put,
        to: &Address,
        path: &[u8],
    ) -> Result<(), Refusal> {
        let (from, to) = (local::below(from, path), to.join(path)?);
        let looked = from.clone();
        let found = self.env.blocking(move || local::look(&looked)).await?;
        put_file::put(put, &from, &to, &found, None).await;
        Ok(())
    }

    async fn get_one(
        &self,
        fs: &Fs,
        from: &Address,
        get: &Get,
        to: &std::path::Path,
        path: &[u8],
    ) -> Result<(), Refusal> {
        let (from, to) = (from.join(path)?, local::below(to, path));
        let entry = fs.stat_with_content(&from, get.when).await?;
        get_file::get(get, &to, &from, entry.value).await;
        Ok(())
    }

    async fn copy_one(
        &self,
        fs: &Fs,
        from: &Address,
        put: &Put,
        to: &Address,
        path: &[u8],
        node: &Node,
    ) -> Result<(), Refusal> {
        let (from, at) = (from.join(path)?, to.join(path)?);
        let when = When::Lsn(node.seen_lsn);
        if node.kind == Kind::Symlink {
            let made = put
                .fs
                .make_symlink(&at, &node.target, node.attr, true)
                .await?;
            self.committed(&made);
            add(&self.progress.symlinks, 1);
            return Ok(());
        }
        if Arc::ptr_eq(&fs.shared, &put.fs.shared) {
            put.fs.copy(&from, when, &at, false).await?;
            self.committed(&put.fs.set_attr(&at, change(&node.attr)).await?);
        } else {
            let progress = self.progress.clone();
            let reading = fs.read(&from, when, None).await?;
            let counted = reading.bytes.inspect(move |part| {
                let length = part.as_ref().map_or(0, |part| part.len() as u64);
                add(&progress.bytes, length);
            });
            let options = WriteOptions {
                mode: Some(node.attr.mode),
                uid: Some(node.attr.uid),
                gid: Some(node.attr.gid),
                mtime_ns: Some(node.attr.mtime_ns),
                size: Some(node.size),
                ..WriteOptions::default()
            };
            self.committed(&put.fs.write(&at, counted.boxed(), options).await?);
        }
        add(&self.progress.files, 1);
        Ok(())
    }

    pub(super) async fn make_directory(&self, path: &[u8], node: &Node) -> bool {
        let made = match &self.way {
            Way::Get(_, _, _, to) => {
                let to = local::below(to, path);
                let made =
                    move || std::fs::create_dir(&to).map_err(|e| local::refusal("making", &to, &e));
                self.env.blocking(made).await
            }
            Way::Put(_, put, to) | Way::Copy(_, _, _, put, to) => {
                let made = async {
                    let made = put
                        .fs
                        .make_directory(&to.join(path)?, node.attr, false)
                        .await?;
                    self.committed(&made);
                    Ok(())
                };
                made.await
            }
        };
        add(&self.progress.directories, u64::from(made.is_ok()));
        self.told(path, made)
    }

    /// Of what is otherwise equal.
    pub(super) async fn set_attributes(&self, path: &[u8], node: &Node) -> bool {
        let keep_owner = self.keep_owner;
        let set = match &self.way {
            Way::Get(_, _, _, to) => {
                let (to, attr, kind) = (local::below(to, path), node.attr, node.kind);
                let set = move || match kind {
                    Kind::Symlink => local::set_link_attr(&to, &attr, keep_owner)
                        .map_err(|e| local::refusal("setting attributes of", &to, &e)),
                    _ => local::set_path_attr(&to, &attr, keep_owner),
                };
                self.env.blocking(set).await
            }
            Way::Put(_, put, to) | Way::Copy(_, _, _, put, to) => {
                let set = async {
                    let set = put.fs.set_attr(&to.join(path)?, change(&node.attr)).await?;
                    self.committed(&set);
                    Ok(())
                };
                set.await
            }
        };
        self.told(path, set)
    }

    /// A directory below which nothing changes any more.
    pub(super) async fn finish(&self, path: &[u8], attr: v1::Attr) {
        let node = Node::directory(path.to_vec(), attr);
        self.set_attributes(path, &node).await;
    }

    /// `all`: with all below it; else only if it is empty, and it is no failure if it is not.
    pub(super) async fn remove(&self, path: &[u8], all: bool) -> bool {
        match self.try_remove(path, all).await {
            // Something in it was left out.
            Err(refusal) if refusal.code() == Code::NotEmpty && !all => true,
            removed => self.told(path, removed),
        }
    }

    /// As `remove`, of what is of another kind than it has to be; a failure if it is not empty.
    pub(super) async fn make_way(&self, path: &[u8], there: &Node, all: bool) -> bool {
        let removed = match self.try_remove(path, all).await {
            Err(refusal) if refusal.code() == Code::NotEmpty && !all => {
                let why = format!(
                    "a {} is there, with what may be left out in it",
                    there.kind.name()
                );
                let refusal = Refusal::new(Code::NotEmpty, self.shown(path), why);
                Err(refusal.advice("Remove it, or leave nothing out"))
            }
            removed => removed,
        };
        self.told(path, removed)
    }

    async fn try_remove(&self, path: &[u8], all: bool) -> Result<(), Refusal> {
        let removed = match &self.way {
            Way::Get(_, _, _, to) => {
                let to = local::below(to, path);
                self.env
                    .blocking(move || local::remove(&to, all))
                    .await
                    .map(|()| 1)
            }
            Way::Put(_, put, to) | Way::Copy(_, _, _, put, to) => {
                let removed = async {
                    let removed = put.fs.remove(&to.join(path)?, all).await?;
                    self.committed(&removed);
                    Ok(removed.entries.max(1))
                };
                removed.await
            }
        };
        match removed {
            Ok(entries) => add(&self.progress.removed, entries),
            Err(refusal) if refusal.code() == Code::NotFound => {} // gone already
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }
}
