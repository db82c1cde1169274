//! A file gets its bytes: made, or replaced.
use super::{FILE_MODE, Plan, condition, content, kind_in_words, path_of, place};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, Located};
use dfs_wire::{Code, Refusal, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Commit) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "put",
        path: &path,
    };
    let located = walk::locate(&plan.planning, errand)?;
    check_target(errand, op.mode(), &located)?;
    if let Some(if_lsn) = op.if_lsn {
        condition::check_at(plan, errand, &located, if_lsn)?;
    }
    let given = op.content.clone().unwrap_or_default();
    let mut draft = Draft::default();
    content::take(plan, errand, &given, &mut draft)?;
    put(plan, errand, &located, &mut draft, op.attr, given)?;
    plan.finish(errand, draft)
}

/// Writes a file at a place that has none, or a file.
pub(crate) fn put(
    plan: &mut Plan<'_>,
    errand: Errand<'_>,
    at: &Located,
    draft: &mut Draft,
    asked: Option<v1::Attr>,
    content: v1::Content,
) -> Result<(), Unplanned> {
    place::check_size(plan, errand, content.size)?;
    let attr = plan.attr(errand, asked, FILE_MODE)?;
    let Some(entry) = &at.entry else {
        let entry = EntryValue {
            kind: v1::Kind::File as i32,
            attr: Some(attr),
            content: Some(content),
            ..EntryValue::default()
        };
        return plan.make(errand, draft, at, entry);
    };
    plan.set_content(draft, at, &entry.value, content)?;
    let owner = asked.map(|attr| (attr.mode, attr.uid, attr.gid));
    plan.set_attr(draft, at, entry.value.inode, owner, attr.mtime_ns);
    Ok(())
}

/// Whether a file may be written there at all.
pub(crate) fn check_target(
    errand: Errand<'_>,
    mode: v1::CommitMode,
    at: &Located,
) -> Result<(), Refusal> {
    if mode == v1::CommitMode::Unspecified {
        return Err(errand.refuse(Code::Invalid, "it does not say whether to replace a file"));
    }
    match &at.entry {
        None => Ok(()),
        Some(entry) if entry.value.kind() == v1::Kind::Directory => {
            Err(errand.refuse(Code::WrongKind, "there is a directory"))
        }
        Some(entry) if mode == v1::CommitMode::Create => {
            let why = format!("there is {} already", kind_in_words(&entry.value));
            Err(errand.refuse(Code::Exists, why))
        }
        Some(entry) if entry.value.kind() != v1::Kind::File => {
            let why = format!("there is {}", kind_in_words(&entry.value));
            Err(errand.refuse(Code::WrongKind, why))
        }
        Some(_) => Ok(()),
    }
}
