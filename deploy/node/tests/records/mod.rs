//! Numbered records, written one after the other and read back.

use bytes::Bytes;
use dfs_log::{Appender, Draft, Event, Follow, SharedLog};
use dfs_wire::Tag;
use std::collections::BTreeMap;

/// Until it is committed; its LSN.
pub(crate) async fn append_one(appender: &Appender, number: u64) -> u64 {
    let draft = Draft {
        tags: vec![Tag(1)],
        record: Bytes::from(number.to_le_bytes().to_vec()),
        ..Draft::default()
    };
    let ticket = appender.append(draft).await.unwrap();
    ticket.committed().await.unwrap().lsn
}

/// All records up to `last`, by LSN.
pub(crate) async fn read(log: &dyn SharedLog, last: u64) -> BTreeMap<u64, Bytes> {
    let mut follower = log.follow(1, Follow::default()).await.unwrap();
    let mut records = BTreeMap::new();
    loop {
        for event in follower.next().await.unwrap().events {
            match event {
                Event::Frame(at) => {
                    let found = at.frame.records().unwrap();
                    records.extend((at.first_lsn..).zip(found));
                }
                Event::Through { lsn, .. } if lsn >= last => return records,
                Event::Through { .. } => {}
            }
        }
    }
}

/// Each number lies at its LSN, and nothing is there twice.
pub(crate) fn assert_each_once(records: &BTreeMap<u64, Bytes>, lsns: &[u64]) {
    assert_eq!(records.len(), lsns.len(), "nothing is there twice");
    for (lsn, number) in lsns.iter().zip(0_u64..) {
        assert_eq!(records[lsn][..], number.to_le_bytes(), "LSN {lsn}");
    }
}
