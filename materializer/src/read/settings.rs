//! Settings as they are or were, and how they came to be so.
use super::At;
use crate::fold::kinds::KEPT_SETTINGS;
use crate::state::keys::{self, letter};
use crate::state::rows::{self, Row, Versioned};
use crate::state::values::SettingValue;
use crate::state::{made_with, setting_key};
use crate::view::{Keyspace, Read, ViewError};
use dfs_wire::limits::LIST_ENTRIES_MAX;
use dfs_wire::settings::{SETTINGS, Setting};
use dfs_wire::v1;

const LIMIT_DEFAULT: u32 = 1000;

/// All that this build knows.
pub fn settings(at: At<'_>) -> Result<v1::SettingList, ViewError> {
    let made = made_with(at.snapshot)?;
    let states = SETTINGS.iter().map(|setting| state(at, setting, &made));
    let settings = states.collect::<Result<_, _>>()?;
    Ok(v1::SettingList { settings })
}

fn state(
    at: At<'_>,
    setting: &Setting,
    made: &v1::Settings,
) -> Result<v1::SettingState, ViewError> {
    let number = setting.number as u32;
    let row = at.row::<SettingValue>(Versioned::Settings, &setting_key(number))?;
    let default_value = setting.get(made);
    let unchanged = v1::SettingState {
        setting: number,
        value: default_value,
        default_value,
        ..v1::SettingState::default()
    };
    Ok(row.map_or(unchanged.clone(), |row| v1::SettingState {
        value: row.value.value.unwrap_or(default_value),
        lsn: row.lsn,
        log_time_us: row.log_time_us,
        actor: row.value.actor,
        is_set: row.value.value.is_some(),
        ..unchanged
    }))
}

/// Changes, newest first; those of one record stand on one page. `view` is not looked at: `at` is the answer to it.
pub fn setting_history(
    at: At<'_>,
    request: &v1::SettingHistoryRequest,
) -> Result<v1::SettingHistory, ViewError> {
    let mut changes = Vec::new();
    let wanted = |setting: &&Setting| [0, setting.number as u32].contains(&request.setting);
    for setting in SETTINGS.iter().filter(wanted) {
        changes_of(at, setting.number as u32, &mut changes)?;
    }
    let before = match request.before_lsn {
        0 => u64::MAX,
        before => before,
    };
    changes.retain(|change| change.lsn < before);
    changes.sort_by_key(|change| (std::cmp::Reverse(change.lsn), change.setting));
    let limit = match request.limit {
        0 => LIMIT_DEFAULT,
        asked => asked.min(LIST_ENTRIES_MAX),
    };
    let last = changes.get(limit as usize - 1).map_or(0, |last| last.lsn);
    let page = changes.partition_point(|change| change.lsn >= last);
    let more = page < changes.len();
    changes.truncate(page);
    Ok(v1::SettingHistory { changes, more })
}

fn changes_of(
    at: At<'_>,
    number: u32,
    changes: &mut Vec<v1::SettingChange>,
) -> Result<(), ViewError> {
    let mut versions = versions(at, number)?;
    let oldest = match versions.len() > KEPT_SETTINGS {
        // What it superseded may be forgotten: it only says what the next one superseded.
        true => versions.pop(),
        false => None,
    };
    versions.retain(|row| row.lsn <= at.lsn);
    let mut old_value = oldest.and_then(|row| row.value.value);
    for row in versions.into_iter().rev() {
        let (new_value, actor) = (row.value.value, row.value.actor);
        changes.push(v1::SettingChange {
            setting: number,
            lsn: row.lsn,
            log_time_us: row.log_time_us,
            actor,
            old_value: std::mem::replace(&mut old_value, new_value),
            new_value,
        });
    }
    Ok(())
}

/// Newest first, all that are kept.
fn versions(at: At<'_>, number: u32) -> Result<Vec<Row<SettingValue>>, ViewError> {
    let (kind, key) = (Versioned::Settings, setting_key(number));
    let newest = rows::current::<SettingValue>(at.snapshot, kind.space(), &key)?;
    let mut versions = Vec::from_iter(newest);
    let (from, to) = keys::all_of(letter::SETTING_HISTORY, number.into());
    for row in at.snapshot.scan(Keyspace::Control, &from, &to) {
        let (_, row) = rows::split_superseded(&row?.1)?;
        versions.push(rows::decode(&row)?);
    }
    Ok(versions)
}
