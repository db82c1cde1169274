//! What POSIX.1e says of ACLs: how entries, mask and mode follow from each other, and what is inherited.
use super::draft::Draft;
use crate::state::values::EntryValue;
use crate::state::walk::Located;
use dfs_wire::limits::ACL_ENTRIES_MAX;
use dfs_wire::v1::mutation::Kind;
use dfs_wire::v1::{self, AclTag};
use std::collections::BTreeMap;

const BITS: u32 = 7;

/// Permissions by tag and id: the whole of an ACL, owner and others too.
type Entries = BTreeMap<(i32, u32), u32>;

/// An inode's mode, and what stands beside it (as in `AclSet`).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Acls {
    pub(crate) mode: u32,
    pub(crate) access: Option<v1::Acl>,
    pub(crate) default_acl: Option<v1::Acl>,
}

impl Acls {
    /// The mode is the caller's.
    pub(crate) fn push(self, draft: &mut Draft, at: &Located, inode: u64) {
        if self.access.is_none() && self.default_acl.is_none() && at.entry.is_none() {
            return; // new, and the mode is all
        }
        draft.push(Kind::AclSet(v1::AclSet {
            tree: at.tree,
            parent: at.parent,
            name: at.name.clone(),
            inode,
            access: self.access,
            default_acl: self.default_acl,
        }));
    }
}

fn base(tag: AclTag) -> (i32, u32) {
    (tag as i32, 0)
}

fn is_named(tag: i32) -> bool {
    tag == AclTag::User as i32 || tag == AclTag::Group as i32
}

fn entries_of(acl: &v1::Acl) -> Entries {
    let all = acl.entries.iter();
    all.map(|entry| ((entry.tag, entry.id), entry.perms))
        .collect()
}

fn acl_of(entries: impl IntoIterator<Item = ((i32, u32), u32)>) -> v1::Acl {
    let entry = |((tag, id), perms)| v1::AclEntry { tag, id, perms };
    v1::Acl {
        entries: entries.into_iter().map(entry).collect(),
    }
}

/// All of it: what the mode says, too.
fn access_of(mode: u32, acl: Option<&v1::Acl>) -> Entries {
    let group = mode >> 3 & BITS;
    let mut entries = match acl {
        Some(acl) => {
            let mut entries = entries_of(acl);
            entries.insert(base(AclTag::Mask), group);
            entries
        }
        None => Entries::from([(base(AclTag::GroupObj), group)]),
    };
    entries.insert(base(AclTag::UserObj), mode >> 6 & BITS);
    entries.insert(base(AclTag::Other), mode & BITS);
    entries
}

/// The mode, and what does not fit into it. Its group bits are the mask where there is one.
fn split(mode: u32, mut entries: Entries) -> (u32, Option<v1::Acl>) {
    let bits = |entry: Option<u32>| entry.unwrap_or(0);
    let user = bits(entries.remove(&base(AclTag::UserObj)));
    let other = bits(entries.remove(&base(AclTag::Other)));
    let mask = entries.remove(&base(AclTag::Mask));
    let group = mask.or_else(|| entries.get(&base(AclTag::GroupObj)).copied());
    let mode = mode & !0o777 | user << 6 | bits(group) << 3 | other;
    (mode, mask.map(|_| acl_of(entries)))
}

/// Of what was changed: its mask as given, else the union of all that it bounds; none where nobody is named.
fn with_mask(entries: &mut Entries, given: Option<u32>) {
    let named = entries.keys().any(|(tag, _)| is_named(*tag));
    let union = entries
        .iter()
        .filter(|((tag, _), _)| is_named(*tag) || *tag == AclTag::GroupObj as i32);
    let union = union.fold(0, |union, (_, perms)| union | perms);
    entries.remove(&base(AclTag::Mask));
    if let Some(mask) = given.or(named.then_some(union)) {
        entries.insert(base(AclTag::Mask), mask);
    }
}

fn check(entry: &v1::AclEntry) -> Result<(), String> {
    let tag = AclTag::try_from(entry.tag).unwrap_or_default();
    if tag == AclTag::Unspecified {
        return Err("one of its entries is of no kind that this build knows".into());
    }
    if entry.perms > BITS || (entry.id != 0 && !is_named(entry.tag)) {
        return Err("one of its entries is not well formed".into());
    }
    Ok(())
}

fn apply(
    entries: &mut Entries,
    remove: &[v1::AclEntry],
    modify: &[v1::AclEntry],
) -> Result<(), String> {
    for entry in remove {
        check(entry)?;
        let is_mask = entry.tag == AclTag::Mask as i32;
        if !is_named(entry.tag) && !is_mask {
            return Err("entries of the owner, the group and others always stand".into());
        }
        entries.remove(&(entry.tag, entry.id));
    }
    let mut mask = None;
    for entry in modify {
        check(entry)?;
        entries.insert((entry.tag, entry.id), entry.perms);
        if entry.tag == AclTag::Mask as i32 {
            mask = Some(entry.perms);
        }
    }
    if !remove.is_empty() || !modify.is_empty() {
        with_mask(entries, mask);
    }
    if entries.len() > ACL_ENTRIES_MAX {
        let count = entries.len();
        return Err(format!(
            "it would have {count} entries, at most {ACL_ENTRIES_MAX} are taken"
        ));
    }
    Ok(())
}

/// What an inode has after a request.
///
/// # Errors
/// Why it cannot be done.
pub(crate) fn changed(entry: &EntryValue, op: &v1::SetAcl) -> Result<Acls, String> {
    let mode = entry.attr.unwrap_or_default().mode;
    let mut access = access_of(mode, entry.acl.as_ref());
    if op.remove_access {
        let mask = base(AclTag::Mask);
        access.retain(|at, _| !is_named(at.0) && *at != mask);
    }
    apply(&mut access, &op.remove, &op.modify)?;
    let mut default = match &entry.default_acl {
        Some(default) if !op.remove_default => entries_of(default),
        _ => Entries::new(),
    };
    if !op.modify_in_default.is_empty() && default.is_empty() {
        for tag in [AclTag::UserObj, AclTag::GroupObj, AclTag::Other] {
            let perms = access.get(&base(tag)).copied();
            default.insert(base(tag), perms.unwrap_or(0));
        }
    }
    apply(&mut default, &op.remove_in_default, &op.modify_in_default)?;
    let (mode, access) = split(mode, access);
    let default_acl = (!default.is_empty()).then(|| acl_of(default));
    Ok(Acls {
        mode,
        access,
        default_acl,
    })
}

/// What is made in a directory: its mode is bounded by what was asked for, entries are the default's.
pub(crate) fn inherited(default: &v1::Acl, mode: u32, is_directory: bool) -> Acls {
    let mut entries = entries_of(default);
    let mask = base(AclTag::Mask);
    let group = match entries.contains_key(&mask) {
        true => mask,
        false => base(AclTag::GroupObj),
    };
    let shares = [
        (base(AclTag::UserObj), 6),
        (group, 3),
        (base(AclTag::Other), 0),
    ];
    for (at, shift) in shares {
        if let Some(perms) = entries.get_mut(&at) {
            *perms &= mode >> shift & BITS;
        }
    }
    let (mode, access) = split(mode, entries);
    Acls {
        mode,
        access,
        default_acl: is_directory.then(|| default.clone()),
    }
}
