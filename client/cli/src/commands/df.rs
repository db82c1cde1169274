//! `dfsctl df`: how much room there is, as the units tell it.
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures::{self, parse_bytes};
use crate::output::{Column, Item};
use dfs_fs::v1::{UnitRef, UnitStatusAnswer};
use serde_json::json;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "SIZE and AVAIL are of the disks that units lie on, so units that share a disk each count it; USED
is whatever fills them. LOG and FILES are what the units themselves keep there, every replica counted.
A file of n replicas takes n times its size.

Examples:
  dfsctl df
  dfsctl df -B 1GiB
  dfsctl df -o json"
)]
pub struct Args {
    /// Figures in units of this, rounded up, instead of the handiest: 1, 1KiB, 1GiB
    #[arg(short = 'B', long, value_name = "SIZE", value_parser = parse_block)]
    block_size: Option<u64>,
    /// The handiest units, as without -B; here for the habit
    #[arg(short = 'H', long, hide = true)]
    human: bool,
}

fn parse_block(text: &str) -> Result<u64, String> {
    let size = parse_bytes(text)?;
    (size > 0)
        .then_some(size)
        .ok_or_else(|| "no unit of nothing".into())
}

/// Figures of one unit, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Room {
    total: u64,
    available: u64,
    log: u64,
    extents: u64,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let status = call.cluster().await?.fs.status().await;
    let status = status.map_err(Failure::from)?;
    let lsn = status.sequencer.next_lsn.saturating_sub(1);
    let mut list = call.output.list("RoomList", columns());
    let mut sum = Room::default();
    for (unit, told) in &status.units {
        match told {
            Ok(told) => {
                let room = room(told);
                sum = sum.and(room);
                list.push(lsn, item(unit, room, told.full, args.block_size))?;
            }
            Err(refusal) => call.failed(&Failure {
                what: format!("unit {} says nothing of its room", unit.unit_id),
                exit: Exit::Partial,
                ..Failure::from(refusal.clone())
            }),
        }
    }
    if status.units.len() > 1 {
        list.push(lsn, sum_item(sum, args.block_size))?;
    }
    list.end(lsn, false)
}

fn columns() -> Vec<Column> {
    let figures = ["SIZE", "USED", "AVAIL", "USE%", "LOG", "FILES"].map(Column::figure);
    [
        vec![Column::text("UNIT")],
        figures.to_vec(),
        vec![Column::text("ADDRESS")],
    ]
    .concat()
}

fn room(told: &UnitStatusAnswer) -> Room {
    Room {
        total: told.total_bytes,
        available: told.available_bytes,
        log: told.log_bytes,
        extents: told.extent_bytes,
    }
}

impl Room {
    fn and(self, other: Room) -> Room {
        Room {
            total: self.total.saturating_add(other.total),
            available: self.available.saturating_add(other.available),
            log: self.log.saturating_add(other.log),
            extents: self.extents.saturating_add(other.extents),
        }
    }

    fn used(self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    /// Rounded up, as df does: nothing is full before it is.
    fn used_percent(self) -> u64 {
        let (used, total) = (u128::from(self.used()), u128::from(self.total.max(1)));
        (used * 100).div_ceil(total) as u64
    }

    fn cells(self, block_size: Option<u64>) -> Vec<String> {
        let shown = |bytes: u64| match block_size {
            Some(size) => bytes.div_ceil(size).to_string(),
            None => figures::bytes(bytes),
        };
        let [total, used, available] = [self.total, self.used(), self.available].map(shown);
        let percent = format!("{}%", self.used_percent());
        let [log, extents] = [self.log, self.extents].map(shown);
        vec![total, used, available, percent, log, extents]
    }

    fn json(self) -> serde_json::Value {
        json!({
            "total_bytes": self.total, "used_bytes": self.used(), "available_bytes": self.available,
            "log_bytes": self.log, "extent_bytes": self.extents,
        })
    }
}

fn item(unit: &UnitRef, room: Room, full: bool, block_size: Option<u64>) -> Item {
    let mut fields = room.json();
    fields["unit"] = unit.unit_id.into();
    fields["address"] = unit.address.clone().into();
    fields["full"] = full.into();
    let name = unit.unit_id.to_string();
    let mut cells = vec![name.clone()];
    cells.extend(room.cells(block_size));
    cells.push(unit.address.clone());
    Item {
        json: fields,
        name: name.into_bytes(),
        cells,
    }
}

fn sum_item(sum: Room, block_size: Option<u64>) -> Item {
    let mut fields = sum.json();
    fields["unit"] = "all".into();
    let mut cells = vec!["all".to_string()];
    cells.extend(sum.cells(block_size));
    cells.push(String::new());
    Item {
        json: fields,
        name: b"all".to_vec(),
        cells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_full_before_it_is_and_sums_add_up() {
        let room = Room {
            total: 1000,
            available: 999,
            log: 1,
            extents: 0,
        };
        assert_eq!((room.used(), room.used_percent()), (1, 1));
        assert_eq!(room.and(room).total, 2000);
        assert_eq!(Room::default().used_percent(), 0);
        assert_eq!(room.cells(Some(512))[..3], ["2", "1", "2"]);
        assert!(parse_block("0").is_err());
    }
}
