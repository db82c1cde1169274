//! The order of a transfer: a directory is made before what it holds and finished after all of it;
//! apart from that everything runs side by side.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use dfs_env::{Env, Task, TaskEnd};
use dfs_rpc::trace::carried;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::tally::Tally;

/// Directories that are being made and listed at the same time: each may hold a page of contents.
const EXPANDING_MAX: usize = 16;

/// One direction of a transfer. Each call tells the tally of its own failures.
#[async_trait]
pub(crate) trait Way: Send + Sync + 'static {
    type Directory: Send + Sync + 'static;
    /// Where the listing of a directory stands.
    type Cursor: Send + 'static;
    type File: Send + 'static;

    fn tally(&self) -> &Tally;

    /// Makes the directory on the other side (without a cursor), and lists some of what it holds.
    /// `None`: it failed, and nothing below it is transferred.
    async fn expand(
        &self,
        directory: &Self::Directory,
        cursor: Option<Self::Cursor>,
    ) -> Option<Batch<Self>>;

    async fn transfer(&self, directory: &Self::Directory, file: Self::File);

    /// Everything below it is done: attributes and times.
    async fn finish(&self, directory: &Self::Directory);
}

/// Some of what a directory holds.
pub(crate) struct Batch<W: Way + ?Sized> {
    pub(crate) files: Vec<W::File>,
    pub(crate) directories: Vec<W::Directory>,
    /// There is more.
    pub(crate) rest: Option<W::Cursor>,
}

struct Node<W: Way> {
    directory: Arc<W::Directory>,
    parent: Option<u64>,
    /// Listings, files and directories below it that are not done.
    pending: u64,
}

enum Done<W: Way> {
    Expanded(u64, Option<Batch<W>>),
    Transferred(u64),
    Finished(u64),
}

struct Schedule<W: Way> {
    way: Arc<W>,
    env: Env,
    jobs: usize,
    last_id: u64,
    nodes: BTreeMap<u64, Node<W>>,
    /// The newest first: depth first keeps it short.
    to_expand: Vec<(u64, Option<W::Cursor>)>,
    /// Kept short: nothing is expanded while there are files for every job.
    to_transfer: VecDeque<(u64, W::File)>,
    to_finish: Vec<u64>,
    expanding: usize,
    running: FuturesUnordered<Aborting<Done<W>>>,
}

/// Transfers `root` and all below it.
pub(crate) async fn run<W: Way>(env: &Env, way: Arc<W>, root: W::Directory, jobs: usize) {
    let mut schedule = Schedule {
        way,
        env: env.clone(),
        jobs: jobs.max(1),
        last_id: 0,
        nodes: BTreeMap::new(),
        to_expand: Vec::new(),
        to_transfer: VecDeque::new(),
        to_finish: Vec::new(),
        expanding: 0,
        running: FuturesUnordered::new(),
    };
    schedule.add_directory(root, None);
    loop {
        schedule.start();
        match schedule.running.next().await {
            Some(Ok(done)) => schedule.take(done),
            Some(Err(why)) => return schedule.way.tally().broken(why),
            None => return,
        }
    }
}

impl<W: Way> Schedule<W> {
    fn add_directory(&mut self, directory: W::Directory, parent: Option<u64>) {
        self.last_id += 1;
        let node = Node {
            directory: Arc::new(directory),
            parent,
            pending: 1,
        };
        self.nodes.insert(self.last_id, node);
        self.to_expand.push((self.last_id, None));
    }

    fn start(&mut self) {
        if self.way.tally().is_stopped() {
            return; // what runs may end; nothing else begins
        }
        while self.running.len() < self.jobs {
            if let Some(id) = self.to_finish.pop() {
                self.spawn_finish(id);
            } else if self.may_expand()
                && let Some((id, cursor)) = self.to_expand.pop()
            {
                self.spawn_expand(id, cursor);
            } else if let Some((id, file)) = self.to_transfer.pop_front() {
                self.spawn_transfer(id, file);
            } else {
                break;
            }
        }
        if self.to_expand.is_empty() && self.expanding == 0 {
            self.way
                .tally()
                .progress
                .found_all
                .store(1, Ordering::Relaxed);
        }
    }

    fn may_expand(&self) -> bool {
        self.to_transfer.len() < self.jobs && self.expanding < EXPANDING_MAX
    }

    fn spawn_expand(&mut self, id: u64, cursor: Option<W::Cursor>) {
        let Some(node) = self.nodes.get(&id) else {
            return;
        };
        let (way, directory) = (self.way.clone(), node.directory.clone());
        self.expanding += 1;
        let expand = async move { Done::Expanded(id, way.expand(&directory, cursor).await) };
        self.running
            .push(Aborting(self.env.spawn("expand", carried(expand))));
    }

    fn spawn_transfer(&mut self, id: u64, file: W::File) {
        let Some(node) = self.nodes.get(&id) else {
            return;
        };
        let (way, directory) = (self.way.clone(), node.directory.clone());
        let transfer = async move {
            way.transfer(&directory, file).await;
            Done::Transferred(id)
        };
        self.running
            .push(Aborting(self.env.spawn("transfer", carried(transfer))));
    }

    fn spawn_finish(&mut self, id: u64) {
        let Some(node) = self.nodes.get(&id) else {
            return;
        };
        let (way, directory) = (self.way.clone(), node.directory.clone());
        let finish = async move {
            way.finish(&directory).await;
            Done::Finished(id)
        };
        self.running
            .push(Aborting(self.env.spawn("finish", carried(finish))));
    }

    fn take(&mut self, done: Done<W>) {
        match done {
            Done::Expanded(id, batch) => {
                self.expanding -= 1;
                match batch {
                    Some(batch) => self.take_batch(id, batch),
                    None => self.remove(id),
                }
            }
            Done::Transferred(id) => self.one_less(id),
            Done::Finished(id) => self.remove(id),
        }
    }

    fn take_batch(&mut self, id: u64, batch: Batch<W>) {
        let more = batch.files.len() + batch.directories.len();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.pending += more as u64;
        }
        self.to_transfer
            .extend(batch.files.into_iter().map(|file| (id, file)));
        match batch.rest {
            Some(cursor) => self.to_expand.push((id, Some(cursor))),
            None => self.one_less(id),
        }
        for directory in batch.directories {
            self.add_directory(directory, Some(id));
        }
    }

    fn one_less(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.pending -= 1;
            if node.pending == 0 {
                self.to_finish.push(id);
            }
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(parent) = self.nodes.remove(&id).and_then(|node| node.parent) {
            self.one_less(parent);
        }
    }
}

/// A task that ends with whoever waits for it.
struct Aborting<T>(Task<T>);

impl<T> Future for Aborting<T> {
    type Output = Result<T, TaskEnd>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
