//! Rows with versions: the current one in head, superseded ones in history (FOLD-R5).
//!
//! Layout, little-endian: format 1, lsn (8), log time (8), value. In history `until` (8) comes before that:
//! the LSN of the record that superseded the row, so that a deletion needs no row of its own.
use super::keys;
use crate::view::{Keyspace, Read, ViewError};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

const FORMAT: u8 = 1;
const PREFIX_BYTES: usize = 17;
const UNTIL_BYTES: usize = 8;

/// A version of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row<V> {
    /// The record that made it.
    pub(crate) lsn: u64,
    pub(crate) log_time_us: u64,
    pub(crate) value: V,
}

pub(crate) fn encode(lsn: u64, log_time_us: u64, value: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + value.len());
    out.put_u8(FORMAT);
    out.put_u64_le(lsn);
    out.put_u64_le(log_time_us);
    out.put_slice(value);
    out.freeze()
}

pub(crate) fn superseded(row: &[u8], until: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(UNTIL_BYTES + row.len());
    out.put_u64_le(until);
    out.put_slice(row);
    out.freeze()
}

/// Splits the version from its value, which stays encoded.
pub(crate) fn split(row: &Bytes) -> Result<Row<Bytes>, ViewError> {
    let unknown = || ViewError::Format("a row of unknown format".to_owned());
    let parts = row.get(1..PREFIX_BYTES).ok_or_else(unknown)?;
    let ([lsn, log_time_us], FORMAT) = (numbers(parts).ok_or_else(unknown)?, row[0]) else {
        return Err(unknown());
    };
    Ok(Row {
        lsn,
        log_time_us,
        value: row.slice(PREFIX_BYTES..),
    })
}

fn numbers<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    bytes
        .as_chunks::<8>()
        .0
        .first_chunk::<N>()
        .map(|parts| parts.map(u64::from_le_bytes))
}

/// (until, the row).
pub(crate) fn split_superseded(row: &Bytes) -> Result<(u64, Bytes), ViewError> {
    let [until] = numbers(row).ok_or_else(|| ViewError::Format("a row of history".to_owned()))?;
    Ok((until, row.slice(UNTIL_BYTES..)))
}

/// The LSN of the record that superseded a row of history.
pub(crate) fn until(row: &Bytes) -> Result<u64, ViewError> {
    split_superseded(row).map(|(until, _)| until)
}

pub(crate) fn decode<V: Message + Default>(row: &Bytes) -> Result<Row<V>, ViewError> {
    let Row {
        lsn,
        log_time_us,
        value,
    } = split(row)?;
    Ok(Row {
        lsn,
        log_time_us,
        value: value_of(value)?,
    })
}

pub(crate) fn value_of<V: Message + Default>(bytes: Bytes) -> Result<V, ViewError> {
    V::decode(bytes).map_err(|error| ViewError::Format(error.to_string()))
}

/// The current version.
pub(crate) fn current<V: Message + Default>(
    read: &dyn Read,
    space: Keyspace,
    key: &[u8],
) -> Result<Option<Row<V>>, ViewError> {
    read.get(space, key)?.as_ref().map(decode).transpose()
}

/// Where the current and the superseded rows of a kind lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioned {
    /// Head and history.
    Namespace,
    /// Two letters of control.
    Skeleton,
    /// Two more.
    Settings,
}

impl Versioned {
    pub(crate) fn space(self) -> Keyspace {
        match self {
            Versioned::Namespace => Keyspace::Head,
            Versioned::Skeleton | Versioned::Settings => Keyspace::Control,
        }
    }

    /// Where superseded rows lie, and the key that theirs begin with.
    pub(crate) fn superseded(self, key: &[u8]) -> (Keyspace, Vec<u8>) {
        match self {
            Versioned::Namespace => (Keyspace::History, key.to_vec()),
            Versioned::Skeleton => in_control(keys::letter::PLACE_HISTORY, key),
            Versioned::Settings => in_control(keys::letter::SETTING_HISTORY, key),
        }
    }
}

fn in_control(letter: u8, key: &[u8]) -> (Keyspace, Vec<u8>) {
    let rest = key.get(1..).unwrap_or_default();
    (Keyspace::Control, [&[letter], rest].concat())
}

/// The version at `lsn`, still encoded.
pub(crate) fn at(
    read: &dyn Read,
    kind: Versioned,
    key: &[u8],
    lsn: u64,
) -> Result<Option<Row<Bytes>>, ViewError> {
    if let Some(row) = read.get(kind.space(), key)? {
        let row = split(&row)?;
        if row.lsn <= lsn {
            return Ok(Some(row));
        }
    }
    let (space, prefix) = kind.superseded(key);
    let (from, to) = keys::history_until(&prefix, lsn);
    let newest = read.scan(space, &from, &to).next();
    match newest {
        None => Ok(None),
        Some(row) => alive_at(&row?.1, lsn),
    }
}

/// A superseded row that is not newer than `lsn`, if it still stood then.
pub(crate) fn alive_at(row: &Bytes, lsn: u64) -> Result<Option<Row<Bytes>>, ViewError> {
    let (until, row) = split_superseded(row)?;
    if lsn < until {
        split(&row).map(Some)
    } else {
        Ok(None)
    }
}
