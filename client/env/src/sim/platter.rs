//! What a simulated disk holds: pages as the cache shows them and as the medium has them.
//!
//! Pure: no time, no chance of its own. A page keeps its settled content and every version written
//! since, so that a power loss can leave any of them, or sectors of two.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::SmallRng;

pub(super) const PAGE: usize = 4096;
pub(super) const SECTOR: usize = 512;
/// Unsynced versions kept per page; beyond it the oldest is forgotten. A log appends to one page a
/// few times between two syncs.
const VERSIONS_MAX: usize = 8;

/// `None` is a page of zeros.
type Content = Option<Box<[u8]>>;

fn sector_of(content: &Content, sector: usize) -> &[u8] {
    const ZEROS: [u8; SECTOR] = [0; SECTOR];
    match content {
        None => &ZEROS,
        Some(page) => &page[sector * SECTOR..(sector + 1) * SECTOR],
    }
}

/// How a power loss treats what is pending. The pure cases are rare among mixed ones.
#[derive(Clone, Copy)]
enum Luck {
    AllLost,
    AllKept,
    Mixed,
}

#[derive(Clone, Default)]
struct Page {
    settled: Content,
    /// (write number, content), oldest first.
    versions: Vec<(u64, Content)>,
    /// A failed sync dropped the versions up to this write: the cache shows them, no later sync
    /// writes them.
    dropped_through: u64,
    hole: bool,
}

impl Page {
    fn absent() -> Page {
        Page {
            hole: true,
            ..Page::default()
        }
    }

    fn newest(&self) -> &Content {
        self.versions
            .last()
            .map_or(&self.settled, |(_, content)| content)
    }

    fn write(&mut self, number: u64, content: Content) {
        if self.versions.len() == VERSIONS_MAX {
            self.versions.remove(0);
        }
        self.versions.push((number, content));
    }

    /// A sync that began at write `number` has finished; true when nothing is pending any more.
    fn settle(&mut self, number: u64) -> bool {
        let from = self.dropped_through;
        let last = self
            .versions
            .iter()
            .rposition(|(n, _)| *n <= number && *n > from);
        if let Some(last) = last {
            self.settled = self.versions[last].1.clone();
            self.versions.drain(..=last);
        }
        self.versions.is_empty()
    }

    /// The power went: by `luck` the first or the last version, else any, or sectors of two.
    fn lose(&mut self, luck: Luck, rng: &mut SmallRng) {
        let mut candidates: Vec<Content> = vec![self.settled.take()];
        candidates.extend(self.versions.drain(..).map(|(_, content)| content));
        self.dropped_through = 0;
        let (a, b) = match luck {
            Luck::AllLost => (0, 0),
            Luck::AllKept => (candidates.len() - 1, candidates.len() - 1),
            Luck::Mixed => (
                rng.random_range(0..candidates.len()),
                rng.random_range(0..candidates.len()),
            ),
        };
        if a == b || rng.random_range(0..2) == 0 {
            self.settled = candidates.swap_remove(a);
            return;
        }
        let mut torn = Vec::with_capacity(PAGE);
        for sector in 0..PAGE / SECTOR {
            let source = if rng.random_range(0..2) == 0 { a } else { b };
            torn.extend_from_slice(sector_of(&candidates[source], sector));
        }
        self.settled = Some(torn.into());
    }

