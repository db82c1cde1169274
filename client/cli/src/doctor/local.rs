//! This machine, before anything runs on it: the disk of a directory, limits, memory, the clock.
use super::{Finding, Verdict};
use crate::failure::{Failure, Outcome};
use crate::figures;
use dfs_env::Env;
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// What a sequencer or a unit writes at once at the least.
const WRITE_BYTES: usize = 4_096;
/// Enough to see what is usual, and done within seconds on a slow disk.
const WRITES: usize = 100;
/// 2026-01-01: whatever is earlier was never set.
const CLOCK_FROM_US: u64 = 1_767_225_600_000_000;

/// # Errors
/// When nothing can be written there.
pub(crate) fn examine(env: &Env, dir: &Path) -> Outcome<Vec<Finding>> {
    let shown = dir.display().to_string();
    let mut findings = vec![fsync(env, dir, &shown)?];
    findings.extend(space(dir, &shown));
    findings.push(limits());
    findings.extend(memory());
    findings.push(clock(env));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    Ok(findings)
}

fn fsync(env: &Env, dir: &Path, shown: &str) -> Outcome<Finding> {
    let path = dir.join(format!(".dfsctl-doctor-{:016x}", env.random_u64()));
    let times = written(env, &path);
    let _ = std::fs::remove_file(&path); // a file that was not made cannot be removed
    let mut times = times.map_err(|error| Failure::local("write below", dir, &error))?;
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(0);
    let (median, p99) = (at(50), at(99));
    let verdict = Verdict::above(median as f64, 30e3, 250e3);
    let seen = format!(
        "fdatasync of {WRITE_BYTES} bytes: {:.2} ms in the middle, {:.2} ms at 99 %, of {WRITES}",
        median as f64 / 1e3,
        p99 as f64 / 1e3
    );
    let act =
        "every write waits for it: take a disk whose cache keeps its power (an SSD for servers)";
    Ok(Finding::new("disk", shown, verdict, seen, act))
}

/// µs of each write with its fdatasync, one behind the other as a log writes them.
fn written(env: &Env, path: &Path) -> std::io::Result<Vec<u64>> {
    let mut file = File::create_new(path)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let begun = env.now();
        file.write_all(&[0xd5; WRITE_BYTES])?;
        file.sync_data()?;
        times.push(env.now().saturating_duration_since(begun).as_micros() as u64);
    }
    Ok(times)
}

fn space(dir: &Path, shown: &str) -> Option<Finding> {
    let told = statvfs(dir).ok()?;
    let total = told.f_blocks.saturating_mul(told.f_frsize);
    let free = told.f_bavail.saturating_mul(told.f_frsize);
    let verdict = Verdict::below(free as f64 / total.max(1) as f64, 0.15, 0.05);
    let seen = format!("{} free of {}", figures::bytes(free), figures::bytes(total));
    Some(Finding::new(
        "space",
        shown,
        verdict,
        seen,
        "make room, or take another disk",
    ))
}

fn limits() -> Finding {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let verdict = Verdict::below(most as f64, 4_096.0, 256.0);
    let seen = format!("{most} open files for what is started here");
    let act = "raise it: LimitNOFILE=65536 in the unit file, or ulimit -n 65536";
    Finding::new("limits", "this machine", verdict, seen, act)
}

fn memory() -> Option<Finding> {
    let told = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib.saturating_mul(1024))
    };
    let (total, available) = (line("MemTotal:")?, line("MemAvailable:")?);
    let verdict = Verdict::below(available as f64 / total.max(1) as f64, 0.10, 0.03);
    let seen = format!(
        "{} usable of {}",
        figures::bytes(available),
        figures::bytes(total)
    );
    let act = "stop what else runs here, or give the machine more";
    Some(Finding::new("memory", "this machine", verdict, seen, act))
}

/// Without another clock only the coarsest mistake is seen.
fn clock(env: &Env) -> Finding {
    let now = env.wall_us();
    let verdict = if now < CLOCK_FROM_US {
        Verdict::Bad
    } else {
        Verdict::Ok
    };
    let seen = crate::calendar::format(now);
    let act = "set the clock, and keep it by NTP (chronyc tracking)";
    Finding::new("clock", "this machine", verdict, seen, act)
}
