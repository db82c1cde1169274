//! The fold: frames in, rows out. Total, deterministic; what it does not know halts it (FOLD-G1, FOLD-X5).
mod effect;
mod guards;
mod halt;
pub(crate) mod kinds;
mod order;
mod stage;
mod time;

#[cfg(test)]
mod tests;

pub use halt::Halt;
pub(crate) use stage::{PROVISIONAL_LSN, Stage};

use crate::state;
use crate::view::{Keyspace, Layer, Layered, Snapshot, Stamp, View, ViewError};
use dfs_wire::frame::Frame;
use dfs_wire::v1;
use dfs_wire::v1::mutation::Kind;
use prost::Message;
use std::sync::Arc;

/// Records of one batch: what one commit of the store is amortised over.
pub const BATCH_RECORDS_MAX: usize = 512;
/// Bytes of rows in one batch: bounds what a batch holds in memory.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// A frame at its place in the log.
#[derive(Clone, Debug)]
pub struct FoldFrame {
    pub first_lsn: u64,
    pub log_time_us: u64,
    pub cut_seq: u64,
    pub frame: Frame,
}

/// What a frame did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    pub first_lsn: u64,
    pub last_lsn: u64,
    pub log_time_us: u64,
    /// The guard that failed: the frame had no effect (FOLD-G4). `None`: it took effect.
    pub void: Option<String>,
    /// The results that its records gave to slots, with their LSNs; empty if void.
    pub slots: Vec<(u64, v1::SlotDone)>,
    /// Mutations of CONTROL that took effect, with their LSNs; the machinery watches terms, sessions, groups, digests.
    pub control: Vec<(u64, v1::Mutation)>,
    /// Records of digests of any replica, beside what this replica held there (`None`: no longer, or not, known).
    pub digests: Vec<(v1::DigestTaken, Option<u64>)>,
}

/// Folds into a store, batch by batch.
pub struct Folder {
    view: Arc<dyn View>,
    base: Snapshot,
    layer: Layer,
    stamp: Stamp,
    /// Of all frames folded.
    log_bytes: u64,
    /// LSNs from one recorded digest to the next: a setting of the cluster (FOLD-X4).
    digest_every: u64,
    records: usize,
}

impl Folder {
    /// Goes on where the store stands.
    pub fn new(view: Arc<dyn View>) -> Result<Folder, ViewError> {
        let base = view.snapshot();
        let (stamp, log_bytes) = (base.stamp, state::log_bytes(&base)?);
        let digest_every = state::digest_every(&base)?;
        Ok(Folder {
            view,
            base,
            layer: Layer::default(),
            stamp,
            log_bytes,
            digest_every,
            records: 0,
        })
    }

    /// The position after the last frame folded, committed or not.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The state after the last commit.
    pub fn snapshot(&self) -> &Snapshot {
        &self.base
    }

    /// LSNs from one digest to the next, as the cluster was made.
    pub(crate) fn digest_every(&self) -> u64 {
        self.digest_every
    }

    /// What is recorded of it, committed or not (FOLD-X4).
    pub(crate) fn digest_at(&self, lsn: u64) -> Result<Option<u64>, ViewError> {
        let read = Layered {
            over: &self.layer,
            under: &self.base,
        };
        state::digest(&read, lsn)
    }

