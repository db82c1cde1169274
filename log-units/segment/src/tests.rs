//! Properties of the stream on a simulated disk, and controls that must fail.

mod controls;
mod damage;
mod format;
mod golden;
mod judge;
mod limits;
mod power;
mod use_cases;

use std::sync::Arc;

use bytes::Bytes;
use dfs_env::sim::{SimDisk, SimWorld};
use dfs_env::{Disk, Env};

use crate::{Entry, OpenError, Opened, Options, Scanned, open};

/// A rule that is broken on purpose: the judge must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A batch claims to be synced before it is (S2).
    MarkBeforeSync,
    /// Corruption below the mark is taken for a torn tail.
    IgnoreMarks,
    /// A fresh segment without its end record counts.
    TrustUnfinishedRewrite,
}

const NODE: &str = "unit";
const DIR: &str = "log";

/// Small segments, so that a few hundred entries fill several.
fn options(sabotage: Option<Sabotage>) -> Options {
    let (segment_bytes_min, segment_bytes_max) = (64 << 10, 128 << 10);
    Options {
        segment_bytes_min,
        segment_bytes_max,
        keep_free_bytes: 0,
        sabotage,
    }
}

/// One machine with one disk in a world.
struct Machine {
    world: SimWorld,
    env: Env,
    disk: Arc<dyn Disk>,
}

impl Machine {
    fn start(world: &SimWorld) -> Machine {
        let env = world.node(NODE);
        let disk = env.disk("disk".as_ref()).expect("a new incarnation");
        Machine {
            world: world.clone(),
            env,
            disk,
        }
    }

    fn platter(&self) -> SimDisk {
        self.world.disk(NODE, "disk")
    }

    async fn open(&self, options: &Options) -> Result<Opened, OpenError> {
        open(&self.env, self.disk.clone(), DIR, options.clone()).await
    }
}

fn entry(kind: u8, bytes: impl Into<Bytes>) -> Entry {
    Entry {
        kind,
        bytes: bytes.into(),
    }
}

/// Everything that a scan from the start yields.
async fn scan_all(opened: &Opened) -> Vec<Scanned> {
    let (mut scan, mut all) = (opened.reader.scan(opened.reader.start()), Vec::new());
    while let Some(scanned) = scan.next().await.expect("a readable disk") {
        all.push(scanned);
    }
    all
}
