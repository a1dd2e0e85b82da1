#!/usr/bin/env bash
# make screenshot: docs/screenshot.png and docs/screens/*.png of the pages with three hours of sample records, from a private server
# that is gone afterwards.
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
driver_port=$((${SCREENSHOT_PORT:-21323} + 1))
webdriver=http://127.0.0.1:$driver_port
"$binary" >"$tmp/server.log" 2>&1 &
server=$!
driver=
cleanup() {
  [ -z "$driver" ] || kill -TERM "$driver" 2>/dev/null || true
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
awk -v now="$(date +%s)" -f scripts/samples.awk >"$tmp/records.ndjson"
curl -fsS -H 'Content-Type: application/x-ndjson' --data-binary @"$tmp/records.ndjson" "http://$LISTEN/public/ingest" >/dev/null

# The browser is told what to do in WebDriver's words, which are JSON over HTTP.
chromedriver --port="$driver_port" >"$tmp/chromedriver.log" 2>&1 &
driver=$!
for _ in {1..100}; do
  curl -fsS "$webdriver/status" >/dev/null 2>&1 && break
  sleep 0.1
done
tell() { # tell PATH JSON
  curl -fsS -H 'Content-Type: application/json' --data "$2" "$webdriver/$1"
}
sandbox=
[ "$(id -u)" != 0 ] || sandbox='"--no-sandbox",' # as root Chromium refuses its sandbox
session=$(tell session "{\"capabilities\":{\"alwaysMatch\":{\"goog:chromeOptions\":{\"args\":[\"--headless\",$sandbox\"--disable-gpu\",\"--hide-scrollbars\",\"--user-data-dir=$tmp/browser\"]}}}}" |
  sed -n 's/.*"sessionId":"\([^"]*\)".*/\1/p')
[ -n "$session" ] || { cat "$tmp/chromedriver.log" >&2; exit 1; }
in_browser() { # in_browser COMMAND PARAMETERS, of the DevTools protocol
  tell "session/$session/goog/cdp/execute" "{\"cmd\":\"$1\",\"params\":$2}" >/dev/null
}
window() { # window WIDTH HEIGHT SCALE
  in_browser Emulation.setDeviceMetricsOverride "{\"width\":$1,\"height\":$2,\"deviceScaleFactor\":$3,\"mobile\":false}"
}
colours() { # colours light|dark
  in_browser Emulation.setEmulatedMedia "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"$1\"}]}"
}
take() { # take FILE PATH [SCRIPT]: the picture of a page, after the script has run in it
  tell "session/$session/url" "{\"url\":\"http://$LISTEN$2\"}" >/dev/null
  tell "session/$session/execute/sync" "{\"script\":\"${3:-}\",\"args\":[]}" >/dev/null
  curl -fsS "$webdriver/session/$session/screenshot" | sed 's/^{"value":"//; s/"}$//' | base64 -d >"docs/$1"
  echo "docs/$1"
}

mkdir -p docs/screens
story='/?from=3h&q=-path%3A%2Fhealth+level%3E%3Dinfo'
trace=4bf92f3577b34da6a3ce929d0e0e4736
record=$(curl -fsS "http://$LISTEN/api/logs?traceId=$trace&level=error&resourceId=payment&limit=1" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
colours light
window 1280 860 1
take screenshot.png "$story"
take screens/expanded.png "/?from=3h&q=level%3Aerror+resourceId%3Apayment" "document.querySelector('.row > .text').click(); return new Promise(done => { const look = () => document.querySelector('.opened') ? done(document.querySelector('.row').scrollIntoView({block: 'center'})) : setTimeout(look, 20); look(); })"
take screens/trace.png "/traces/$trace"
take screens/context.png "/logs/$record/context"
take screens/empty.png "/?from=3h&q=level%3Afatal+resourceId%3Amail"
take screens/error.png "/?from=3h&q=timeout+%28level%3Abanana+or+status%3E500%29"
colours dark
take screens/dark.png "$story"
colours light
window 390 844 2
take screens/phone.png "/?from=3h&q=level%3E%3Dwarn"
tell "session/$session/url" '{"url":"about:blank"}' >/dev/null
curl -fsS -X DELETE "$webdriver/session/$session" >/dev/null
