//! What the client's side of an append costs: 256 callers, 1 KiB, three units in memory.
//! `cargo run --release -p dfs-log --features testing --example appends`
use std::sync::Arc;

use bytes::Bytes;
use dfs_env::Env;
use dfs_log::testing::FakeCluster;
use dfs_log::{ClusterLog, Draft, Event, Follow, SharedLog};
use dfs_wire::{Refusal, Tag, v1};
use futures::future::join_all;

const CALLERS: u64 = 256;
const EACH: u64 = 2000;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Refusal> {
    let env = Env::real();
    for (name, ticketed) in [("with tickets", true), ("with a follower only", false)] {
        let cluster = FakeCluster::new(env.clone(), 1, 3, 2);
        let owner = v1::Owner {
            node_id: 1,
            incarnation: env.random_u64(),
        };
        let log = ClusterLog::open(env.group("one"), cluster.connector(), owner);
        let appender = Arc::new(log.appender(owner).await?);
        let mut follower = log
            .follow(
                1,
                Follow {
                    tags: vec![Tag(1)],
                    own: true,
                },
            )
            .await?;
        let record: Vec<u8> = std::iter::repeat_with(|| env.random_u64())
            .take(128)
            .flat_map(u64::to_le_bytes)
            .collect();
        let record = Bytes::from(record);
        let begun = env.now();
        let callers = (0..CALLERS).map(|_| {
            let (appender, record) = (appender.clone(), record.clone());
            env.spawn("caller", async move {
                for _ in 0..EACH {
                    let (tags, record) = (vec![Tag(1)], record.clone());
                    let ticket = appender
                        .append(Draft {
                            tags,
                            record,
                            ..Draft::default()
                        })
                        .await?;
                    if ticketed {
                        ticket.committed().await?;
                    }
                }
                Ok::<(), Refusal>(())
            })
        });
        let callers: Vec<_> = callers.collect();
        let (mut frames, mut through) = (0, 0);
        while through < CALLERS * EACH {
            for event in follower.next().await?.events {
                match event {
                    Event::Frame(_) => frames += 1,
                    Event::Through { lsn, .. } => through = lsn,
                }
            }
        }
        join_all(callers).await;
        let seconds = (env.now() - begun).as_secs_f64();
        let records = (CALLERS * EACH) as f64;
        println!(
            "{name}: {:.0} appends/s, {:.1} records per frame",
            records / seconds,
            records / f64::from(frames)
        );
    }
    Ok(())
}
