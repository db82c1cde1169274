//! A copy by reference: the bytes stay where they are (FOLD-B3).
use super::{Plan, commit, file, path_of};
use crate::plan::draft::Draft;
use crate::plan::{CopySource, Planned, Unplanned};
use crate::state::walk::{self, Errand};
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
    let (attr, content) = match source {
        // What stands now is held by its own entry until this record takes hold of it: no guard is needed.
        None => {
            let located = walk::locate(&plan.planning, from_errand)?;
            let entry = file(from_errand, &located)?.value;
            (entry.attr, plan.planning.content(from_path.tree, &entry)?)
        }
        Some(past) if past.entry.kind() == v1::Kind::File => {
            draft.readable_lsn = Some(past.lsn);
            (
                past.entry.attr,
                past.entry.content.clone().unwrap_or_default(),
            )
        }
        Some(_) => {
            let why = "only files are copied by reference";
            return Err(from_errand.refuse(Code::WrongKind, why).into());
        }
    };
    let located = walk::locate(&plan.planning, errand)?;
    commit::check_target(errand, op.mode(), &located)?;
    let mtime_ns = plan.context.now_ns;
    let attr = attr.map(|attr| v1::Attr { mtime_ns, ..attr });
    commit::put(plan, errand, &located, &mut draft, attr, content)?;
    plan.finish(errand, draft)
}
