//! Directories read page by page, at one LSN from the first page on.
use crate::call::Place;
use crate::failure::Outcome;
use dfs_fs::{Entry, Seen};
use futures::TryStreamExt;

/// Names per page: a round trip for so many, and bounded memory for directories of any size.
const PAGE_ENTRIES: u32 = 1000;

/// A directory being read.
pub(crate) struct Listing {
    place: Place,
    after: Vec<u8>,
    /// How many more may come.
    left: u64,
    ended: bool,
    /// Where the first page was read; 0 before it.
    lsn: u64,
}

impl Listing {
    pub(crate) fn new(place: &Place) -> Listing {
        Listing {
            place: place.clone(),
            after: Vec::new(),
            left: u64::MAX,
            ended: false,
            lsn: 0,
        }
    }

    pub(crate) fn after(mut self, name: &[u8]) -> Listing {
        self.after = name.to_vec();
        self
    }

    pub(crate) fn limit(mut self, limit: Option<u64>) -> Listing {
        self.left = limit.unwrap_or(u64::MAX);
        self
    }

    pub(crate) fn lsn(&self) -> u64 {
        self.lsn
    }

    /// Whether there are names after the last one given.
    pub(crate) fn more(&self) -> bool {
        !self.ended
    }

    /// The next page; `None` after the last. The first call always asks, so that what is missing
    /// or no directory is refused.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Vec<Entry>>> {
        if self.lsn > 0 && (self.ended || self.left == 0) {
            return Ok(None);
        }
        let limit = self.left.clamp(1, u64::from(PAGE_ENTRIES)) as u32;
        let place = &self.place;
        let asked = place
            .fs
            .list(&place.at, place.when, &self.after, limit)
            .await;
        let Seen { lsn, value, .. } = asked?;
        if self.lsn == 0 {
            self.lsn = lsn;
            self.place = self.place.pinned(lsn);
        }
        self.ended = !value.more;
        if let Some(last) = value.entries.last() {
            self.after = last.name.to_vec();
        }
        self.left = self.left.saturating_sub(value.entries.len() as u64);
        Ok(Some(value.entries))
    }

    /// Everything at once: for directories whose entries have to be known before the first is shown.
    pub(crate) async fn all(&mut self) -> Outcome<Vec<Entry>> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// How many entries lie below, counted until there are more than `enough`.
pub(crate) async fn count_below(place: &Place, enough: u64) -> Outcome<u64> {
    let mut count = 0;
    let mut walk = place.fs.walk(&place.at, place.when);
    while count <= enough && walk.try_next().await?.is_some() {
        count += 1;
    }
    Ok(count)
}
