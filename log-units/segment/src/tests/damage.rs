//! The medium is damaged: what comes back is right or is called corrupt.

use dfs_env::sim::SimWorld;
use dfs_env::{DiskFile, OpenMode};
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::{prop_assert_eq, proptest};
use std::collections::BTreeMap;

use super::judge::{Fault, reopen};
use super::power::{Run, Step, steps};
use super::{Machine, Sabotage, options};
use crate::layout::{
    BATCH_ALIGN, BatchHeader, DATA_AT, SEGMENT_HEADER_AT, SEGMENT_HEADER_BYTES, SegmentHeader,
};

/// Where is in 65,535ths of all used bytes.
#[derive(Debug, Clone)]
pub(super) enum Harm {
    Flip(u16, u8),
    Zero(u16),
    Unreadable(u16),
    Cut(u16),
}

pub(super) fn harms() -> impl Strategy<Value = Vec<Harm>> {
    let harm = prop_oneof![
        (any::<u16>(), any::<u8>()).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        any::<u16>().prop_map(Harm::Zero),
        any::<u16>().prop_map(Harm::Unreadable),
        any::<u16>().prop_map(Harm::Cut),
    ];
    prop::collection::vec(harm, 1..4)
}

/// Every intact batch header and segment header of a file.
type Headers = Vec<(u64, u64)>;

/// Marks as they lie in the files: (name, offset of the header, mark, offsets of its segment's
/// headers). A base counts as a mark in its own header.
async fn marks(machine: &Machine) -> BTreeMap<String, Headers> {
    let mut all = BTreeMap::new();
    for info in machine.platter().files() {
        let file = machine
            .disk
            .open(&info.name, OpenMode::Existing)
            .await
            .expect("listed");
        let bytes = file.read_at(0, info.len as usize).await.expect("readable");
        let Ok(Some(header)) = SegmentHeader::decode(&bytes) else {
            continue;
        };
        let mut found: Headers = vec![(0, header.base.get())];
        let places = bytes[DATA_AT as usize..]
            .chunks(BATCH_ALIGN as usize)
            .zip(0..);
        for (place, index) in places {
            let at = index * BATCH_ALIGN;
            if let Some(batch) = BatchHeader::decode(place, &header, header.base.get() + at) {
                found.push((DATA_AT + at, batch.synced_through.get()));
            }
        }
        all.insert(info.name, found);
    }
    all
}

/// The highest mark that the damaged files still show, in a segment that still has a header.
async fn surviving_mark(machine: &Machine, before: &BTreeMap<String, Headers>) -> u64 {
    let mut highest = 0;
    for (name, headers) in before {
        let file = machine
            .disk
            .open(name, OpenMode::Existing)
            .await
            .expect("listed");
        let Some(header) = header_of(&*file).await else {
            continue;
        };
        for (at, mark) in headers {
            let place = file
                .read_at(*at, BATCH_ALIGN as usize)
                .await
                .unwrap_or_default();
            let position = header.base.get() + at.saturating_sub(DATA_AT);
            if *at == 0 || BatchHeader::decode(&place, &header, position).is_some() {
                highest = highest.max(*mark);
            }
        }
    }
    highest
}

async fn header_of(file: &dyn DiskFile) -> Option<SegmentHeader> {
    for at in SEGMENT_HEADER_AT {
        let copy = file
            .read_at(at, SEGMENT_HEADER_BYTES)
            .await
            .unwrap_or_default();
        if let Ok(Some(header)) = SegmentHeader::decode(&copy) {
            return Some(header);
        }
    }
    None
}

fn do_harm(machine: &Machine, harms: &[Harm], before: &BTreeMap<String, Headers>) {
    // Mostly where something was written: up to a little above the last header of each file.
    let used = |headers: &Headers| headers.last().map_or(0, |(at, _)| at + 2048);
    let total: u64 = before.values().map(used).sum();
    let locate = |part: u16| {
        let mut at = total.saturating_sub(1) * u64::from(part) / 65_535;
        for (name, headers) in before {
            if at < used(headers) {
                return (name.clone(), at);
            }
            at -= used(headers);
        }
        (String::new(), 0)
    };
    let platter = machine.platter();
    for harm in harms {
        match harm {
            Harm::Flip(part, bit) => {
                let (name, at) = locate(*part);
                platter.flip_bit(&name, at, *bit);
            }
            Harm::Zero(part) => {
                let (name, at) = locate(*part);
                platter.zero_sector(&name, at / 512);
            }
            Harm::Unreadable(part) => {
                let (name, at) = locate(*part);
                platter.make_sector_unreadable(&name, at / 512);
            }
            Harm::Cut(part) => {
                let (name, at) = locate(*part);
                platter.cut(&name, at);
            }
        }
    }
}

pub(super) fn run(
    seed: u64,
    steps: &[Step],
    harms: &[Harm],
    sabotage: Option<Sabotage>,
) -> Result<(), String> {
    SimWorld::run(seed, |world| async move {
        let mut run = Run::new(&world, sabotage);
        for step in steps {
            run.step(step)
                .await
                .map_err(|e| format!("before any harm, {step:?}: {e}"))?;
        }
        run.opened().await?;
        run.restart(seed.is_multiple_of(2));
        let before = marks(&run.machine).await;
        do_harm(&run.machine, harms, &before);
        run.ledger.protected = Some(surviving_mark(&run.machine, &before).await);
        let options = options(sabotage);
        let first = reopen(&run.machine, &mut run.ledger, &options, Fault::Damage).await?;
        drop(first);
        // And it stays so: a second open, after a power loss, finds the same.
        run.ledger.protected = None;
        run.restart(true);
        let again = reopen(&run.machine, &mut run.ledger, &options, Fault::Damage).await;
        again.map(drop).map_err(|e| format!("second open: {e}"))
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 100, failure_persistence: None, ..Default::default() })]

    /// One spot is damaged: what was marked is there or is called corrupt; nothing is wrong.
    #[test]
    fn damage_is_never_silent(
        seed in any::<u64>(), steps in steps(), harms in harms().prop_map(|harms| harms[..1].to_vec()),
    ) {
        prop_assert_eq!(run(seed, &steps, &harms, None), Ok(()));
    }

    /// Several spots are damaged.
    #[test]
    fn much_damage_is_never_silent(seed in any::<u64>(), steps in steps(), harms in harms()) {
        prop_assert_eq!(run(seed, &steps, &harms, None), Ok(()));
    }
}
