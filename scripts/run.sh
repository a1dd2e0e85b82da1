#!/usr/bin/env bash
# make run: installs what is missing, builds, starts. Everything else happens inside the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh
prepare
exec "$binary"
