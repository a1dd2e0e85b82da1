#!/usr/bin/env bash
# Runs a k6 script and then compares what the server accepted with what is stored: scripts/load.sh k6/spike-test.js
#   BASE_URL     a running server to use, which gets the test records; unset: a private one on a free port, gone afterwards
#   DATABASE_URL with BASE_URL: where to count the rows; unset: the server's own counters are compared (nobody else may write meanwhile)
#   KAFKA=1      without BASE_URL: the private server stands behind an Apache Kafka of its own
#   STAGE_SCALE  0.05 makes it a quick look
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
script=$1

scripts/install.sh k6
k6=$(command -v k6 || echo "${XDG_CACHE_HOME:-$HOME/.cache}/log-ingestor/bin/k6")
# 1,400 users are 1,400 connections; the usual soft limit is 1,024.
ulimit -n "$(ulimit -Hn)"

tmp=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || echo "the server ended with $?" >&2
  fi
  rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)) && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

RUN_ID="run-$(date +%s)-$$"
export RUN_ID
if [ -z "${BASE_URL:-}" ]; then
  # Built first, so that its time is not counted as the server's start. The counting needs a database of its own.
  # shellcheck source=scripts/prepare.sh
  . scripts/prepare.sh
  export DATABASE_URL=''
  prepare
  chmod 755 "$tmp" # the unprivileged user of Postgres must get through
  LISTEN=127.0.0.1:$(free_port)
  export LISTEN KAFKA_BROKERS='' DATA_DIR="$tmp/data" RUST_LOG="${RUST_LOG:-warn}"
  if [ -n "${KAFKA:-}" ]; then
    KAFKA_PORT=$(free_port) scripts/run-kafka.sh >"$tmp/server.log" 2>&1 &
  else
    "$binary" >"$tmp/server.log" 2>&1 &
  fi
  server=$!
  export BASE_URL=http://$LISTEN
  for _ in {1..600}; do
    kill -0 "$server" 2>/dev/null || { cat "$tmp/server.log" >&2; exit 1; }
    curl -fsS "$BASE_URL/readyz" >/dev/null 2>&1 && ready=1 && break
    sleep 0.1
  done
  [ -n "${ready:-}" ] || { cat "$tmp/server.log" >&2; echo "the server did not get ready" >&2; exit 1; }
  database="host=$DATA_DIR/socket user=log_ingestor dbname=logs"
else
  database=${DATABASE_URL:-}
fi

counter() { curl -fsS "$BASE_URL/metrics" | awk -v name="log_ingestor_$1_total" '$1 == name { print $2 }'; }
stored() {
  if [ -n "$database" ]; then
    psql "$database" -XAtqc "select count(*) from logs where \"commit\" = '$RUN_ID'"
  else
    echo $(($(counter stored_records) - before))
  fi
}
before=$([ -n "$database" ] || counter stored_records)

code=0
started=$SECONDS
"$k6" run --quiet --summary-export "$tmp/summary.json" "$script" || code=$?
accepted=$(sed -n '/"accepted_records"/,/}/s/.*"count": \([0-9]*\).*/\1/p' "$tmp/summary.json")
: "${accepted:=0}"

# Equal, and still equal two seconds later: a record stored twice would come after.
equal=0
for _ in {1..120}; do
  rows=$(stored)
  if [ "$rows" = "$accepted" ]; then equal=$((equal + 1)); else equal=0; fi
  if [ "$equal" = 3 ] || [ "$rows" -gt "$accepted" ]; then break; fi
  sleep 1
done
echo
echo "$script on $(nproc) cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), $((SECONDS - started)) s"
echo "accepted (k6): $accepted   stored: $rows"
if [ "$rows" != "$accepted" ]; then
  echo "DIFFERENCE: $((accepted - rows))" >&2
  [ ! -e "$tmp/server.log" ] || tail -n 20 "$tmp/server.log" >&2
  code=1
fi
[ "$code" = 0 ] || echo "failed" >&2
exit "$code"
