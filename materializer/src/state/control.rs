//! CONTROL as guards, planners and machinery look at it (FOLD-G2).
use super::keys::{self, letter};
use super::rows::value_of;
use super::values::{
    AgreedValue, CountsValue, DigestValue, FloorValue, NonceValue, OrderValue, SessionValue,
    SlotValue, TermValue,
};
use super::{Session, Slot, Term};
use crate::view::{Keyspace, Read, ViewError};
use dfs_wire::v1;
use prost::Message;

pub(crate) fn value<V: Message + Default>(
    read: &dyn Read,
    key: &[u8],
) -> Result<Option<V>, ViewError> {
    read.get(Keyspace::Control, key)?.map(value_of).transpose()
}

/// `None`: no term yet (genesis has not happened).
pub fn term(read: &dyn Read, shard: u64) -> Result<Option<Term>, ViewError> {
    let Some(term) = value::<TermValue>(read, &keys::control(letter::TERM, &[shard]))? else {
        return Ok(None);
    };
    let order: OrderValue =
        value(read, &keys::control(letter::ORDER, &[shard]))?.unwrap_or_default();
    let frames = if order.term == term.term {
        order.frames
    } else {
        0
    };
    Ok(Some(Term {
        lsn: term.term,
        owner: term.owner.unwrap_or_default(),
        frames,
    }))
}

/// Node ids, rising.
pub fn replicas(read: &dyn Read, shard: u64) -> Result<Vec<u64>, ViewError> {
    let (from, to) = keys::all_of(letter::REPLICA, shard);
    let rows = read.scan(Keyspace::Control, &from, &to);
    rows.map(|row| Ok(keys::last_number(&row?.0))).collect()
}

pub(crate) fn is_replica(read: &dyn Read, shard: u64, node_id: u64) -> Result<bool, ViewError> {
    let key = keys::control(letter::REPLICA, &[shard, node_id]);
    Ok(read.get(Keyspace::Control, &key)?.is_some())
}

/// The last two, older first (FOLD-X2).
pub fn snapshots(read: &dyn Read, shard: u64) -> Result<Vec<v1::SnapshotTaken>, ViewError> {
    let (from, to) = keys::all_of(letter::SNAPSHOT, shard);
    let rows = read.scan(Keyspace::Control, &from, &to);
    rows.map(|row| value_of(row?.1)).collect()
}

/// The oldest LSN that can be read (FOLD-X3); 0: all can.
pub fn floor(read: &dyn Read) -> Result<u64, ViewError> {
    let floor = value::<FloorValue>(read, &[letter::FLOOR])?;
    Ok(floor.map_or(0, |floor| floor.lsn))
}

/// Bytes of all frames folded, void ones too.
pub(crate) fn log_bytes(read: &dyn Read) -> Result<u64, ViewError> {
    let row = read.get(Keyspace::Control, &[letter::LOG_BYTES])?;
    let bytes = row.and_then(|row| row.first_chunk().copied());
    Ok(bytes.map_or(0, u64::from_le_bytes))
}

/// `None` before genesis.
pub fn cluster(read: &dyn Read) -> Result<Option<v1::ClusterCreated>, ViewError> {
    value(read, &[letter::CLUSTER])
}

pub fn session(read: &dyn Read, session: u64) -> Result<Option<Session>, ViewError> {
    let found = value::<SessionValue>(read, &keys::control(letter::SESSION, &[session]))?;
    Ok(found.map(|value| of_value(session, value)))
}

fn of_value(session: u64, value: SessionValue) -> Session {
    Session {
        session,
        actor: value.actor,
        opened_lsn: value.opened_lsn,
        opened_log_time_us: value.opened_log_time_us,
    }
}

/// By rising id.
pub fn sessions(read: &dyn Read) -> Result<Vec<Session>, ViewError> {
    let (from, to) = keys::all(letter::SESSION);
    let rows = read.scan(Keyspace::Control, &from, &to);
    rows.map(|row| {
        let (key, row) = row?;
        Ok(of_value(keys::last_number(&key), value_of(row)?))
    })
    .collect()
}

