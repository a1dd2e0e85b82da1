#!/usr/bin/env bash
# make run-kafka: the same as make run, behind a real Apache Kafka on loopback whose data stays below DATA_DIR.
# KAFKA_PORT (9092) and KAFKA_CONTROLLER_PORT (the next one) choose other ports.
set -euo pipefail
# Started in the background by another script, bash would ignore SIGINT for good; the program itself does not.
[ -n "${SIGNALS_RESET:-}" ] || SIGNALS_RESET=1 exec env --default-signal=INT "$0" "$@"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh
prepare kafka
scripts/kafka.sh fetch >/dev/null

port=${KAFKA_PORT:-9092}
controller=${KAFKA_CONTROLLER_PORT:-$((port + 1))}
for p in "$port" "$controller"; do
  if (: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then
    echo "Port $p on 127.0.0.1 is taken: stop what listens there, or choose others with KAFKA_PORT and KAFKA_CONTROLLER_PORT." >&2
    exit 1
  fi
done

# Both run in sessions of their own, so a Ctrl-C in the terminal reaches only this script, which stops them in order: first the
# program, which still needs the broker to finish what it took, then the broker. setsid runs as a child of ours that execs.
data="${DATA_DIR:-./data}/kafka"
mkdir -p "$data"
setsid scripts/kafka.sh run "$data" "$port" "$controller" >>"$data/kafka.log" 2>&1 &
kafka=$!
echo "Apache Kafka starts on 127.0.0.1:$port (log in $data/kafka.log)"
KAFKA_BROKERS=127.0.0.1:$port setsid "$binary" &
app=$!

again=
trap 'again=1; kill -TERM "$app" 2>/dev/null || true' INT TERM HUP
# wait also returns when a trapped signal arrives: only the end of the program counts (127: waited for already).
code=0
while
  again=
  now=0
  wait "$app" || now=$?
  [ "$now" = 127 ] || code=$now
  [ -n "$again" ]
do :; done
kill -TERM "$kafka" 2>/dev/null || true
while kill -0 "$kafka" 2>/dev/null; do wait "$kafka" || true; done
exit "$code"
