#!/bin/sh
# Twenty rounds of: load from several connections, kill -9, restart, resend what was not acknowledged,
# compare every balance with the answers, verify. Another number: KILL_ROUNDS=100 tests/kill_rounds.sh
set -eu
cd "$(dirname "$0")/.."
KILL_ROUNDS="${KILL_ROUNDS:-20}" cargo test --workspace --test suite -- --exact kill_rounds::nothing_acknowledged_is_lost_or_doubled --nocapture
