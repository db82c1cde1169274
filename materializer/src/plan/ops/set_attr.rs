//! Mode, owner or mtime of an entry.
use super::{Plan, check_mode, path_of};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use dfs_wire::v1;
use dfs_wire::v1::mutation::Kind;

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::SetAttr) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "set attributes of",
        path: &path,
    };
    check_mode(errand, op.mode.unwrap_or_default())?;
    let located = walk::locate(&plan.planning, errand)?;
    let Some(entry) = &located.entry else {
        return Err(errand.not_found().into());
    };
    let mut draft = Draft::default();
    draft.done.inode = entry.value.inode;
    draft.push(Kind::AttrSet(v1::AttrSet {
        tree: located.tree,
        parent: located.parent,
        name: located.name.clone(),
        inode: entry.value.inode,
        mode: op.mode,
        uid: op.uid,
        gid: op.gid,
        mtime_ns: op.mtime_ns,
    }));
    plan.finish(errand, draft)
}
