//! `SessionOpened`, `SessionExpired` (FOLD-S1).
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::value;
use crate::state::values::{NonceValue, SessionValue};
use crate::view::{Keyspace, Read, ViewError};
use dfs_wire::v1;

pub(crate) fn opened(stage: &mut Stage<'_>, opened: &v1::SessionOpened) -> Result<(), ViewError> {
    let session = SessionValue {
        actor: opened.actor.clone(),
        client_nonce: opened.client_nonce.clone(),
        opened_lsn: stage.lsn,
        opened_log_time_us: stage.log_time_us,
    };
    let key = keys::control(letter::SESSION, &[opened.session]);
    stage.put(Keyspace::Control, &key, Some(&session))?;
    let nonce = NonceValue {
        session: opened.session,
    };
    stage.put(
        Keyspace::Control,
        &keys::nonce(&opened.client_nonce),
        Some(&nonce),
    )?;
    stage.count(opened.session, 0)
}

/// Its slots go with it: from now on its requests are refused.
pub(crate) fn expired(
    stage: &mut Stage<'_>,
    expired: &v1::SessionExpired,
) -> Result<(), ViewError> {
    let key = keys::control(letter::SESSION, &[expired.session]);
    let Some(session) = value::<SessionValue>(&stage.read(), &key)? else {
        return Ok(());
    };
    stage.put::<()>(Keyspace::Control, &key, None)?;
    stage.put::<()>(Keyspace::Control, &keys::nonce(&session.client_nonce), None)?;
    if stage.is_overlay() {
        return Ok(());
    }
    let (from, to) = keys::slots(expired.session);
    let slots: Result<Vec<_>, _> = stage.read().scan(Keyspace::Slots, &from, &to).collect();
    for (key, _) in slots? {
        stage.put::<()>(Keyspace::Slots, &key, None)?;
    }
    Ok(())
}
