#!/usr/bin/env bash
# Tests the adapter for Stripe against a peer that checks requests by the types of Stripe's official library, and signs
# with it (tests/contract/fake_stripe.py). Without a package index it is skipped, but never where CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=16.1.0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
if ! "$work/venv/bin/pip" install --quiet --disable-pip-version-check "stripe==$VERSION"; then
  if [ "${CI:-}" = true ]; then
    echo "Stripe's library cannot be installed" >&2
    exit 1
  fi
  echo "skipped: Stripe's library cannot be installed (no package index?)"
  exit 0
fi

CENTWISE_TEST_STRIPE_PYTHON="$work/venv/bin/python" PYTHONDONTWRITEBYTECODE=1 cargo test --workspace --locked -- peer_
