//! A symlink: a name that holds a path, which nobody here follows.
use super::{Plan, SYMLINK_MODE, kind_in_words, path_of};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, Located};
use dfs_wire::limits::PATH_BYTES_MAX;
use dfs_wire::{Code, Refusal, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::MakeSymlink) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "make symlink",
        path: &path,
    };
    check_link(errand, &op.target)?;
    let located = walk::locate(&plan.planning, errand)?;
    let attr = plan.attr(errand, op.attr, SYMLINK_MODE)?;
    let mut draft = Draft::default();
    if let Some(entry) = &located.entry {
        check_replaced(errand, op, &located, &entry.value)?;
        plan.unmake(&mut draft, &located, &entry.value)?;
        draft.touch(located.tree, located.parent, plan.context.now_ns, -1);
    }
    let entry = EntryValue {
        kind: v1::Kind::Symlink as i32,
        attr: Some(attr),
        link_target: op.target.clone(),
        ..EntryValue::default()
    };
    plan.make(errand, &mut draft, &located, entry)?;
    plan.finish(errand, draft)
}

fn check_link(errand: Errand<'_>, target: &[u8]) -> Result<(), Refusal> {
    let why = match target.len() {
        0 => "its target is empty".to_owned(),
        length if length > PATH_BYTES_MAX => {
            format!("its target has {length} bytes, at most {PATH_BYTES_MAX} are taken")
        }
        _ if target.contains(&0) => "its target holds a zero byte".to_owned(),
        _ => return Ok(()),
    };
    Err(errand.refuse(Code::Invalid, why))
}

fn check_replaced(
    errand: Errand<'_>,
    op: &v1::MakeSymlink,
    located: &Located,
    entry: &EntryValue,
) -> Result<(), Refusal> {
    let is_directory = entry.kind() == v1::Kind::Directory;
    if op.replace && !is_directory && !located.is_root() {
        return Ok(());
    }
    let code = if op.replace {
        Code::WrongKind
    } else {
        Code::Exists
    };
    Err(errand.refuse(code, format!("there is {} already", kind_in_words(entry))))
}
