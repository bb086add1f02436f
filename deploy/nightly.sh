#!/bin/sh
# One night's work in a container: a backup, the proof that it can be restored, the audit of the books. It does all that it can, and
# ends with 0 if all went well. In CHECK_DATABASE_URL the proof makes a database for as long as it takes.
set -u
backups=/var/backups/centwise
failed=0

newest() { ls "$backups"/centwise-*.tar | tail -n 1; }

if centwise backup "$backups" --keep 14; then
  CENTWISE_DATABASE_URL=${CHECK_DATABASE_URL:-$CENTWISE_DATABASE_URL} centwise restore --check "$(newest)" || failed=1
else
  failed=1
fi
centwise verify || failed=1
exit "$failed"
