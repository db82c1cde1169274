//! What reads and mutations answer with.

use std::ops::Deref;

use bytes::Bytes;
use dfs_wire::{Code, Refusal, v1};

/// An answer, and the LSN at which it is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    pub lsn: u64,
    /// Log time of that LSN, µs since the epoch.
    pub log_time_us: u64,
    pub value: T,
}

impl<T> Seen<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        Seen {
            lsn: self.lsn,
            log_time_us: self.log_time_us,
            value: f(self.value),
        }
    }
}

impl<T> Deref for Seen<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// What every mutation answers with, once it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Of the record; reads at or after it see the change.
    pub lsn: u64,
    pub log_time_us: u64,
    /// The entry made or changed, where there is one.
    pub inode: u64,
    /// Entries that went with it.
    pub entries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    File,
    Directory,
    Symlink,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symlink",
        }
    }
}

/// One version of one entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub inode: u64,
    pub parent: u64,
    pub name: Bytes,
    pub kind: Kind,
    /// Permission bits, 0…07777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// ns since the epoch, may be negative.
    pub mtime_ns: i64,
    pub size: u64,
    /// The record that made this version, and its log time.
    pub lsn: u64,
    pub log_time_us: u64,
    /// Of the whole content of a file.
    pub crc32c: u32,
    /// How many extents hold it; 0 when it lies in the record.
    pub extents: u32,
    /// Names that lead to it. Those below a directory that was removed as a whole count until they are reaped.
    pub links: u64,
    /// Of a directory.
    pub children: u64,
    /// Of a symlink.
    pub link_target: Bytes,
    /// Only where it was asked for.
    pub content: Option<v1::Content>,
    /// Only where they were asked for, by name.
    pub xattrs: Vec<v1::Xattr>,
    /// Who else may do what (as in `AclSet`); the group bits of `mode` are its mask then.
    pub acl: Option<v1::Acl>,
    /// Of a directory: what is made in it inherits this.
    pub default_acl: Option<v1::Acl>,
}

impl Entry {
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    pub(crate) fn from_wire(wire: v1::Entry) -> Result<Entry, Refusal> {
        let kind = match wire.kind() {
            v1::Kind::File => Kind::File,
            v1::Kind::Directory => Kind::Directory,
            v1::Kind::Symlink => Kind::Symlink,
            v1::Kind::Unspecified => {
                let what = format!("inode {}", wire.inode);
                let why = "its kind is newer than this client";
                return Err(Refusal::new(Code::Mismatch, what, why));
            }
        };
        let attr = wire.attr.unwrap_or_default();
        Ok(Entry {
            inode: wire.inode,
            parent: wire.parent,
            name: wire.name,
            kind,
            mode: attr.mode,
            uid: attr.uid,
            gid: attr.gid,
            mtime_ns: attr.mtime_ns,
            size: wire.size,
            lsn: wire.lsn,
            log_time_us: wire.log_time_us,
            crc32c: wire.crc32c,
            extents: wire.extents,
            links: wire.links.max(1),
            children: wire.children,
            link_target: wire.link_target,
            content: wire.content,
            xattrs: wire.xattrs,
            acl: wire.acl,
            default_acl: wire.default_acl,
        })
    }
}

/// One page of a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub directory: Entry,
    /// In the order of their names.
    pub entries: Vec<Entry>,
    /// Whether there are names after the last of these.
    pub more: bool,
}
