//! Settings get other values, all in one record (FOLD-G2). The table of bounds is the wire's.
use super::Plan;
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use dfs_wire::settings::{Setting, by_number, names};
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, Refusal, v1};

pub(crate) fn plan(plan: &Plan<'_>, op: &v1::SetSettings) -> Result<Planned, Unplanned> {
    if op.changes.is_empty() {
        return Err(invalid("it names no setting").into());
    }
    let mut draft = Draft::default();
    for (n, change) in op.changes.iter().enumerate() {
        let setting = known(change.setting)?;
        let mut before = op.changes.iter().take(n);
        if before.any(|other| other.setting == change.setting) {
            return Err(invalid(format!("{} is named twice", setting.name)).into());
        }
        if let Some(value) = change.value {
            setting.check(value)?;
        }
        draft.push(Kind::SettingChanged(*change));
    }
    Ok(draft.finish("settings", plan.context)?)
}

/// The newest change of any that is named: what a compare-and-set compares.
pub(crate) fn version(plan: &Plan<'_>, op: &v1::SetSettings) -> Result<u64, Unplanned> {
    let mut version = 0;
    for change in &op.changes {
        version = version.max(plan.planning.setting_version(change.setting)?);
    }
    Ok(version)
}

fn known(number: u32) -> Result<&'static Setting, Refusal> {
    by_number(number).ok_or_else(|| {
        let why = format!("this build does not know its number; it knows {}", names());
        Refusal::new(Code::Invalid, format!("setting {number}"), why)
    })
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::Invalid, "settings", why)
}
