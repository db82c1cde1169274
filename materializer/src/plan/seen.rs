//! What a plan sees, with locks: rows through the overlay, or who has to be waited for.
use super::{Planning, Ticket, Unplanned};
use crate::fold::PROVISIONAL_LSN;
use crate::state::keys::{self, letter};
use crate::state::rows::{self, Row, Versioned};
use crate::state::values::{DirectoryValue, EntryValue, PlaceValue, SettingValue};
use crate::state::walk::{Located, Names, store_failed};
use crate::state::{self, content, linked};
use crate::view::{Keyspace, Read, ViewError};
use dfs_wire::v1;

impl From<ViewError> for Unplanned {
    fn from(error: ViewError) -> Unplanned {
        Unplanned::Refused(store_failed(error))
    }
}

impl Names for Planning<'_> {
    type Stop = Unplanned;

    fn entry(
        &self,
        tree: u64,
        parent: u64,
        name: &[u8],
    ) -> Result<Option<Row<EntryValue>>, Unplanned> {
        let entry = self.row(Versioned::Namespace, &keys::entry(tree, parent, name))?;
        let own = |inode| self.row(Versioned::Namespace, &keys::own(tree, inode));
        entry.map(|entry| linked::whole(entry, own)).transpose()
    }

    fn place(&self, tree: u64, inode: u64) -> Result<Option<PlaceValue>, Unplanned> {
        let key = keys::control(letter::PLACE, &[tree, inode]);
        Ok(self.row(Versioned::Skeleton, &key)?.map(|row| row.value))
    }
}

impl Planning<'_> {
    fn row<V: prost::Message + Default>(
        &self,
        kind: Versioned,
        key: &[u8],
    ) -> Result<Option<Row<V>>, Unplanned> {
        self.unlocked(self.overlay.lock(kind.space(), key))?;
        Ok(rows::current(
            &self.overlay.over(self.folded),
            kind.space(),
            key,
        )?)
    }

    fn unlocked(&self, lock: Option<Ticket>) -> Result<(), Unplanned> {
        lock.map_or(Ok(()), |ticket| Err(Unplanned::Blocked(ticket)))
    }

    /// Whether a directory has no entries.
    pub(crate) fn is_empty(&self, tree: u64, inode: u64) -> Result<bool, Unplanned> {
        let (from, to) = keys::names_from(tree, inode, &[]);
        let seen = self.overlay.over(self.folded);
        let first = seen.scan(Keyspace::Head, &from, &to).next().transpose()?;
        if first.is_none() {
            // What a locked frame makes here may or may not come to be.
            self.unlocked(self.overlay.lock_within(from, to))?;
        }
        Ok(first.is_none())
    }

    /// How many entries a directory has: a derived value, so only when nothing in flight changes it (FOLD-P1).
    pub(crate) fn children(&self, tree: u64, inode: u64) -> Result<u64, Unplanned> {
        let own = self.own_row(tree, inode)?;
        Ok(own.map_or(0, |own| own.value.children))
    }

    /// The same by what is folded, whatever is in flight.
    pub(crate) fn children_folded(&self, tree: u64, inode: u64) -> Result<u64, ViewError> {
        let key = keys::own(tree, inode);
        let own = rows::current::<DirectoryValue>(self.folded, Keyspace::Head, &key)?;
        Ok(own.map_or(0, |own| own.value.children))
    }

    /// The last change of a setting; 0: there was none.
    pub(crate) fn setting_version(&self, number: u32) -> Result<u64, Unplanned> {
        let (kind, key) = (Versioned::Settings, state::setting_key(number));
        self.unlocked(self.overlay.writer(kind.space(), &key))?;
        let row = rows::current::<SettingValue>(self.folded, kind.space(), &key)?;
        Ok(row.map_or(0, |row| row.lsn))
    }

    /// A directory's own row, once nothing in flight changes it.
    fn own_row(&self, tree: u64, inode: u64) -> Result<Option<Row<DirectoryValue>>, Unplanned> {
        let (from, to) = keys::names_from(tree, inode, &[]);
        self.unlocked(self.overlay.lock_within(from, to))?;
        let key = keys::own(tree, inode);
        self.unlocked(self.overlay.writer(Keyspace::Head, &key))?;
        Ok(rows::current(self.folded, Keyspace::Head, &key)?)
    }

    /// The LSN of the version that stands, 0 if none does: known only once nothing in flight changes it.
    pub(crate) fn version(&self, located: &Located) -> Result<u64, Unplanned> {
        let key = keys::entry(located.tree, located.parent, &located.name);
        self.unlocked(self.overlay.writer(Keyspace::Head, &key))?;
        let Some(entry) = &located.entry else {
            return Ok(0);
        };
        if entry.value.linked {
            let own = keys::own(located.tree, entry.value.inode);
            self.unlocked(self.overlay.writer(Keyspace::Head, &own))?;
        }
        debug_assert_ne!(entry.lsn, PROVISIONAL_LSN);
        if entry.value.kind() != v1::Kind::Directory {
            return Ok(entry.lsn);
        }
        // What comes and goes in a directory makes a version of it too, as readers see it.
        let own = self.own_row(located.tree, entry.value.inode)?;
        Ok(own.map_or(entry.lsn, |own| own.lsn.max(entry.lsn)))
    }

    /// All bytes' whereabouts of a file.
    pub(crate) fn content(&self, tree: u64, entry: &EntryValue) -> Result<v1::Content, Unplanned> {
        Ok(content::current(
            &self.overlay.over(self.folded),
            tree,
            entry,
        )?)
    }

    pub(crate) fn session_is_open(&self, session: u64) -> Result<bool, Unplanned> {
        Ok(state::session(&self.overlay.over(self.folded), session)?.is_some())
    }

    pub(crate) fn group(&self, group: u64) -> Result<Option<v1::Group>, Unplanned> {
        Ok(state::group(&self.overlay.over(self.folded), group)?)
    }

    /// The session of a nonce; blocked while its opening is in flight.
    pub(crate) fn session_of_nonce(&self, client_nonce: &[u8]) -> Result<Option<u64>, Unplanned> {
        self.unlocked(
            self.overlay
                .writer(Keyspace::Control, &keys::nonce(client_nonce)),
        )?;
        Ok(state::session_of_nonce(self.folded, client_nonce)?)
    }
}
