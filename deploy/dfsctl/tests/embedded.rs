//! The embedded default with its real parts: what is stored is read back, also after a stop, a lost store, and in the past.
use dfs_env::Env;
use dfs_fs::{Address, AppendOptions, Code, Fs, FsConfig, When, WriteOptions, source_of};
use dfs_node::config::NodeConfig;
use dfs_node::process::Node;
use std::path::Path;

async fn start(dir: &Path, units: u32) -> (Node, Fs) {
    let env = Env::real();
    let config = NodeConfig::embedded(dir.to_path_buf(), units, 0);
    let node = Node::start(&env, config).await.expect("it starts");
    node.ready().await;
    let config = FsConfig {
        actor: "test".to_string(),
        ..FsConfig::default()
    };
    let fs = Fs::connect(env, node.connector(), config)
        .await
        .expect("it answers");
    (node, fs)
}

async fn stop(node: Node, fs: Fs) {
    fs.close().await.expect("the session ends");
    node.stop().await;
}

fn at(path: &str) -> Address {
    Address::new(path).expect("a good path")
}

/// Bytes that no two sizes share.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 251 + size) as u8).collect()
}

async fn put(fs: &Fs, path: &str, size: usize) -> u64 {
    let written = fs
        .write(&at(path), source_of(bytes(size)), WriteOptions::default())
        .await;
    written.expect("stored").lsn
}

async fn get(fs: &Fs, path: &str, when: When) -> Vec<u8> {
    let reading = fs.read(&at(path), when, None).await.expect("there");
    reading.collect().await.expect("whole").to_vec()
}

/// Sizes around every bound: empty, inline, one extent, several.
const SIZES: [usize; 8] = [
    0,
    1,
    4096,
    16 << 10,
    (16 << 10) + 1,
    1 << 20,
    8 << 20,
    (8 << 20) + 1,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_read_back_after_a_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, fs) = start(dir.path(), 1).await;
    fs.mkdir(&at("/a/b"), None, true).await.expect("made");
    for size in SIZES {
        put(&fs, &format!("/a/b/{size}"), size).await;
    }
    stop(node, fs).await;
    let (node, fs) = start(dir.path(), 1).await;
    for size in SIZES {
        let read = get(&fs, &format!("/a/b/{size}"), When::Head).await;
        assert!(
            read == bytes(size),
            "{size} bytes come back as {}",
            read.len()
        );
    }
    stop(node, fs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_stays_readable_after_overwrites_and_deletes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, fs) = start(dir.path(), 1).await;
    fs.mkdir(&at("/t"), None, true).await.expect("made");
    let first = put(&fs, "/t/f", 100).await;
    let second = put(&fs, "/t/f", 200_000).await;
    let gone = fs.remove(&at("/t"), true).await.expect("removed").lsn;
    assert!(first < second && second < gone);
    assert!(get(&fs, "/t/f", When::Lsn(first)).await == bytes(100));
    assert!(get(&fs, "/t/f", When::Lsn(second)).await == bytes(200_000));
    let refusal = fs.stat(&at("/t/f"), When::Head).await.expect_err("gone");
    assert_eq!(refusal.code(), Code::NotFound);
    let page = fs
        .list(&at("/t"), When::Lsn(gone - 1), b"", 10)
        .await
        .expect("it was there");
    assert_eq!(page.entries.len(), 1);
    stop(node, fs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_appends_grow_a_file_beyond_the_record_and_onto_extents() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, fs) = start(dir.path(), 1).await;
    put(&fs, "/log", 0).await;
    put(&fs, "/large", 100_000).await;
    let mut expected = Vec::new();
    for n in 0..40 {
        let line = bytes(900 + n);
        expected.extend_from_slice(&line);
        let appended = fs
            .append(&at("/log"), source_of(line), AppendOptions::default())
            .await;
        appended.expect("appended");
    }
    assert!(get(&fs, "/log", When::Head).await == expected);
    let appended = fs
        .append(&at("/large"), source_of(bytes(5)), AppendOptions::default())
        .await;
    appended.expect("appended");
    assert!(get(&fs, "/large", When::Head).await == [bytes(100_000), bytes(5)].concat());
    stop(node, fs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_cut_inside_an_extent_is_read_copied_and_cut_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, fs) = start(dir.path(), 1).await;
    let whole = put(&fs, "/f", 5_000_000).await;
    for size in [4_999_999, 70_000, 100, 1] {
        fs.truncate(&at("/f"), size as u64).await.expect("cut");
        assert!(
            get(&fs, "/f", When::Head).await == bytes(5_000_000)[..size],
            "{size}"
        );
    }
    assert!(get(&fs, "/f", When::Lsn(whole)).await == bytes(5_000_000));
    stop(node, fs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_is_folded_again_to_the_same_digest() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, fs) = start(dir.path(), 1).await;
    for n in 0..50 {
        put(&fs, &format!("/file-{n}"), n * 1000).await;
    }
    let last = put(&fs, "/last", 7).await;
    let before = fs.digest(Some(last)).await.expect("known");
    assert_eq!(before.lsn, last);
    stop(node, fs).await;
    std::fs::remove_dir_all(dir.path().join("materializer-1")).expect("it was there");
    let (node, fs) = start(dir.path(), 1).await;
    let after = fs.digest(Some(last)).await.expect("known");
    assert_eq!((after.lsn, after.digest), (before.lsn, before.digest));
    assert!(get(&fs, "/file-49", When::Head).await == bytes(49_000));
    stop(node, fs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_units_lose_one_directory_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, fs) = start(dir.path(), 3).await;
    for size in SIZES {
        put(&fs, &format!("/{size}"), size).await;
    }
    stop(node, fs).await;
    std::fs::remove_dir_all(dir.path().join("unit-2")).expect("it was there");
    let (node, fs) = start(dir.path(), 3).await;
    for size in SIZES {
        assert!(
            get(&fs, &format!("/{size}"), When::Head).await == bytes(size),
            "{size}"
        );
    }
    put(&fs, "/more", 3 << 20).await;
    assert!(get(&fs, "/more", When::Head).await == bytes(3 << 20));
    stop(node, fs).await;
}
