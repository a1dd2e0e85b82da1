# Sourced by run.sh and run-kafka.sh: settings, packages and the release build; sets `binary`.
# shellcheck shell=bash

# .env holds NAME=value lines, taken literally; what the environment sets already wins.
load_env() {
  local line name
  [ -f .env ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    [[ $line =~ ^[A-Z_]+= ]] || continue
    name=${line%%=*}
    [ -n "${!name+set}" ] || export "$line"
  done <.env
}

prepare() { # prepare WHAT...: further things for install.sh
  load_env
  # A connection is a file; the usual soft limit is 1,024.
  ulimit -n "$(ulimit -Hn)"
  local what=(build "$@")
  [ -n "${DATABASE_URL:-}" ] || what+=(postgres)
  scripts/install.sh "${what[@]}"
  cargo build --release --locked
  # shellcheck disable=SC2034 # used by who sources this
  binary=${CARGO_TARGET_DIR:-target}/release/log-ingestor
}
