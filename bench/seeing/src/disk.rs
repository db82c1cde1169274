//! Disks of their own in memory: a fault fills one, and the machine's own may be as full as it likes.
use anyhow::{Context, Result, bail};
use rustix::fs::statvfs;
use rustix::thread::UnshareFlags;
use std::path::{Path, PathBuf};
use std::process::Command;

/// So much less is tried where the disk is fuller than it was.
const STEP_BYTES: f64 = 1_048_576.0;

/// From now on mounts are this process's own, and its children's: nothing is left when they are gone.
/// To be called before there is a second thread.
///
/// # Errors
/// Where that is not allowed.
#[allow(unsafe_code, reason = "one call, before there is a second thread")]
pub(crate) fn own_mounts() -> Result<()> {
    // SAFETY: only mounts are unshared; no descriptor or thread is concerned.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
        .context("cannot have mounts of its own")?;
    run("mount", &["--make-rprivate", "/"])
}

/// Of so many MiB at that directory.
pub(crate) fn mount(at: &Path, mib: u64) -> Result<()> {
    std::fs::create_dir_all(at)?;
    let size = format!("size={mib}m");
    let at = at.to_str().context("a path that is no text")?;
    run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", at])
}

pub(crate) fn unmount(at: &Path) -> Result<()> {
    run(
        "umount",
        &["--lazy", at.to_str().context("a path that is no text")?],
    )
}

/// A file that leaves only this share of the disk free; its path.
pub(crate) fn fill(disk: &Path, leaves: f64) -> Result<PathBuf> {
    let told = statvfs(disk)?;
    let bytes = |blocks: u64| blocks as f64 * told.f_frsize as f64;
    let mut take = bytes(told.f_bavail) - bytes(told.f_blocks) * leaves;
    let path = disk.join(format!("filler-{:.0}", leaves * 1e3));
    let file = std::fs::File::create(&path)?;
    let flags = rustix::fs::FallocateFlags::empty();
    // Others write to it meanwhile.
    while let Err(error) = rustix::fs::fallocate(&file, flags, 0, take.max(1.0) as u64) {
        if error != rustix::io::Errno::NOSPC || take < STEP_BYTES {
            return Err(error).context("cannot fill a disk");
        }
        take -= STEP_BYTES;
    }
    Ok(path)
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let done = Command::new(program).args(words).output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{program} {}: {}", words.join(" "), said.trim());
    }
    Ok(())
}
