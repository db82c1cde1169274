//! Writes that are not in a store yet, read through as if they were.
use super::{Keyspace, Read, Scan, ViewError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;

/// Writes over some state: a value, or `None` for a row that is gone.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    spaces: [BTreeMap<Vec<u8>, Option<Bytes>>; 5],
    bytes: usize,
}

impl Layer {
    pub fn set(&mut self, space: Keyspace, key: &[u8], value: Option<Bytes>) {
        let added = value.as_ref().map_or(0, Bytes::len);
        let rows = &mut self.spaces[space as usize];
        if let Some(row) = rows.get_mut(key) {
            *row = value;
        } else {
            rows.insert(key.to_vec(), value);
            self.bytes += key.len();
        }
        self.bytes += added;
    }

    /// Forgets a write, so that what lies below shows again.
    pub(crate) fn unset(&mut self, space: Keyspace, key: &[u8]) {
        self.spaces[space as usize].remove(key);
    }

    /// What is written at this key, if anything is.
    pub(crate) fn written(&self, space: Keyspace, key: &[u8]) -> Option<&Option<Bytes>> {
        self.spaces[space as usize].get(key)
    }

    pub fn is_empty(&self) -> bool {
        self.spaces.iter().all(BTreeMap::is_empty)
    }

    /// Bytes of all keys and values ever set: what a batch is bounded by.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_writes(self) -> impl Iterator<Item = (Keyspace, Vec<u8>, Option<Bytes>)> {
        Keyspace::ALL
            .into_iter()
            .zip(self.spaces)
            .flat_map(|(space, rows)| {
                rows.into_iter()
                    .map(move |(key, value)| (space, key, value))
            })
    }
}

/// State with a layer of writes over it.
#[derive(Clone, Copy)]
pub struct Layered<'a> {
    pub over: &'a Layer,
    pub under: &'a dyn Read,
}

fn range<'a>(from: &'a [u8], to: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    // A range that is the wrong way round is empty, as in the stores, and not a panic of BTreeMap.
    (Bound::Included(from), Bound::Excluded(to.max(from)))
}

impl Read for Layered<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        match self.over.written(space, key) {
            Some(value) => Ok(value.clone()),
            None => self.under.get(space, key),
        }
    }

    fn scan<'a>(&'a self, space: Keyspace, from: &[u8], to: &[u8]) -> Scan<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let over = self.over.spaces[space as usize].range::<[u8], _>(range(from, to));
        Box::new(Merged {
            over: over.peekable(),
            under: self.under.scan(space, from, to).peekable(),
        })
    }

    fn last(
        &self,
        space: Keyspace,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<(Bytes, Bytes)>, ViewError> {
        let mut to = to.to_vec();
        loop {
            if from >= to.as_slice() {
                return Ok(None);
            }
            let under = self.under.last(space, from, &to)?;
            let rows = self.over.spaces[space as usize].range::<[u8], _>(range(from, &to));
            let over = rows.into_iter().next_back();
            let Some((key, value)) = over else {
                return Ok(under);
            };
            if under.as_ref().is_some_and(|(under, _)| under[..] > key[..]) {
                return Ok(under);
            }
            if let Some(value) = value {
                return Ok(Some((Bytes::copy_from_slice(key), value.clone())));
            }
            // Gone in the layer: look below it.
            to = key.clone();
        }
    }
}

struct Merged<'a, I: Iterator<Item = (&'a Vec<u8>, &'a Option<Bytes>)>> {
    over: Peekable<I>,
    under: Peekable<Scan<'a>>,
}

impl<'a, I: Iterator<Item = (&'a Vec<u8>, &'a Option<Bytes>)>> Iterator for Merged<'a, I> {
    type Item = Result<(Bytes, Bytes), ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, _)) = self.over.peek() else {
                return self.under.next();
            };
            match self.under.peek() {
                Some(Err(_)) => return self.under.next(),
                Some(Ok((under, _))) if under[..] < key[..] => return self.under.next(),
                Some(Ok((under, _))) if under[..] == key[..] => {
                    self.under.next();
                }
                _ => {}
            }
            let (key, value) = self.over.next()?;
            if let Some(value) = value {
                return Some(Ok((Bytes::copy_from_slice(key), value.clone())));
            }
        }
    }
}
