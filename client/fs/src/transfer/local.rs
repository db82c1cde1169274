//! The local side: what lies in a directory, reading, writing beside and renaming, attributes.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, ReadDir};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dfs_extents::Crc32c;
use dfs_wire::{Code, Refusal, v1};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::entry::Kind;

/// Bytes of one read or write: large enough that the hop to a thread is nothing beside it, and
/// exactly one part of a Store.
pub(crate) const CHUNK_BYTES: u64 = 1 << 20;

const NS: i64 = 1_000_000_000;

/// What a local file, directory or symlink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) attr: v1::Attr,
    /// Its time does not fit into 64 bits of ns: `attr` has the nearest that does.
    pub(crate) time_cut: bool,
}

/// Follows no symlink.
pub(crate) fn look(path: &Path) -> Result<Found, Refusal> {
    let meta = fs::symlink_metadata(path).map_err(|e| refusal("looking at", path, &e))?;
    found(path, &meta)
}

fn found(path: &Path, meta: &Metadata) -> Result<Found, Refusal> {
    let kind = match meta.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_symlink() => Kind::Symlink,
        kind => {
            let name = match () {
                () if kind.is_socket() => "socket",
                () if kind.is_fifo() => "pipe",
                () => "device",
            };
            let why = format!("it is a {name}: only files, directories and symlinks are stored");
            return Err(Refusal::new(
                Code::WrongKind,
                path.display().to_string(),
                why,
            ));
        }
    };
    let fits = meta.mtime().checked_mul(NS);
    let fits = fits.and_then(|ns| ns.checked_add(meta.mtime_nsec()));
    let nearest = if meta.mtime() < 0 { i64::MIN } else { i64::MAX };
    let attr = v1::Attr {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime_ns: fits.unwrap_or(nearest),
    };
    Ok(Found {
        kind,
        size: meta.len(),
        attr,
        time_cut: fits.is_none(),
    })
}

/// A name in a local directory, and what it is, unless that could not be found out.
pub(crate) type Named = (Vec<u8>, Result<Found, Refusal>);

pub(crate) fn open_directory(path: &Path) -> Result<ReadDir, Refusal> {
    fs::read_dir(path).map_err(|e| refusal("listing", path, &e))
}

/// The next names, at most `limit`; fewer: there are no more.
pub(crate) fn next_names(
    path: &Path,
    listing: &mut ReadDir,
    limit: usize,
) -> Result<Vec<Named>, Refusal> {
    let mut names = Vec::new();
    for entry in listing.take(limit) {
        let entry = entry.map_err(|e| refusal("listing", path, &e))?;
        let at = entry.path();
        let what = match entry.metadata() {
            Ok(meta) => found(&at, &meta),
            Err(e) => Err(refusal("looking at", &at, &e)),
        };
        names.push((entry.file_name().into_vec(), what));
    }
    Ok(names)
}

pub(crate) fn join(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsString::from_vec(name.to_vec()))
}

/// Of names joined by `/`; none: the root itself, without a slash behind it.
pub(crate) fn below(root: &Path, path: &[u8]) -> PathBuf {
    match path {
        b"" => root.to_path_buf(),
        path => join(root, path),
    }
}

/// What a transfer has not finished is nobody's file yet: the prefix, and then the digits that it writes.
pub(crate) fn is_unfinished(name: &[u8]) -> bool {
    let digits = name.strip_prefix(super::get_file::UNFINISHED.as_bytes());
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 16) && digits.iter().all(u8::is_ascii_hexdigit)
    })
}

/// `all`: a directory with all below it; else only an empty one.
pub(crate) fn remove(path: &Path, all: bool) -> Result<(), Refusal> {
    let meta = fs::symlink_metadata(path).map_err(|e| refusal("looking at", path, &e))?;
    let removed = match (meta.is_dir(), all) {
        (true, true) => fs::remove_dir_all(path),
        (true, false) => fs::remove_dir(path),
        (false, _) => fs::remove_file(path),
    };
    removed.map_err(|e| refusal("removing", path, &e))
}

