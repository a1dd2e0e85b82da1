#!/usr/bin/env bash
# make screenshot: docs/screenshot.png of the page with a day of sample records, from a private server that is gone afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/install.sh chromium
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh
export DATABASE_URL='' KAFKA_BROKERS=''
prepare

tmp=$(mktemp -d)
chmod 755 "$tmp" # the unprivileged user of Postgres must get through
export DATA_DIR="$tmp/data" LISTEN=127.0.0.1:${SCREENSHOT_PORT:-21323} RUST_LOG=warn
"$binary" >"$tmp/server.log" 2>&1 &
server=$!
cleanup() {
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" || true
  rm -rf "$tmp"
}
trap cleanup EXIT
for _ in {1..300}; do
  kill -0 "$server" 2>/dev/null || { cat "$tmp/server.log" >&2; exit 1; }
  curl -fsS "http://$LISTEN/readyz" >/dev/null 2>&1 && break
  sleep 0.1
done

# Four hundred records of the last hours; the newest ones tell a small story.
awk -v now="$(date +%s)" 'BEGIN {
  srand(7)
  split("info info info debug info warn info error trace info", level, " ")
  text["info"] = "GET /api/orders/8821 HTTP/1.1 200 in 18 ms"; text["debug"] = "Cache miss for key user:4711:profile, loading"
  text["warn"] = "Connection pool at 90 percent, 45 of 50 in use"; text["error"] = "Failed to connect to DB"
  text["trace"] = "enter OrderService.place(order=8821)"; text["fatal"] = "Out of memory: kill process 2133 (java)"
  for (i = 0; i < 400; i++) {
    l = (i == 3) ? "fatal" : level[int(rand() * 10) + 1]
    printf "{\"level\":\"%s\",\"message\":\"%s\",\"resourceId\":\"server-%d\",\"timestamp\":\"%s\",\"traceId\":\"trace-%05x\",\"spanId\":\"span-%d\",\"commit\":\"5e5342f\",\"metadata\":{\"parentResourceId\":\"server-%04d\"}}\n", \
      l, text[l], 1200 + rand() * 40, strftime("%Y-%m-%dT%H:%M:%SZ", now - i * 23, 1), rand() * 1048575, rand() * 999, 980 + rand() * 10
  }
}' >"$tmp/records.ndjson"
curl -fsS -H 'Content-Type: application/x-ndjson' --data-binary @"$tmp/records.ndjson" "http://$LISTEN/public/ingest" >/dev/null

sandbox=()
[ "$(id -u)" != 0 ] || sandbox=(--no-sandbox) # as root Chromium refuses its sandbox
mkdir -p docs
chromium --headless "${sandbox[@]}" --disable-gpu --hide-scrollbars --user-data-dir="$tmp/browser" --window-size=1280,800 \
  --virtual-time-budget=3000 --screenshot="$PWD/docs/screenshot.png" "http://$LISTEN/" >"$tmp/chromium.log" 2>&1 ||
  { cat "$tmp/chromium.log" >&2; exit 1; }
echo "docs/screenshot.png"
