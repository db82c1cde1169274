//! Samples of extended attributes and ACLs.
use super::name;
use crate::state::values::EntryValue;
use bytes::Bytes;
use dfs_wire::v1::mutation::Kind;
use dfs_wire::v1::{self, AclTag};
use prost::Message;

fn acl(tag: AclTag) -> v1::Acl {
    let tag = tag as i32;
    v1::Acl {
        entries: vec![v1::AclEntry {
            tag,
            id: 7,
            perms: 5,
        }],
    }
}

fn xattr() -> v1::Xattr {
    v1::Xattr {
        name: Bytes::from_static(b"user.n"),
        value: Bytes::from_static(b"v\0"),
    }
}

pub(super) fn records() -> Vec<(&'static str, Kind)> {
    let (tree, parent, inode) = (1, 2, 3);
    let xattrs = v1::XattrSet {
        tree,
        parent,
        name: name(),
        inode,
        set: vec![xattr()],
        removed: vec![Bytes::from_static(b"user.m")],
    };
    let acls = v1::AclSet {
        tree,
        parent,
        name: name(),
        inode,
        access: Some(acl(AclTag::User)),
        default_acl: Some(acl(AclTag::Group)),
    };
    vec![
        ("xattr_set", Kind::XattrSet(xattrs)),
        ("acl_set", Kind::AclSet(acls)),
    ]
}

pub(super) fn values() -> Vec<(&'static str, Vec<u8>)> {
    let entry = EntryValue {
        inode: 3,
        xattrs: vec![xattr()],
        acl: Some(acl(AclTag::User)),
        default_acl: Some(acl(AclTag::Group)),
        ..EntryValue::default()
    };
    vec![("entry_with_attributes", entry.encode_to_vec())]
}
