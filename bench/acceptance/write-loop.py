#!/usr/bin/env python3
"""Makes directories one after another while a process is killed with SIGKILL: none may fail, none may happen twice.

A directory that was made twice would be refused as existing, so a doubled operation shows as a failure; at the end
all are listed. Prints the longest time that a client had to wait.
  bench/acceptance/write-loop.py DFSCTL COUNT -- COMMAND…      COMMAND runs once a third of them are made
"""
import subprocess
import sys
import time

dfsctl, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[4:]
root = f"/loop-{time.time_ns()}"
subprocess.run([dfsctl, "mkdir", "-q", root], check=True)
failed, waits = [], []
for number in range(count):
    if number == count // 3:
        subprocess.run(command, check=True)
    begin = time.monotonic()
    done = subprocess.run([dfsctl, "mkdir", "-q", f"{root}/{number}"], capture_output=True, text=True)
    waits.append(time.monotonic() - begin)
    if done.returncode != 0:
        failed.append((number, done.returncode, done.stderr.strip()))
listed = subprocess.run([dfsctl, "ls", "-o", "name", root], capture_output=True, text=True, check=True)
there = len(listed.stdout.split())
waits.sort()
print(f"{count} asked for, {len(failed)} failed, {there} there; median {waits[count // 2] * 1e3:.0f} ms, longest {waits[-1] * 1e3:.0f} ms")
for row in failed[:5]:
    print("failed:", row)
sys.exit(bool(failed) or there != count)
