#!/usr/bin/env bash
# Installs what is missing, on Debian and its relatives: scripts/install.sh WHAT...
#   postgres   the server's programs (the product starts a private server from them)
#   build      C compiler, make and zlib headers, for the bundled Kafka client library
#   kafka      a Java runtime and Maven, which fetches Apache Kafka
#   chromium   Chromium and its driver, for the browser tests and the screenshot
#   k6         the load generator (through Go, into a cache folder)
# What is there already is left alone; without anything missing it needs neither root nor network.
set -euo pipefail

packages=()
reasons=()
k6_wanted=

want() { # want REASON PACKAGE...
  reasons+=("  $1: ${*:2}")
  packages+=("${@:2}")
}

has() { command -v "$1" >/dev/null 2>&1; }

has_server() {
  local file
  for file in "$(command -v postgres || true)" /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do
    [ -x "$file" ] && [ -x "$(dirname "$(readlink -f "$file")")/initdb" ] && return 0
  done
  return 1
}

java_is_new_enough() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${version:-0}" -ge 17 ]
}

for what in "$@"; do
  case $what in
    postgres) has_server || want "Postgres server, started privately below DATA_DIR" postgresql ;;
    build)
      { has cc && has c++ && has make && has pkg-config && [ -e /usr/include/zlib.h ]; } ||
        want "compiler and headers for the Kafka client library" build-essential pkg-config zlib1g-dev
      ;;
    kafka)
      { has java && java_is_new_enough; } || want "Java runtime for Apache Kafka" default-jre-headless
      has mvn || want "Maven, which fetches Apache Kafka" maven
      ;;
    chromium)
      { has chromium && has chromedriver; } || want "browser and driver for the page's tests" chromium chromium-driver
      ;;
    k6) k6_wanted=1 ;;
    *) echo "install.sh: unknown: $what (postgres, build, kafka, chromium, k6)" >&2; exit 2 ;;
  esac
done

if [ ${#packages[@]} -gt 0 ]; then
  echo "To be installed with apt-get:"
  printf '%s\n' "${reasons[@]}"
  if ! has apt-get; then
    echo "There is no apt-get here: please install the counterparts of these packages yourself, then start again." >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    has sudo || { echo "This needs root: run 'apt-get install ${packages[*]}' as root, then start again." >&2; exit 1; }
    as_root=(sudo)
  fi
  if [[ " ${packages[*]} " == *" postgresql "* ]]; then
    # Debian's package would make a cluster of its own and start it on port 5432; the product needs only the programs. Written
    # before the package that reads it, and only if nobody has decided otherwise.
    "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
    if [ ! -e /etc/postgresql-common/createcluster.d/log-ingestor.conf ]; then
      echo 'create_main_cluster = false' |
        "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/log-ingestor.conf >/dev/null
    fi
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

if [ -n "$k6_wanted" ] && ! has k6; then
  cache="${XDG_CACHE_HOME:-$HOME/.cache}/log-ingestor/bin"
  if [ ! -x "$cache/k6" ]; then
    has go || { echo "k6 is not installed: put it into PATH, or install Go (https://go.dev), which builds it." >&2; exit 1; }
    echo "Building k6 with Go into $cache (about three minutes, once)"
    mkdir -p "$cache"
    GOBIN="$cache" go install go.k6.io/k6@latest
  fi
fi
