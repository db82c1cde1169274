//! How much lies below a path.

use dfs_wire::Refusal;
use futures::TryStreamExt;

use crate::address::Address;
use crate::entry::{Entry, Kind, Seen};
use crate::fs::Fs;
use crate::when::When;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub files: u64,
    /// With the one asked about.
    pub directories: u64,
    pub symlinks: u64,
    /// Of the contents, each as often as it is named.
    pub bytes: u64,
}

impl Usage {
    pub fn add(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::File => self.files += 1,
            Kind::Directory => self.directories += 1,
            Kind::Symlink => self.symlinks += 1,
        }
        if entry.kind == Kind::File {
            self.bytes += entry.size;
        }
    }
}

impl Fs {
    pub async fn du(&self, at: &Address, when: When) -> Result<Seen<Usage>, Refusal> {
        let moment = self.resolve(when).await?;
        let root = self.stat(at, moment.when()).await?;
        let mut usage = Usage::default();
        usage.add(&root);
        if root.is_directory() {
            let mut walk = self.walk(at, moment.when());
            while let Some(walked) = walk.try_next().await? {
                usage.add(&walked.entry);
            }
        }
        Ok(root.map(|_| usage))
    }
}
