//! Loading: exact ranges, from whoever can serve them, and never a wrong byte.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::fake::{BLOCK, Cluster, Fault};
use bytes::Bytes;
use dfs_extents::{Extents, ExtentsConfig, Stored};
use dfs_wire::{Code, Refusal, v1};
use futures::TryStreamExt;
use proptest::prelude::{ProptestConfig, any, proptest};

async fn stored(cluster: &Arc<Cluster>, bytes: &Bytes) -> (Extents, Stored) {
    let extents = cluster.extents(ExtentsConfig::default());
    let mut writer = extents.writer(None, None);
    writer.push(bytes.clone()).await.unwrap();
    let stored = writer.finish().await.unwrap();
    (extents, stored)
}

async fn load(
    extents: &Extents,
    stored: &Stored,
    range: std::ops::Range<u64>,
) -> Result<Bytes, Refusal> {
    let parts: Vec<Bytes> = extents.read(&stored.extents, range).try_collect().await?;
    Ok(parts.concat().into())
}

/// A hole has no holder: it is zeros wherever a range begins and ends, and moves nothing ahead of its place.
#[tokio::test(start_paused = true)]
async fn holes_are_zeros_between_what_is_stored() {
    let bytes = crate::fake::bytes(100_000);
    let cluster = Cluster::new(&[&[1, 2]]);
    let (extents, mut stored) = stored(&cluster, &bytes).await;
    let hole = |length| v1::ExtentRef {
        length,
        ..v1::ExtentRef::default()
    };
    let first = stored.extents.clone();
    stored.extents = [&[hole(7)], &first[..], &[hole(200_000), hole(1)], &first].concat();
    let (before, between) = (vec![0; 7], vec![0; 200_001]);
    let whole: Bytes = [&before[..], &bytes, &between, &bytes].concat().into();
    let size = whole.len() as u64;
    for range in [
        0..size,
        0..7,
        3..9,
        100_000..300_009,
        300_007..size,
        6..size + 9,
    ] {
        let expected = whole.slice(range.start as usize..whole.len().min(range.end as usize));
        assert!(
            load(&extents, &stored, range.clone()).await.unwrap() == expected,
            "{range:?}"
        );
    }
}

/// Every way in which one member can be of no use.
const FAULTS: [Fault; 7] = [
    Fault::Hangs,
    Fault::Absent,
    Fault::FlipsBit(8 * 5000 + 3),
    Fault::FlipsBitAndChecksums(8 * 5000 + 3),
    Fault::EndsEarly,
    Fault::WrongPlace,
    Fault::None,
];

