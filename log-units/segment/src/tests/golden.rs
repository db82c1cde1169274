//! Files that were written once are read for ever: `tests/golden/v1` is only added to.

use std::path::Path;

use dfs_env::sim::SimWorld;
use dfs_env::{Env, OpenMode};

use super::{DIR, Machine, entry, options, scan_all};
use crate::{Opened, Options, Scanned, open};

const FILE: &str = "two-commits.segment";

async fn write(opened: &mut Opened) {
    for (kind, bytes) in [(1, vec![0x11; 3]), (2, vec![0x22; 3000]), (239, vec![])] {
        opened.writer.append(entry(kind, bytes)).expect("append");
    }
    opened.writer.commit().await.expect("commit");
    opened.writer.append(entry(7, "second")).expect("append");
    opened.writer.commit().await.expect("commit");
    opened.writer.idle().await.expect("idle");
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(FILE)
}

/// The same appends with the same salt make the same bytes as on the day of the format.
#[test]
fn version_1_is_still_written() {
    SimWorld::run(1, |world| async move {
        let machine = Machine::start(&world);
        let mut opened = machine.open(&options(None)).await.expect("open");
        write(&mut opened).await;
        let name = format!("{DIR}/00000001.segment");
        let file = machine
            .disk
            .open(&name, OpenMode::Existing)
            .await
            .expect("written");
        let bytes = file.read_at(0, 20_480).await.expect("read");
        let kept = std::fs::read(golden()).expect("the golden file");
        assert!(
            bytes == kept,
            "the format has changed: that needs a new version"
        );
    });
}

#[tokio::test]
async fn version_1_is_still_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir_all(dir.path().join(DIR)).expect("directory");
    std::fs::copy(golden(), dir.path().join(DIR).join("00000001.segment")).expect("copy");
    let env = Env::real();
    let disk = env.disk(dir.path()).expect("disk");
    let opened = open(&env, disk, DIR, Options::default())
        .await
        .expect("open");
    let found = scan_all(&opened).await;
    let kinds: Vec<(u8, usize)> = found
        .iter()
        .map(|scanned| match scanned {
            Scanned::Entry(_, entry) => (entry.kind, entry.bytes.len()),
            Scanned::Corrupt(range) => panic!("corrupt: {range:?}"),
        })
        .collect();
    assert_eq!(kinds, [(1, 3), (2, 3000), (239, 0), (7, 6)]);
    assert_eq!(opened.report.corrupt, []);
    opened.writer.stop().await.expect("stop");
}