/// The session that a client's nonce opened.
pub fn session_of_nonce(read: &dyn Read, client_nonce: &[u8]) -> Result<Option<u64>, ViewError> {
    let found = value::<NonceValue>(read, &keys::nonce(client_nonce))?;
    Ok(found.map(|value| value.session))
}

pub fn slot(
    read: &dyn Read,
    session: u64,
    shard: u64,
    slot: u32,
) -> Result<Option<Slot>, ViewError> {
    let Some(row) = read.get(Keyspace::Slots, &keys::slot(session, shard, slot))? else {
        return Ok(None);
    };
    let SlotValue {
        seq,
        attempt,
        lsn,
        log_time_us,
        result,
    } = value_of(row)?;
    Ok(Some(Slot {
        seq,
        attempt,
        lsn,
        log_time_us,
        result: result.unwrap_or_default(),
    }))
}

pub fn group(read: &dyn Read, group: u64) -> Result<Option<v1::Group>, ViewError> {
    value(read, &keys::control(letter::GROUP, &[group]))
}

/// By rising id.
pub fn groups(read: &dyn Read) -> Result<Vec<v1::Group>, ViewError> {
    let (from, to) = keys::all(letter::GROUP);
    read.scan(Keyspace::Control, &from, &to)
        .map(|row| value_of(row?.1))
        .collect()
}

/// What the cluster was made with, where it says nothing.
const DIGEST_EVERY: u64 = 4096;

/// LSNs from one recorded digest to the next (FOLD-X4).
pub fn digest_every(read: &dyn Read) -> Result<u64, ViewError> {
    let settings = cluster(read)?.and_then(|cluster| cluster.settings);
    let told = settings.map_or(0, |settings| settings.digest_every);
    Ok(if told == 0 { DIGEST_EVERY } else { told })
}

/// What each node told last, by rising node id (FOLD-X4b).
pub fn digests_told(read: &dyn Read, shard: u64) -> Result<Vec<v1::DigestTold>, ViewError> {
    let (from, to) = keys::all_of(letter::DIGEST_OF, shard);
    let rows = read.scan(Keyspace::Control, &from, &to);
    rows.map(|row| {
        let (key, row) = row?;
        let DigestValue { lsn, digest } = value_of(row)?;
        let node_id = keys::last_number(&key);
        let begun = keys::control(letter::BEGUN_OF, &[shard, node_id]);
        let begun = value::<AgreedValue>(read, &begun)?.unwrap_or_default();
        Ok(v1::DigestTold {
            node_id,
            lsn,
            digest,
            begun_lsn: begun.lsn,
        })
    })
    .collect()
}

/// The last LSN at which all replicas told the same digest, and that digest (FOLD-X4b); 0: none.
pub fn agreed(read: &dyn Read, shard: u64) -> Result<(u64, u64), ViewError> {
    let agreed = value::<AgreedValue>(read, &keys::control(letter::AGREED, &[shard]))?;
    Ok(agreed.map_or((0, 0), |agreed| (agreed.lsn, agreed.digest)))
}

/// The digest in the ring (multiples of [`digest_every`], the last 64; FOLD-X4). That of the snapshot is in its stamp.
pub fn digest(read: &dyn Read, lsn: u64) -> Result<Option<u64>, ViewError> {
    let row = read.get(Keyspace::Control, &keys::control(letter::DIGEST, &[lsn]))?;
    Ok(row.and_then(|row| Some(u64::from_le_bytes(*row.first_chunk()?))))
}

pub(crate) fn counts(read: &dyn Read) -> Result<CountsValue, ViewError> {
    Ok(value(read, &[letter::COUNTS])?.unwrap_or_default())
}

/// Entries of the namespace, those below detached directories included.
pub fn entries(read: &dyn Read) -> Result<u64, ViewError> {
    Ok(counts(read)?.entries)
}
