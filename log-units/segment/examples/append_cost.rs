//! What a commit of 4 KiB costs beside the raw disk: `cargo run --release --example append_cost DIR`.
//!
//! Raw is one pwrite of 4 KiB and one fdatasync, inside a file of zeros that were written before.
//! Both are measured in turns, so that neighbours disturb them alike.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::Env;
use dfs_segment::{Entry, Opened, Options, open};

/// Turns of one raw append, one commit, and one commit followed by `idle`.
const TURNS: usize = 2000;
const APPEND_BYTES: usize = 4096;

fn print(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |part: usize| times[times.len() * part / 100];
    println!(
        "{what:24} p50 {:7.1?}  p90 {:7.1?}  p99 {:7.1?}",
        at(50),
        at(90),
        at(99)
    );
    at(50)
}

fn main() -> anyhow::Result<()> {
    let dir = std::env::args_os()
        .nth(1)
        .map_or_else(|| "append-cost".into(), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(dir))
}

#[allow(clippy::large_futures, reason = "it is the whole program")]
async fn measure(dir: PathBuf) -> anyhow::Result<()> {
    let env = Env::real();
    let Opened { mut writer, .. } = open(&env, env.disk(&dir)?, "log", Options::default()).await?;
    let raw = std::fs::File::create(dir.join("raw"))?;
    raw.write_all_at(&vec![0; TURNS * APPEND_BYTES], 0)?;
    raw.sync_all()?;
    let payload = Bytes::from(vec![0x5a; APPEND_BYTES]);
    let (mut raw_times, mut commit_times, mut idle_times) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let begun = env.now();
        raw.write_all_at(&payload, (turn * APPEND_BYTES) as u64)?;
        raw.sync_data()?;
        raw_times.push(env.now() - begun);
        let begun = env.now();
        writer.append(Entry {
            kind: 1,
            bytes: payload.clone(),
        })?;
        writer.commit().await?;
        commit_times.push(env.now() - begun);
        let begun = env.now();
        writer.idle().await?;
        idle_times.push(env.now() - begun);
    }
    writer.stop().await?;
    let raw = print("pwrite + fdatasync", raw_times);
    let commit = print("commit of 4 KiB", commit_times);
    print("mark when idle", idle_times);
    println!(
        "ratio of medians {:.2}",
        commit.as_secs_f64() / raw.as_secs_f64()
    );
    std::fs::remove_file(dir.join("raw"))?;
    Ok(())
}
