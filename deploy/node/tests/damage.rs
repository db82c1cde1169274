//! E4 on real files: sectors of the log are mended from peers, a damaged journal is refused with its
//! place, a torn tail stops nobody.
#![allow(clippy::unwrap_used, reason = "tests")]

mod records;

use dfs_env::Env;
use dfs_log::{ClusterLog, SharedLog};
use dfs_node::config::{NodeConfig, RoleName};
use dfs_node::process::Node;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use records::{append_one, assert_each_once, read};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECTOR: usize = 512;
const RECORDS: u64 = 300;

fn config(dir: &Path, role: RoleName, sequencers: &[String]) -> NodeConfig {
    let text =
        format!("dir = {dir:?}\nlisten = \"127.0.0.1:0\"\nunits = 3\nsequencers = {sequencers:?}");
    let mut config: NodeConfig = toml::from_str(&text).unwrap();
    config.roles = vec![role];
    config
}

/// Segment files below `dir`, in the order of their names.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(dir).unwrap();
    let paths = listed.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "segment"))
        .collect();
    paths.sort();
    paths
}

/// (file, sector) of everything that is not zero.
fn written(dir: &Path) -> Vec<(PathBuf, usize)> {
    let of_file = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let sectors = bytes.chunks(SECTOR).enumerate();
        let used = sectors.filter(|(_, sector)| sector.iter().any(|byte| *byte != 0));
        used.map(|(at, _)| (path.clone(), at)).collect::<Vec<_>>()
    };
    segments(dir).into_iter().flat_map(of_file).collect()
}

/// Zeroed, or one bit of it flipped; the last sector of a file may be a part of one.
fn harm((path, sector): &(PathBuf, usize), flips: bool) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let (mut bytes, at) = ([0; SECTOR], (sector * SECTOR) as u64);
    let there = file.read_at(&mut bytes, at).unwrap();
    match flips {
        true => bytes[sector % there] ^= 1 << (sector % 8),
        false => bytes.fill(0),
    }
    file.write_all_at(&bytes[..there], at).unwrap();
}

/// Until no unit lacks anything; how many frames took the place of damaged ones since they started.
async fn mended(env: &Env, node: &Node) -> u64 {
    let connector = node.connector();
    let mut found = Vec::new();
    for _ in 0..1_000 {
        env.sleep(Duration::from_millis(20)).await;
        let Ok(sequencer) = connector.sequencer().await else {
            continue;
        };
        let Ok(status) = sequencer.status().await else {
            continue;
        };
        found.clear();
        for unit in status.members.unwrap_or_default().units {
            let role = connector.unit(unit.unit_id, &unit.address).await.unwrap();
            let asked = v1::UnitStatusRequest {
                unit_id: unit.unit_id,
            };
            found.extend(role.status(asked).await);
        }
        let is_whole = |unit: &v1::UnitStatusAnswer| {
            unit.bad_ranges.is_empty() && unit.lanes_behind == 0 && unit.stamped_through > 0
        };
        if found.len() == 3 && found.iter().all(is_whole) {
            return found.iter().map(|unit| unit.mended_frames).sum();
        }
    }
    panic!("a unit stays damaged: {found:#?}");
}

