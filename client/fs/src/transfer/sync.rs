//! One tree made like another, one way: what differs is found by comparing, and moved as put and get move it.

mod act;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dfs_env::Env;
use dfs_wire::{Code, Refusal, v1};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::TransferOptions;
use super::progress::{Progress, Summary};
use crate::compare::{CompareOptions, Keep, Node, Pair, Side, compare, is_below};
use act::Act;

/// Trees that are only on one side and are moved whole at the same time: each has files in flight of
/// its own.
const TREES_MAX: usize = 8;

/// How a tree is made like another.
#[derive(Clone, Debug, Default)]
pub struct SyncOptions {
    pub transfer: TransferOptions,
    /// Files of the same size are equal if their checksums are; else by mtime.
    pub checksum: bool,
    /// What is only at the target is removed, and what is of another kind there makes way.
    pub delete: bool,
    /// What is left out is neither moved nor removed.
    pub keep: Option<Keep>,
}

/// Makes `to` like `from`: kinds, bytes, links, modes, owners and times. What was equal is not touched, so
/// the same again moves nothing, also after it was killed in the middle. What fails is listed in the
/// summary; `Err` only when it could not go on at all.
pub async fn sync(
    env: &Env,
    from: Side,
    to: Side,
    options: SyncOptions,
    progress: Arc<Progress>,
) -> Result<Summary, Refusal> {
    let from = at_one_lsn(from).await?;
    let act = Arc::new(Act::new(env, from.clone(), to.clone(), &options, progress)?);
    act.begin().await?;
    let comparing = CompareOptions {
        checksum: options.checksum,
        keep: options.keep.clone(),
    };
    let mut pairs = compare(env, from, to, comparing);
    let mut sync = Sync {
        act: act.clone(),
        options,
        running: FuturesUnordered::new(),
        trees: 0,
        done_below: None,
        gone_below: None,
        open: Vec::new(),
        to_finish: Vec::new(),
        to_empty: Vec::new(),
    };
    let mut begun = false;
    while !act.is_stopped() {
        sync.make_room().await;
        let pair = tokio::select! {
            biased;
            Some(tree) = sync.running.next(), if !sync.running.is_empty() => {
                sync.trees -= usize::from(tree);
                continue;
            }
            pair = pairs.next() => pair,
        };
        match pair.transpose()? {
            // The roots come first. It was there when this began: nothing is not an empty tree.
            Some(pair) if pair.path.is_empty() && pair.left.is_none() => return Err(act.gone()),
            Some(pair) => sync.step(pair).await,
            None if begun => break,
            None => return Err(act.gone()),
        }
        begun = true;
    }
    act.progress.found_all.store(1, Ordering::Relaxed);
    sync.end().await;
    Ok(act.summary())
}

/// What is compared is what is moved, whatever is written meanwhile.
async fn at_one_lsn(side: Side) -> Result<Side, Refusal> {
    Ok(match side {
        Side::Remote(fs, at, when) => {
            let moment = fs.resolve(when).await?;
            Side::Remote(fs, at, moment.when())
        }
        local => local,
    })
}

/// A directory of the target that is being walked, to be finished when all below it is done.
struct Open {
    path: Vec<u8>,
    attr: v1::Attr,
    /// Its attributes differ, or something in it was changed, which moves its time.
    touched: bool,
}

struct Sync {
    act: Arc<Act>,
    options: SyncOptions,
    /// True: a whole tree.
    running: FuturesUnordered<BoxFuture<'static, bool>>,
    trees: usize,
    /// Everything below it is taken care of.
    done_below: Option<Vec<u8>>,
    /// The same of what was only at the target.
    gone_below: Option<Vec<u8>>,
    /// From the root down.
    open: Vec<Open>,
    /// Bounded by the directories that change.
    to_finish: Vec<(Vec<u8>, v1::Attr)>,
    to_empty: Vec<Vec<u8>>,
}

impl Sync {
    async fn make_room(&mut self) {
        let jobs = self.options.transfer.jobs.max(1);
        while self.running.len() >= jobs || self.trees >= TREES_MAX {
            match self.running.next().await {
                Some(tree) => self.trees -= usize::from(tree),
                None => return,
            }
        }
    }

