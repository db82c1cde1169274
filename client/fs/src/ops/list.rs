//! List: a directory, page by page, or as a stream of all its entries at one LSN.

use bytes::Bytes;
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, limits, v1};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::address::Address;
use crate::entry::{Entry, Page, Seen};
use crate::fs::Fs;
use crate::ops::odd_answer;
use crate::when::When;

/// Entries of one page of a stream: about 200 KiB.
const STREAM_PAGE_ENTRIES: u32 = 2048;

impl Fs {
    /// The entries with names greater than `after_name`, at most `limit` (0: 1,000) of them.
    /// `WrongKind` when it is no directory.
    pub async fn list(
        &self,
        at: &Address,
        when: When,
        after_name: &[u8],
        limit: u32,
    ) -> Result<Seen<Page>, Refusal> {
        self.list_with(at, when, after_name, limit, false).await
    }

    /// The same with [`Entry::content`]. Ask for few: contents of up to 64 KiB are in the answer.
    pub(crate) async fn list_with_content(
        &self,
        at: &Address,
        when: When,
        after_name: &[u8],
        limit: u32,
    ) -> Result<Seen<Page>, Refusal> {
        self.list_with(at, when, after_name, limit, true).await
    }

    async fn list_with(
        &self,
        at: &Address,
        when: When,
        after_name: &[u8],
        limit: u32,
        with_content: bool,
    ) -> Result<Seen<Page>, Refusal> {
        let request = v1::ListRequest {
            path: Some(at.to_wire()),
            view: self.view(when),
            after_name: Bytes::copy_from_slice(after_name),
            limit: limit.min(limits::LIST_ENTRIES_MAX),
            with_content,
        };
        let answer = self.ask("a listing", Op::List(request), |body| match body {
            Body::Listing(listing) => Some(listing),
            _ => None,
        });
        let Seen {
            lsn,
            log_time_us,
            value,
        } = answer.await?;
        Ok(Seen {
            lsn,
            log_time_us,
            value: page(value)?,
        })
    }

    /// All entries in the order of their names, of the LSN at which the first page was read.
    pub fn list_all(
        &self,
        at: &Address,
        when: When,
    ) -> BoxStream<'static, Result<Seen<Entry>, Refusal>> {
        let first = Some((when, Bytes::new()));
        let (fs, at) = (self.clone(), at.clone());
        let pages = stream::try_unfold(first, move |next| {
            let (fs, at) = (fs.clone(), at.clone());
            async move {
                let Some((when, after)) = next else {
                    return Ok(None);
                };
                let page = fs.list(&at, when, &after, STREAM_PAGE_ENTRIES).await?;
                let last = page.entries.last().map(|entry| entry.name.clone());
                let next = last
                    .filter(|_| page.more)
                    .map(|last| (When::Lsn(page.lsn), last));
                Ok::<_, Refusal>(Some((page, next)))
            }
        });
        let entries = pages.map_ok(|page| {
            let (lsn, log_time_us) = (page.lsn, page.log_time_us);
            let seen = move |value| {
                Ok(Seen {
                    lsn,
                    log_time_us,
                    value,
                })
            };
            stream::iter(page.value.entries.into_iter().map(seen))
        });
        entries.try_flatten().boxed()
    }
}

fn page(listing: v1::Listing) -> Result<Page, Refusal> {
    let directory = listing.directory.ok_or_else(|| odd_answer("a listing"))?;
    let entries = listing.entries.into_iter().map(Entry::from_wire);
    Ok(Page {
        directory: Entry::from_wire(directory)?,
        entries: entries.collect::<Result<_, _>>()?,
        more: listing.more,
    })
}
