//! A simulated disk: the `Disk` contract over a `Platter`, and the controls that break it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::platter::{Inode, Platter, SECTOR};
use crate::disk::{
    Disk, DiskFile, FileInfo, OpenMode, SMALL_BYTES_MAX, Space, check_name, stale_handle,
};
use crate::env::Env;

/// Unless told otherwise, a disk holds this much.
const CAPACITY_BYTES: u64 = 4 << 30;
/// Unless told otherwise, a sync takes this long.
const SYNC_US: (u64, u64) = (50, 500);

struct State {
    platter: Platter,
    rng: SmallRng,
    epoch: u64,
    capacity: u64,
    sync_us: (u64, u64),
    sync_fails_one_in: u32,
    sync_fails_next: bool,
    syncs_pretend: bool,
    syncs: u64,
}

/// A disk of a simulated world, seen from outside: what can be done to it. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// A disk without a world, for tests of one component. It needs a runtime with paused time.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::with_rng(SmallRng::seed_from_u64(seed))
    }

    pub(super) fn with_rng(rng: SmallRng) -> SimDisk {
        let state = State {
            platter: Platter::default(),
            rng,
            epoch: 0,
            capacity: CAPACITY_BYTES,
            sync_us: SYNC_US,
            sync_fails_one_in: 0,
            sync_fails_next: false,
            syncs_pretend: false,
            syncs: 0,
        };
        SimDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Another disk with the same content, cache, and dice from `seed`; without faults to come.
    pub fn copy(&self, seed: u64) -> SimDisk {
        let copy = SimDisk::new(seed);
        {
            let (state, mut fresh) = (self.state.lock(), copy.state.lock());
            fresh.platter = state.platter.clone();
            (fresh.capacity, fresh.sync_us) = (state.capacity, state.sync_us);
        }
        copy
    }

    /// The disk as its owner uses it, until `process_crash` or `power_loss`.
    pub fn open_disk(&self) -> Arc<dyn Disk> {
        self.opened_by(None)
    }

    pub(super) fn opened_by(&self, owner: Option<Env>) -> Arc<dyn Disk> {
        let epoch = self.state.lock().epoch;
        Arc::new(Handle {
            disk: self.clone(),
            epoch,
            owner,
        })
    }

    /// Handles opened before fail from now on; the cache stays.
    pub fn process_crash(&self) {
        self.state.lock().epoch += 1;
    }

    /// As `process_crash`; and of what was not synced, any subset of pages survives, each in any of
    /// its versions or torn between two at a sector.
    pub fn power_loss(&self) {
        let state = &mut *self.state.lock();
        state.epoch += 1;
        state.platter.lose(&mut state.rng);
    }

    /// Bytes that fit; more answer `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Each sync takes a random time between the two, in µs.
    pub fn set_sync_us(&self, min: u64, max: u64) {
        self.state.lock().sync_us = (min, max);
    }

    /// One sync in `n` fails with EIO; 0 turns it off.
    pub fn fail_one_sync_in(&self, n: u32) {
        self.state.lock().sync_fails_one_in = n;
    }

    /// The next sync fails with EIO.
    pub fn fail_next_sync(&self) {
        self.state.lock().sync_fails_next = true;
    }

    /// From now on syncs answer as ever and do nothing: a disk that lies, for checkers to catch.
    pub fn pretend_syncs(&self) {
        self.state.lock().syncs_pretend = true;
    }

    /// Syncs of files that were asked for so far.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.state.lock().platter.used()
    }

    /// Files, sorted by name.
    pub fn files(&self) -> Vec<FileInfo> {
        let state = self.state.lock();
        let listed = state
            .platter
            .names()
            .filter(|(name, _)| !is_temporary(name));
        listed
            .map(|(name, len)| FileInfo {
                name: name.clone(),
                len,
            })
            .collect()
    }

    fn with_file(&self, name: &str, f: impl FnOnce(&mut Inode)) {
        let state = &mut *self.state.lock();
        let id = state.platter.find(name);
        if let Some(inode) = id.and_then(|id| state.platter.inode(id)) {
            f(inode);
        }
    }

    /// Turns one bit of a file, in the cache and on the medium. No such file: nothing happens.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        self.with_file(name, |inode| {
            inode.damage(offset, |byte| *byte ^= 1 << (bit % 8))
        });
    }

    /// Zeroes one sector of 512 bytes.
    pub fn zero_sector(&self, name: &str, sector: u64) {
        let bytes = sector * SECTOR as u64..(sector + 1) * SECTOR as u64;
        self.with_file(name, |inode| {
            bytes.for_each(|at| inode.damage(at, |byte| *byte = 0))
        });
    }

    /// Makes one sector of 512 bytes answer reads with EIO until it is written.
    pub fn make_sector_unreadable(&self, name: &str, sector: u64) {
        self.with_file(name, |inode| inode.make_unreadable(sector));
    }

    /// Cuts a file to `len` bytes, as a careless restore would.
    pub fn cut(&self, name: &str, len: u64) {
        self.with_file(name, |inode| inode.cut_settled(len.min(inode.len)));
    }
}

