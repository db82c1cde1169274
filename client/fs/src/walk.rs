//! Everything below a directory at one LSN, directories before what they hold, listed in parallel.

use std::collections::VecDeque;

use dfs_env::Task;
use dfs_rpc::trace::carried;
use dfs_wire::{Code, Refusal};
use futures::stream::{self, BoxStream, StreamExt};

use crate::address::Address;
use crate::entry::{Entry, Page, Seen};
use crate::fs::Fs;
use crate::when::When;

/// Directories that are listed at the same time.
const LISTINGS_MAX: usize = 16;
/// Entries of one page: with 16 listings, a few MiB in all.
const PAGE_ENTRIES: u32 = 1024;

/// One entry of a walk.
#[derive(Clone, Debug)]
pub struct Walked {
    pub address: Address,
    pub entry: Entry,
    /// Of the whole walk.
    pub lsn: u64,
}

/// A directory, or the rest of it after a name.
#[derive(Clone)]
struct Todo {
    directory: Address,
    after: Vec<u8>,
    /// Of what it holds.
    depth: usize,
}

type Listing = (Todo, Result<Seen<Page>, Refusal>);

struct Walk {
    fs: Fs,
    when: When,
    /// What is not yet asked for. Bounded by the
    /// directories of the tree, the newest first, so in practice by its depth times its breadth.
    todo: Vec<Todo>,
    /// Names below the root; nothing deeper is listed.
    depth_max: usize,
    listing: VecDeque<Task<Listing>>,
    ready: VecDeque<Walked>,
}

impl Fs {
    /// All entries below `at`, without itself; nothing when it is no directory. A directory comes
    /// before what it holds; apart from that the order is not defined.
    pub fn walk(&self, at: &Address, when: When) -> BoxStream<'static, Result<Walked, Refusal>> {
        self.walk_to(at, when, usize::MAX)
    }

    /// The same down to this depth: 1 is what `at` itself holds.
    pub fn walk_to(
        &self,
        at: &Address,
        when: When,
        depth_max: usize,
    ) -> BoxStream<'static, Result<Walked, Refusal>> {
        let begun = (self.clone(), at.clone(), when);
        let walk = stream::once(async move {
            let (fs, at, when) = begun;
            let when = match when {
                When::Lsn(_) => when,
                _ => fs.resolve(when).await?.when(), // F6
            };
            let walk = Walk {
                fs,
                when,
                todo: vec![Todo {
                    directory: at,
                    after: Vec::new(),
                    depth: 1,
                }],
                depth_max,
                listing: VecDeque::new(),
                ready: VecDeque::new(),
            };
            Ok::<_, Refusal>(stream::try_unfold(walk, |mut walk| async move {
                Ok(walk.next().await?.map(|walked| (walked, walk)))
            }))
        });
        futures::TryStreamExt::try_flatten(walk).boxed()
    }
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Walked>, Refusal> {
        loop {
            if let Some(walked) = self.ready.pop_front() {
                return Ok(Some(walked));
            }
            self.start();
            let Some(first) = self.listing.front_mut() else {
                return Ok(None);
            };
            let listed = first.await;
            self.listing.pop_front();
            let stopped =
                |_| Refusal::new(Code::Unavailable, "the walk", "this client is stopping");
            let (listed, page) = listed.map_err(stopped)?;
            self.take(listed, page?)?;
        }
    }

    fn start(&mut self) {
        while self.listing.len() < LISTINGS_MAX {
            let Some(todo) = self.todo.pop() else {
                return;
            };
            let (fs, when) = (self.fs.clone(), self.when);
            self.listing.push_back(self.fs.env().spawn(
                "walk",
                carried(async move {
                    let asked = fs.list(&todo.directory, when, &todo.after, PAGE_ENTRIES);
                    let page = asked.await;
                    (todo, page)
                }),
            ));
        }
    }

    fn take(&mut self, listed: Todo, page: Seen<Page>) -> Result<(), Refusal> {
        if let (true, Some(last)) = (page.more, page.entries.last()) {
            self.todo.push(Todo {
                after: last.name.to_vec(),
                ..listed.clone()
            });
        }
        let lsn = page.lsn;
        for entry in page.value.entries {
            let address = listed.directory.join(&entry.name)?;
            if entry.is_directory() && entry.children > 0 && listed.depth < self.depth_max {
                self.todo.push(Todo {
                    directory: address.clone(),
                    after: Vec::new(),
                    depth: listed.depth + 1,
                });
            }
            self.ready.push_back(Walked {
                address,
                entry,
                lsn,
            });
        }
        Ok(())
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.listing.iter().for_each(Task::abort);
    }
}
