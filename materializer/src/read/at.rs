//! A state to read: a snapshot at an LSN that it holds.
use super::check_floor;
use crate::state::keys::{self, letter};
use crate::state::rows::{self, Row, Versioned};
use crate::state::scan_at::{self, ScanAt};
use crate::state::values::{EntryValue, PlaceValue};
use crate::state::walk::{Names, store_failed};
use crate::state::{content, linked};
use crate::view::{Snapshot, ViewError};
use dfs_wire::{Code, Refusal, v1};
use prost::Message;

/// A state to read: that of `snapshot` at `lsn` ≤ its stamp.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) lsn: u64,
}

impl<'a> At<'a> {
    /// What is folded.
    pub fn head(snapshot: &'a Snapshot) -> At<'a> {
        At {
            snapshot,
            lsn: snapshot.stamp.lsn,
        }
    }

    /// The past. Refused with NOT_YET above what is folded, with TRIMMED below the floor (FOLD-X3).
    pub fn lsn(snapshot: &'a Snapshot, lsn: u64) -> Result<At<'a>, Refusal> {
        let folded = snapshot.stamp.lsn;
        if lsn <= folded {
            check_floor(snapshot, lsn)?;
            return Ok(At { snapshot, lsn });
        }
        let why = format!("folded is LSN {folded}");
        Err(Refusal::new(Code::NotYet, format!("read at LSN {lsn}"), why).at(folded))
    }

    fn is_head(&self) -> bool {
        self.lsn == self.snapshot.stamp.lsn
    }

    pub(crate) fn row<V: Message + Default>(
        &self,
        kind: Versioned,
        key: &[u8],
    ) -> Result<Option<Row<V>>, ViewError> {
        if self.is_head() {
            return rows::current(self.snapshot, kind.space(), key);
        }
        let Some(row) = rows::at(self.snapshot, kind, key, self.lsn)? else {
            return Ok(None);
        };
        let Row {
            lsn,
            log_time_us,
            value,
        } = row;
        Ok(Some(Row {
            lsn,
            log_time_us,
            value: rows::value_of(value)?,
        }))
    }

    /// Rows of head in [`from`, `to`), as they were.
    pub(crate) fn scan(&self, from: &[u8], to: &[u8]) -> ScanAt<'a> {
        if self.is_head() {
            return scan_at::now(self.snapshot, from, to);
        }
        scan_at::past(self.snapshot, from, to, self.lsn)
    }

    /// An entry with what it shares with other names.
    pub(crate) fn whole(
        &self,
        tree: u64,
        entry: Row<EntryValue>,
    ) -> Result<Row<EntryValue>, ViewError> {
        let own = |inode| self.row(Versioned::Namespace, &keys::own(tree, inode));
        linked::whole(entry, own)
    }

    pub(crate) fn content(&self, tree: u64, entry: &EntryValue) -> Result<v1::Content, ViewError> {
        if self.is_head() {
            return content::current(self.snapshot, tree, entry);
        }
        content::at(self.snapshot, tree, entry, self.lsn)
    }
}

impl Names for At<'_> {
    type Stop = Refusal;

    fn entry(
        &self,
        tree: u64,
        parent: u64,
        name: &[u8],
    ) -> Result<Option<Row<EntryValue>>, Refusal> {
        let entry = self
            .row(Versioned::Namespace, &keys::entry(tree, parent, name))
            .map_err(store_failed)?;
        let whole = entry.map(|entry| self.whole(tree, entry)).transpose();
        whole.map_err(store_failed)
    }

    fn place(&self, tree: u64, inode: u64) -> Result<Option<PlaceValue>, Refusal> {
        let key = keys::control(letter::PLACE, &[tree, inode]);
        let row = self.row(Versioned::Skeleton, &key).map_err(store_failed)?;
        Ok(row.map(|row| row.value))
    }
}
