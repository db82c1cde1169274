//! Make a symlink: any bytes as target, never followed here.

use bytes::Bytes;
use dfs_wire::v1::mutate;
use dfs_wire::{Code, Refusal, limits, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// `replace`: a symlink or file there is replaced, else it is refused with `Exists`.
    pub async fn symlink(
        &self,
        at: &Address,
        target: impl AsRef<[u8]>,
        replace: bool,
    ) -> Result<Committed, Refusal> {
        let attr = v1::Attr {
            mode: 0o777,
            uid: self.config().uid,
            gid: self.config().gid,
            mtime_ns: self.now_ns(),
        };
        self.make_symlink(at, target.as_ref(), attr, replace).await
    }

    pub(crate) async fn make_symlink(
        &self,
        at: &Address,
        target: &[u8],
        attr: v1::Attr,
        replace: bool,
    ) -> Result<Committed, Refusal> {
        if target.is_empty() || target.len() > limits::PATH_BYTES_MAX || target.contains(&0) {
            let why = "a target has 1 to 4,096 bytes, none of them NUL";
            return Err(Refusal::new(Code::Invalid, format!("symlink {at}"), why));
        }
        let make = v1::MakeSymlink {
            path: Some(at.to_wire()),
            target: Bytes::copy_from_slice(target),
            attr: Some(attr),
            replace,
        };
        self.mutate(at, mutate::Op::MakeSymlink(make)).await
    }
}
