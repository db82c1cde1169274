//! A range of head as it was at an LSN: a clean scan of head for the present, merged with history for the past.
use super::keys;
use super::rows::{self, Row};
use crate::view::{Keyspace, Read, Scan, ViewError};
use bytes::Bytes;
use std::iter::Peekable;

/// (key of head, its version) in rising key order.
pub(crate) type ScanAt<'a> = Box<dyn Iterator<Item = Result<(Bytes, Row<Bytes>), ViewError>> + 'a>;

/// The current rows of [`from`, `to`).
pub(crate) fn now<'a>(read: &'a dyn Read, from: &[u8], to: &[u8]) -> ScanAt<'a> {
    Box::new(read.scan(Keyspace::Head, from, to).map(|item| {
        let (key, row) = item?;
        Ok((key, rows::split(&row)?))
    }))
}

/// The rows of [`from`, `to`) as they were at `lsn`.
pub(crate) fn past<'a>(read: &'a dyn Read, from: &[u8], to: &[u8], lsn: u64) -> ScanAt<'a> {
    let head = read.scan(Keyspace::Head, from, to).peekable();
    let history = read.scan(Keyspace::History, from, to).peekable();
    Box::new(Past { head, history, lsn })
}

/// A key, and its version if it had one at the LSN.
type Stepped = (Bytes, Option<Row<Bytes>>);

struct Past<'a> {
    head: Peekable<Scan<'a>>,
    history: Peekable<Scan<'a>>,
    lsn: u64,
}

impl Past<'_> {
    /// The least key that either holds, and its version, if it had one at the LSN.
    fn step(&mut self) -> Result<Option<Stepped>, ViewError> {
        let of_head = peeked(&mut self.head)?.map(|(key, _)| key.clone());
        let of_history = peeked(&mut self.history)?
            .map(|(key, _)| head_of(key))
            .transpose()?;
        let key = match (of_head, of_history) {
            (None, None) => return Ok(None),
            (Some(key), None) | (None, Some(key)) => key,
            (Some(a), Some(b)) => a.min(b),
        };
        let mut found = None;
        if peeked(&mut self.head)?.is_some_and(|(head, _)| head == &key) {
            let row = rows::split(&self.head.next().transpose()?.unwrap_or_default().1)?;
            found = (row.lsn <= self.lsn).then_some(row);
        }
        let older = self.drain_history(&key)?;
        Ok(Some((key, found.or(older))))
    }

    /// Consumes all superseded versions of a key; newest first, so the first at or below the LSN decides.
    fn drain_history(&mut self, key: &Bytes) -> Result<Option<Row<Bytes>>, ViewError> {
        let mut decided = None;
        while let Some((at, row)) = peeked(&mut self.history)? {
            let (head, lsn) = split_history(at)?;
            if head != &key[..] {
                break;
            }
            if decided.is_none() && lsn <= self.lsn {
                decided = Some(rows::alive_at(row, self.lsn)?);
            }
            self.history.next();
        }
        Ok(decided.flatten())
    }
}

impl Iterator for Past<'_> {
    type Item = Result<(Bytes, Row<Bytes>), ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((key, Some(row)))) => return Some(Ok((key, row))),
                Ok(Some((_, None))) => {}
            }
        }
    }
}

fn peeked<'p>(scan: &'p mut Peekable<Scan<'_>>) -> Result<Option<&'p (Bytes, Bytes)>, ViewError> {
    match scan.peek() {
        None => Ok(None),
        Some(Ok(row)) => Ok(Some(row)),
        Some(Err(error)) => Err(error.clone()),
    }
}

fn split_history(key: &[u8]) -> Result<(&[u8], u64), ViewError> {
    keys::split_history(key).ok_or_else(|| ViewError::Format("a key of history".to_owned()))
}

fn head_of(key: &Bytes) -> Result<Bytes, ViewError> {
    let length = split_history(key)?.0.len();
    Ok(key.slice(..length))
}
