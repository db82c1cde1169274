//! A disk of its own for a process, whose power can fail: ext4 in a file, behind a loop device.
//!
//! Power is lost as the kernel's own tests lose it (xfstests, `godown`): the file system is shut down without
//! writing anything back, so what was not synced is gone; it is unmounted, and mounted again.
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::thread::UnshareFlags;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sparse. A log unit makes its segments of 64 MiB beforehand, and keeps as much free.
const BYTES: u64 = 1 << 30;
/// linux/fs.h: `FS_IOC_SHUTDOWN` as ext4 has it, `_IOR('X', 125, __u32)`; not even its journal is flushed.
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
const WITHOUT_FLUSHING: u32 = 2;

/// Mounted from when it is made until its power is lost for the last time.
pub(crate) struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

/// From now on mounts are this process's own, and its children's: nothing is left when they are gone.
/// To be called before there is a second thread.
///
/// # Errors
/// Where that is not allowed.
pub(crate) fn own_mounts() -> Result<()> {
    unshare().context("cannot have mounts of its own")?;
    run("mount", &["--make-rprivate", "/"])
}

impl Disk {
    /// # Errors
    /// Where loop devices or ext4 are not to be had; the text says which step failed.
    pub(crate) fn make(image: PathBuf, mount: PathBuf) -> Result<Disk> {
        std::fs::File::create(&image)?.set_len(BYTES)?;
        std::fs::create_dir_all(&mount)?;
        let disk = Disk { image, mount };
        run("mkfs.ext4", &["-q", "-F", text(&disk.image)])?;
        disk.mount()?;
        // A data directory is refused when it holds what others have made.
        std::fs::remove_dir(disk.mount.join("lost+found"))?;
        Ok(disk)
    }

    /// Whoever uses it is dead by now.
    pub(crate) fn lose_power(&self) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.mount, flags, Mode::empty())?;
        shut_down(&directory).context("cannot shut the file system down")?;
        drop(directory);
        self.unmount()
    }

    pub(crate) fn mount(&self) -> Result<()> {
        run(
            "mount",
            &["-o", "loop", text(&self.image), text(&self.mount)],
        )
    }

    pub(crate) fn unmount(&self) -> Result<()> {
        run("umount", &[text(&self.mount)])
    }
}

/// Paths of a run are made of its own directory, which was typed.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let done = Command::new(program).args(words).output();
    let done = done.with_context(|| format!("cannot run {program}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{program} {}: {}", words.join(" "), said.trim());
    }
    Ok(())
}

#[allow(unsafe_code, reason = "there is no safe call for it")]
fn unshare() -> rustix::io::Result<()> {
    // SAFETY: nothing here holds what a new mount namespace would take away: descriptors stay open
    // and mean the same files; only names are looked up anew.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
}

#[allow(unsafe_code, reason = "there is no safe call for it")]
fn shut_down(directory: &impl std::os::fd::AsFd) -> rustix::io::Result<()> {
    // SAFETY: the kernel reads one `u32` at the address it is given, which lives for the call.
    unsafe {
        let setter = rustix::ioctl::Setter::<SHUTDOWN, u32>::new(WITHOUT_FLUSHING);
        rustix::ioctl::ioctl(directory, setter)
    }
}
