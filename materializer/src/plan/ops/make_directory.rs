//! mkdir, with those above if asked.
use super::{DIRECTORY_MODE, Plan, kind_in_words, path_of};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, Located, Names};
use dfs_wire::{Code, v1};

/// Of those above: their maker must be able to go on below them, whatever the mode asked for.
const ABOVE_MODE: u32 = 0o300;

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::MakeDirectory) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "make directory",
        path: &path,
    };
    let attr = plan.attr(errand, op.attr, DIRECTORY_MODE)?;
    let names = walk::names(errand)?;
    let mut draft = Draft::default();
    let mut at = walk::base(&plan.planning, errand)?;
    // Of the directory that `at` is: what is made in it inherits from it.
    let mut above = None;
    let mut missing = false;
    let mut made = false;
    for (index, name) in names.iter().enumerate() {
        let is_last = index + 1 == names.len();
        let entry = if missing {
            None
        } else {
            plan.planning.entry(path.tree, at, name)?
        };
        if let Some(entry) = entry {
            if is_last {
                check_existing(errand, op, &entry.value)?;
            }
            at = walk::directory(errand, name, &entry.value)?;
            above = Some(Box::new(entry.value));
            continue;
        }
        if !is_last && !op.parents {
            let why = "a directory on the way is missing";
            return Err(errand.refuse(Code::NotFound, why).into());
        }
        (missing, made) = (true, true);
        let mode = if is_last {
            attr.mode
        } else {
            attr.mode | ABOVE_MODE
        };
        let located = Located {
            tree: path.tree,
            parent: at,
            name: name.clone(),
            entry: None,
            above: above.clone(),
        };
        let entry = EntryValue {
            kind: v1::Kind::Directory as i32,
            attr: Some(v1::Attr { mode, ..attr }),
            ..EntryValue::default()
        };
        plan.make(errand, &mut draft, &located, entry)?;
        at = draft.done.inode;
        if !is_last && above.is_none() {
            above = from_above(plan, &located)?; // a directory hands on what it inherits
        }
    }
    if !made && names.is_empty() && !op.exist_ok {
        return Err(errand.refuse(Code::Exists, "it exists already").into());
    }
    draft.done.inode = at;
    plan.finish(errand, draft)
}

fn from_above(plan: &Plan<'_>, at: &Located) -> Result<Option<Box<EntryValue>>, Unplanned> {
    let above = walk::entry_of(&plan.planning, at.tree, at.parent)?;
    Ok(above.map(|above| Box::new(above.value)))
}

fn check_existing(
    errand: Errand<'_>,
    op: &v1::MakeDirectory,
    entry: &EntryValue,
) -> Result<(), Unplanned> {
    if op.exist_ok && entry.kind() == v1::Kind::Directory {
        return Ok(());
    }
    let why = format!("there is {} already", kind_in_words(entry));
    Err(errand.refuse(Code::Exists, why).into())
}