fn is_temporary(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|last| last.starts_with('.'))
}

/// EIO, as the kernel says it.
fn media_error() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(
        ErrorKind::NotFound,
        format!("no file {name:?} on this disk"),
    )
}

/// The disk as one incarnation sees it.
#[derive(Clone)]
struct Handle {
    disk: SimDisk,
    epoch: u64,
    owner: Option<Env>,
}

impl Handle {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.disk.state.lock();
        if state.epoch != self.epoch || self.owner.as_ref().is_some_and(Env::is_crashed) {
            return Err(stale_handle());
        }
        f(state)
    }

    /// Takes the time of a sync; true when it is to fail.
    async fn take_sync_time(&self) -> io::Result<bool> {
        let (us, fails) = self.with(|state| {
            state.syncs += 1;
            let us = state.rng.random_range(state.sync_us.0..=state.sync_us.1);
            let one_in = state.sync_fails_one_in;
            let fails = one_in > 0 && state.rng.random_range(0..one_in) == 0;
            Ok((us, std::mem::take(&mut state.sync_fails_next) || fails))
        })?;
        tokio::time::sleep(Duration::from_micros(us)).await;
        Ok(fails)
    }

    /// Lets others run now and then, as the hop to a writer's thread does.
    async fn hop(&self) -> io::Result<()> {
        if self.with(|state| Ok(state.rng.random_range(0..2) == 0))? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn open_unchecked(&self, name: &str, mode: OpenMode) -> io::Result<SimFile> {
        let id = self.with(|state| match (state.platter.find(name), mode) {
            (Some(_), OpenMode::CreateNew) => Err(ErrorKind::AlreadyExists.into()),
            (Some(id), _) => Ok(id),
            (None, OpenMode::Existing) => Err(not_found(name)),
            (None, _) => Ok(state.platter.create(name)),
        })?;
        Ok(SimFile {
            handle: self.clone(),
            id,
            failed: AtomicBool::new(false),
        })
    }

    fn rename_unchecked(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|state| {
            if state.platter.find(from).is_none() {
                return Err(not_found(from));
            }
            if from != to {
                state.platter.rename(from, to);
            }
            Ok(())
        })
    }
}

#[async_trait]
impl Disk for Handle {
    async fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        check_name(name)?;
        self.hop().await?;
        Ok(Arc::new(self.open_unchecked(name, mode)?))
    }

    async fn list(&self) -> io::Result<Vec<FileInfo>> {
        self.with(|_| Ok(()))?;
        Ok(self.disk.files())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        self.with(|state| match state.platter.find(name) {
            None => Err(not_found(name)),
            Some(_) => {
                state.platter.unlink(name);
                Ok(())
            }
        })
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        self.rename_unchecked(from, to)
    }

    async fn sync_dir(&self) -> io::Result<()> {
        let pending = self.with(|state| Ok(state.platter.pending_names()))?;
        if self.take_sync_time().await? {
            return Err(media_error());
        }
        self.with(|state| {
            state.platter.names_synced(pending);
            Ok(())
        })
    }

    async fn space(&self) -> io::Result<Space> {
        self.with(|state| {
            let (total, used) = (state.capacity, state.platter.used());
            Ok(Space {
                total,
                available: total.saturating_sub(used),
            })
        })
    }

    async fn read_small(&self, name: &str) -> io::Result<Option<Bytes>> {
        check_name(name)?;
        let Ok(file) = self.open_unchecked(name, OpenMode::Existing) else {
            return self.with(|_| Ok(None));
        };
        let len = file.len().await?;
        if len > SMALL_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        file.read_at(0, len as usize).await.map(Some)
    }

    async fn replace_small(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        check_name(name)?;
        if bytes.len() as u64 > SMALL_BYTES_MAX {
            return Err(ErrorKind::InvalidInput.into());
        }
        let temporary = match name.rsplit_once('/') {
            Some((dir, last)) => format!("{dir}/.new-{last}"),
            None => format!(".new-{name}"),
        };
        let file = self.open_unchecked(&temporary, OpenMode::OpenOrCreate)?;
        file.set_len(0).await?;
        file.write_and_sync(0, vec![bytes]).await?;
        self.rename_unchecked(&temporary, name)?;
        self.sync_dir().await
    }
}

