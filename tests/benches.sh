#!/usr/bin/env bash
# Runs every benchmark for about a second, for its check alone: no time decides here.
# BENCH_SECS: how long each run of `centwise bench` measures.
set -euo pipefail
cd "$(dirname "$0")/.."

SECS="${BENCH_SECS:-1}"

# Outside `cargo bench`, criterion runs each bench once; the answers are asserted all the same.
cargo test --workspace --locked --quiet --bench '*'

# The tests' own build of the program: the same command line, and nothing to build again after them.
cargo test --workspace --locked --no-run --quiet
binary="$PWD/${CARGO_TARGET_DIR:-target}/debug/centwise-under-test"
case "${CARGO_TARGET_DIR:-}" in /*) binary="$CARGO_TARGET_DIR/debug/centwise-under-test" ;; esac

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

# One line of JSON, and the books say what was answered; the program's exit code says so as well.
bench() {
  local line
  line="$("$binary" bench "$@" --json)"
  printf '%s: %s\n' "$*" "$line"
  case "$line" in *'"events":0,'*) echo "nothing was measured" >&2; return 1 ;; esac
  case "$line" in *'"checked":true'*) ;; *) echo "the check failed" >&2; return 1 ;; esac
}

small=(--deck 2000 --tenants 500 --warm-up 0 --duration "$SECS")
bench rate --deck 2000 --tenants 500 --duration "$SECS"
bench ingest "${small[@]}"
bench ingest "${small[@]}" --batch 100 --mix one-root --zipf 1.1
bench ingest "${small[@]}" --batch 100 --rate 2000
bench single "${small[@]}"
bench authorize "${small[@]}"
bench balance "${small[@]}"

# What ten million events are by hand, in little: random ids over a journal that is not empty, step by step.
bench ingest "${small[@]}" --ids v4 --preload 200000 --series series.csv --series-step 1000
[ "$(head -1 series.csv)" = "events,seconds,events_per_s,p99_ms,rss_mb" ]
[ "$(wc -l <series.csv)" -gt 1 ]
