//! One file for each operation of the namespace: what it decides, or why not.
mod append;
mod commit;
mod condition;
mod content;
mod copy;
mod link;
mod make_directory;
mod make_symlink;
mod place;
mod remove;
mod rename;
mod set_acl;
mod set_attr;
mod set_settings;
mod set_xattr;
mod truncate;

use super::acl::{self, Acls};
use super::draft::Draft;
use super::{Context, CopySource, Ids, Planned, Planning, Unplanned};
use crate::state::rows::Row;
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, Located};
use dfs_wire::v1::mutate::Op;
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, Refusal, v1};

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
const SYMLINK_MODE: u32 = 0o777;
const MODE_MAX: u32 = 0o7777;

/// What every operation plans with.
pub(crate) struct Plan<'a> {
    pub(crate) planning: Planning<'a>,
    pub(crate) context: &'a Context<'a>,
    pub(crate) ids: &'a mut Ids,
}

pub(crate) fn plan(
    plan: &mut Plan<'_>,
    request: &v1::Mutate,
    source: Option<&CopySource>,
) -> Result<Planned, Unplanned> {
    if let (Some(op), Some(if_lsn)) = (&request.op, request.if_lsn) {
        condition::check(plan, op, if_lsn)?;
    }
    match &request.op {
        Some(Op::MakeDirectory(op)) => make_directory::plan(plan, op),
        Some(Op::Commit(op)) => commit::plan(plan, op),
        Some(Op::MakeSymlink(op)) => make_symlink::plan(plan, op),
        Some(Op::Remove(op)) => remove::plan(plan, op),
        Some(Op::Rename(op)) => rename::plan(plan, op),
        Some(Op::SetAttr(op)) => set_attr::plan(plan, op),
        Some(Op::Append(op)) => append::plan(plan, op),
        Some(Op::Truncate(op)) => truncate::plan(plan, op),
        Some(Op::Copy(op)) => copy::plan(plan, op, source),
        Some(Op::Link(op)) => link::plan(plan, op),
        Some(Op::SetSettings(op)) => set_settings::plan(plan, op),
        Some(Op::SetXattr(op)) => set_xattr::plan(plan, op),
        Some(Op::SetAcl(op)) => set_acl::plan(plan, op),
        None => {
            let why = "this build does not know the operation";
            Err(Refusal::new(Code::Invalid, "a mutation", why).into())
        }
    }
}

/// The path of a request; absent: the root.
fn path_of(path: &Option<v1::Path>) -> v1::Path {
    path.clone().unwrap_or_default()
}