    /// Changes the content everywhere it is kept: damage of the medium.
    fn damage(&mut self, f: impl Fn(&mut [u8])) {
        let contents = self.versions.iter_mut().map(|(_, content)| content);
        for content in contents.chain([&mut self.settled]) {
            f(content.get_or_insert_with(|| vec![0; PAGE].into()));
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pages: BTreeMap<u64, Page>,
    dirty: BTreeSet<u64>,
    /// Sectors that answer a read with an error, until they are written.
    unreadable: BTreeSet<u64>,
    allocated_pages: u64,
    pub(super) len: u64,
    settled_len: u64,
}

/// Where a sync began: what was written later is not covered by it.
#[derive(Clone, Copy)]
pub(super) struct SyncPoint {
    number: u64,
    len: u64,
}

impl Inode {
    fn allocated(&self) -> u64 {
        self.allocated_pages * PAGE as u64
    }

    /// Bytes of new pages that a write would need.
    pub(super) fn needs(&self, offset: u64, len: u64) -> u64 {
        let present = |page: &u64| self.pages.get(page).is_some_and(|page| !page.hole);
        pages_of(offset, len).filter(|page| !present(page)).count() as u64 * PAGE as u64
    }

    pub(super) fn read(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let end = (offset + len as u64).min(self.len);
        if end <= offset {
            return Some(Vec::new());
        }
        let mut sectors = offset / SECTOR as u64..end.div_ceil(SECTOR as u64);
        if sectors.any(|sector| self.unreadable.contains(&sector)) {
            return None;
        }
        let mut out = vec![0; (end - offset) as usize];
        for page in pages_of(offset, end - offset) {
            let Some(Some(content)) = self.pages.get(&page).map(Page::newest) else {
                continue;
            };
            let begin = page * PAGE as u64;
            let (from, to) = (begin.max(offset), (begin + PAGE as u64).min(end));
            let source = &content[(from - begin) as usize..(to - begin) as usize];
            out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
        }
        Some(out)
    }

    pub(super) fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        for index in pages_of(offset, bytes.len() as u64) {
            let page = self.pages.entry(index).or_insert_with(Page::absent);
            let begin = index * PAGE as u64;
            let (from, to) = (begin.max(offset), (begin + PAGE as u64).min(end));
            let source = &bytes[(from - offset) as usize..(to - offset) as usize];
            let mut content = page
                .newest()
                .clone()
                .unwrap_or_else(|| vec![0; PAGE].into());
            content[(from - begin) as usize..(to - begin) as usize].copy_from_slice(source);
            self.allocated_pages += u64::from(std::mem::replace(&mut page.hole, false));
            page.write(number, Some(content));
            self.dirty.insert(index);
        }
        let written = offset / SECTOR as u64..end.div_ceil(SECTOR as u64);
        self.unreadable.retain(|sector| !written.contains(sector));
        self.len = self.len.max(end);
    }

    pub(super) fn zero(&mut self, number: u64, offset: u64, len: u64) {
        for index in pages_of(offset, len) {
            let begin = index * PAGE as u64;
            let (from, to) = (begin.max(offset), (begin + PAGE as u64).min(offset + len));
            let Some(page) = self.pages.get_mut(&index) else {
                continue;
            };
            let mut content = page.newest().clone();
            if to - from == PAGE as u64 {
                content = None;
                self.allocated_pages -= u64::from(!std::mem::replace(&mut page.hole, true));
            } else if let Some(bytes) = &mut content {
                bytes[(from - begin) as usize..(to - begin) as usize].fill(0);
            }
            page.write(number, content);
            self.dirty.insert(index);
        }
    }

    /// `len` bytes of settled zeros.
    pub(super) fn allocate_zeroed(&mut self, len: u64) {
        *self = Inode {
            len,
            settled_len: len,
            ..Inode::default()
        };
        self.pages = pages_of(0, len)
            .map(|index| (index, Page::default()))
            .collect();
        self.allocated_pages = self.pages.len() as u64;
    }

    pub(super) fn set_len(&mut self, number: u64, len: u64) {
        if len < self.len {
            self.zero(number, len, self.len - len);
        }
        self.len = len;
    }

    pub(super) fn sync_point(&self, number: u64) -> SyncPoint {
        SyncPoint {
            number,
            len: self.len,
        }
    }

    pub(super) fn synced(&mut self, point: SyncPoint) {
        let pages = &mut self.pages;
        let pending = |index: &u64| {
            pages
                .get_mut(index)
                .is_some_and(|p| !p.settle(point.number))
        };
        self.dirty.retain(pending);
        self.settled_len = point.len;
    }

    /// A sync failed: by chance, pages are taken for clean although they never were written.
    pub(super) fn sync_failed(&mut self, point: SyncPoint, rng: &mut SmallRng) {
        for index in &self.dirty {
            let Some(page) = self.pages.get_mut(index) else {
                continue;
            };
            match rng.random_range(0..3) {
                0 => page.dropped_through = point.number,
                1 => drop(page.settle(point.number)),
                _ => {}
            }
        }
    }

    fn lose(&mut self, luck: Luck, rng: &mut SmallRng) {
        for index in std::mem::take(&mut self.dirty) {
            if let Some(page) = self.pages.get_mut(&index) {
                page.lose(luck, rng);
            }
        }
        let (short, long) = (
            self.len.min(self.settled_len),
            self.len.max(self.settled_len),
        );
        self.len = match luck {
            Luck::AllLost => self.settled_len,
            Luck::AllKept => self.len,
            Luck::Mixed => (rng.random_range(short..=long) / PAGE as u64 * PAGE as u64).max(short),
        };
        self.cut_settled(self.len);
    }

    /// Cuts the medium itself.
    pub(super) fn cut_settled(&mut self, len: u64) {
        (self.len, self.settled_len) = (len, len);
        let (last, used) = (len / PAGE as u64, (len % PAGE as u64) as usize);
        self.pages
            .retain(|index, _| *index < len.div_ceil(PAGE as u64));
        self.allocated_pages = self.pages.values().filter(|page| !page.hole).count() as u64;
        if let Some(page) = self.pages.get_mut(&last) {
            page.damage(|bytes| bytes[used..].fill(0));
        }
    }

    pub(super) fn damage(&mut self, offset: u64, f: impl Fn(&mut u8)) {
        let at = (offset % PAGE as u64) as usize;
        self.pages
            .entry(offset / PAGE as u64)
            .or_default()
            .damage(|bytes| f(&mut bytes[at]));
    }

    pub(super) fn make_unreadable(&mut self, sector: u64) {
        self.unreadable.insert(sector);
    }
}

fn pages_of(offset: u64, len: u64) -> std::ops::Range<u64> {
    offset / PAGE as u64..(offset + len).div_ceil(PAGE as u64)
}

#[derive(Clone)]
enum NameChange {
    Linked(String, u64),
    Unlinked(String),
    Renamed(String, String),
}

/// The files and names of one disk.
#[derive(Clone, Default)]
pub(super) struct Platter {
    names: BTreeMap<String, u64>,
    settled_names: BTreeMap<String, u64>,
    pending_names: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    write_number: u64,
}

impl Platter {
    pub(super) fn next_write(&mut self) -> u64 {
        self.write_number += 1;
        self.write_number
    }

