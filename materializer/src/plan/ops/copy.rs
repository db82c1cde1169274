//! A copy by reference: the bytes stay where they are (FOLD-B3).
use super::{Plan, commit, file, path_of};
use crate::plan::draft::Draft;
use crate::plan::{CopySource, Planned, Unplanned};
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, Located};
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, v1};

pub(crate) fn plan(
    plan: &mut Plan<'_>,
    op: &v1::Copy,
    source: Option<&CopySource>,
) -> Result<Planned, Unplanned> {
    let (from_path, to_path) = (path_of(&op.from), path_of(&op.to));
    let from_errand = Errand {
        verb: "copy",
        path: &from_path,
    };
    let errand = Errand {
        verb: "copy to",
        path: &to_path,
    };
    let mut draft = Draft::default();
    let (from, content) = match source {
        // What stands now is held by its own entry until this record takes hold of it: no guard is needed.
        None => {
            let located = walk::locate(&plan.planning, from_errand)?;
            let entry = file(from_errand, &located)?.value;
            let content = plan.planning.content(from_path.tree, &entry)?;
            (entry, content)
        }
        Some(past) if past.entry.kind() == v1::Kind::File => {
            draft.readable_lsn = Some(past.lsn);
            let content = past.entry.content.clone().unwrap_or_default();
            (of_the_past(&past.entry), content)
        }
        Some(_) => {
            let why = "only files are copied by reference";
            return Err(from_errand.refuse(Code::WrongKind, why).into());
        }
    };
    let located = walk::locate(&plan.planning, errand)?;
    commit::check_target(errand, op.mode(), &located)?;
    let mtime_ns = plan.context.now_ns;
    let attr = from.attr.map(|attr| v1::Attr { mtime_ns, ..attr });
    commit::put(plan, errand, &located, &mut draft, attr, content)?;
    let inode = match &located.entry {
        Some(entry) => entry.value.inode,
        None => draft.done.inode,
    };
    carry(&mut draft, &located, inode, &from);
    plan.finish(errand, draft)
}

fn of_the_past(entry: &v1::Entry) -> EntryValue {
    EntryValue {
        attr: entry.attr,
        xattrs: entry.xattrs.clone(),
        acl: entry.acl.clone(),
        ..EntryValue::default()
    }
}

/// A copy has the extended attributes of its source and no others, and its ACL.
fn carry(draft: &mut Draft, at: &Located, inode: u64, from: &EntryValue) {
    let there = at.entry.as_ref().map(|entry| &entry.value);
    let old = there.map_or(&[][..], |entry| &entry.xattrs);
    if !old.is_empty() || !from.xattrs.is_empty() {
        draft.push(Kind::XattrSet(v1::XattrSet {
            tree: at.tree,
            parent: at.parent,
            name: at.name.clone(),
            inode,
            set: from.xattrs.clone(),
            removed: old.iter().map(|xattr| xattr.name.clone()).collect(),
        }));
    }
    let had_one = there.is_some_and(|entry| entry.acl.is_some());
    if from.acl.is_none() && !had_one {
        return;
    }
    draft.push(Kind::AclSet(v1::AclSet {
        tree: at.tree,
        parent: at.parent,
        name: at.name.clone(),
        inode,
        access: from.acl.clone(),
        default_acl: None,
    }));
    draft.push(Kind::AttrSet(v1::AttrSet {
        tree: at.tree,
        parent: at.parent,
        name: at.name.clone(),
        inode,
        mode: from.attr.map(|attr| attr.mode),
        ..v1::AttrSet::default()
    }));
}
