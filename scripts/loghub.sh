#!/usr/bin/env bash
# Fetches samples of real logs for `make bench-search`: scripts/loghub.sh [FOLDER]
# https://github.com/logpai/loghub, 16 systems of 2,000 lines each; for research use, so they are no part of this repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder="${1:-${CARGO_TARGET_DIR:-target}/loghub}"
if [ -d "$folder/.git" ]; then
  echo "already there: $folder"
else
  git clone --depth 1 https://github.com/logpai/loghub "$folder"
fi
echo "BENCH_LOGS=$folder make bench-search"
