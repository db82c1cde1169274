#!/usr/bin/env bash
# Kills the whole system with SIGKILL in the middle of a put of many files, N times at random moments; every file
# that was reported as stored must be there and equal, nothing half visible, and the put can simply be run again.
#   bench/acceptance/kill-during-put.sh [TREE] [N]      (needs target/release/dfsctl, or DFSCTL=path)
set -euo pipefail
tree=$(realpath "${1:-/usr/share}")
times=${2:-10}
dfsctl=${DFSCTL:-$(dirname "$0")/../../target/release/dfsctl}
work=$(mktemp -d)
export DFSCTL_CONFIG=$work/config.toml
trap '"$dfsctl" dev down --dir "$work/data" > "$work/down.txt" 2>&1 || true; rm -rf "$work"' EXIT
up() { "$dfsctl" dev up --dir "$work/data" --port 0 --detach > "$work/up.txt"; }
same() { if [ -L "$1" ]; then [ "$(readlink "$1")" = "$(readlink "$2")" ]; else cmp -s "$1" "$2"; fi; }
pid() { sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$work/data/dev.json"; }
for round in $(seq "$times"); do
  up
  "$dfsctl" put --progress json --timeout 5s "$tree" "/tree-$round" > "$work/out.txt" 2> "$work/put-$round.txt" &
  put=$!
  sleep "0.$((RANDOM % 90 + 10))"
  sleep "$((RANDOM % 2))"
  kill -9 "$(pid)"
  wait "$put" && outcome="finished before the kill" || outcome="cut off"
  up
  rm -rf "$work/back"
  "$dfsctl" get -q "/tree-$round" "$work/back" > "$work/get.txt" 2>&1 || true
  # What is visible is whole: no file there differs from its source.
  checked=0 wrong=0
  while IFS= read -r -d '' file; do
    checked=$((checked + 1))
    same "$file" "$tree/${file#"$work/back/"}" || { wrong=$((wrong + 1)); echo "differs: $file"; }
  done < <(find "$work/back" ! -type d -print0 2> /dev/null)
  # Files that progress had counted as stored when the kill came.
  reported=$(grep -o '"files":[0-9]*' "$work/put-$round.txt" | tail -1 | cut -d: -f2)
  echo "round $round: put $outcome; ${reported:-0} files reported as stored, $checked visible (symlinks too), $wrong differ"
  [ "$wrong" = 0 ] && [ "$checked" -ge "${reported:-0}" ] || exit 1
  "$dfsctl" rm -r -y -q "/tree-$round" > "$work/out.txt" 2>&1 || true
done
up
"$dfsctl" put -q "$tree" /tree
rm -rf "$work/back"
"$dfsctl" get -q /tree "$work/back"
diff -r --no-dereference "$tree" "$work/back" && echo "put again: equal"