    pub(super) fn write_number(&self) -> u64 {
        self.write_number
    }

    pub(super) fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|id| self.inodes.get(id))
            .map(Inode::allocated)
            .sum()
    }

    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&String, u64)> {
        self.names
            .iter()
            .map(|(name, id)| (name, self.inodes.get(id).map_or(0, |i| i.len)))
    }

    pub(super) fn inode(&mut self, id: u64) -> Option<&mut Inode> {
        self.inodes.get_mut(&id)
    }

    pub(super) fn create(&mut self, name: &str) -> u64 {
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Inode::default());
        self.change(NameChange::Linked(name.into(), self.next_inode));
        self.next_inode
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.change(NameChange::Unlinked(name.into()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.change(NameChange::Renamed(from.into(), to.into()));
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    /// How many changes of names a directory sync that begins now covers.
    pub(super) fn pending_names(&self) -> usize {
        self.pending_names.len()
    }

    pub(super) fn names_synced(&mut self, count: usize) {
        let count = count.min(self.pending_names.len());
        for change in self.pending_names.drain(..count) {
            change.apply(&mut self.settled_names);
        }
    }

    /// The power went: a seeded prefix of the changes of names, any subset of pages.
    pub(super) fn lose(&mut self, rng: &mut SmallRng) {
        let luck = match rng.random_range(0..6) {
            0 => Luck::AllLost,
            1 => Luck::AllKept,
            _ => Luck::Mixed,
        };
        let kept = match luck {
            Luck::AllLost => 0,
            Luck::AllKept => self.pending_names.len(),
            Luck::Mixed => rng.random_range(0..=self.pending_names.len()),
        };
        self.names_synced(kept);
        self.pending_names.clear();
        self.names = self.settled_names.clone();
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.inodes.retain(|id, _| named.contains(id));
        self.inodes
            .values_mut()
            .for_each(|inode| inode.lose(luck, rng));
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Linked(name, id) => drop(names.insert(name.clone(), *id)),
            NameChange::Unlinked(name) => drop(names.remove(name)),
            NameChange::Renamed(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}
