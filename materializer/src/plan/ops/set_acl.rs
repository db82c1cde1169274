//! Who else may do what with a file or directory, and with what is made in it.
use super::{Plan, kind_in_words, path_of};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned, acl};
use crate::state::walk::{self, Errand};
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::SetAcl) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "set the ACL of",
        path: &path,
    };
    let located = walk::locate(&plan.planning, errand)?;
    let Some(entry) = located.entry.as_ref().map(|entry| &entry.value) else {
        return Err(errand.not_found().into());
    };
    let kind = entry.kind();
    let in_default = !op.modify_in_default.is_empty();
    if kind == v1::Kind::Symlink || (in_default && kind != v1::Kind::Directory) {
        let words = kind_in_words(entry);
        let why = format!("it is {words}: symlinks have no ACL, only directories a default one");
        return Err(errand.refuse(Code::WrongKind, why).into());
    }
    let before = entry.attr.unwrap_or_default().mode;
    let acls = acl::changed(entry, op).map_err(|why| errand.refuse(Code::Invalid, why))?;
    let mut draft = Draft::default();
    draft.done.inode = entry.inode;
    if acls.mode != before {
        draft.push(Kind::AttrSet(v1::AttrSet {
            tree: located.tree,
            parent: located.parent,
            name: located.name.clone(),
            inode: entry.inode,
            mode: Some(acls.mode),
            ..v1::AttrSet::default()
        }));
    }
    acls.push(&mut draft, &located, entry.inode);
    plan.finish(errand, draft)
}
