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
}

impl Stage<'_> {
    pub(crate) fn read(&self) -> Layered<'_> {
        Layered {
            over: self.layer,
            under: self.under,
        }
    }

    pub(crate) fn is_overlay(&self) -> bool {
        self.lsn == PROVISIONAL_LSN
    }

    /// The current version of a versioned row.
    pub(crate) fn row<V: Message + Default>(
        &self,
        kind: Versioned,
        key: &[u8],
    ) -> Result<Option<Row<V>>, ViewError> {
        rows::current(&self.read(), kind.space(), key)
    }

    /// Makes this record's version of a row, or ends the row. A second version in one record replaces the first (I3).
    pub(crate) fn put_row<V: Message>(
        &mut self,
        kind: Versioned,
        key: &[u8],
        value: Option<&V>,
    ) -> Result<(), ViewError> {
        let old = self.read().get(kind.space(), key)?;
        let new = value.map(Message::encode_to_vec);
        let old_row = old.as_ref().map(rows::split).transpose()?;
        if let (Some(row), Some(old)) = (&old_row, &old)
            && !self.is_overlay()
            && row.lsn != self.lsn
        {
            let (space, prefix) = kind.superseded(key);
            let superseded = rows::superseded(old, self.lsn);
            self.layer
                .set(space, &keys::history(&prefix, row.lsn), Some(superseded));
        }
        self.effect(
            kind.space(),
            key,
            old_row.as_ref().map(|row| &row.value[..]),
            new.as_deref(),
        );
        let new = new.map(|value| rows::encode(self.lsn, self.log_time_us, &value));
        self.layer.set(kind.space(), key, new);
        Ok(())
    }

    /// Sets a row that has no versions.
    pub(crate) fn put<V: Message>(
        &mut self,
        space: Keyspace,
        key: &[u8],
        value: Option<&V>,
    ) -> Result<(), ViewError> {
        let old = self.read().get(space, key)?;
        let new = value.map(Message::encode_to_vec);
        self.effect(space, key, old.as_deref(), new.as_deref());
        self.layer.set(space, key, new.map(Bytes::from));
        Ok(())
    }

    /// Sets a row that follows from others, and so is no effect.
    pub(crate) fn put_derived<V: Message>(&mut self, key: &[u8], value: &V) {
        self.layer.set(
            Keyspace::Control,
            key,
            Some(Bytes::from(value.encode_to_vec())),
        );
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