struct SimFile {
    handle: Handle,
    id: u64,
    /// E4: set by the first failed sync.
    failed: AtomicBool,
}

impl SimFile {
    fn with<T>(&self, f: impl FnOnce(&mut Inode, u64) -> io::Result<T>) -> io::Result<T> {
        self.handle.with(|state| {
            let number = state.platter.next_write();
            let inode = state.platter.inode(self.id).ok_or_else(stale_handle)?;
            f(inode, number)
        })
    }

    fn write_one(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.handle.with(|state| {
            let free = state.capacity.saturating_sub(state.platter.used());
            let number = state.platter.next_write();
            let inode = state.platter.inode(self.id).ok_or_else(stale_handle)?;
            let needs = inode.needs(offset, bytes.len() as u64);
            if needs > 0 && needs > free {
                return Err(ErrorKind::StorageFull.into());
            }
            inode.write(number, offset, bytes);
            Ok(())
        })
    }
}

#[async_trait]
impl DiskFile for SimFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let read = self.with(|inode, _| Ok(inode.read(offset, len)))?;
        read.map(Bytes::from).ok_or_else(media_error)
    }

    async fn write_at(&self, offset: u64, bufs: Vec<Bytes>) -> io::Result<()> {
        let mut at = offset;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            self.write_one(at, buf)?;
            at += buf.len() as u64;
        }
        self.handle.hop().await
    }

    async fn sync_data(&self) -> io::Result<()> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(io::Error::other("an earlier sync of this file failed"));
        }
        let point = self.handle.with(|state| {
            let number = state.platter.write_number();
            let inode = state.platter.inode(self.id).ok_or_else(stale_handle)?;
            Ok(inode.sync_point(number))
        })?;
        let fails = self.handle.take_sync_time().await?;
        self.handle.with(|state| {
            let State {
                platter,
                rng,
                syncs_pretend,
                ..
            } = state;
            let inode = platter.inode(self.id).ok_or_else(stale_handle)?;
            if fails {
                self.failed.store(true, Ordering::SeqCst);
                inode.sync_failed(point, rng);
                return Err(media_error());
            }
            if !*syncs_pretend {
                inode.synced(point);
            }
            Ok(())
        })
    }

    async fn write_and_sync(&self, offset: u64, bufs: Vec<Bytes>) -> io::Result<()> {
        self.write_at(offset, bufs).await?;
        self.sync_data().await
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|inode, number| {
            inode.set_len(number, len);
            Ok(())
        })
    }

    async fn len(&self) -> io::Result<u64> {
        self.with(|inode, _| Ok(inode.len))
    }

    async fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.with(|inode, number| {
            let end = (offset + len).min(inode.len);
            inode.zero(number, offset, end.saturating_sub(offset));
            Ok(())
        })
    }

    async fn allocate_zeroed(&self, len: u64) -> io::Result<()> {
        self.handle.with(|state| {
            let free = state.capacity.saturating_sub(state.platter.used());
            let inode = state.platter.inode(self.id).ok_or_else(stale_handle)?;
            if inode.needs(0, len) > free {
                return Err(ErrorKind::StorageFull.into());
            }
            inode.allocate_zeroed(len);
            Ok(())
        })?;
        if self.handle.take_sync_time().await? {
            return Err(media_error());
        }
        Ok(())
    }
}
