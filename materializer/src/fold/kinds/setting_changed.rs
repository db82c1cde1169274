//! `SettingChanged`: a setting has another value from here on; its history stays, below the floor too.
use crate::fold::Stage;
use crate::state::floor;
use crate::state::keys::{self, letter};
use crate::state::rows::{self, Versioned};
use crate::state::setting_key;
use crate::state::values::SettingValue;
use crate::view::{Keyspace, Read, ViewError};
use bytes::Bytes;
use dfs_wire::v1;

/// Superseded values kept of each setting: one a day for three years. Beyond, those go that were superseded at
/// or below the floor: above it every state is read (FOLD-X3).
pub(crate) const KEPT: usize = 1024;

/// The same for every number, also one that this build does not know: all replicas hold the same rows.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    changed: &v1::SettingChanged,
    actor: &str,
) -> Result<(), ViewError> {
    let value = SettingValue {
        value: changed.value,
        actor: actor.to_owned(),
    };
    let key = setting_key(changed.setting);
    stage.put_row(Versioned::Settings, &key, Some(&value))?;
    if !stage.is_overlay() {
        forget_oldest(stage, changed.setting)?;
    }
    Ok(())
}

/// No effect: like all history it follows from the rest.
fn forget_oldest(stage: &mut Stage<'_>, number: u32) -> Result<(), ViewError> {
    let (from, to) = keys::all_of(letter::SETTING_HISTORY, number.into());
    let beyond: Vec<_> = {
        let read = stage.read();
        let mut newest = read.scan(Keyspace::Control, &from, &to);
        let Some(first) = newest.nth(KEPT).transpose()? else {
            return Ok(());
        };
        let floor = floor(&read)?;
        let (_, prefix) = Versioned::Settings.superseded(&setting_key(number));
        // What was made above the floor is not looked at, however much it is.
        let (made_below, _) = keys::history_until(&prefix, floor);
        let rows = read.scan(Keyspace::Control, &first.0.max(made_below.into()), &to);
        let dead = |row: Result<(Bytes, Bytes), ViewError>| {
            let (key, row) = row?;
            Ok((rows::until(&row)? <= floor).then_some(key))
        };
        rows.filter_map(|row| dead(row).transpose())
            .collect::<Result<_, ViewError>>()?
    };
    for key in beyond {
        stage.layer.set(Keyspace::Control, &key, None);
    }
    Ok(())
}
