//! IDENTITY: what a unit's directories say of themselves, made once when they are formatted.

use std::io;

use bytes::Bytes;
use dfs_env::{Disk, Env};

const FILE: &str = "IDENTITY";
const FORMAT: &str = "1";

/// Of the directories of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// 16 random bytes.
    pub nonce: Bytes,
    /// 16 bytes once the unit has been bound to a cluster; empty before.
    pub cluster_id: Bytes,
}

/// Reads who the unit in these two directories is, or makes empty ones a new unit.
///
/// # Errors
/// `InvalidData` when the directories do not belong together, are damaged, or are of another
/// format: a lost identity is never made anew over data.
pub async fn format_or_open(env: &Env, log: &dyn Disk, extents: &dyn Disk) -> io::Result<Identity> {
    match (read(log).await?, read(extents).await?) {
        (Some(log), Some(extents)) if log.nonce == extents.nonce => Ok(log),
        (Some(_), Some(_)) => Err(wrong("the log and the extents belong to different units")),
        (Some(_), None) => Err(wrong(
            "the extents' IDENTITY is gone: is their disk mounted?",
        )),
        // A format that a crash cut short, or an emptied log.
        (None, found) => {
            let held = !is_empty(log).await? || !is_empty(extents).await?;
            if held {
                return Err(wrong(
                    "the log's IDENTITY is gone, but the directories hold data",
                ));
            }
            drop(found);
            let nonce = Bytes::copy_from_slice(&env.random_u128().to_be_bytes());
            let identity = Identity {
                nonce,
                cluster_id: Bytes::new(),
            };
            write(&identity, log, extents).await?;
            Ok(identity)
        }
    }
}

/// Notes the cluster that `Register` named.
///
/// # Errors
/// `InvalidData` when the unit belongs to another cluster.
pub async fn bind(
    identity: &Identity,
    cluster_id: &Bytes,
    log: &dyn Disk,
    extents: &dyn Disk,
) -> io::Result<Identity> {
    if identity.cluster_id == cluster_id {
        return Ok(identity.clone());
    }
    if !identity.cluster_id.is_empty() {
        return Err(wrong("the unit belongs to another cluster"));
    }
    let bound = Identity {
        nonce: identity.nonce.clone(),
        cluster_id: cluster_id.clone(),
    };
    write(&bound, log, extents).await?;
    Ok(bound)
}

/// The log's last: while it is missing, the directories do not count as formatted.
async fn write(identity: &Identity, log: &dyn Disk, extents: &dyn Disk) -> io::Result<()> {
    let (nonce, cluster) = (hex(&identity.nonce), hex(&identity.cluster_id));
    let text = format!("format = {FORMAT}\nnonce = {nonce}\ncluster = {cluster}\n");
    extents
        .replace_small(FILE, Bytes::from(text.clone()))
        .await?;
    log.replace_small(FILE, Bytes::from(text)).await
}

async fn is_empty(disk: &dyn Disk) -> io::Result<bool> {
    Ok(disk.list().await?.iter().all(|file| file.name == FILE))
}

async fn read(disk: &dyn Disk) -> io::Result<Option<Identity>> {
    let Some(bytes) = disk.read_small(FILE).await? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("IDENTITY is damaged"))?;
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.ok_or_else(|| wrong("IDENTITY lacks a field"))
    };
    if field("format")? != FORMAT {
        return Err(wrong("the directory is of a format unknown to this build"));
    }
    let nonce = unhex(field("nonce")?).filter(|nonce| nonce.len() == 16);
    let cluster_id = unhex(
        text.lines()
            .find_map(|l| l.strip_prefix("cluster ="))
            .unwrap_or("")
            .trim(),
    );
    match (nonce, cluster_id) {
        (Some(nonce), Some(cluster_id)) => Ok(Some(Identity { nonce, cluster_id })),
        _ => Err(wrong("IDENTITY is damaged")),
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Bytes> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len())
        .step_by(2)
        .map(byte)
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}
