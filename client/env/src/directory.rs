//! The real disk: a directory, an flock on it, and one thread that does all writing.
//!
//! Reads do not queue behind writes: what the page cache holds is read at once on the caller's
//! thread (`RWF_NOWAIT`), the rest on tokio's pool of blocking threads.
#![allow(
    clippy::disallowed_methods,
    reason = "std::fs and threads are what this file wraps"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};

use crate::disk::{
    Disk, DiskFile, FileInfo, OpenMode, SMALL_BYTES_MAX, Space, check_name, stale_handle,
};
use crate::writer::Writer;

/// How long an earlier owner of a directory may take to finish its last writes.
const OWNER_LEAVES_MAX: Duration = Duration::from_secs(2);
/// Zeros are written in pieces, each synced, so that no single sync holds the device for long.
const ZERO_PIECE_BYTES: usize = 1 << 20;
const ZERO_SYNC_EVERY_BYTES: u64 = 16 << 20;
/// Buffers in one pwritev: the kernel's IOV_MAX.
const IOV_MAX: usize = 1024;
/// The name of a file that `replace_small` has not finished; never listed.
const TEMPORARY_PREFIX: &str = ".new-";

pub(crate) struct Directory {
    path: PathBuf,
    writer: Writer,
    /// The flock lives as long as the writer's thread and the zeroing under way, not as long as
    /// this handle, which may be kept by somebody past a crash.
    owner: Weak<File>,
    closed: Arc<AtomicBool>,
}

impl Directory {
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Directory>> {
        fs::create_dir_all(path)?;
        let owner = Arc::new(File::open(path)?);
        take_flock(&owner, path)?;
        let (path, weak) = (path.to_path_buf(), Arc::downgrade(&owner));
        let writer = Writer::start(owner)?;
        Ok(Arc::new(Directory {
            path,
            writer,
            owner: weak,
            closed: Arc::default(),
        }))
    }

    /// Ends the disk: E5. The writer's thread finishes what is queued, then frees the directory.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.writer.close();
    }

    fn check_open(&self) -> io::Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            Err(stale_handle())
        } else {
            Ok(())
        }
    }

    fn path_of(&self, name: &str) -> io::Result<PathBuf> {
        self.check_open()?;
        check_name(name)?;
        Ok(self.path.join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.close();
    }
}

fn take_flock(owner: &File, path: &Path) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(owner, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if begun.elapsed() < OWNER_LEAVES_MAX => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(Errno::WOULDBLOCK) => {
                let what = format!("{} is in use by another process", path.display());
                return Err(io::Error::new(ErrorKind::ResourceBusy, what));
            }
            Err(e) => return Err(e.into()),
        }
    }
}

fn open_file(path: &Path, mode: OpenMode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match mode {
        OpenMode::Existing => {}
        OpenMode::CreateNew => drop(options.create_new(true)),
        OpenMode::OpenOrCreate => drop(options.create(true)),
    }
    if mode != OpenMode::Existing
        && let Some(parent) = path.parent()
    {
        fs::create_dir_all(parent)?;
    }
    options.open(path)
}

fn list_into(dir: &Path, prefix: &str, found: &mut Vec<FileInfo>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue; // ours, unfinished; check_name lets nobody else make such names
        }
        let meta = entry.metadata()?;
        if meta.is_file() {
            found.push(FileInfo {
                name: format!("{prefix}{name}"),
                len: meta.len(),
            });
        } else if meta.is_dir() && prefix.is_empty() {
            list_into(&entry.path(), &format!("{name}/"), found)?;
        }
    }
    Ok(())
}

fn sync_directories(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(root)?.sync_all()
}

fn replace_file(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let temporary = path.with_file_name(format!("{TEMPORARY_PREFIX}{}", name.to_string_lossy()));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = File::create(&temporary)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directories(root)
}

#[async_trait]
impl Disk for Arc<Directory> {
    async fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path_of(name)?;
        let file = Arc::new(self.writer.run(move || open_file(&path, mode)).await?);
        Ok(Arc::new(OpenFile {
            file,
            disk: self.clone(),
            failed: Arc::default(),
        }))
    }

    async fn list(&self) -> io::Result<Vec<FileInfo>> {
        self.check_open()?;
        let path = self.path.clone();
        let list = move || {
            let mut found = Vec::new();
            list_into(&path, "", &mut found)?;
            found.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(found)
        };
        self.writer.run(list).await
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path_of(name)?;
        self.writer.run(move || fs::remove_file(path)).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path_of(from)?, self.path_of(to)?);
        let rename = move || {
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::rename(from, to)
        };
        self.writer.run(rename).await
    }

    async fn sync_dir(&self) -> io::Result<()> {
        self.check_open()?;
        let path = self.path.clone();
        self.writer.run(move || sync_directories(&path)).await
    }

    async fn space(&self) -> io::Result<Space> {
        self.check_open()?;
        let stat = rustix::fs::statvfs(&self.path)?;
        let (total, available) = (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize);
        Ok(Space { total, available })
    }

    async fn read_small(&self, name: &str) -> io::Result<Option<Bytes>> {
        let path = self.path_of(name)?;
        let read = move || match fs::metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
            Ok(meta) if meta.len() > SMALL_BYTES_MAX => Err(ErrorKind::InvalidData.into()),
            Ok(_) => Ok(Some(Bytes::from(fs::read(&path)?))),
        };
        self.writer.run(read).await
    }

    async fn replace_small(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let path = self.path_of(name)?;
        if bytes.len() as u64 > SMALL_BYTES_MAX {
            return Err(ErrorKind::InvalidInput.into());
        }
        let root = self.path.clone();
        self.writer
            .run(move || replace_file(&root, &path, &bytes))
            .await
    }
}

