#!/usr/bin/env bash
# Fails if anything linked into the program can be had only under the GPL or AGPL (or has no licence at all).
# scripts/check-licences.sh [FILE]: FILE instead of cargo's answer, for the check of this check.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

list() {
  if [ $# -gt 0 ]; then cat "$1"; else cargo tree --locked --prefix none -e normal,build --format '{l}|{p}' | sort -u; fi
}

# An expression is fine if one of its OR branches is free of GPL parts; a slash is the old way to write OR. Brackets are split off
# too, which can only make this stricter. LGPL code would be linked statically, hence counts as well.
list "$@" | awk -F'|' '
  { sub(/ \(\*\)$/, ""); expression = $1; gsub(/\//, " OR ", expression); n = split(expression, branches, / OR /); fine = 0
    for (i = 1; i <= n; i++) if (branches[i] ~ /[A-Za-z0-9]/ && branches[i] !~ /GPL/) fine = 1
    count++
    if (!fine) { print "not allowed: " $2 " is licensed under: " ($1 == "" ? "(nothing)" : $1); bad = 1 } }
  END { if (count == 0) { print "no dependencies seen"; exit 1 }
        if (!bad) print "licences of " count " packages: fine"
        exit bad }'
