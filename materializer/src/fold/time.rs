//! The index of log time, both ways (FOLD-R4), written once for every log time; and the ring of digests (FOLD-X4).
use super::Stage;
use crate::state::keys::{self, letter};
use crate::view::{Keyspace, Layer};
use bytes::Bytes;

/// So many digests are kept.
pub(crate) const DIGESTS_KEPT: u64 = 64;

/// `first_lsn` is the first at this log time, `log_bytes` lie before it.
pub(crate) fn index(layer: &mut Layer, first_lsn: u64, log_time_us: u64, log_bytes: u64) {
    let lsn_of = keys::control(letter::LSN_OF, &[log_time_us]);
    let time_of = keys::control(letter::TIME_OF, &[first_lsn]);
    let row = [log_time_us.to_le_bytes(), log_bytes.to_le_bytes()].concat();
    layer.set(Keyspace::Control, &lsn_of, Some(number(first_lsn)));
    layer.set(Keyspace::Control, &time_of, Some(row.into()));
}

/// After a frame.
pub(crate) fn count_bytes(layer: &mut Layer, log_bytes: u64) {
    layer.set(
        Keyspace::Control,
        &[letter::LOG_BYTES],
        Some(number(log_bytes)),
    );
}

/// After the record at `stage.lsn`; those at multiples of `every` are kept.
pub(crate) fn keep_digest(stage: &mut Stage<'_>, every: u64) {
    if !stage.lsn.is_multiple_of(every) {
        return;
    }
    let row = Some(number(*stage.digest));
    stage.layer.set(
        Keyspace::Control,
        &keys::control(letter::DIGEST, &[stage.lsn]),
        row,
    );
    if let Some(oldest) = stage.lsn.checked_sub(every.saturating_mul(DIGESTS_KEPT)) {
        stage.layer.set(
            Keyspace::Control,
            &keys::control(letter::DIGEST, &[oldest]),
            None,
        );
    }
}

fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}
