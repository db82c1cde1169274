//! What the settings of the cluster are: what it was made with, and over it what was changed since.
use super::cluster;
use super::keys::{self, letter};
use super::rows::{self, Row, Versioned};
use super::values::SettingValue;
use crate::view::{Read, ViewError};
use dfs_wire::settings::SETTINGS;
use dfs_wire::v1;

/// In force at what is folded.
pub fn settings(read: &dyn Read) -> Result<v1::Settings, ViewError> {
    over(made_with(read)?, read)
}

/// Before genesis: nothing of it is set.
pub(crate) fn made_with(read: &dyn Read) -> Result<v1::Settings, ViewError> {
    let cluster = cluster(read)?.unwrap_or_default();
    Ok(cluster.settings.unwrap_or_default())
}

/// `settings`, but for what was changed.
pub(crate) fn over(mut settings: v1::Settings, read: &dyn Read) -> Result<v1::Settings, ViewError> {
    for setting in SETTINGS {
        let row = row(read, setting.number as u32)?;
        if let Some(value) = row.and_then(|row| row.value.value) {
            setting.set(&mut settings, value);
        }
    }
    Ok(settings)
}

/// The last change of any; 0: there was none.
pub(crate) fn settings_lsn(read: &dyn Read) -> Result<u64, ViewError> {
    let mut last = 0;
    for setting in SETTINGS {
        last = last.max(row(read, setting.number as u32)?.map_or(0, |row| row.lsn));
    }
    Ok(last)
}

fn row(read: &dyn Read, number: u32) -> Result<Option<Row<SettingValue>>, ViewError> {
    let kind = Versioned::Settings;
    rows::current(read, kind.space(), &setting_key(number))
}

pub(crate) fn setting_key(number: u32) -> Vec<u8> {
    keys::control(letter::SETTING, &[number.into()])
}
