//! An entry gets another place, over what POSIX lets it replace.
use super::{Plan, kind_in_words, path_of, place};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, Located};
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Rename) -> Result<Planned, Unplanned> {
    let (from_path, to_path) = (path_of(&op.from), path_of(&op.to));
    let from_errand = Errand {
        verb: "move",
        path: &from_path,
    };
    let errand = Errand {
        verb: "move to",
        path: &to_path,
    };
    let from = walk::locate(&plan.planning, from_errand)?;
    if from.is_root() {
        return Err(from_errand.refuse(Code::Invalid, "the root stays").into());
    }
    let Some(entry) = from.entry.as_ref().map(|entry| entry.value.clone()) else {
        return Err(from_errand.not_found().into());
    };
    let to = walk::locate(&plan.planning, errand)?;
    let mut draft = Draft::default();
    draft.done.inode = entry.inode;
    if is_same(&to, &entry) {
        // As POSIX has it nothing changes, and the slot says so; but a caller that forbids replacing is told.
        if op.no_replace {
            return Err(errand.refuse(Code::Exists, "it is the same entry").into());
        }
        return plan.finish(errand, draft);
    }
    if to.is_root() {
        return Err(errand.refuse(Code::Exists, "the root stays").into());
    }
    if entry.kind() == v1::Kind::Directory {
        check_cycle(plan, errand, &to, entry.inode)?;
    }
    let replaced = to.entry.as_ref().map(|replaced| &replaced.value);
    if let Some(replaced) = replaced {
        check_replaced(plan, errand, op, &entry, &to, replaced)?;
        plan.unmake(&mut draft, &to, replaced)?;
    } else {
        place::check_name(plan, errand, &to)?;
        if to.parent != from.parent {
            place::check_entries(plan, errand, &to)?;
        }
    }
    draft.push(Kind::Moved(moved(&from, &to, &entry)));
    touch_parents(plan, &mut draft, &from, &to, replaced.is_some());
    plan.finish(errand, draft)
}

/// The same place, or another name of the same inode.
fn is_same(to: &Located, entry: &EntryValue) -> bool {
    to.entry
        .as_ref()
        .is_some_and(|there| there.value.inode == entry.inode)
}

fn moved(from: &Located, to: &Located, entry: &EntryValue) -> v1::Moved {
    v1::Moved {
        tree: from.tree,
        from_parent: from.parent,
        from_name: from.name.clone(),
        to_parent: to.parent,
        to_name: to.name.clone(),
        inode: entry.inode,
        kind: entry.kind,
    }
}

/// FOLD-L4: a directory must not end up below itself, in folded state and in what is in flight.
fn check_cycle(
    plan: &Plan<'_>,
    errand: Errand<'_>,
    to: &Located,
    inode: u64,
) -> Result<(), Unplanned> {
    let Some(above) = walk::above(&plan.planning, to.tree, to.parent)? else {
        return Err(errand.not_found().into());
    };
    if above.contains(&inode) {
        let why = "a directory cannot be moved into itself";
        return Err(errand.refuse(Code::WrongKind, why).into());
    }
    Ok(())
}

fn check_replaced(
    plan: &Plan<'_>,
    errand: Errand<'_>,
    op: &v1::Rename,
    entry: &EntryValue,
    to: &Located,
    replaced: &EntryValue,
) -> Result<(), Unplanned> {
    let words = kind_in_words(replaced);
    if op.no_replace {
        return Err(errand
            .refuse(Code::Exists, format!("there is {words} already"))
            .into());
    }
    let directory = v1::Kind::Directory;
    if (entry.kind() == directory) != (replaced.kind() == directory) {
        let why = format!("{} cannot replace {words}", kind_in_words(entry));
        return Err(errand.refuse(Code::WrongKind, why).into());
    }
    if replaced.kind() == directory && !plan.planning.is_empty(to.tree, replaced.inode)? {
        return Err(errand
            .refuse(Code::NotEmpty, "the directory there is not empty")
            .into());
    }
    Ok(())
}

fn touch_parents(plan: &Plan<'_>, draft: &mut Draft, from: &Located, to: &Located, replaced: bool) {
    let now_ns = plan.context.now_ns;
    let gained = if replaced { 0 } else { 1 };
    if from.parent == to.parent {
        return draft.touch(from.tree, from.parent, now_ns, gained - 1);
    }
    draft.touch(from.tree, from.parent, now_ns, -1);
    draft.touch(to.tree, to.parent, now_ns, gained);
}
