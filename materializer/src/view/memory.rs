//! The view in memory: persistent maps, so that a snapshot costs nothing and never changes.
use super::{Keyspace, Layer, Read, STAMP_KEY, Scan, Snapshot, Stamp, View, ViewError, agree};
use bytes::Bytes;
use imbl::OrdMap;
use parking_lot::Mutex;
use std::ops::Bound;
use std::sync::Arc;

/// Rows in memory; lost with the process. For simulation and tests.
#[derive(Default)]
pub struct MemoryView {
    rows: Mutex<Rows>,
    /// Between `begin_load` and `end_load`.
    loading: Mutex<Rows>,
}

#[derive(Clone, Default)]
struct Rows {
    spaces: [OrdMap<Bytes, Bytes>; 5],
}

impl MemoryView {
    pub fn new() -> MemoryView {
        MemoryView::default()
    }

    /// Flips a bit in the last byte of a row, as bad memory does: the `nth` one modulo how many there are. Who
    /// folds sees it after its next commit. What the row was made to be; `None`: there is none.
    pub fn rot(&self, space: Keyspace, nth: usize) -> Option<(Bytes, Bytes)> {
        let rows = &mut self.rows.lock().spaces[space as usize];
        let is_row = |row: &(&Bytes, &Bytes)| row.0.as_ref() != STAMP_KEY && !row.1.is_empty();
        let count = rows.iter().filter(is_row).count();
        let (key, value) = rows.iter().filter(is_row).nth(nth % count.max(1))?;
        let (key, rotten) = (key.clone(), flipped(value)?);
        rows.insert(key.clone(), rotten.clone());
        Some((key, rotten))
    }

    /// The same bit again, of the row with this key, if there is one.
    pub fn flip(&self, space: Keyspace, key: &Bytes) {
        let rows = &mut self.rows.lock().spaces[space as usize];
        if let Some(row) = rows.get(key).and_then(flipped) {
            rows.insert(key.clone(), row);
        }
    }
}

fn flipped(row: &Bytes) -> Option<Bytes> {
    let mut bytes = row.to_vec();
    *bytes.last_mut()? ^= 1;
    Some(Bytes::from(bytes))
}

impl View for MemoryView {
    fn snapshot(&self) -> Snapshot {
        let rows = self.rows.lock().clone();
        let found = Keyspace::ALL.map(|s| (s, rows.spaces[s as usize].get(STAMP_KEY).cloned()));
        let stamp = agree(&found).expect("a batch in memory is whole");
        Snapshot::new(stamp, Arc::new(rows))
    }

    fn commit(&self, batch: Layer, stamp: Stamp) -> Result<(), ViewError> {
        let mut rows = self.rows.lock();
        for (space, key, value) in batch.into_writes() {
            let rows = &mut rows.spaces[space as usize];
            match value {
                Some(value) => rows.insert(Bytes::from(key), value),
                None => rows.remove(key.as_slice()),
            };
        }
        for space in &mut rows.spaces {
            space.insert(Bytes::from_static(STAMP_KEY), stamp.encode());
        }
        Ok(())
    }

    fn persist(&self) -> Result<(), ViewError> {
        Ok(())
    }

    fn forget(&self, forgotten: Vec<(Keyspace, Bytes)>) -> Result<(), ViewError> {
        let mut rows = self.rows.lock();
        for (space, key) in forgotten {
            rows.spaces[space as usize].remove(&key);
        }
        Ok(())
    }

    fn begin_load(&self) -> Result<(), ViewError> {
        *self.loading.lock() = Rows::default();
        *self.rows.lock() = Rows::default();
        Ok(())
    }

    fn load(&self, rows: Vec<(Keyspace, Bytes, Bytes)>) -> Result<(), ViewError> {
        let mut loading = self.loading.lock();
        for (space, key, value) in rows {
            loading.spaces[space as usize].insert(key, value);
        }
        Ok(())
    }

    fn end_load(&self, stamp: Stamp) -> Result<(), ViewError> {
        *self.rows.lock() = std::mem::take(&mut *self.loading.lock());
        self.commit(Layer::default(), stamp)
    }
}

impl Rows {
    /// `from` < `to`.
    fn range<'a>(
        &'a self,
        space: Keyspace,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        self.spaces[space as usize].range::<_, [u8]>(bounds)
    }
}

impl Read for Rows {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        Ok(self.spaces[space as usize].get(key).cloned())
    }

    fn scan<'a>(&'a self, space: Keyspace, from: &[u8], to: &[u8]) -> Scan<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        Box::new(
            self.range(space, from, to)
                .map(|(key, value)| Ok((key.clone(), value.clone()))),
        )
    }

    fn last(
        &self,
        space: Keyspace,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<(Bytes, Bytes)>, ViewError> {
        if from >= to {
            return Ok(None);
        }
        let last = self.range(space, from, to).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }
}
