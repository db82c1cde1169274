//! An entry goes; a directory with all that lies below it, in one record (DESIGN.md §5).
use super::{Plan, path_of};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use dfs_wire::{Code, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Remove) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "remove",
        path: &path,
    };
    let located = walk::locate(&plan.planning, errand)?;
    if located.is_root() {
        return Err(errand.refuse(Code::Invalid, "the root stays").into());
    }
    let Some(entry) = &located.entry else {
        return Err(errand.not_found().into());
    };
    let mut draft = Draft::default();
    draft.done.inode = entry.value.inode;
    let is_directory = entry.value.kind() == v1::Kind::Directory;
    if is_directory && !plan.planning.is_empty(path.tree, entry.value.inode)? {
        if !op.recursive {
            return Err(errand
                .refuse(Code::NotEmpty, "the directory is not empty")
                .into());
        }
        draft.done.entries = plan.planning.children(path.tree, entry.value.inode)?;
    }
    plan.unmake(&mut draft, &located, &entry.value)?;
    draft.touch(located.tree, located.parent, plan.context.now_ns, -1);
    plan.finish(errand, draft)
}