struct OpenFile {
    file: Arc<File>,
    disk: Arc<Directory>,
    /// E4: set by the first failed sync.
    failed: Arc<AtomicBool>,
}

impl OpenFile {
    async fn run<F>(&self, f: F) -> io::Result<()>
    where
        F: FnOnce(&File) -> io::Result<()> + Send + 'static,
    {
        self.disk.check_open()?;
        let file = self.file.clone();
        self.disk.writer.run(move || f(&file)).await
    }
}

fn sync_once(file: &File, failed: &AtomicBool) -> io::Result<()> {
    if failed.load(Ordering::SeqCst) {
        return Err(io::Error::other("an earlier sync of this file failed"));
    }
    let synced = file.sync_data();
    if synced.is_err() {
        failed.store(true, Ordering::SeqCst);
    }
    synced
}

fn write_all_at(file: &File, mut offset: u64, bufs: &[Bytes]) -> io::Result<()> {
    for bufs in bufs.chunks(IOV_MAX) {
        let mut slices: Vec<IoSlice<'_>> = bufs.iter().map(|b| IoSlice::new(b)).collect();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0); // skips empty buffers
        while !rest.is_empty() {
            let written = match rustix::io::pwritev(file, rest, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            offset += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
    }
    Ok(())
}

/// Gives up when the disk is closed: the next owner of the directory must not wait for it.
fn write_zeros(file: &File, len: u64, closed: &AtomicBool) -> io::Result<()> {
    file.set_len(0)?;
    rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len)?; // fails at once when full
    let zeros = vec![0u8; ZERO_PIECE_BYTES];
    let mut at = 0;
    while at < len {
        if closed.load(Ordering::SeqCst) {
            return Err(stale_handle());
        }
        let piece = (len - at).min(ZERO_PIECE_BYTES as u64) as usize;
        file.write_all_at(&zeros[..piece], at)?;
        at += piece as u64;
        if at.is_multiple_of(ZERO_SYNC_EVERY_BYTES) {
            file.sync_data()?;
        }
    }
    file.sync_all()
}

/// What the page cache holds of a range, without waiting for the device; fewer bytes at the first
/// page that is not there.
fn read_cached(file: &File, offset: u64, buf: &mut [u8]) -> usize {
    let mut slices = [IoSliceMut::new(buf)];
    rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT).unwrap_or(0)
}

fn read_rest(file: &File, offset: u64, buf: &mut Vec<u8>, mut done: usize) -> io::Result<()> {
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buf.truncate(done);
    Ok(())
}

#[async_trait]
impl DiskFile for OpenFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.disk.check_open()?;
        let mut buf = vec![0; len];
        let cached = read_cached(&self.file, offset, &mut buf);
        if cached == len {
            return Ok(buf.into());
        }
        let file = self.file.clone();
        let read = move || read_rest(&file, offset, &mut buf, cached).map(|()| buf.into());
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|_| Err(stale_handle()))
    }

    async fn write_at(&self, offset: u64, bufs: Vec<Bytes>) -> io::Result<()> {
        self.run(move |file| write_all_at(file, offset, &bufs))
            .await
    }

    async fn sync_data(&self) -> io::Result<()> {
        let failed = self.failed.clone();
        self.run(move |file| sync_once(file, &failed)).await
    }

    async fn write_and_sync(&self, offset: u64, bufs: Vec<Bytes>) -> io::Result<()> {
        let failed = self.failed.clone();
        let write = move |file: &File| {
            write_all_at(file, offset, &bufs)?;
            sync_once(file, &failed)
        };
        self.run(write).await
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.run(move |file| file.set_len(len)).await
    }

    async fn len(&self) -> io::Result<u64> {
        self.disk.check_open()?;
        Ok(self.file.metadata()?.len())
    }

    async fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        self.run(move |file| Ok(rustix::fs::fallocate(file, flags, offset, len)?))
            .await
    }

    async fn allocate_zeroed(&self, len: u64) -> io::Result<()> {
        self.disk.check_open()?;
        let Some(owner) = self.disk.owner.upgrade() else {
            return Err(stale_handle());
        };
        let (file, closed) = (self.file.clone(), self.disk.closed.clone());
        // Not on the writer's thread: 256 MiB of zeros would hold every append back.
        let zero = move || {
            let zeroed = write_zeros(&file, len, &closed);
            drop(owner);
            zeroed
        };
        tokio::task::spawn_blocking(zero)
            .await
            .unwrap_or_else(|_| Err(stale_handle()))
    }
}
