//! The judge: what was appended, what was acknowledged, and whether a recovery is true to it.

use std::ops::Range;

use super::{Machine, scan_all};
use crate::{Entry, Opened, Position, ReadError, Scanned};

/// What a correct stream must hold.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In the order of positions.
    pub(super) entries: Vec<(Position, Entry)>,
    /// Everything below was acknowledged as durable.
    pub(super) acknowledged: Position,
    /// Everything below a mark that survived; only what damage touched may be missing above it.
    pub(super) protected: Option<u64>,
}

/// What a recovery may have lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Crashes and power losses only: nothing acknowledged is missing, nothing is called corrupt.
    Crash,
    /// The medium was damaged: what was marked is there or called corrupt.
    Damage,
}

impl Ledger {
    /// Compares what an open found with what was appended; on success the ledger becomes what was
    /// found, all of it durable by now.
    pub(super) async fn judge(&mut self, opened: &Opened, fault: Fault) -> Result<(), String> {
        let (mut found, mut corrupt) = (Vec::new(), Vec::new());
        for scanned in scan_all(opened).await {
            match scanned {
                Scanned::Entry(at, entry) => found.push((at, entry)),
                Scanned::Corrupt(range) => corrupt.push(range),
            }
        }
        corrupt.extend(opened.report.corrupt.iter().cloned());
        if fault == Fault::Crash && !corrupt.is_empty() {
            return Err(format!("called corrupt without damage: {corrupt:?}"));
        }
        let start = opened.report.start;
        self.entries.retain(|(at, _)| *at >= start);
        self.nothing_is_wrong(&found)?;
        self.nothing_is_missing(&found, &corrupt, fault)?;
        reads_agree(opened, &found, &self.entries, &corrupt).await?;
        self.entries = found;
        self.acknowledged = opened.report.end;
        Ok(())
    }

    fn nothing_is_wrong(&self, found: &[(Position, Entry)]) -> Result<(), String> {
        let mut appended = self.entries.iter();
        for (at, entry) in found {
            let same = appended.any(|(position, appended)| position == at && appended == entry);
            if !same {
                return Err(format!(
                    "at {at}: an entry of {} bytes that nobody appended there",
                    entry.bytes.len()
                ));
            }
        }
        Ok(())
    }

    fn nothing_is_missing(
        &self,
        found: &[(Position, Entry)],
        corrupt: &[Range<Position>],
        fault: Fault,
    ) -> Result<(), String> {
        let last = found.last().map_or(Position(0), |(at, _)| *at);
        let promised = match (fault, self.protected) {
            (Fault::Damage, Some(marked)) => self.acknowledged.min(Position(marked)),
            _ => self.acknowledged,
        };
        let mut found = found.iter().peekable();
        for (at, _) in &self.entries {
            if found.next_if(|(position, _)| position == at).is_some() {
                continue;
            }
            let reported = corrupt.iter().any(|range| range.contains(at));
            if (*at < promised || *at < last) && !reported {
                return Err(format!(
                    "at {at}: gone without a word, acknowledged below {promised}, last {last}"
                ));
            }
        }
        Ok(())
    }
}

async fn reads_agree(
    opened: &Opened,
    found: &[(Position, Entry)],
    appended: &[(Position, Entry)],
    corrupt: &[Range<Position>],
) -> Result<(), String> {
    for (at, entry) in found {
        match opened.reader.read(*at).await {
            Ok(read) if read == *entry => {}
            other => return Err(format!("at {at}: scanned, but read as {other:?}")),
        }
    }
    for (at, entry) in appended
        .iter()
        .filter(|(at, _)| corrupt.iter().any(|r| r.contains(at)))
    {
        match opened.reader.read(*at).await {
            Ok(read) if read == *entry => {}
            Err(ReadError::Corrupt { .. }) => {}
            other => {
                return Err(format!(
                    "at {at}: in a corrupt range, but read as {other:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Opens and judges; the machine must have been started anew.
pub(super) async fn reopen(
    machine: &Machine,
    ledger: &mut Ledger,
    options: &crate::Options,
    fault: Fault,
) -> Result<Opened, String> {
    let opened = machine
        .open(options)
        .await
        .map_err(|e| format!("open: {e}"))?;
    ledger.judge(&opened, fault).await?;
    Ok(opened)
}