/// Every sector of one copy is harmed, a third of them at a time, what was mended before included. What
/// an open does not meet, a read does: never are other bytes read than were written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damaged_sector_of_the_log_is_mended_from_peers() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::real();
    let at = |name: &str| dir.path().join(name);
    let sequencer = Node::start(&env, config(&at("s"), RoleName::Sequencer, &[]))
        .await
        .unwrap();
    let known = [sequencer.address().to_string()];
    let start = || Node::start(&env, config(&at("u"), RoleName::Unit, &known));
    let mut node = start().await.unwrap();
    let log = ClusterLog::open(env.group("log"), node.connector(), node.roles().owner);
    let appender = log.appender(node.roles().owner).await.unwrap();
    let mut lsns = Vec::new();
    for number in 0..RECORDS {
        lsns.push(append_one(&appender, number).await);
    }
    drop((appender, log));
    mended(&env, &node).await;
    let mut frames = 0;
    for round in 0..3 {
        node.stop().await;
        let stream = at("u").join("unit-1/log/stream");
        let chosen = written(&stream).into_iter().skip(round).step_by(3);
        chosen.for_each(|place| harm(&place, round % 2 == 0));
        node = start().await.unwrap();
        let log = ClusterLog::open(env.group("again"), node.connector(), node.roles().owner);
        assert_each_once(&read(&*log, *lsns.last().unwrap()).await, &lsns);
        frames += mended(&env, &node).await;
    }
    assert!(frames > 0, "nothing was mended");
    node.stop().await;
    sequencer.stop().await;
}

/// As it lies on the disk; the files of a process that was killed look like this.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &name);
        } else {
            std::fs::copy(&path, &name).unwrap();
        }
    }
}

async fn next_lsn(node: &Node) -> u64 {
    let sequencer = node.connector().sequencer().await.unwrap();
    sequencer.status().await.unwrap().next_lsn
}

/// A sequencer with some cuts in its journal, still running, and the end of its log.
async fn with_a_journal(env: &Env, dir: &Path) -> (Node, u64) {
    let node = Node::start(env, config(&dir.join("s"), RoleName::Sequencer, &[]));
    let node = node.await.unwrap();
    let known = [node.address().to_string()];
    let units = Node::start(env, config(&dir.join("u"), RoleName::Unit, &known));
    let units = units.await.unwrap();
    let log = ClusterLog::open(env.group("log"), units.connector(), units.roles().owner);
    let appender = log.appender(units.roles().owner).await.unwrap();
    for number in 0..100 {
        append_one(&appender, number).await;
    }
    mended(env, &units).await;
    units.stop().await;
    let end = next_lsn(&node).await;
    (node, end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_refused_with_its_place_or_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::real();
    let (node, end) = with_a_journal(&env, dir.path()).await;
    node.stop().await;
    let places = written(&dir.path().join("s/sequencer-1/journal"));
    let mut refused = 0;
    for (trial, place) in places.iter().step_by(places.len() / 24 + 1).enumerate() {
        let own = dir.path().join(format!("trial-{trial}"));
        copy(&dir.path().join("s"), &own);
        let file = place.0.file_name().unwrap();
        let there = own.join("sequencer-1/journal").join(file);
        harm(&(there, place.1), trial % 2 == 0);
        match Node::start(&env, config(&own, RoleName::Sequencer, &[])).await {
            Ok(node) => {
                assert_eq!(next_lsn(&node).await, end, "sector {place:?} is missed");
                node.stop().await;
            }
            Err(refusal) => {
                let said = format!("{refusal:#}");
                assert!(said.contains("the journal is damaged from"), "{said}");
                refused += 1;
            }
        }
        // What was refused may be making a segment there yet; what is left goes with `dir`.
        let _ = std::fs::remove_dir_all(own);
    }
    assert!(refused > 0, "no sector of {} mattered", places.len());
}

/// What a killed process leaves, and behind it part of a batch that never was whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_of_a_journal_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::real();
    let (node, end) = with_a_journal(&env, dir.path()).await;
    for torn in 1..=4 {
        let own = dir.path().join(format!("torn-{torn}"));
        copy(&dir.path().join("s"), &own);
        let (path, last) = written(&own.join("sequencer-1/journal")).pop().unwrap();
        let file = File::options().write(true).open(path).unwrap();
        let at = ((last + 1) * SECTOR) as u64;
        file.write_all_at(&vec![0xA5; torn * SECTOR / 2], at)
            .unwrap();
        let again = Node::start(&env, config(&own, RoleName::Sequencer, &[])).await;
        let again = again.unwrap();
        assert_eq!(next_lsn(&again).await, end);
        again.stop().await;
    }
    node.stop().await;
}
