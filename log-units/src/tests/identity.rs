//! Who a unit's directories are: made once, kept, and never made anew over data.

use bytes::Bytes;
use dfs_env::sim::SimDisk;
use dfs_env::{Disk, Env, OpenMode};
use std::io::ErrorKind;
use std::sync::Arc;

use super::rig::{NODE, run};
use crate::{Identity, bind, format_or_open};

struct Directories {
    env: Env,
    log: Arc<dyn Disk>,
    extents: Arc<dyn Disk>,
}

impl Directories {
    async fn identity(&self) -> Result<Identity, ErrorKind> {
        let identity = format_or_open(&self.env, &*self.log, &*self.extents).await;
        identity.map_err(|e| e.kind())
    }

    /// The disk of another unit, formatted.
    async fn other(&self, seed: u64) -> Arc<dyn Disk> {
        let disk = SimDisk::new(seed).open_disk();
        format_or_open(&self.env, &*disk, &*SimDisk::new(seed + 1).open_disk())
            .await
            .expect("new");
        disk
    }
}

fn with(test: impl AsyncFnOnce(Directories)) {
    run(1, |world| async move {
        let env = world.node(NODE);
        let [log, extents] = [1, 2].map(|seed| SimDisk::new(seed).open_disk());
        test(Directories { env, log, extents }).await;
    });
}

const WRONG: Result<Identity, ErrorKind> = Err(ErrorKind::InvalidData);

#[test]
fn a_nonce_is_made_once_and_a_cluster_bound_once() {
    with(async |dirs| {
        let made = dirs.identity().await.expect("new");
        assert_eq!((made.nonce.len(), made.cluster_id.len()), (16, 0));
        assert_eq!(dirs.identity().await, Ok(made.clone()));
        let [one, two] =
            [b"0123456789abcdef", b"another cluster."].map(|id| Bytes::from_static(id));
        let bound = bind(&made, &one, &*dirs.log, &*dirs.extents)
            .await
            .expect("bound");
        assert_eq!(dirs.identity().await, Ok(bound.clone()));
        assert_eq!((&bound.nonce, &bound.cluster_id), (&made.nonce, &one));
        let refused = bind(&bound, &two, &*dirs.log, &*dirs.extents).await;
        assert_eq!(refused.map_err(|e| e.kind()), WRONG);
    });
}

#[test]
fn directories_that_do_not_belong_together_are_refused() {
    with(async |mut dirs| {
        dirs.identity().await.expect("new");
        let own = dirs.extents.clone();
        dirs.extents = dirs.other(10).await;
        assert_eq!(dirs.identity().await, WRONG, "the extents of another unit");
        dirs.extents = SimDisk::new(20).open_disk();
        assert_eq!(dirs.identity().await, WRONG, "extents that are not mounted");
        dirs.extents = own;
        dirs.identity().await.expect("as before");
    });
}

#[test]
fn a_lost_identity_is_not_made_anew_over_data() {
    with(async |dirs| {
        let made = dirs.identity().await.expect("new");
        dirs.log.remove("IDENTITY").await.expect("removed");
        let anew = dirs
            .identity()
            .await
            .expect("empty directories are formatted");
        assert_ne!(anew.nonce, made.nonce);
        dirs.extents
            .open("extents-00000001", OpenMode::CreateNew)
            .await
            .expect("data");
        dirs.log.remove("IDENTITY").await.expect("removed");
        assert_eq!(dirs.identity().await, WRONG);
    });
}

#[test]
fn a_damaged_identity_is_refused() {
    with(async |dirs| {
        dirs.identity().await.expect("new");
        for text in [
            "",
            "format = 1\nnonce = 12\ncluster = \n",
            "format = 2\n",
            "\u{ff}nonsense",
        ] {
            dirs.log
                .replace_small("IDENTITY", Bytes::from_static(text.as_bytes()))
                .await
                .expect("written");
            assert_eq!(dirs.identity().await, WRONG, "{text:?}");
        }
    });
}
