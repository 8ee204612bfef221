#!/usr/bin/env bash
# test-six.sh [MODULE [OPTION...]]: runs the whole-system tests again on six processes behind Envoy, over Postgres and
# Redis, built by Cargo with the options. Expects the variables of test-env.sh.
# Left out: cases that start processes of their own (edge, replicas, stale_grants, distributed, faults, operations,
# kill, trust, up_distributed, watched, front), that read the log of the one process, that speak gRPC past the edge (guards), or that name the client's
# address, which Envoy writes; the files that are large; and what is asked of one process alone
# (answers_fit_the_document).
set -euo pipefail
cd "$(dirname "$0")/../.."

find_binary='
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "it" and "all-in-one" in message["package_id"]:
        print(message["executable"])
'
# Building the tests builds the six binaries too, which stand in the same folder.
binary=$(cargo test --locked --workspace --no-run --message-format=json "${@:2}" 2>/dev/null | python3 -c "$find_binary")
skip=()
for name in kill:: real_files:: edge:: replicas:: stale_grants:: distributed:: faults:: operations:: guards:: front:: \
    trust:: up_distributed:: watched:: \
    documented::answers_fit_the_document \
    workato::secrets_are_kept_nowhere katapult::the_five_operations katapult::what_is_checked_at_each_use \
    api_keys::messages_reach_the_webhooks_of_an_account; do
    skip+=(--skip "$name")
done
export PORTOLAN__CACHE__URL="${PORTOLAN__CACHE__URL:-${PORTOLAN_TEST_REDIS:?names no Redis}}"
PORTOLAN_TEST_FORM=six exec "$binary" "postgres::${1:-}" "${skip[@]}"
