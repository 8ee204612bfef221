#!/usr/bin/env bash
# Runs the whole-system tests again on six processes behind Envoy, over Postgres. Expects the variables of test-env.sh.
# Left out: what starts a single process by itself, and the files that are large.
set -euo pipefail
cd "$(dirname "$0")/../.."

find_binary='
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "it" and "all-in-one" in message["package_id"]:
        print(message["executable"])
'
cargo build --locked --workspace --bins
binary=$(cargo test --locked --workspace --no-run --message-format=json 2>/dev/null | python3 -c "$find_binary")
PORTOLAN_TEST_FORM=six exec "$binary" postgres:: --skip kill:: --skip real_files:: "$@"
