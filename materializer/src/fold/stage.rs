//! Where the fold of one record writes: rows, their superseded versions, and the digest of effects (FOLD-X4).
use super::effect;
use crate::state::rows::{self, Row, Versioned};
use crate::state::values::CountsValue;
use crate::state::{counts, keys};
use crate::view::{Keyspace, Layer, Layered, Read, ViewError};
use bytes::Bytes;
use prost::Message;

/// The LSN of rows in a planner's overlay: they have none yet.
pub(crate) const PROVISIONAL_LSN: u64 = u64::MAX;

/// One record at its LSN.
pub(crate) struct Stage<'a> {
    pub(crate) layer: &'a mut Layer,
    pub(crate) under: &'a dyn Read,
    /// [`PROVISIONAL_LSN`]: for an overlay, which has neither history nor digest.
    pub(crate) lsn: u64,
    pub(crate) log_time_us: u64,
    pub(crate) digest: &'a mut u64,
    /// The row looked at last: it is mostly the one that is written next.
    fetched: Option<Fetched>,
}

struct Fetched {
    space: Keyspace,
    key: Vec<u8>,
    value: Option<Bytes>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(
        layer: &'a mut Layer,
        under: &'a dyn Read,
        lsn: u64,
        log_time_us: u64,
        digest: &'a mut u64,
    ) -> Stage<'a> {
        Stage {
            layer,
            under,
            lsn,
            log_time_us,
            digest,
            fetched: None,
        }
    }

    pub(crate) fn read(&self) -> Layered<'_> {
        Layered {
            over: self.layer,
            under: self.under,
        }
    }

    pub(crate) fn is_overlay(&self) -> bool {
        self.lsn == PROVISIONAL_LSN
    }

    fn fetch(&mut self, space: Keyspace, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        if let Some(fetched) = &self.fetched
            && (fetched.space, &fetched.key[..]) == (space, key)
        {
            return Ok(fetched.value.clone());
        }
        let value = self.read().get(space, key)?;
        self.fetched = Some(Fetched {
            space,
            key: key.to_vec(),
            value: value.clone(),
        });
        Ok(value)
    }

    fn write(&mut self, space: Keyspace, key: &[u8], value: Option<Bytes>) {
        self.fetched = None;
        self.layer.set(space, key, value);
    }

    /// The current version of a versioned row.
    pub(crate) fn row<V: Message + Default>(
        &mut self,
        kind: Versioned,
        key: &[u8],
    ) -> Result<Option<Row<V>>, ViewError> {
        let row = self.fetch(kind.space(), key)?;
        row.as_ref().map(rows::decode).transpose()
    }

    /// A row that has no versions.
    pub(crate) fn value<V: Message + Default>(
        &mut self,
        space: Keyspace,
        key: &[u8],
    ) -> Result<Option<V>, ViewError> {
        self.fetch(space, key)?.map(rows::value_of).transpose()
    }

    /// Makes this record's version of a row, or ends the row. A second version in one record replaces the first (I3).
    pub(crate) fn put_row<V: Message>(
        &mut self,
        kind: Versioned,
        key: &[u8],
        value: Option<&V>,
    ) -> Result<(), ViewError> {
        let new = value.map(Message::encode_to_vec);
        if !self.is_overlay() {
            self.supersede(kind, key, new.as_deref())?;
        }
        let new = new.map(|value| rows::encode(self.lsn, self.log_time_us, &value));
        self.write(kind.space(), key, new);
        Ok(())
    }

    /// What a new version does to the one before it, and to the digest.
    fn supersede(
        &mut self,
        kind: Versioned,
        key: &[u8],
        new: Option<&[u8]>,
    ) -> Result<(), ViewError> {
        let old = self.fetch(kind.space(), key)?;
        let Some(old) = old else {
            self.effect(kind.space(), key, None, new);
            return Ok(());
        };
        let row = rows::split(&old)?;
        if row.lsn != self.lsn {
            let (space, prefix) = kind.superseded(key);
            let superseded = rows::superseded(&old, self.lsn);
            self.write(space, &keys::history(&prefix, row.lsn), Some(superseded));
        }
        self.effect(kind.space(), key, Some(&row.value), new);
        Ok(())
    }

    /// Sets a row that has no versions.
    pub(crate) fn put<V: Message>(
        &mut self,
        space: Keyspace,
        key: &[u8],
        value: Option<&V>,
    ) -> Result<(), ViewError> {
        let old = self.fetch(space, key)?;
        let new = value.map(Message::encode_to_vec);
        self.effect(space, key, old.as_deref(), new.as_deref());
        self.write(space, key, new.map(Bytes::from));
        Ok(())
    }

    /// Sets a row that follows from others, and so is no effect.
    pub(crate) fn put_derived<V: Message>(&mut self, key: &[u8], value: &V) {
        let value = Bytes::from(value.encode_to_vec());
        self.write(Keyspace::Control, key, Some(value));
    }

    /// In an overlay: a directory's own row changes. Nobody plans by what it holds (FOLD-P1), so only that is noted.
    pub(crate) fn mark(&mut self, key: &[u8]) {
        debug_assert!(self.is_overlay());
        self.write(Keyspace::Head, key, None);
    }

    fn effect(&mut self, space: Keyspace, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if !self.is_overlay() {
            *self.digest = effect::after(*self.digest, self.lsn, space, key, old, new);
        }
    }

    /// Counts an id that was given out, and entries made and removed.
    pub(crate) fn count(&mut self, id: u64, entries: i64) -> Result<(), ViewError> {
        if self.is_overlay() {
            return Ok(());
        }
        let CountsValue {
            largest_id,
            entries: before,
        } = counts(&self.read())?;
        let counted = CountsValue {
            largest_id: largest_id.max(id),
            entries: before.saturating_add_signed(entries),
        };
        self.put_derived(&[keys::letter::COUNTS], &counted);
        Ok(())
    }
}
