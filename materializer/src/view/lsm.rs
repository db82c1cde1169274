//! The view on disk: fjall, five keyspaces, one batch over all of them.
use super::{Keyspace, Layer, Read, STAMP_KEY, Scan, Snapshot, Stamp, View, ViewError, agree};
use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, PersistMode, Readable};
use parking_lot::Mutex;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// With one worker thread fjall 3.1.13 deadlocks under fast writes (CRATES.md).
const WORKER_THREADS: usize = 2;
/// Of blocks read from disk: what a small machine can spare beside the memtables.
const CACHE_BYTES: u64 = 32 << 20;
/// How a store looks that lacks a file, or a part of one.
const LOST_PARTS: [io::ErrorKind; 3] = [
    io::ErrorKind::NotFound,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::InvalidData,
];
/// Per keyspace: of five, two or three are busy, two generations each: under 64 MiB in all.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// Rows in a directory of their own. A cache of the log: deleted and refolded, never repaired.
pub struct LsmView {
    database: Database,
    spaces: [fjall::Keyspace; 5],
    stamp: Mutex<Stamp>,
}

impl LsmView {
    /// Opens or makes the store at `path`. Blocks on the disk.
    ///
    /// # Errors
    /// [`ViewError::Disagree`] and [`ViewError::Format`]: delete the directory and fold again.
    pub fn open(path: &Path) -> Result<LsmView, ViewError> {
        let database = Database::builder(path)
            .worker_threads(WORKER_THREADS)
            .cache_size(CACHE_BYTES)
            .open()
            .map_err(unreadable)?;
        let mut spaces = Vec::with_capacity(Keyspace::ALL.len());
        for space in Keyspace::ALL {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            spaces.push(
                database
                    .keyspace(space.name(), options)
                    .map_err(unreadable)?,
            );
        }
        let spaces: [fjall::Keyspace; 5] = spaces
            .try_into()
            .map_err(|_| ViewError::Format("keyspaces".into()))?;
        let snapshot = database.snapshot();
        let mut found = Vec::with_capacity(spaces.len());
        for space in Keyspace::ALL {
            let stamp = snapshot
                .get(&spaces[space as usize], STAMP_KEY)
                .map_err(unreadable)?;
            found.push((space, stamp.map(Bytes::from)));
        }
        let stamp = Mutex::new(agree(&found)?);
        Ok(LsmView {
            database,
            spaces,
            stamp,
        })
    }
}

/// A store that does not open is rebuilt, unless it is the disk itself that does not serve.
fn unreadable(error: fjall::Error) -> ViewError {
    if matches!(error, fjall::Error::Poisoned | fjall::Error::Locked) {
        return failed(error);
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(at) = cause {
        let kind = at.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind.is_some_and(|kind| !LOST_PARTS.contains(&kind)) {
            return failed(error);
        }
        cause = at.source();
    }
    ViewError::Format(error.to_string())
}

fn failed(error: fjall::Error) -> ViewError {
    ViewError::Failed(error.to_string())
}

impl View for LsmView {
    fn snapshot(&self) -> Snapshot {
        // Held over both, so that the stamp is that of the rows.
        let stamp = self.stamp.lock();
        let rows = Rows {
            spaces: self.spaces.clone(),
            snapshot: self.database.snapshot(),
        };
        Snapshot::new(*stamp, Arc::new(rows))
    }

    fn commit(&self, layer: Layer, stamp: Stamp) -> Result<(), ViewError> {
        let mut batch = self.database.batch();
        for (space, key, value) in layer.into_writes() {
            let space = &self.spaces[space as usize];
            match value {
                Some(value) => batch.insert(space, Bytes::from(key), value),
                None => batch.remove(space, Bytes::from(key)),
            }
        }
        for space in &self.spaces {
            batch.insert(space, STAMP_KEY, stamp.encode());
        }
        let mut current = self.stamp.lock();
        batch.commit().map_err(failed)?;
        *current = stamp;
        Ok(())
    }

    fn persist(&self) -> Result<(), ViewError> {
        self.database.persist(PersistMode::SyncAll).map_err(failed)
    }

    fn forget(&self, rows: Vec<(Keyspace, Bytes)>) -> Result<(), ViewError> {
        let mut batch = self.database.batch();
        for (space, key) in rows {
            batch.remove(&self.spaces[space as usize], key);
        }
        batch.commit().map_err(failed)
    }

    fn begin_load(&self) -> Result<(), ViewError> {
        let mut current = self.stamp.lock();
        self.mark_unfinished()?;
        // The one with the mark last: what a crash leaves before that is not taken for whole.
        for space in Keyspace::ALL.into_iter().rev() {
            self.spaces[space as usize].clear().map_err(failed)?;
        }
        *current = Stamp::default();
        self.mark_unfinished()
    }

    fn load(&self, rows: Vec<(Keyspace, Bytes, Bytes)>) -> Result<(), ViewError> {
        let mut batch = self.database.batch();
        for (space, key, value) in rows {
            batch.insert(&self.spaces[space as usize], key, value);
        }
        batch.commit().map_err(failed)
    }

    fn end_load(&self, stamp: Stamp) -> Result<(), ViewError> {
        self.persist()?; // the rows before the stamp that vouches for them
        self.commit(Layer::default(), stamp)?;
        self.persist()
    }
}

impl LsmView {
    /// A stamp that no other keyspace has: at the next open the store disagrees, and is deleted.
    fn mark_unfinished(&self) -> Result<(), ViewError> {
        let unfinished = Stamp {
            lsn: u64::MAX,
            ..Stamp::default()
        };
        self.spaces[Keyspace::Head as usize]
            .insert(STAMP_KEY, unfinished.encode())
            .map_err(failed)?;
        self.persist()
    }
}

struct Rows {
    spaces: [fjall::Keyspace; 5],
    snapshot: fjall::Snapshot,
}

fn row(guard: fjall::Guard) -> Result<(Bytes, Bytes), ViewError> {
    let (key, value) = guard.into_inner().map_err(failed)?;
    Ok((key.into(), value.into()))
}

impl Read for Rows {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        let value = self
            .snapshot
            .get(&self.spaces[space as usize], key)
            .map_err(failed)?;
        Ok(value.map(Bytes::from))
    }

    fn scan<'a>(&'a self, space: Keyspace, from: &[u8], to: &[u8]) -> Scan<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        Box::new(
            self.snapshot
                .range(&self.spaces[space as usize], from..to)
                .map(row),
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
        self.snapshot
            .range(&self.spaces[space as usize], from..to)
            .next_back()
            .map(row)
            .transpose()
    }
}
