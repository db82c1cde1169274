//! Pin, Unpin, AdvancePin: who holds back trim (LOG.md §8). A pin never goes back.
use crate::order::snapshot_done::SHARD_PIN;
use crate::order::{Effects, Order, Outcome};
use dfs_wire::v1::PinKind;
use dfs_wire::{Code, v1};

/// Pins at most: the whole of them travels in every answer.
pub(crate) const PINS_MAX: usize = 1_024;

impl Order {
    /// A name that holds as much already, or more, stands as it is.
    pub(super) fn pin(&mut self, pin: &v1::Pin) -> Effects {
        let what = format!("pin {}", pin.name);
        let lsn = if pin.lsn == 0 { self.next_lsn } else { pin.lsn };
        let of_shard = pin.kind() == PinKind::Shard || pin.name.starts_with(SHARD_PIN);
        if of_shard || pin.kind() == PinKind::Unspecified {
            let why = "it names no kind, or a shard, whose pin snapshots make";
            return Effects::refused(Code::Invalid, what, why);
        }
        if let Some(known) = self.history.pins.get(&pin.name) {
            if known.kind == pin.kind && known.lsn <= lsn {
                return Effects::quiet(Outcome::Stands);
            }
            let why = format!("there is one of that name, at LSN {}", known.lsn);
            return Effects::refused(Code::Exists, what, why);
        }
        if lsn < self.history.trim_lsn {
            let why = format!("the log begins at LSN {}", self.history.trim_lsn);
            return Effects::refused(Code::Trimmed, what, why);
        }
        if self.history.pins.len() >= PINS_MAX {
            return Effects::refused(Code::State, what, format!("there are {PINS_MAX} pins"));
        }
        let row = v1::Pin { lsn, ..pin.clone() };
        self.history.pins.insert(pin.name.clone(), row);
        Effects::quiet(Outcome::Stands)
    }

    /// LOG-I16: ends only a pin that stands at or below the LSN named: a later one of that name stays.
    pub(super) fn unpin(&mut self, unpin: &v1::PinMove) -> Effects {
        match self.history.pins.get(&unpin.name) {
            Some(pin) if pin.kind() == PinKind::Shard => shards_own(&unpin.name),
            Some(pin) if pin.lsn <= unpin.lsn => {
                self.history.pins.remove(&unpin.name);
                Effects::quiet(Outcome::Stands)
            }
            _ => Effects::quiet(Outcome::Stands),
        }
    }

    /// LOG-I16: forward only.
    pub(super) fn advance_pin(&mut self, advance: &v1::PinMove) -> Effects {
        let end = self.next_lsn;
        let Some(pin) = self.history.pins.get_mut(&advance.name) else {
            let what = format!("pin {}", advance.name);
            return Effects::refused(Code::NotFound, what, "there is no such pin");
        };
        if pin.kind() == PinKind::Shard {
            return shards_own(&advance.name);
        }
        pin.lsn = pin.lsn.max(advance.lsn.min(end));
        Effects::quiet(Outcome::Stands)
    }
}

fn shards_own(name: &str) -> Effects {
    let why = "it is a shard's own and moves with its snapshots";
    Effects::refused(Code::State, format!("pin {name}"), why)
}
