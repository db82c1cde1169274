//! Restarts: what was told stays, whatever the disk lost that was not synced; the journal stays short.
mod world;

use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Sequencer;
use dfs_sequencer::SequencerConfig;
use dfs_wire::v1;
use std::time::Duration;
use world::{DIR, NODE, Process, end, linear_end, next_cut, refused_as, start, subscribe};

/// A stop in good order.
#[test]
fn a_stopped_sequencer_goes_on_where_it_was() {
    SimWorld::run(1, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (first, mut events) = subscribe(&role).await;
        unit.durable(vec![end(1, 5)], 0).await;
        let cut = next_cut(&mut events).await;
        role.stop().await;

        let (env, role) = start(&world, 1, 1).await;
        assert_eq!(linear_end(&env, &role).await.next_lsn, 6);
        let (base, _) = subscribe(&role).await;
        assert_eq!(
            (base.cluster_id, base.cuts),
            (first.cluster_id, vec![cut.clone()])
        );
        let process = Process::join(&env, &role, 1, &[11]).await;
        assert_eq!((process.owner.node_id, process.units[0].0), (1, 1));
        let unit = process.unit(0, vec![end(1, 9)]).await;
        assert_eq!(unit.base.lanes[0].length, 5);
        let (_, mut events) = subscribe(&role).await;
        let next = next_cut(&mut events).await;
        assert_eq!((next.first_lsn, next.cut_seq), (6, 2));
        assert!(next.log_time_us > cut.log_time_us);
    });
}

/// What the rest stands on: a cut that anyone heard of is there after every power loss.
#[test]
fn no_cut_that_was_told_is_lost_with_the_power() {
    for seed in 0..100 {
        let told = SimWorld::run(seed, power_losses);
        assert!(told.len() > 10, "seed {seed}: only {} cuts", told.len());
    }
}

/// One seed is one run, to the microsecond and the cut.
#[test]
fn the_same_seed_gives_the_same_cuts() {
    for seed in 200..210 {
        let told = SimWorld::run(seed, power_losses);
        assert_eq!(told, SimWorld::run(seed, power_losses), "seed {seed}");
    }
}

/// Six incarnations under load, each ended by a power loss; all cuts that are held at the end.
async fn power_losses(world: SimWorld) -> Vec<v1::Cut> {
    let seed = world.seed();
    world.disk(NODE, DIR).set_sync_us(50, 5_000);
    let mut told = Vec::<v1::Cut>::new();
    let mut durable_idx = 0;
    for incarnation in 0..6 {
        let (env, role) = start(&world, 1, 1).await;
        // A cut in flight when the power went may have been kept as well.
        let least = told.last().map_or(1, |cut| cut.first_lsn + width(cut));
        assert!(
            linear_end(&env, &role).await.next_lsn >= least,
            "seed {seed}"
        );
        let (base, mut events) = subscribe(&role).await;
        for cut in &told {
            let kept = base.cuts.iter().find(|kept| kept.cut_seq == cut.cut_seq);
            assert_eq!(kept, Some(cut), "seed {seed}");
        }
        let process = Process::join(&env, &role, 1, &[11]).await;
        let known = base.lanes.first().map_or(0, |lane| lane.length);
        let above = (known + 1..=durable_idx).map(|idx| end(1, idx)).collect();
        let unit = process.unit(0, above).await;
        if incarnation == 0 {
            process.open_lane(1).await.expect("the unit lives");
        }
        told = base.cuts.clone();
        let power = env.sleep(Duration::from_micros(world.below(60_000)));
        let load = async {
            loop {
                durable_idx += 1;
                unit.durable(vec![end(1, durable_idx)], 0).await;
                told.push(next_cut(&mut events).await);
            }
        };
        tokio::select! { biased; () = power => {}, () = load => {} }
        world.power_loss(NODE);
    }
    told
}

fn width(cut: &v1::Cut) -> u64 {
    cut.lanes
        .iter()
        .map(|lane| lane.to_idx - lane.from_idx)
        .sum()
}

