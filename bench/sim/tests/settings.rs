//! A setting that was changed is used by everybody within a second, and by the next primary.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use bytes::Bytes;
use dfs_fs::v1::Setting::{self, InlineBytes, Replication};
use dfs_fs::{Address, Code, Fs, When, WriteOptions, source_of, v1};
use dfs_sim::{Processes, quiet_with};
use std::time::Duration;

/// Rides in a record by default.
const SMALL: usize = 500;
const SECOND: Duration = Duration::from_secs(1);

async fn put(fs: &Fs, path: &str) {
    let bytes: Bytes = vec![7; SMALL].into();
    let at = Address::new(path).unwrap();
    let put = fs.write(&at, source_of(bytes), WriteOptions::default());
    put.await.unwrap();
}

async fn set(fs: &Fs, changes: &[(Setting, Option<u64>)]) -> u64 {
    let changes = changes.iter().map(|(setting, value)| v1::SettingChanged {
        setting: *setting as u32,
        value: *value,
    });
    fs.set_settings(changes.collect()).await.unwrap().lsn
}

/// How many units hold a file; 0: it rides in its record.
async fn copies(processes: &Processes, fs: &Fs, path: &str) -> usize {
    let at = Address::new(path).unwrap();
    let reading = fs.read(&at, When::Head, None).await.unwrap();
    let content = reading.entry.value.content.clone().unwrap();
    let Some(extent) = content.extents.first() else {
        return 0;
    };
    let statuses = processes.statuses().await;
    let mut groups = statuses.iter().flat_map(|status| &status.groups);
    let group = groups.find(|group| group.group == extent.group).unwrap();
    group.unit_ids.len()
}

#[test]
fn it_is_used_everywhere_within_a_second() {
    quiet_with(1, |processes, [first, second, third]| async move {
        put(&second, "/before").await;
        assert_eq!(copies(&processes, &second, "/before").await, 0);
        let lsn = set(&first, &[(InlineBytes, Some(100))]).await;
        processes.sleep(SECOND).await;
        let statuses = processes.statuses().await;
        assert!(statuses.len() > 1);
        assert!(statuses.iter().all(|status| status.settings_lsn == lsn));
        for (other, path) in [(&second, "/second"), (&third, "/third")] {
            put(other, path).await;
            assert_eq!(copies(&processes, other, path).await, 3, "{path}");
        }
        // Groups are kept by a client for ten seconds, but not beyond this.
        set(&first, &[(Replication, Some(2))]).await;
        processes.sleep(SECOND).await;
        put(&second, "/two").await;
        assert_eq!(copies(&processes, &second, "/two").await, 2);
        // Whoever is at work hears of it with the next answer.
        set(&first, &[(Replication, None)]).await;
        put(&first, "/three").await;
        assert_eq!(copies(&processes, &first, "/three").await, 3);
    });
}

#[test]
fn a_failover_in_between_keeps_it() {
    quiet_with(2, |processes, [first, second, _]| async move {
        put(&second, "/before").await;
        let lsn = set(&first, &[(InlineBytes, Some(100)), (Replication, Some(2))]).await;
        processes.crash_primary().await;
        processes.sleep(SECOND).await;
        put(&second, "/after").await;
        assert_eq!(copies(&processes, &second, "/after").await, 2);
        let settings = second.settings(When::Head).await.unwrap().value;
        let last = settings.iter().map(|state| state.lsn).max();
        assert_eq!(last, Some(lsn));
        let late = first.with_if_lsn(Some(0));
        let change = v1::SettingChanged {
            setting: Replication as u32,
            value: None,
        };
        let refused = late.set_settings(vec![change]).await.unwrap_err();
        assert_eq!(refused.code(), Code::Conflict);
    });
}
