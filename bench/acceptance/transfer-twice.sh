#!/usr/bin/env bash
# A real tree is put, synced and got twice: the second time moves no byte and takes a fraction of the first. Then put and
# sync are interrupted in the middle, by Ctrl-C and by SIGKILL, and run again: equal, and nothing that was stored is sent
# twice.
#   bench/acceptance/transfer-twice.sh [TREE]      (needs target/release/dfsctl, or DFSCTL=path)
set -euo pipefail
tree=$(realpath "${1:-/usr/share}")
dfsctl=$(realpath "${DFSCTL:-$(dirname "$0")/../../target/release/dfsctl}")
work=$(mktemp -d)
export DFSCTL_CONFIG=$work/config.toml
trap '"$dfsctl" dev down --dir "$work/data" > "$work/down.txt" 2>&1 || true; rm -rf "$work"' EXIT
"$dfsctl" dev up --dir "$work/data" --port 0 > "$work/up.txt"
field() { sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" "$1" | tail -1; }
failed=0
fail() { echo "FAILED: $*"; failed=1; }
timed() { # NAME COMMAND…: seconds into $took, what it told into $work/told
  local from=$EPOCHREALTIME
  "$dfsctl" "${@:2}" -o json > "$work/told" 2> "$work/errors" || fail "$1: $(head -2 "$work/errors")"
  took=$(echo "$EPOCHREALTIME - $from" | bc)
  echo "$1: $took s, $(field "$work/told" files) files, $(field "$work/told" bytes) bytes moved, $(field "$work/told" skipped_files) there and equal"
}
twice() { # NAME COMMAND…
  timed "$1" "${@:2}"
  local first=$took
  cat "$tree"/*/* > /dev/null 2>&1 || true
  timed "$1 again" "${@:2}"
  [ "$(field "$work/told" bytes)" = 0 ] || fail "$1 again moved bytes"
  echo "  $(echo "scale=1; 100 * $took / $first" | bc) % of the first"
  [ "$(echo "$took * 10 < $first" | bc)" = 1 ] || fail "$1 again took a tenth or more"
}
twice put put "$tree" /put
twice sync sync "file:$tree" /sync
timed get get /put "$work/back"
diff -r --no-dereference "$tree" "$work/back" > "$work/diff" || fail "what came back differs: $(head -1 "$work/diff")"
rm -rf "$work/back"
files=$(find "$tree" -type f | wc -l)
entries=$(find "$tree" ! -type d | wc -l)

stored() { "$dfsctl" find "$1" --type f -o name 2> /dev/null | grep -vc '/\.dfs-unfinished-' || true; }
interrupted() { # SIGNAL NAME COMMAND…: cut off when a third is there, then run again
  local signal=$1 name=$2 at=/$2-$1
  "$dfsctl" "${@:3}" "$at" > "$work/out" 2>&1 &
  local pid=$!
  while kill -0 $pid 2> /dev/null && [ "$(stored "$at")" -lt $((files / 3)) ]; do :; done
  kill "-$signal" $pid 2> /dev/null || fail "$name had ended before SIG$signal"
  local code=0
  wait $pid || code=$?
  # What was sent before may still come to be.
  local before now
  before=$(stored "$at")
  while now=$(stored "$at"); [ "$now" != "$before" ]; do before=$now; done
  timed "$name after SIG$signal (exit $code, $before files there)" "${@:3}" "$at"
  local moved
  moved=$(($(field "$work/told" files) + $(field "$work/told" symlinks)))
  [ $(($(field "$work/told" skipped_files) + moved)) = "$entries" ] || fail "$name: not all of $entries"
  [ "$(field "$work/told" skipped_files)" -ge "$before" ] || fail "$name: sent again what was stored"
  "$dfsctl" get -q "$at" "$work/back"
  diff -r --no-dereference "$tree" "$work/back" > "$work/diff" && echo "  equal" || fail "$name: $(head -1 "$work/diff")"
  rm -rf "$work/back"
}
for signal in INT KILL; do
  interrupted $signal put put "$tree"
  interrupted $signal sync sync "file:$tree"
done

# One large file: it goes on behind the last piece.
head -c 1500000000 /dev/urandom > "$work/large"
"$dfsctl" put -q "$work/large" /large > "$work/out" 2>&1 &
pid=$!
unfinished() { "$dfsctl" ls -l / 2> /dev/null | awk '/\.dfs-unfinished-/ { print $4 }'; }
while kill -0 $pid 2> /dev/null && [ "$(unfinished || true)" = "" ]; do :; done
kill -KILL $pid
wait $pid || true
kept=$(unfinished)
timed "a file of 1.5 GB after SIGKILL ($kept bytes kept)" put "$work/large" /large
[ $(($(field "$work/told" bytes) + kept)) -le 1500000000 ] || fail "bytes that were kept were sent again"
"$dfsctl" get -q /large "$work/large-back" && cmp "$work/large" "$work/large-back" && echo "  equal"
[ $failed = 0 ] && echo "all held"
exit $failed
