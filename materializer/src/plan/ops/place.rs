//! Whether the settings allow one more entry at a place, or a file of so many bytes.
use super::Plan;
use crate::plan::Unplanned;
use crate::state::walk::{Errand, Located};
use dfs_wire::v1::Setting;
use dfs_wire::{Code, Refusal, settings};

/// A name, and one more entry of its directory.
pub(crate) fn check(plan: &Plan<'_>, errand: Errand<'_>, at: &Located) -> Result<(), Unplanned> {
    check_name(plan, errand, at)?;
    check_entries(plan, errand, at)
}

pub(crate) fn check_name(plan: &Plan<'_>, errand: Errand<'_>, at: &Located) -> Result<(), Refusal> {
    let setting = settings::of(Setting::NameBytesMax);
    let (bytes, settings) = (at.name.len() as u64, plan.context.settings);
    if bytes <= setting.get(settings) {
        return Ok(());
    }
    let why = setting.exceeded(format!("its name has {bytes} bytes"), settings);
    Err(errand.refuse(Code::Invalid, why).advice(setting.advice()))
}

/// By what is folded: what is in flight changes the count by deltas, which no plan waits for (FOLD-P1).
pub(crate) fn check_entries(
    plan: &Plan<'_>,
    errand: Errand<'_>,
    at: &Located,
) -> Result<(), Unplanned> {
    let settings = plan.context.settings;
    let most = settings.directory_entries_max;
    if most == 0 {
        return Ok(());
    }
    let entries = plan.planning.children_folded(at.tree, at.parent)?;
    if entries < most {
        return Ok(());
    }
    let setting = settings::of(Setting::DirectoryEntriesMax);
    let why = setting.exceeded(format!("its directory has {entries} entries"), settings);
    Err(errand
        .refuse(Code::State, why)
        .advice(setting.advice())
        .into())
}

pub(crate) fn check_size(plan: &Plan<'_>, errand: Errand<'_>, size: u64) -> Result<(), Refusal> {
    let setting = settings::of(Setting::FileBytesMax);
    let settings = plan.context.settings;
    if size <= setting.get(settings) {
        return Ok(());
    }
    let why = setting.exceeded(format!("it would have {size} bytes"), settings);
    Err(errand.refuse(Code::Invalid, why).advice(setting.advice()))
}
