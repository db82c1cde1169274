//! Extended attributes: all of a call in one record.

use bytes::Bytes;
use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// Sets some and removes others, of the entry itself, a symlink too. Names begin with `user.` and have at most
    /// [`dfs_wire::limits::XATTR_NAME_BYTES_MAX`] bytes, all of an inode at most
    /// [`dfs_wire::limits::XATTR_BYTES_MAX`]. `NotFound` where one to be removed is not there.
    pub async fn set_xattrs(
        &self,
        at: &Address,
        set: Vec<v1::Xattr>,
        remove: Vec<Bytes>,
    ) -> Result<Committed, Refusal> {
        let set = v1::SetXattr {
            path: Some(at.to_wire()),
            set,
            remove,
        };
        self.mutate(at, mutate::Op::SetXattr(set)).await
    }
}
