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
    /// The last row that was made rotten.
    rotten: Mutex<Option<Rotten>>,
}

/// A row that says what nobody wrote.
struct Rotten {
    space: Keyspace,
    key: Bytes,
    /// After the first commit since: whether the row still stood, so that whoever folds sees it.
    met: Option<bool>,
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
        // What ends with 0 ends with the length of nothing: flipped it cannot be read at all, which is another fault.
        let says = |value: &Bytes| value.last().is_some_and(|byte| *byte != 0);
        let is_row = |row: &(&Bytes, &Bytes)| row.0.as_ref() != STAMP_KEY && says(row.1);
        let count = rows.iter().filter(is_row).count();
        let (key, value) = rows.iter().filter(is_row).nth(nth % count.max(1))?;
        let (key, rotten) = (key.clone(), flipped(value)?);
        rows.insert(key.clone(), rotten.clone());
        *self.rotten.lock() = Some(Rotten {
            space,
            key: key.clone(),
            met: None,
        });
        Some((key, rotten))
    }

    /// Whether whoever folds has met the row that was last made rotten: `Some(false)` if the first commit since
    /// wrote another in its place, `None` before that commit.
    pub fn rot_is_met(&self) -> Option<bool> {
        self.rotten.lock().as_ref().and_then(|rotten| rotten.met)
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
        let mut rotten = self.rotten.lock();
        let mut unmet = rotten.as_mut().filter(|rotten| rotten.met.is_none());
        if let Some(rotten) = &mut unmet {
            rotten.met = Some(true);
        }
        for (space, key, value) in batch.into_writes() {
            if let Some(rotten) = &mut unmet
                && (rotten.space, rotten.key.as_ref()) == (space, key.as_ref())
            {
                rotten.met = Some(false);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(view: &MemoryView, lsn: u64, key: &[u8]) {
        let mut batch = Layer::default();
        batch.set(Keyspace::Slots, key, Some(Bytes::from_static(b"value")));
        let stamp = Stamp {
            lsn,
            log_time_us: lsn,
            cut_seq: lsn,
            digest: lsn,
        };
        view.commit(batch, stamp).expect("committed");
    }

    #[test]
    fn a_rotten_row_is_met_unless_the_next_commit_writes_it() {
        assert_eq!(MemoryView::new().rot(Keyspace::Slots, 0), None);
        for (first, met) in [(&b"other"[..], true), (&b"row"[..], false)] {
            let view = MemoryView::new();
            commit(&view, 1, b"row");
            view.rot(Keyspace::Slots, 0).expect("a row");
            assert_eq!(view.rot_is_met(), None);
            commit(&view, 2, first);
            assert_eq!(view.rot_is_met(), Some(met));
            commit(&view, 3, b"row");
            assert_eq!(view.rot_is_met(), Some(met), "what comes later is too late");
        }
    }
}