    async fn step(&mut self, pair: Pair) {
        let goes = pair.left.is_none() && is_below(&pair.path, &self.gone_below);
        if goes || is_below(&pair.path, &self.done_below) {
            return;
        }
        self.close_others(&pair.path);
        match (pair.left.clone(), pair.right.clone()) {
            (None, None) => {}
            (_, Some(node)) | (Some(node), _) if node.unreadable.is_some() => {
                self.refuse(&pair.path, node.unreadable);
            }
            (None, Some(right)) => self.only_right(pair.path, &right),
            (Some(left), Some(right)) if left.kind != right.kind => {
                self.make_way(pair.path, left, &right).await;
            }
            (Some(left), None) => self.only_left(pair.path, left).await,
            (Some(left), Some(_)) => self.both(&pair, &left),
        }
    }

    /// Directories that the walk has left.
    fn close_others(&mut self, path: &[u8]) {
        while let Some(last) = self.open.last() {
            if is_below(path, &Some(last.path.clone())) {
                return;
            }
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop().filter(|open| open.touched) {
            self.to_finish.push((open.path, open.attr));
        }
    }

    fn touch(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.touched = true;
        }
    }

    fn refuse(&mut self, path: &[u8], refusal: Option<Refusal>) {
        if let Some(refusal) = refusal {
            self.act.failed(path, refusal);
        }
        self.done_below = Some(path.to_vec());
    }

    fn only_right(&mut self, path: Vec<u8>, right: &Node) {
        if !self.options.delete || path.is_empty() {
            return;
        }
        self.touch();
        if self.options.keep.is_some() && right.is_directory() {
            // What is left out may lie in it: it goes when it is empty.
            return self.to_empty.push(path);
        }
        self.gone_below = Some(path.clone());
        let act = self.act.clone();
        self.run(async move { act.remove(&path, true).await });
    }

    async fn make_way(&mut self, path: Vec<u8>, left: Node, right: &Node) {
        if !self.options.delete || path.is_empty() {
            let what = self.act.shown(&path);
            let why = format!(
                "a {} is there, where a {} should be",
                right.kind.name(),
                left.kind.name()
            );
            let refusal = Refusal::new(Code::WrongKind, what, why);
            let advice = "Remove it, or let it be removed (--delete)";
            return self.refuse(&path, Some(refusal.advice(advice)));
        }
        // What is left out may lie in it.
        let all = self.options.keep.is_none();
        if self.act.make_way(&path, right, all).await {
            self.gone_below = Some(path.clone());
            self.only_left(path, left).await;
        } else {
            self.done_below = Some(path);
        }
    }

    async fn only_left(&mut self, path: Vec<u8>, left: Node) {
        self.touch();
        let act = self.act.clone();
        if !left.is_directory() {
            act.found(&left);
            return self.run(async move { act.transfer(&path, &left).await });
        }
        if self.options.keep.is_none() && act.moves_trees() {
            self.done_below = Some(path.clone());
            self.trees += 1;
            let all = self.options.transfer.jobs;
            let jobs = if path.is_empty() {
                all
            } else {
                all / TREES_MAX
            };
            let tree = async move {
                act.transfer_tree(&path, jobs.max(1)).await;
                true
            };
            return self.running.push(Box::pin(tree));
        }
        match act.make_directory(&path, &left).await {
            true => self.open.push(Open {
                path,
                attr: left.attr,
                touched: true,
            }),
            false => self.done_below = Some(path),
        }
    }

    fn both(&mut self, pair: &Pair, left: &Node) {
        let differs = self.act.attributes_differ(&pair.changes);
        if left.is_directory() {
            return self.open.push(Open {
                path: pair.path.clone(),
                attr: left.attr,
                touched: differs,
            });
        }
        self.act.found(left);
        let (act, path, left) = (self.act.clone(), pair.path.clone(), left.clone());
        if !pair.is_equal() {
            self.touch();
            return self.run(async move { act.transfer(&path, &left).await });
        }
        act.skipped(&left);
        if differs {
            self.run(async move { act.set_attributes(&path, &left).await });
        }
    }

    fn run(&mut self, action: impl Future<Output = bool> + Send + 'static) {
        self.running.push(Box::pin(async move {
            action.await;
            false
        }));
    }

    /// Waits for what runs; then what is empty goes, and directories get their attributes, the deepest first.
    async fn end(mut self) {
        while self.running.next().await.is_some() {}
        if self.act.is_stopped() {
            return;
        }
        while !self.open.is_empty() {
            self.close();
        }
        for path in self.to_empty.iter().rev() {
            self.act.remove(path, false).await;
        }
        let by_depth = |(path, _): &(Vec<u8>, v1::Attr)| path.split(|b| *b == b'/').count();
        self.to_finish
            .sort_by_key(|finish| std::cmp::Reverse(by_depth(finish)));
        for (path, attr) in &self.to_finish {
            self.act.finish(path, *attr).await;
        }
    }
}