#[test]
fn the_journal_is_purged_after_a_snapshot_and_a_restart_starts_from_it() {
    SimWorld::run(3, |world| async move {
        let disk = world.disk(NODE, DIR);
        disk.set_sync_us(1, 2);
        let env = world.node(NODE);
        let mut config = SequencerConfig::single("", 1, 1);
        (config.snapshot_every, config.segment_bytes) = (100, 32 << 10);
        let role = world::try_start_with(&env, config)
            .await
            .expect("it starts");
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        let mut most = 0_u64;
        for idx in 1..=6_000 {
            unit.durable(vec![end(1, idx)], idx - 1).await;
            next_cut(&mut events).await;
            if idx % 50 == 0 {
                let files = disk.files().into_iter();
                let journal = files.filter(|file| file.name.starts_with("journal/"));
                most = most.max(journal.map(|file| file.len).sum());
            }
        }
        let snapshot = disk
            .files()
            .into_iter()
            .find(|file| file.name == "snapshot");
        assert!(snapshot.expect("there is one").len > 0);
        // Unpurged it would be 6,000 cuts of 128 bytes.
        assert!(most <= 400 << 10, "{most} bytes of journal");
        world.power_loss(NODE);
        let (env, role) = start(&world, 1, 1).await;
        assert_eq!(linear_end(&env, &role).await.next_lsn, 6_001);
        let status = role.status().await.expect("always");
        assert_eq!((status.cut_seq, status.lanes[0].length), (6_000, 6_000));
    });
}

/// Q6
#[test]
fn a_damaged_snapshot_is_never_started_from() {
    SimWorld::run(4, |world| async move {
        let disk = world.disk(NODE, DIR);
        disk.set_sync_us(1, 2);
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        for idx in 1..=60 {
            unit.durable(vec![end(1, idx)], idx - 1).await;
            next_cut(&mut events).await;
        }
        role.stop().await;
        disk.flip_bit("snapshot", 100, 3);
        let env = world.node(NODE);
        let started = world::try_start(&env, 1, 1).await;
        refused_as(started.map(|_| ()), dfs_wire::Code::Corrupt);
    });
}

#[test]
fn a_failed_sync_ends_the_role_and_a_new_one_starts_from_what_is_on_disk() {
    SimWorld::run(5, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        unit.durable(vec![end(1, 1)], 0).await;
        next_cut(&mut events).await;
        world.disk(NODE, DIR).fail_next_sync();
        unit.durable(vec![end(1, 2)], 0).await;
        let why = role.stopped().await;
        assert!(!why.is_empty());
        let answer = role.end(v1::EndRequest { linearizable: true }).await;
        assert!(answer.expect_err("nobody confirms it").is_retryable());
        role.stop().await;
        let (env, role) = start(&world, 1, 1).await;
        let answer = linear_end(&env, &role).await;
        assert!((2..=3).contains(&answer.next_lsn));
    });
}

/// Q6: what was synced and marked is damaged.
#[test]
fn a_journal_that_is_damaged_below_its_mark_is_never_started_from() {
    for seed in 0..10 {
        SimWorld::run(seed, |world| async move {
            let (env, role) = start(&world, 1, 1).await;
            let process = Process::join(&env, &role, 1, &[11]).await;
            let unit = process.unit(0, vec![]).await;
            process.open_lane(1).await.expect("the unit lives");
            let (_, mut events) = subscribe(&role).await;
            for idx in 1..=30 {
                unit.durable(vec![end(1, idx)], idx - 1).await;
                next_cut(&mut events).await;
            }
            role.stop().await;
            let disk = world.disk(NODE, DIR);
            // The headers and what an open writes come first; the spare segment does not matter.
            let sector = 26 + world.below(6);
            let files = disk.files().into_iter().map(|file| file.name);
            for name in files.filter(|name| name.starts_with("journal/")) {
                disk.zero_sector(&name, sector);
            }
            let started = world::try_start(&world.node(NODE), 1, 1).await;
            refused_as(started.map(|_| ()), dfs_wire::Code::Corrupt);
        });
    }
}

/// A full disk is no failure: what was proposed waits, and goes on when there is space.
#[test]
fn a_full_disk_is_waited_for() {
    SimWorld::run(6, |world| async move {
        let env = world.node(NODE);
        let mut config = SequencerConfig::single("", 1, 1);
        config.segment_bytes = 64 << 10;
        let role = world::try_start_with(&env, config)
            .await
            .expect("it starts");
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        let disk = world.disk(NODE, DIR);
        disk.set_capacity(disk.used());
        let mut last = 0;
        loop {
            unit.durable(vec![end(1, last + 1)], last).await;
            let cut = env
                .timeout(Duration::from_secs(5), next_cut(&mut events))
                .await;
            if cut.is_err() {
                break;
            }
            last += 1;
        }
        assert!(last > 10, "{last} cuts fitted");
        disk.set_capacity(1 << 30);
        assert_eq!(next_cut(&mut events).await.lanes[0].to_idx, last + 1);
        unit.durable(vec![end(1, last + 2)], last).await;
        assert_eq!(next_cut(&mut events).await.lanes[0].to_idx, last + 2);
    });
}
