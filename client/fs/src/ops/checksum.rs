//! Checksum: of a file from its record, of a tree from those of its files.

use dfs_extents::Crc32c;
use dfs_wire::Refusal;
use futures::TryStreamExt;

use crate::address::Address;
use crate::entry::{Entry, Kind, Seen};
use crate::fs::Fs;
use crate::when::When;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// CRC-32/ISCSI of a file's content. Of a directory: of all below it, sorted, each with its
    /// path, kind, size and checksum or target; equal trees have equal ones wherever they stand.
    pub crc32c: u32,
    pub size: u64,
    pub files: u64,
}

impl Fs {
    /// The records hold the checksums; content is read only of files that were cut inside an extent,
    /// of which no checksum of the whole is known.
    pub async fn checksum(&self, at: &Address, when: When) -> Result<Seen<Checksum>, Refusal> {
        let moment = self.resolve(when).await?;
        let root = self.stat(at, moment.when()).await?;
        if root.is_file() {
            let crc32c = self.checksum_of(at, moment.when(), &root).await?;
            let size = root.size;
            return Ok(root.map(|_| Checksum {
                crc32c,
                size,
                files: 1,
            }));
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut sum = Checksum {
            crc32c: 0,
            size: 0,
            files: 0,
        };
        let mut walk = self.walk(at, moment.when());
        while let Some(walked) = walk.try_next().await? {
            let entry = &walked.entry;
            if entry.kind == Kind::File {
                sum.files += 1;
                sum.size += entry.size;
            }
            let mut line = walked.address.path()[at.path().len()..].to_vec();
            line.push(0);
            line.push(entry.kind as u8);
            line.extend_from_slice(&entry.size.to_be_bytes());
            let crc32c = self.checksum_of(&walked.address, moment.when(), entry);
            line.extend_from_slice(&crc32c.await?.to_be_bytes());
            line.extend_from_slice(&entry.link_target);
            found.push(line);
        }
        found.sort();
        let mut crc = Crc32c::default();
        for line in &found {
            crc.update(&(line.len() as u32).to_be_bytes());
            crc.update(line);
        }
        sum.crc32c = crc.value();
        Ok(root.map(|_| sum))
    }

    async fn checksum_of(&self, at: &Address, when: When, entry: &Entry) -> Result<u32, Refusal> {
        if entry.crc32c != 0 || entry.extents == 0 {
            return Ok(entry.crc32c);
        }
        let mut bytes = self.read(at, when, None).await?.bytes;
        let mut crc = Crc32c::default();
        while let Some(part) = bytes.try_next().await? {
            crc.update(&part);
        }
        Ok(crc.value())
    }
}
