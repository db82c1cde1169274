//! A tree of the cluster in the order of its names, at one LSN, listed a little ahead.

use std::collections::{BTreeMap, VecDeque};

use dfs_env::Task;
use dfs_rpc::trace::carried;
use dfs_wire::{Code, Refusal};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::node::Node;
use super::{Keep, Nodes};
use crate::address::Address;
use crate::entry::{Entry, Page, Seen};
use crate::fs::Fs;
use crate::transfer::local as files;
use crate::when::When;

/// Directories that are listed before their turn: else each of many small ones costs a round trip.
const AHEAD_MAX: usize = 16;
/// Entries of one page: with one per level and those ahead, a few MiB in all.
const PAGE_ENTRIES: u32 = 1024;

type Listing = Task<Result<Seen<Page>, Refusal>>;

struct Walk {
    fs: Fs,
    at: Address,
    when: When,
    lsn: u64,
    keep: Option<Keep>,
    /// From the root down: the rest of each directory on the way.
    levels: Vec<Level>,
    /// By path.
    ahead: BTreeMap<Vec<u8>, Listing>,
}

struct Level {
    path: Vec<u8>,
    entries: VecDeque<Entry>,
    /// There are names after this one that are not yet listed.
    after: Option<Vec<u8>>,
}

/// Nothing when there is nothing at `at`.
pub(super) fn walk(fs: Fs, at: Address, when: When, keep: Option<Keep>) -> Nodes {
    let begun = async move {
        let lsn = fs.resolve(when).await?.lsn;
        let when = When::Lsn(lsn);
        let Some(root) = fs.find(&at, when).await? else {
            return Ok::<_, Refusal>(stream::empty().boxed());
        };
        let root = root.value;
        let mut walk = Walk {
            fs,
            at,
            when,
            lsn,
            keep,
            levels: Vec::new(),
            ahead: BTreeMap::new(),
        };
        walk.enter(&root, Vec::new()).await?;
        let first = Node::of_entry(Vec::new(), &root, lsn);
        let rest = stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|node| (node, walk)))
        });
        Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
    };
    stream::once(begun).try_flatten().boxed()
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Node>, Refusal> {
        while let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.entries.pop_front() else {
                match level.after.take() {
                    Some(after) => {
                        let path = level.path.clone();
                        let at = self.at.join(&path)?;
                        let page = self.fs.list(&at, self.when, &after, PAGE_ENTRIES);
                        let page = page.await?;
                        self.levels.pop();
                        self.levels.push(Level::new(path, page.value));
                    }
                    None => drop(self.levels.pop()),
                }
                continue;
            };
            let path = below(&level.path, &entry.name);
            if files::is_unfinished(&entry.name) {
                continue; // as on the local side: else it would seem gone there
            }
            if !Keep::all(&self.keep, &path, entry.is_directory()) {
                return Ok(Some(Node::left_out(path)));
            }
            let node = Node::of_entry(path.clone(), &entry, self.lsn);
            self.enter(&entry, path).await?;
            return Ok(Some(node));
        }
        Ok(None)
    }

    /// Lists a directory, and begins with those that follow it.
    async fn enter(&mut self, entry: &Entry, path: Vec<u8>) -> Result<(), Refusal> {
        if !entry.is_directory() || entry.children == 0 {
            return Ok(());
        }
        let listing = match self.ahead.remove(&path) {
            Some(listing) => listing,
            None => self.list(&path)?,
        };
        self.look_ahead()?;
        let stopped = |_| Refusal::new(Code::Unavailable, "the walk", "this client is stopping");
        let page = listing.await.map_err(stopped)??;
        self.levels.push(Level::new(path, page.value));
        self.look_ahead()
    }

    fn list(&self, path: &[u8]) -> Result<Listing, Refusal> {
        let (fs, at, when) = (self.fs.clone(), self.at.join(path)?, self.when);
        let listed = async move { fs.list(&at, when, &[], PAGE_ENTRIES).await };
        Ok(self.fs.env().spawn("walk", carried(listed)))
    }

    /// Those that come next in the deepest directory.
    fn look_ahead(&mut self) -> Result<(), Refusal> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let next = level.entries.iter().take(AHEAD_MAX);
        let next = next.filter(|entry| entry.is_directory() && entry.children > 0);
        let paths: Vec<_> = next.map(|entry| below(&level.path, &entry.name)).collect();
        for path in paths {
            let wanted = Keep::all(&self.keep, &path, true) && !self.ahead.contains_key(&path);
            if self.ahead.len() < AHEAD_MAX && wanted {
                let listing = self.list(&path)?;
                self.ahead.insert(path, listing);
            }
        }
        Ok(())
    }
}

impl Level {
    fn new(path: Vec<u8>, page: Page) -> Level {
        let last = page.entries.last().map(|entry| entry.name.to_vec());
        Level {
            path,
            after: last.filter(|_| page.more),
            entries: page.entries.into(),
        }
    }
}

pub(super) fn below(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        b"" => name.to_vec(),
        _ => [path, name].join(&b'/'),
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.ahead.values().for_each(Task::abort);
    }
}
