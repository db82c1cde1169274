#!/usr/bin/env python3
"""Where the CPU goes, role by role: `bench quick --only PART` under perf, once its raw disk figures are taken.

usage: bench/load/profile.py DFSCTL PART [LENGTH]

DFSCTL needs frame pointers:
  RUSTFLAGS="--cfg tokio_unstable -C force-frame-pointers=yes" cargo build --release -p dfsctl --target-dir target/profile
  bench/load/profile.py target/profile/release/dfsctl appends

A sample belongs to the role whose code is nearest to its end: what a role asks of the kernel, of libraries and
of the allocator is its own. Needs perf, and /proc/sys/kernel/perf_event_paranoid at most 1, or root.
"""
import collections
import re
import subprocess
import sys
import tempfile

CRATES = {
    "dfs_sequencer": "sequencer", "openraft": "sequencer", "dfs_log_units": "units",
    "dfs_materializer": "materializer", "fjall": "materializer", "lsm_tree": "materializer",
    "dfs_load": "load", "dfs_fs": "client (files)", "dfs_log": "client (log)", "dfs_extents": "client (extents)",
    "dfs_rpc": "connections", "dfs_wire": "frames and messages",
}
CRATE = re.compile(r"(?<![\w])(" + "|".join(CRATES) + r")(?:\[[0-9a-f]+\])?::")
WRITER = "disk-writer"
LINES = 6


def role(thread, frames):
    """Of one sample; frames begin where it was taken."""
    if thread.startswith(WRITER):
        return "disk: write and fdatasync"
    for frame in frames:
        found = CRATE.search(frame)
        if found:
            return CRATES[found.group(1)]
    return "runtime, waking and sleeping"


def samples(data):
    """(thread, frames) of each sample."""
    words = ["perf", "script", "-i", data, "-F", "comm,ip,sym", "--no-inline"]
    text = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    for block in text.decode(errors="replace").split("\n\n"):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        if len(lines) > 1:
            yield lines[0], [line.partition(" ")[2] for line in lines[1:]]


def record(dfsctl, part, length, data):
    """Runs the figures, and perf from the moment that the raw disk is measured."""
    words = [dfsctl, "bench", "quick", "--units", "3", "--length", length, "--only", part]
    bench = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    print(bench.stdout.readline(), end="")
    words = ["perf", "record", "-q", "-o", data, "-F", "997", "-g", "-p", str(bench.pid)]
    perf = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    for line in bench.stdout:
        print(line, end="")
    perf.wait()
    if bench.wait() != 0:
        sys.exit("the figures failed")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    dfsctl, part, length = (sys.argv[1:] + ["5s"])[:3]
    roles = collections.defaultdict(collections.Counter)
    with tempfile.NamedTemporaryFile(suffix=".perf") as data:
        record(dfsctl, part, length, data.name)
        for thread, frames in samples(data.name):
            roles[role(thread, frames)][frames[0]] += 1
    total = sum(sum(places.values()) for places in roles.values())
    print(f"\n{total} samples")
    for name, places in sorted(roles.items(), key=lambda item: -sum(item[1].values())):
        print(f"{100 * sum(places.values()) / total:5.1f} % {name}")
        for place, count in places.most_common(LINES):
            print(f"          {100 * count / total:4.1f} {place[:100]}")


main()
