#!/bin/sh
# Runs a command with a private Postgres server for the tests:
#
#   deploy/dev/test-env.sh run cargo test --workspace
#
# The server listens on a free port of 127.0.0.1 without password, keeps its data in ./.local/postgres-* (or in a
# temporary directory when the postgres user cannot reach the checkout), syncs nothing to disk, and is stopped and
# removed when the command ends. The command finds it in PORTOLAN_TEST_POSTGRES and a Redis binary in
# PORTOLAN_TEST_REDIS_SERVER. Works as root (the server then runs as the user postgres) and as a normal user.
set -eu

log() { printf 'test-env: %s\n' "$*" >&2; }
die() { log "$*"; exit 1; }

# Postgres tools are not on the PATH on Debian: the newest version wins.
find_postgres() {
    for tools in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) ""; do
        [ -n "$tools" ] && [ -x "$tools/initdb" ] && { printf '%s\n' "$tools"; return 0; }
    done
    command -v initdb >/dev/null && dirname "$(command -v initdb)"
}

ensure_installed() {
    missing=""
    find_postgres >/dev/null || missing="postgresql"
    command -v redis-server >/dev/null || missing="$missing redis-server"
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        die "please install:$missing"
    fi
    log "installing $missing"
    # shellcheck disable=SC2086 # a list of packages
    apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
}

# The server refuses to run as root.
as_server() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# Stops servers whose script was killed before it could clean up.
remove_stale() {
    for stale in "$local_dir"/postgres-*; do
        [ -d "$stale" ] || continue
        kill -0 "${stale##*-}" 2>/dev/null || remove "$stale"
    done
}

remove() {
    if [ -f "$1/data/postmaster.pid" ]; then
        as_server "$postgres_bin/pg_ctl" -D "$1/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$1"
}

make_home() {
    home="$local_dir/postgres-$$"
    mkdir -p "$home"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$home"
        if ! runuser -u postgres -- test -w "$home"; then
            rmdir "$home"
            home=$(mktemp -d "${TMPDIR:-/tmp}/portolan-postgres-XXXXXX")
            chown postgres "$home"
        fi
    fi
}

# Binding happens later than this look, so the caller tries again when another program was faster.
free_port() {
    candidate=$(( 20000 + ($(od -An -N2 -tu2 /dev/urandom) % 20000) ))
    while as_server "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$candidate" 2>/dev/null; do
        candidate=$(( candidate + 1 ))
    done
    printf '%s\n' "$candidate"
}

start() {
    (
        cd "$home"
        as_server "$postgres_bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 \
            -D "$home/data" >"$home/initdb.log" 2>&1
    ) || { cat "$home/initdb.log" >&2; die "initdb failed"; }
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300"
        options="$options -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        (
            cd "$home"
            as_server "$postgres_bin/pg_ctl" -D "$home/data" -l "$home/data/server.log" -w -o "$options" start
        ) >/dev/null 2>&1 && return 0
    done
    cat "$home/data/server.log" >&2
    die "Postgres does not start"
}

finish() {
    status=$?
    trap - EXIT INT TERM HUP
    remove "$home"
    rmdir "$local_dir" 2>/dev/null || true
    exit "$status"
}

[ "${1:-}" = run ] && [ $# -ge 2 ] || die "usage: test-env.sh run COMMAND [ARGUMENT…]"
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
local_dir="$root/.local"
ensure_installed
postgres_bin=$(find_postgres)
remove_stale
make_home
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
start
log "Postgres on port $port"
PORTOLAN_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
PORTOLAN_TEST_REDIS_SERVER=$(command -v redis-server || true)
export PORTOLAN_TEST_POSTGRES PORTOLAN_TEST_REDIS_SERVER
"$@"