#[tokio::test(start_paused = true)]
async fn another_member_serves_what_one_cannot() {
    let bytes = crate::fake::bytes(300_000);
    for fault in FAULTS {
        let cluster = Cluster::new(&[&[1, 2]]);
        let (extents, stored) = stored(&cluster, &bytes).await;
        for faulty in [1, 2] {
            cluster.set_all(Fault::None);
            cluster.set(faulty, fault);
            for range in [0..300_000, 4_000..9_000, 299_999..300_000] {
                let expected = bytes.slice(range.start as usize..range.end as usize);
                let loaded = load(&extents, &stored, range).await.unwrap();
                assert!(loaded == expected, "{fault:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_member_can_the_refusal_names_the_extent() {
    let bytes = crate::fake::bytes(300_000);
    for fault in FAULTS {
        let cluster = Cluster::new(&[&[1, 2]]);
        let (extents, stored) = stored(&cluster, &bytes).await;
        cluster.set_all(fault);
        let loaded = load(&extents, &stored, 0..300_000).await;
        let code = match fault {
            Fault::None => {
                assert!(loaded.unwrap() == bytes);
                continue;
            }
            Fault::Hangs | Fault::EndsEarly => Code::Unavailable,
            _ => Code::Lost,
        };
        let refusal = loaded.unwrap_err();
        assert_eq!(refusal.code(), code, "{fault:?}");
        assert!(
            refusal.to_string().contains("extent 7/1 of group 1"),
            "{refusal}"
        );
    }
}

/// Whether waiting helps is said within seconds, and for which units.
#[tokio::test(start_paused = true)]
async fn holders_that_are_away_or_dead_are_named_soon() {
    use Fault::{Absent, Away, Dead};
    for (faults, code, said) in [
        (
            [Away, Away],
            Code::Unavailable,
            ["unit 1 is away", "unit 2 is away"],
        ),
        (
            [Dead, Away],
            Code::Unavailable,
            ["unit 1 is Dead", "unit 2 is away"],
        ),
        (
            [Dead, Dead],
            Code::Lost,
            ["unit 1 is Dead", "unit 2 is Dead"],
        ),
        ([Dead, Absent], Code::Lost, ["unit 1 is Dead", "group 1"]),
    ] {
        let cluster = Cluster::new(&[&[1, 2]]);
        let (extents, stored) = stored(&cluster, &crate::fake::bytes(3000)).await;
        cluster.set(1, faults[0]);
        cluster.set(2, faults[1]);
        let env = dfs_env::Env::real();
        let begun = env.now();
        let refusal = load(&extents, &stored, 0..3000).await.unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
        for said in said {
            assert!(refusal.to_string().contains(said), "{refusal}");
        }
        let took = env.now() - begun;
        assert!(took.as_secs() < 8, "{took:?}");
    }
}

#[tokio::test]
async fn readers_take_turns_over_the_members() {
    let cluster = Cluster::new(&[&[1, 2, 3]]);
    let bytes = crate::fake::bytes(50_000);
    let (extents, stored) = stored(&cluster, &bytes).await;
    for _ in 0..30 {
        load(&extents, &stored, 0..50_000).await.unwrap();
    }
    let loads = cluster
        .units
        .values()
        .map(|unit| unit.loads.load(Ordering::SeqCst));
    assert_eq!(loads.collect::<Vec<_>>(), [10, 10, 10]);
}

/// The reader stops in the middle: nothing goes on loading, and the next reader has the whole budget.
#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_gives_its_budget_back() {
    let cluster = Cluster::new(&[&[1]]);
    let bytes = crate::fake::bytes(25 << 20);
    let (extents, stored) = stored(&cluster, &bytes).await;
    for _ in 0..6 {
        let mut reading = extents.read(&stored.extents, 0..stored.size);
        assert!(reading.try_next().await.unwrap().is_some());
    }
    assert!(load(&extents, &stored, 0..stored.size).await.unwrap() == bytes);
}

fn run<T>(f: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(f)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_range_is_exact(length in 1usize..200_000, from in 0u64..210_000, size in 0u64..210_000) {
        run(async {
            let cluster = Cluster::new(&[&[1, 2]]);
            let bytes = crate::fake::bytes(length);
            let (extents, stored) = stored(&cluster, &bytes).await;
            let end = (from + size).min(length as u64);
            let expected = bytes.slice(from.min(end) as usize..end as usize);
            assert!(load(&extents, &stored, from..from + size).await.unwrap() == expected);
        });
    }

    /// The judge: whichever bit is wrong, in the only copy, no byte of its block comes out.
    #[test]
    fn any_flipped_bit_is_noticed(length in 1usize..100_000, bit in any::<u32>(), sums in any::<bool>()) {
        run(async {
            let cluster = Cluster::new(&[&[1]]);
            let (extents, stored) = stored(&cluster, &crate::fake::bytes(length)).await;
            let bit = bit as usize % (8 * length);
            let fault = if sums { Fault::FlipsBitAndChecksums(bit) } else { Fault::FlipsBit(bit) };
            cluster.set(1, fault);
            let whole = load(&extents, &stored, 0..length as u64).await;
            assert_eq!(whole.unwrap_err().code(), Code::Lost);
            let block = (bit / 8 / BLOCK * BLOCK) as u64;
            let one = load(&extents, &stored, block..block + 1).await;
            assert_eq!(one.unwrap_err().code(), Code::Lost);
        });
    }
}
