//! Two trees side by side, wherever and whenever they are: a merge of two sorted walks.

mod local;
mod node;
mod remote;

pub(crate) use node::is_below;
pub use node::{Changes, Node};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dfs_env::{Env, Task};
use dfs_rpc::trace::carried;
use dfs_wire::{Code, Refusal};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::address::Address;
use crate::fs::Fs;
use crate::transfer::local as files;
use crate::when::When;

/// One of the two.
#[derive(Clone)]
pub enum Side {
    Local(PathBuf),
    /// Of one LSN from its first listing on.
    Remote(Fs, Address, When),
}

/// Which entries count, by their path below the root, and whether they are directories. What is left
/// out of one side is left out of both, with all below it.
#[derive(Clone)]
pub struct Keep(pub Arc<Counts>);

type Counts = dyn Fn(&[u8], bool) -> bool + Send + Sync;

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

impl Keep {
    fn all(keep: &Option<Keep>, path: &[u8], is_directory: bool) -> bool {
        keep.as_ref()
            .is_none_or(|keep| (keep.0)(path, is_directory))
    }
}

/// How two trees are compared.
#[derive(Clone, Debug, Default)]
pub struct CompareOptions {
    /// Files of the same size are equal if their checksums are: local ones are read for it. Else by
    /// mtime, but between two remote sides, which know the checksums, by those.
    pub checksum: bool,
    pub keep: Option<Keep>,
}

/// What stands at one path, on the left, on the right, or both; not neither.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Below the roots; empty: the roots themselves.
    pub path: Vec<u8>,
    pub left: Option<Node>,
    pub right: Option<Node>,
    /// In what they differ, where both are there.
    pub changes: Changes,
}

impl Pair {
    /// Whether it is the same on both sides but for owner, mode and times.
    pub fn is_equal(&self) -> bool {
        self.left.is_some() && self.right.is_some() && !self.changes.content
    }
}

/// Entries that a walk is ahead of the comparison: a page of a listing.
const AHEAD_MAX: usize = 1024;

type Nodes = BoxStream<'static, Result<Node, Refusal>>;

/// Every path of either, in the order of their names. A root that is not there has nothing below it;
/// a refusal ends it.
pub fn compare(
    env: &Env,
    left: Side,
    right: Side,
    options: CompareOptions,
) -> BoxStream<'static, Result<Pair, Refusal>> {
    let merge = Merge {
        ahead: (None, None),
        left_out: None,
        nodes: (
            nodes(env, &left, &options.keep),
            nodes(env, &right, &options.keep),
        ),
        terms: Terms {
            env: env.clone(),
            sides: (left, right),
            options,
        },
    };
    let pairs = stream::try_unfold(merge, |mut merge| async move {
        Ok(merge.next().await?.map(|pair| (pair, merge)))
    });
    pairs.boxed()
}

/// Each side is walked by a task of its own, so that neither waits for the other.
fn nodes(env: &Env, side: &Side, keep: &Option<Keep>) -> Nodes {
    let mut walk = match side {
        Side::Local(path) => local::walk(env.clone(), path.clone(), keep.clone()),
        Side::Remote(fs, at, when) => remote::walk(fs.clone(), at.clone(), *when, keep.clone()),
    };
    let (ahead, nodes) = mpsc::channel(AHEAD_MAX);
    let walking = Walking(env.spawn(
        "walk",
        carried(async move {
            while let Some(node) = walk.next().await {
                if ahead.send(node).await.is_err() {
                    return; // nobody compares any more
                }
            }
        }),
    ));
    let nodes = stream::try_unfold((nodes, walking), |(mut nodes, mut walking)| async move {
        match nodes.recv().await {
            Some(node) => Ok(Some((node?, (nodes, walking)))),
            // What was not walked to its end would look like a tree that has no more.
            None => match (&mut walking.0).await {
                Ok(()) => Ok(None),
                Err(why) => Err(Refusal::new(Code::Unavailable, "the walk", why.to_string())),
            },
        }
    });
    nodes.boxed()
}

/// Ends with whoever takes from it.
struct Walking(Task<()>);

impl Drop for Walking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Merge {
    nodes: (Nodes, Nodes),
    /// The next of each side.
    ahead: (Option<Node>, Option<Node>),
    /// Left out of one side: of the other it is, too, with all below it.
    left_out: Option<Vec<u8>>,
    terms: Terms,
}

/// What decides whether two are equal.
struct Terms {
    env: Env,
    sides: (Side, Side),
    options: CompareOptions,
}

impl Merge {
    async fn next(&mut self) -> Result<Option<Pair>, Refusal> {
        loop {
            let (left, right) = self.both().await?;
            let Some(node) = left.as_ref().or(right.as_ref()) else {
                return Ok(None);
            };
            if is_below(&node.path, &self.left_out) {
                continue;
            }
            if [&left, &right]
                .into_iter()
                .flatten()
                .any(|node| node.is_left_out)
            {
                self.left_out = Some(node.path.clone());
                continue;
            }
            return self.terms.pair(left, right).await.map(Some);
        }
    }

    /// What stands at the next path; neither: it is the end.
    async fn both(&mut self) -> Result<(Option<Node>, Option<Node>), Refusal> {
        if self.ahead.0.is_none() {
            self.ahead.0 = self.nodes.0.next().await.transpose()?;
        }
        if self.ahead.1.is_none() {
            self.ahead.1 = self.nodes.1.next().await.transpose()?;
        }
        let order = match &self.ahead {
            (None, None) => return Ok((None, None)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(left), Some(right)) => node::order(&left.path, &right.path),
        };
        let left = self.ahead.0.take_if(|_| order.is_le());
        let right = self.ahead.1.take_if(|_| order.is_ge());
        Ok((left, right))
    }
}

impl Terms {
    async fn pair(&self, mut left: Option<Node>, mut right: Option<Node>) -> Result<Pair, Refusal> {
        let by_content = self.options.checksum || self.are_remote();
        if let (Some(left), Some(right)) = (&mut left, &mut right)
            && self.options.checksum
            && node::are_files_of_one_size(left, right)
        {
            self.sum(&self.sides.0, left).await?;
            self.sum(&self.sides.1, right).await?;
        }
        let changes = match (&left, &right) {
            (Some(left), Some(right)) => Changes::between(left, right, by_content),
            _ => Changes::default(),
        };
        let path = left
            .as_ref()
            .or(right.as_ref())
            .map(|node| node.path.clone());
        Ok(Pair {
            path: path.unwrap_or_default(),
            left,
            right,
            changes,
        })
    }

    fn are_remote(&self) -> bool {
        matches!(self.sides, (Side::Remote(..), Side::Remote(..)))
    }

    /// Finds the checksum out where it is not known.
    async fn sum(&self, side: &Side, node: &mut Node) -> Result<(), Refusal> {
        if node.crc32c.is_some() {
            return Ok(());
        }
        let crc32c = match side {
            Side::Local(root) => {
                let path = files::below(root, &node.path);
                self.env.blocking(move || files::checksum(&path)).await?
            }
            Side::Remote(fs, at, _) => {
                let when = When::Lsn(node.seen_lsn);
                fs.checksum(&at.join(&node.path)?, when).await?.crc32c
            }
        };
        node.crc32c = Some(crc32c);
        Ok(())
    }
}