impl Plan<'_> {
    fn finish(&self, errand: Errand<'_>, draft: Draft) -> Result<Planned, Unplanned> {
        let what = errand.refuse(Code::Invalid, "");
        Ok(draft.finish(&what.get().what, self.context)?)
    }

    /// The attributes asked for; what is left open comes from who asks and when.
    fn attr(
        &self,
        errand: Errand<'_>,
        asked: Option<v1::Attr>,
        mode: u32,
    ) -> Result<v1::Attr, Refusal> {
        let Context {
            uid, gid, now_ns, ..
        } = *self.context;
        let attr = asked.unwrap_or(v1::Attr {
            mode,
            uid,
            gid,
            mtime_ns: now_ns,
        });
        check_mode(errand, attr.mode)?;
        Ok(attr)
    }

    /// A new entry at a place that has none, and the parent's share in it.
    fn make(
        &mut self,
        errand: Errand<'_>,
        draft: &mut Draft,
        at: &Located,
        entry: EntryValue,
    ) -> Result<(), Unplanned> {
        if at.entry.is_none() {
            place::check(self, errand, at)?;
        }
        let inherited = self.inherited(at, &entry)?;
        let attr = match (&inherited, entry.attr) {
            (Some(inherited), Some(attr)) => Some(v1::Attr {
                mode: inherited.mode,
                ..attr
            }),
            (_, attr) => attr,
        };
        let inode = self.ids.allocate();
        if let Some(content) = &entry.content {
            draft.blocks(content);
        }
        draft.push(Kind::Made(v1::Made {
            tree: at.tree,
            parent: at.parent,
            name: at.name.clone(),
            inode,
            kind: entry.kind,
            attr,
            content: entry.content,
            link_target: entry.link_target,
        }));
        if let Some(acls) = inherited {
            acls.push(draft, at, inode);
        }
        draft.done.inode = inode;
        draft.touch(at.tree, at.parent, self.context.now_ns, 1);
        Ok(())
    }

    /// What a new entry gets from the default ACL of its directory.
    fn inherited(&self, at: &Located, entry: &EntryValue) -> Result<Option<Acls>, Unplanned> {
        if entry.kind() == v1::Kind::Symlink {
            return Ok(None);
        }
        let default = match &at.above {
            Some(above) => above.default_acl.clone(),
            None => {
                let above = walk::entry_of(&self.planning, at.tree, at.parent)?;
                above.and_then(|above| above.value.default_acl)
            }
        };
        let mode = entry.attr.unwrap_or_default().mode;
        let is_directory = entry.kind() == v1::Kind::Directory;
        Ok(default.map(|default| acl::inherited(&default, mode, is_directory)))
    }

    /// The entry goes; its parent's count is the caller's.
    fn unmake(&self, draft: &mut Draft, at: &Located, entry: &EntryValue) -> Result<(), Unplanned> {
        draft.blocks(&self.planning.content(at.tree, entry)?);
        draft.push(Kind::Removed(v1::Removed {
            tree: at.tree,
            parent: at.parent,
            name: at.name.clone(),
            inode: entry.inode,
            kind: entry.kind,
        }));
        Ok(())
    }

    fn set_attr(
        &self,
        draft: &mut Draft,
        at: &Located,
        inode: u64,
        mode_uid_gid: Option<(u32, u32, u32)>,
        mtime_ns: i64,
    ) {
        draft.push(Kind::AttrSet(v1::AttrSet {
            tree: at.tree,
            parent: at.parent,
            name: at.name.clone(),
            inode,
            mode: mode_uid_gid.map(|(mode, _, _)| mode),
            uid: mode_uid_gid.map(|(_, uid, _)| uid),
            gid: mode_uid_gid.map(|(_, _, gid)| gid),
            mtime_ns: Some(mtime_ns),
        }));
    }

    /// Other bytes for a file that stands.
    fn set_content(
        &self,
        draft: &mut Draft,
        at: &Located,
        entry: &EntryValue,
        content: v1::Content,
    ) -> Result<(), Unplanned> {
        draft.blocks(&self.planning.content(at.tree, entry)?);
        draft.blocks(&content);
        draft.push(Kind::ContentSet(v1::ContentSet {
            tree: at.tree,
            parent: at.parent,
            name: at.name.clone(),
            inode: entry.inode,
            content: Some(content),
        }));
        draft.done.inode = entry.inode;
        Ok(())
    }
}

fn check_mode(errand: Errand<'_>, mode: u32) -> Result<(), Refusal> {
    if mode <= MODE_MAX {
        return Ok(());
    }
    Err(errand.refuse(
        Code::Invalid,
        format!("mode {mode:o} is above {MODE_MAX:o}"),
    ))
}

fn kind_in_words(entry: &EntryValue) -> &'static str {
    match entry.kind() {
        v1::Kind::Directory => "a directory",
        v1::Kind::Symlink => "a symlink",
        _ => "a file",
    }
}

/// The file that stands there.
fn file(errand: Errand<'_>, located: &Located) -> Result<Row<EntryValue>, Refusal> {
    let entry = located.entry.clone().ok_or_else(|| errand.not_found())?;
    if entry.value.kind() == v1::Kind::File {
        return Ok(entry);
    }
    let why = format!("it is {}, not a file", kind_in_words(&entry.value));
    Err(errand.refuse(Code::WrongKind, why))
}
