#!/usr/bin/env bash
# Directories as large as they get: N entries in one directory, and N files in N/100 directories. How long the first page,
# the whole listing, find, du and rm -r take, and what memory each role needs; one process per role.
#   bench/acceptance/million.sh [N]      (default 1000000; needs target/release/dfsctl, or DFSCTL=path)
set -euo pipefail
n=${1:-1000000}
dfsctl=$(realpath "${DFSCTL:-$(dirname "$0")/../../target/release/dfsctl}")
work=$(mktemp -d)
export DFSCTL_CONFIG=$work/config.toml
port=${PORT:-9870}
declare -A pids
stop() {
  kill "${pids[@]}" 2> /dev/null || true
  wait 2> /dev/null || true
  rm -rf "$work"
}
trap stop EXIT
i=0
for role in sequencer unit materializer; do
  printf 'dir = "%s/%s"\nlisten = "127.0.0.1:%d"\nroles = ["%s"]\nsequencers = ["127.0.0.1:%d"]\n[cluster]\nlog_replicas = 1\nfile_copies = 1\n' \
    "$work" "$role" $((port + i)) "$role" "$port" > "$work/$role.toml"
  "$dfsctl" serve --config "$work/$role.toml" > "$work/$role.txt" 2>&1 &
  pids[$role]=$!
  i=$((i + 1))
done
export DFSCTL_SEQUENCERS=127.0.0.1:$port
until "$dfsctl" mkdir -q -p / 2> "$work/errors"; do :; done
memory() { # all roles, MiB; the most each has had in brackets
  for role in sequencer unit materializer; do
    awk -v role="$role" '/VmRSS/ { rss = $2 } /VmHWM/ { most = $2 } END { printf "%s %d MiB (at most %d)  ", role, rss / 1024, most / 1024 }' "/proc/${pids[$role]}/status"
  done
  echo
}
timed() { # NAME COMMAND…: what it prints goes into a count of lines
  local from=$EPOCHREALTIME lines
  lines=$("${@:2}" | wc -l)
  printf '%-44s %8.2f s  %9d lines\n' "$1" "$(echo "$EPOCHREALTIME - $from" | bc)" "$lines"
}
batch() { "$dfsctl" run -q -j 512 -o jsonl > "$work/run" || { grep -v '"exit":0' "$work/run" | head -2; exit 1; }; }

echo "before: $(memory)"
"$dfsctl" mkdir -q /wide /deep
# Lines of 100 names each: a line has to be understood, which costs more than a file.
make_wide() { seq -f '/wide/file-%.0f' "$n" | xargs -n 100 echo touch | batch; }
timed "$n files made in one directory" make_wide
echo "  $(memory)"
timed "first page (ls --limit 1000)" "$dfsctl" ls /wide --limit 1000 -o name
timed "a page in the middle" "$dfsctl" ls /wide --start-after file-5 --limit 1000 -o name
timed "whole listing (ls)" "$dfsctl" ls /wide -o name
timed "whole listing (ls -l)" "$dfsctl" ls -l /wide
timed "find --name *77" "$dfsctl" find /wide --name '*77' -o name
timed "du" "$dfsctl" du /wide
timed "stat of one" "$dfsctl" stat /wide/file-77 -o json
echo "  $(memory)"

directories=$((n / 100))
make_directories() { seq -f '/deep/%.0f' "$directories" | xargs -n 100 echo mkdir | batch; }
make_deep() { seq 0 $((n - 1)) | awk '{ printf "/deep/%d/%d\n", 1 + int($1 / 100), $1 % 100 }' | xargs -n 100 echo touch | batch; }
timed "$directories directories made" make_directories
timed "$n files made in them" make_deep
echo "  $(memory)"
timed "first page (ls --limit 1000)" "$dfsctl" ls /deep --limit 1000 -o name
timed "whole listing (ls -R)" "$dfsctl" ls -R /deep
timed "find --name 77" "$dfsctl" find /deep --name 77 -o name
timed "du" "$dfsctl" du /deep
timed "rm -r of the $directories directories" "$dfsctl" rm -r -y /deep
timed "rm -r of the one directory" "$dfsctl" rm -r -y /wide
timed "ls / afterwards" "$dfsctl" ls /
timed "a file made at once in a new directory" "$dfsctl" mkdir /new
echo "after: $(memory)"
du -sm "$work"/sequencer "$work"/unit "$work"/materializer | awk -v w="$work/" '{ sub(w, "", $2); printf "%s %d MiB on disk  ", $2, $1 }'
echo