    /// Folds a frame into the open batch. Frames come in LSN order without a gap.
    ///
    /// # Errors
    /// [`Halt`]: nothing of the frame is in the batch; the replica stops here and says why.
    pub fn fold(&mut self, frame: &FoldFrame) -> Result<Folded, Halt> {
        let first = frame.first_lsn;
        let expected = self.stamp.lsn + 1;
        if first != expected {
            return Err(Halt::NotNext {
                lsn: first,
                expected,
            });
        }
        let header = &frame.frame.header;
        let guards = guards::decode(first, &header.guards)?;
        let control = Layered {
            over: &self.layer,
            under: &self.base,
        };
        #[cfg(test)]
        let nothing = Layer::default();
        #[cfg(test)]
        let control = match crate::mutants::on(crate::mutants::Mutant::ControlOfTheBatch) {
            true => Layered {
                over: &nothing,
                under: &self.base,
            },
            false => control,
        };
        // FOLD-G3: the state right before the frame is CONTROL at exactly n − 1.
        let void = guards::broken(&control, first, &guards)?;
        let counted = order::counted(&control, first, header.order)?;
        // FOLD-G1: the body of a void frame is never decoded.
        let records = if void.is_none() {
            Some(decode(frame)?)
        } else {
            None
        };

        if let Some((key, order)) = counted {
            let row = order.encode_to_vec().into();
            self.layer.set(Keyspace::Control, &key, Some(row));
        }
        if frame.log_time_us != self.stamp.log_time_us {
            time::index(&mut self.layer, first, frame.log_time_us, self.log_bytes);
        }
        self.log_bytes += frame.frame.bytes().len() as u64;
        time::count_bytes(&mut self.layer, self.log_bytes);
        let mut folded = Folded {
            first_lsn: first,
            last_lsn: first + u64::from(header.count) - 1,
            log_time_us: frame.log_time_us,
            void,
            ..Folded::default()
        };
        for lsn in folded.first_lsn..=folded.last_lsn {
            let record = records
                .as_ref()
                .and_then(|records| records.get((lsn - first) as usize));
            self.apply(lsn, frame.log_time_us, record, &mut folded)?;
        }
        self.records += header.count as usize;
        self.stamp = Stamp {
            lsn: folded.last_lsn,
            log_time_us: frame.log_time_us,
            cut_seq: frame.cut_seq,
            digest: self.stamp.digest,
        };
        Ok(folded)
    }

    /// One LSN; without a record if the frame is void.
    fn apply(
        &mut self,
        lsn: u64,
        log_time_us: u64,
        record: Option<&v1::Record>,
        folded: &mut Folded,
    ) -> Result<(), ViewError> {
        let digest = &mut self.stamp.digest;
        let mut stage = Stage::new(&mut self.layer, &self.base, lsn, log_time_us, digest);
        if let Some(record) = record {
            report(&stage, record, folded)?;
            kinds::apply(&mut stage, record)?;
            if kinds::is_genesis(record) {
                self.digest_every = state::digest_every(&stage.read())?;
            }
        }
        time::keep_digest(&mut stage, self.digest_every);
        Ok(())
    }

    /// Whether the batch should be committed before another frame is folded.
    pub fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS_MAX || self.layer.bytes() >= BATCH_BYTES_MAX
    }

    /// Whether anything is folded that is not committed.
    pub fn is_dirty(&self) -> bool {
        self.stamp != self.base.stamp
    }

    /// Writes the batch and publishes the state after it (I1).
    pub fn commit(&mut self) -> Result<Snapshot, ViewError> {
        if self.is_dirty() {
            self.view
                .commit(std::mem::take(&mut self.layer), self.stamp)?;
            self.base = self.view.snapshot();
            self.records = 0;
        }
        Ok(self.base.clone())
    }
}

/// The records of a frame that takes effect. All are known before any is applied: a frame folds whole or not at all.
fn decode(frame: &FoldFrame) -> Result<Vec<v1::Record>, Halt> {
    let first = frame.first_lsn;
    let undecodable = |lsn, what| Halt::Undecodable { lsn, what };
    let bodies = frame
        .frame
        .records()
        .map_err(|error| undecodable(first, error.to_string()))?;
    let mut records = Vec::with_capacity(bodies.len());
    for (lsn, body) in (first..).zip(bodies) {
        let record = v1::Record::decode(body)
            .map_err(|error| undecodable(lsn, format!("a record: {error}")))?;
        if record
            .mutations
            .iter()
            .any(|mutation| mutation.kind.is_none())
        {
            return Err(Halt::Unknown {
                lsn,
                what: "a kind of mutation".to_owned(),
            });
        }
        records.push(record);
    }
    Ok(records)
}

/// Notes what the machinery has to know of a record, from the state before it.
fn report(stage: &Stage<'_>, record: &v1::Record, folded: &mut Folded) -> Result<(), ViewError> {
    for mutation in &record.mutations {
        if let Some(Kind::DigestTaken(taken)) = &mutation.kind {
            let ours = state::digest(&stage.read(), taken.lsn)?;
            folded.digests.push((taken.clone(), ours));
        }
        if mutation.kind.as_ref().is_some_and(kinds::is_control) {
            folded.control.push((stage.lsn, mutation.clone()));
        }
    }
    if let Some(done) = &record.slot {
        folded.slots.push((stage.lsn, done.clone()));
    }
    Ok(())
}
