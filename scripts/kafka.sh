#!/usr/bin/env bash
# A real Apache Kafka (KRaft, one broker) on loopback, from Maven Central, without containers.
#   scripts/kafka.sh fetch                              installs what is missing and prints the folder of the jars
#   scripts/kafka.sh run DATA_DIR PORT CONTROLLER_PORT  in the foreground until a signal comes; data stays in DATA_DIR
#   scripts/kafka.sh tool PORT CLASS [ARGUMENT...]      a command-line program, e.g. tool 9092 TopicCommand --list
set -euo pipefail

version=4.1.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Quiet: warnings and errors only.
java=(java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showThreadName=false
  -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss)
libs="${XDG_CACHE_HOME:-$HOME/.cache}/log-ingestor/kafka-$version"

fetch() {
  if [ ! -d "$libs" ]; then
    "$here/install.sh" kafka >&2
    echo "Fetching Apache Kafka $version from Maven Central into $libs (about 60 MB, once)" >&2
    mkdir -p "$(dirname "$libs")"
    local tmp
    tmp=$(mktemp -d "$libs.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    # The pom is copied: Maven would write its own folder beside it.
    cp "$here/kafka-pom.xml" "$tmp/pom.xml"
    mvn -q -B -f "$tmp/pom.xml" "-Dkafka.version=$version" dependency:copy-dependencies \
      -DincludeScope=runtime "-DoutputDirectory=$tmp/libs" >&2
    # Whole or not at all; who lost a race against another fetch uses the winner's.
    mv -T "$tmp/libs" "$libs" 2>/dev/null || [ -d "$libs" ]
    rm -rf "$tmp"
    trap - EXIT
  fi
  "$here/install.sh" kafka >&2 # the jars may be older than this machine's Java
}

run() {
  local data=$1 port=$2 controller=$3
  mkdir -p "$data"
  data=$(cd "$data" && pwd)
  # Ports may differ from start to start, so nothing but the log folder depends on the data.
  cat >"$data/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$data/log
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
P
  if [ ! -e "$data/log/meta.properties" ]; then
    local id
    id=$("${java[@]}" -cp "$libs/*" kafka.tools.StorageTool random-uuid)
    # -g: a format that was killed half-way is repeated
    "${java[@]}" -cp "$libs/*" kafka.tools.StorageTool format -g -t "$id" -c "$data/server.properties" >/dev/null
  fi
  # exec: signals reach the broker itself, which closes its logs in order
  # Native libraries are unpacked below the data, not into the system's folder, where a killed broker would leave them.
  rm -rf "$data/tmp"
  mkdir "$data/tmp"
  exec "${java[@]}" -Xms512m -Xmx512m -XX:+UseG1GC -XX:-UsePerfData "-Djava.io.tmpdir=$data/tmp" -Djava.awt.headless=true -cp "$libs/*" kafka.Kafka "$data/server.properties"
}

tool() {
  local port=$1 class=$2
  exec "${java[@]}" -cp "$libs/*" "org.apache.kafka.tools.$class" --bootstrap-server "127.0.0.1:$port" "${@:3}"
}

case "${1:-}:$#" in
  fetch:1) fetch; echo "$libs" ;;
  run:4) fetch; run "${@:2}" ;;
  tool:[3-9] | tool:1[0-9]) fetch; tool "${@:2}" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
