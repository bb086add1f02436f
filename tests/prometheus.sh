#!/usr/bin/env bash
# Alarms and the dashboard of deploy/, as Prometheus itself reads them: the rules are checked and tested, a server is scraped, and
# every query of the rules runs without an error, every one of the dashboard with an answer. Without Prometheus it is skipped, but
# never where CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
  if [ "${CI:-}" = true ]; then
    echo "prometheus is not installed" >&2
    exit 1
  fi
  echo "skipped: prometheus is not installed"
  exit 0
fi
promtool check rules deploy/prometheus/centwise.rules.yml
promtool test rules deploy/prometheus/centwise.rules.test.yml

# The tests' own build of the program: the same command line, and nothing to build again after them.
cargo test --workspace --locked --no-run --quiet
binary="$PWD/${CARGO_TARGET_DIR:-target}/debug/centwise-under-test"
case "${CARGO_TARGET_DIR:-}" in /*) binary="$CARGO_TARGET_DIR/debug/centwise-under-test" ;; esac

work="$(mktemp -d)"
children=()
finish() {
  for child in "${children[@]}"; do
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT

mkdir "$work/backups"
CENTWISE_LOG=error "$binary" serve --demo --listen 127.0.0.1:0 --data-dir "$work/data" --backup-dir "$work/backups" \
  >"$work/out" 2>"$work/err" &
children+=($!)
for _ in $(seq 100); do
  grep -q '^listening on ' "$work/out" && break
  sleep 0.1
done
url="$(sed -n 's/^listening on //p' "$work/out")"
key="$(grep -o 'cw_[a-z0-9]*' "$work/out" | head -1)"
[ -n "$url" ] && [ -n "$key" ] || { echo "the server did not start" >&2; cat "$work/err" >&2; exit 1; }
"$binary" backup "$work/backups" --data-dir "$work/data"

post() { curl -fsS -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$url$1" -d "$2"; }
# Monitoring has a key that reads measures alone.
post /v1/api-keys '{"name":"monitoring","scope":"metrics_read"}' | grep -o 'cw_[a-z0-9]*' >"$work/key"
port=$((20000 + RANDOM % 20000))
sed -e "s#/etc/prometheus/centwise.key#$work/key#" -e "s#127.0.0.1:8080#${url#http://}#" -e 's/15s/1s/' \
  -e "s#centwise.rules.yml#$PWD/deploy/prometheus/centwise.rules.yml#" deploy/prometheus/prometheus.yml >"$work/prometheus.yml"
promtool check config "$work/prometheus.yml" >/dev/null
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$port" \
  --log.level=error >"$work/prometheus.log" 2>&1 &
children+=($!)

# Usage between two looks: rates have something to say. What waits is counted every 15 s.
for n in $(seq 20); do
  post /v1/usage-events '{"id":"measured-'"$n"'","customer":"acme-42","meter":"call","quantity":"60","at":"'"$(date -u -d '-10 min' +%FT%TZ)"'","destination":"+4930123456"}' >/dev/null
  sleep 1
done

python3 - "$port" <<'PYTHON'
import json
import re
import sys
import urllib.parse
import urllib.request


def ask(query):
    url = f"http://127.0.0.1:{sys.argv[1]}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{query}\n{error.read().decode()}")


queries = 0
for panel in json.load(open("deploy/grafana/centwise.json"))["panels"]:
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", "1m")
        found = ask(query)
        if not found or any(series["value"][1] == "NaN" for series in found):
            sys.exit(f"panel {panel['title']!r} has nothing to show: {query}: {found}")
        queries += 1
rules = json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/api/v1/rules"))["data"]["groups"]
rules = [rule for group in rules for rule in group["rules"]]
bad = [rule["name"] for rule in rules if rule["health"] == "err"]
firing = [rule["name"] for rule in rules if rule.get("state") == "firing"]
if not rules or bad or firing:
    sys.exit(f"{len(rules)} rules, with errors: {bad}, firing: {firing}")
print(f"{queries} queries of the dashboard have an answer, {len(rules)} rules no error")
PYTHON