pub(crate) fn open(path: &Path) -> Result<File, Refusal> {
    // Not through a symlink that has taken the file's place meanwhile.
    let flags = rustix::fs::OFlags::RDONLY
        | rustix::fs::OFlags::NOFOLLOW
        | rustix::fs::OFlags::CLOEXEC
        | rustix::fs::OFlags::NONBLOCK;
    let opened = rustix::fs::openat(CWD, path, flags, rustix::fs::Mode::empty());
    opened
        .map(File::from)
        .map_err(|e| refusal("opening", path, &e.into()))
}

/// The next bytes of a file, at most [`CHUNK_BYTES`]; none at its end.
pub(crate) fn read_chunk(path: &Path, file: &File, expected: u64) -> Result<Bytes, Refusal> {
    let capacity = expected.saturating_add(1).min(CHUNK_BYTES) as usize;
    read_into(Vec::with_capacity(capacity), path, file, CHUNK_BYTES)
}

/// The same, at most `limit` of them.
pub(crate) fn read_part(path: &Path, file: &File, limit: u64) -> Result<Bytes, Refusal> {
    let limit = limit.min(CHUNK_BYTES);
    read_into(Vec::with_capacity(limit as usize), path, file, limit)
}

fn read_into(mut into: Vec<u8>, path: &Path, file: &File, limit: u64) -> Result<Bytes, Refusal> {
    let read = file.take(limit).read_to_end(&mut into);
    read.map_err(|e| refusal("reading", path, &e))?;
    Ok(into.into())
}

pub(crate) fn checksum(path: &Path) -> Result<u32, Refusal> {
    let file = open(path)?;
    let mut crc = Crc32c::default();
    loop {
        let bytes = read_chunk(path, &file, CHUNK_BYTES)?;
        if bytes.is_empty() {
            return Ok(crc.value());
        }
        crc.update(&bytes);
    }
}

pub(crate) fn read_link(path: &Path) -> Result<Vec<u8>, Refusal> {
    let target = fs::read_link(path).map_err(|e| refusal("reading the link", path, &e))?;
    Ok(target.into_os_string().into_vec())
}

/// Owner first, because changing it clears bits of the mode; the time last.
pub(crate) fn set_attr_of(file: &File, attr: &v1::Attr, keep_owner: bool) -> Result<(), io::Error> {
    if keep_owner {
        std::os::unix::fs::fchown(file, Some(attr.uid), Some(attr.gid))?;
    }
    rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(attr.mode))?;
    rustix::fs::futimens(file, &times(attr))?;
    Ok(())
}

/// Of a file, or of a directory below which nothing changes any more.
pub(crate) fn set_path_attr(path: &Path, attr: &v1::Attr, keep_owner: bool) -> Result<(), Refusal> {
    let set = || {
        if keep_owner {
            std::os::unix::fs::lchown(path, Some(attr.uid), Some(attr.gid))?;
        }
        rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(attr.mode))?;
        rustix::fs::utimensat(CWD, path, &times(attr), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    };
    set().map_err(|e: io::Error| refusal("setting attributes of", path, &e))
}

/// Of a symlink: owner and time; it has no mode of its own.
pub(crate) fn set_link_attr(
    path: &Path,
    attr: &v1::Attr,
    keep_owner: bool,
) -> Result<(), io::Error> {
    if keep_owner {
        std::os::unix::fs::lchown(path, Some(attr.uid), Some(attr.gid))?;
    }
    rustix::fs::utimensat(CWD, path, &times(attr), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn times(attr: &v1::Attr) -> Timestamps {
    let time = Timespec {
        tv_sec: attr.mtime_ns.div_euclid(NS),
        tv_nsec: attr.mtime_ns.rem_euclid(NS),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The code follows the kind of the error, so that the exit code does too; never retried.
pub(crate) fn refusal(doing: &str, path: &Path, error: &io::Error) -> Refusal {
    let code = match error.kind() {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::PermissionDenied => Code::Denied,
        ErrorKind::AlreadyExists => Code::Exists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::NoSpace,
        ErrorKind::IsADirectory | ErrorKind::NotADirectory => Code::WrongKind,
        ErrorKind::DirectoryNotEmpty => Code::NotEmpty,
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => Code::Invalid,
        _ => Code::Corrupt, // EIO and the like: the local disk, not the cluster
    };
    let what = format!("{doing} the local {}", path.display());
    Refusal::new(code, what, error.to_string()).advice("Check the local file system")
}
