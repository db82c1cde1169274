//! A hard link: a file or symlink that stands gets one more name.
use super::{Plan, kind_in_words, path_of, place};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, v1};

/// As `linkat` without AT_SYMLINK_FOLLOW: a symlink itself gets the name.
pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Link) -> Result<Planned, Unplanned> {
    let (from_path, to_path) = (path_of(&op.from), path_of(&op.to));
    let from_errand = Errand {
        verb: "link",
        path: &from_path,
    };
    let errand = Errand {
        verb: "link to",
        path: &to_path,
    };
    let from = walk::locate(&plan.planning, from_errand)?;
    let Some(entry) = &from.entry else {
        return Err(from_errand.not_found().into());
    };
    if entry.value.kind() == v1::Kind::Directory {
        let why = "it is a directory, which has one name only";
        return Err(from_errand.refuse(Code::WrongKind, why).into());
    }
    let to = walk::locate(&plan.planning, errand)?;
    if let Some(there) = &to.entry {
        let why = format!("there is {} already", kind_in_words(&there.value));
        return Err(errand.refuse(Code::Exists, why).into());
    }
    place::check(plan, errand, &to)?;
    let mut draft = Draft::default();
    draft.done.inode = entry.value.inode;
    draft.push(Kind::Linked(v1::Linked {
        tree: from.tree,
        from_parent: from.parent,
        from_name: from.name.clone(),
        to_parent: to.parent,
        to_name: to.name.clone(),
        inode: entry.value.inode,
        kind: entry.value.kind,
    }));
    draft.touch(to.tree, to.parent, plan.context.now_ns, 1);
    plan.finish(errand, draft)
}
