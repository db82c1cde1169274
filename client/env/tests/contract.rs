//! Both disks pass the contract; what only one of them can show is tested beside it.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::sim::{SimDisk, SimWorld};
use dfs_env::{Env, OpenMode, contract};

#[tokio::test]
async fn a_real_directory_passes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    contract::check_disk(Env::real().disk(&dir.path().join("made")).expect("disk")).await;
}

#[test]
fn a_simulated_disk_passes() {
    for seed in 0..20 {
        SimWorld::run(seed, |world| async move {
            let disk = world.node("n").disk(Path::new("log")).expect("disk");
            contract::check_disk(disk).await;
        });
    }
}

/// E2 and E5: an earlier incarnation is shut out before the next one gets the directory.
#[tokio::test]
async fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = Env::real();
    let disk = first.disk(dir.path()).expect("disk");
    let file = disk.open("f", OpenMode::CreateNew).await.expect("file");
    let second = Env::real().disk(dir.path()).err().map(|e| e.kind());
    assert_eq!(second, Some(ErrorKind::ResourceBusy));
    first.crash();
    let _second = Env::real().disk(dir.path()).expect("free after the crash");
    assert!(
        file.write_at(0, vec![Bytes::from_static(b"x")])
            .await
            .is_err()
    );
    assert!(file.read_at(0, 1).await.is_err());
    assert!(first.disk(dir.path()).is_err());
}

#[test]
fn what_was_synced_survives_a_power_loss_and_the_rest_may_not() {
    let mut lost = 0;
    for seed in 0..50 {
        SimWorld::run(seed, |_| async {
            let platter = SimDisk::new(seed);
            let disk = platter.open_disk();
            let file = disk.open("f", OpenMode::CreateNew).await.expect("file");
            file.write_and_sync(0, vec![vec![1; 9000].into()])
                .await
                .expect("write");
            disk.sync_dir().await.expect("names");
            file.write_at(9000, vec![vec![2; 9000].into()])
                .await
                .expect("write");
            disk.open("unsynced", OpenMode::CreateNew)
                .await
                .expect("file");
            platter.power_loss();
            assert!(file.read_at(0, 1).await.is_err());
            let disk = platter.open_disk();
            let file = disk.open("f", OpenMode::Existing).await.expect("file");
            assert_eq!(file.read_at(0, 9000).await.expect("read"), vec![1; 9000]);
            let tail = file.read_at(9000, 9000).await.expect("read");
            assert!(tail.iter().all(|byte| [0, 2].contains(byte)));
            lost += u32::from(tail != vec![2; 9000]);
        });
    }
    assert!((10..50).contains(&lost), "{lost}");
}

#[test]
fn a_process_crash_keeps_the_cache_and_ends_the_tasks() {
    SimWorld::run(1, |world| async move {
        let env = world.node("n");
        let disk = env.disk(Path::new("log")).expect("disk");
        let task = env.group("role").spawn("writer", async move {
            let file = disk.open("f", OpenMode::CreateNew).await.expect("file");
            file.write_at(0, vec![Bytes::from_static(b"cached")])
                .await
                .expect("write");
            std::future::pending::<()>().await;
        });
        env.sleep(Duration::from_secs(1)).await;
        assert_eq!(world.crash("n"), 1);
        assert!(task.await.is_err_and(|end| !end.is_panic()));
        assert!(env.spawn("late", async {}).await.is_err());
        let disk = world.node("n").disk(Path::new("log")).expect("disk");
        let file = disk.open("f", OpenMode::Existing).await.expect("file");
        assert_eq!(file.read_at(0, 10).await.expect("read"), "cached");
    });
}

#[test]
fn a_full_disk_and_a_failed_sync_are_errors_of_their_own() {
    SimWorld::run(3, |_| async {
        let platter = SimDisk::new(3);
        let disk = platter.open_disk();
        let file = disk.open("f", OpenMode::CreateNew).await.expect("file");
        platter.set_capacity(8192);
        let write = |bytes: usize| file.write_at(0, vec![vec![1; bytes].into()]);
        assert_eq!(
            write(8193).await.err().map(|e| e.kind()),
            Some(ErrorKind::StorageFull)
        );
        write(8192).await.expect("fits");
        platter.fail_next_sync();
        assert!(file.sync_data().await.is_err());
        assert!(file.sync_data().await.is_err(), "E4");
    });
}
