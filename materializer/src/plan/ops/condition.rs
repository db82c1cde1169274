//! Compare-and-set: an operation is planned only over the version that its asker has seen.
use super::{Plan, path_of, set_settings};
use crate::plan::Unplanned;
use crate::state::walk::{self, Errand, Located};
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, Refusal, v1};

/// Judged before all else, so that whoever lost the race is told so, and not what came of it.
pub(crate) fn check(plan: &Plan<'_>, op: &Op, if_lsn: u64) -> Result<(), Unplanned> {
    if let Op::SetSettings(op) = op {
        let version = set_settings::version(plan, op)?;
        return Ok(compare_settings(version, if_lsn)?);
    }
    let (verb, path) = judged(op);
    let path = path_of(path);
    let errand = Errand { verb, path: &path };
    let version = match walk::locate(&plan.planning, errand) {
        Ok(located) => plan.planning.version(&located)?,
        // Where a directory on the way is missing, there is no entry either.
        Err(Unplanned::Refused(refusal)) if refusal.code() == Code::NotFound => 0,
        Err(unplanned) => return Err(unplanned),
    };
    Ok(compare(errand, version, if_lsn)?)
}

/// The same, of an entry that has been found.
pub(crate) fn check_at(
    plan: &Plan<'_>,
    errand: Errand<'_>,
    at: &Located,
    if_lsn: u64,
) -> Result<(), Unplanned> {
    Ok(compare(errand, plan.planning.version(at)?, if_lsn)?)
}

fn compare(errand: Errand<'_>, version: u64, if_lsn: u64) -> Result<(), Refusal> {
    let why = match (version, if_lsn) {
        (version, if_lsn) if version == if_lsn => return Ok(()),
        (0, _) => format!("there is no entry, and so none of version LSN {if_lsn}"),
        (_, 0) => format!("there is an entry, its version is LSN {version}"),
        _ => format!("its version is LSN {version}, not {if_lsn}"),
    };
    Err(errand.refuse(Code::Conflict, why))
}

/// Unlike an entry, settings are read at any LSN: what counts is that none was changed after it.
fn compare_settings(version: u64, if_lsn: u64) -> Result<(), Refusal> {
    let why = match (version, if_lsn) {
        (version, if_lsn) if version <= if_lsn => return Ok(()),
        (_, 0) => format!("it was changed at LSN {version}"),
        _ => format!("the last change was at LSN {version}, after {if_lsn}"),
    };
    Err(Refusal::new(Code::Conflict, "settings", why))
}

/// Which entry an operation changes, where it names two.
fn judged(op: &Op) -> (&'static str, &Option<v1::Path>) {
    match op {
        Op::MakeDirectory(op) => ("make directory", &op.path),
        Op::Commit(op) => ("put", &op.path),
        Op::MakeSymlink(op) => ("make symlink", &op.path),
        Op::Remove(op) => ("remove", &op.path),
        Op::Rename(op) => ("move", &op.from),
        Op::SetAttr(op) => ("set attributes of", &op.path),
        Op::Append(op) => ("append to", &op.path),
        Op::Truncate(op) => ("truncate", &op.path),
        Op::Copy(op) => ("copy to", &op.to),
        Op::Link(op) => ("link", &op.from),
        Op::SetXattr(op) => ("set attributes of", &op.path),
        Op::SetAcl(op) => ("set the ACL of", &op.path),
        // It has no path: it is judged before.
        Op::SetSettings(_) => ("set", &None),
    }
}
