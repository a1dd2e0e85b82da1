# Three hours of a small shop, as NDJSON: awk -v now="$(date +%s)" -f scripts/samples.awk
# Ordinary traffic of six services; an incident of the payment service fifty minutes ago; a release forty minutes ago that ends it.

function at(t) { return strftime("%Y-%m-%dT%H:%M:%S", int(t), 1) sprintf(".%06dZ", (t - int(t)) * 1000000) }
function pick(list, n) { n = split(list, picked, "|"); return picked[int(rand() * n) + 1] }
function hex(digits, text) { for (text = ""; length(text) < digits;) text = text sprintf("%x", rand() * 16); return text }

function emit(t, level, resource, message, trace, span, metadata) {
  printf "{\"timestamp\":\"%s\",\"level\":\"%s\",\"resourceId\":\"%s\",\"message\":\"%s\",\"commit\":\"%s\"", at(t), level, resource, message, t < release ? "5e5342f" : "b41d7e9"
  if (trace) printf ",\"traceId\":\"%s\",\"spanId\":\"%s\"", trace, span
  printf ",\"metadata\":{%s\"region\":\"eu-west-1\",\"pod\":\"%s-%s\"}}\n", metadata ? metadata "," : "", resource, t < release ? "7c9f6" : "84d1b"
}

# One span with a log at its begin and one at its end.
function span(t, ms, level, resource, parent, from, to, path,   id) {
  id = hex(16)
  emit(t, "debug", resource, from, trace, id, (parent ? "\"parentSpanId\":\"" parent "\"," : "") "\"path\":\"" path "\"")
  emit(t + ms / 1000, level, resource, to, trace, id, (parent ? "\"parentSpanId\":\"" parent "\"," : "") "\"path\":\"" path "\",\"duration_ms\":" ms)
  return id
}

function checkout(t, fails,   root, api, cart, pay, user, order) {
  user = int(rand() * 900) + 100; order = int(rand() * 90000) + 10000; slow = fails ? 2004 : 60 + int(rand() * 90)
  root = span(t, 190 + slow, fails ? "error" : "info", "gateway", "", "POST /api/checkout from 10.4." int(rand() * 20) "." int(rand() * 250), \
    fails ? "POST /api/checkout 502 in " 190 + slow " ms" : "POST /api/checkout 201 in " 190 + slow " ms", "/api/checkout")
  api = span(t + .004, 180 + slow, fails ? "error" : "info", "checkout", root, "Checkout of order " order " begins", \
    fails ? "Checkout of order " order " failed: payment did not answer" : "Order " order " placed, see https://shop.example/orders/" order, "/api/checkout")
  span(t + .007, 9, "debug", "auth", api, "Verifying token of user " user, "Token of user " user " is valid for 42 minutes", "/verify")
  cart = span(t + .019, 38, "info", "cart", api, "Loading the cart of user " user, "Cart of user " user ": 3 items, 84.90 EUR", "/cart/" user)
  span(t + .024, 21, "debug", "orders-db", cart, "select item, amount from cart where user_id = $1", "3 rows in 21 ms", "")
  span(t + .061, 44, "info", "inventory", api, "Reserving 3 items", "Reserved 3 items in warehouse B2", "/reserve")
  pay = span(t + .108, slow, fails ? "error" : "info", "payment", api, "Charging 84.90 EUR to card *4711", \
    fails ? trouble : "Charged 84.90 EUR, receipt https://pay.example/r/" hex(8), "/charge")
  span(t + .113, slow - 12, fails ? "warn" : "debug", "payment", pay, "POST https://bank.example/v2/charges", \
    fails ? "No answer from bank.example within 2000 ms, giving up after 3 tries" : "201 from bank.example", "/v2/charges")
  if (!fails) span(t + .12 + slow / 1000, 31, "info", "mailer", api, "Mail queued for order " order, "Mail sent for order " order, "/mail")
}

BEGIN {
  srand(7)
  release = now - 2400
  trouble = "java.net.SocketTimeoutException: Read timed out\\n\\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)\\n\\tat java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:304)\\n\\tat java.base/java.net.Socket$SocketInputStream.read(Socket.java:1099)\\n\\tat org.apache.http.impl.io.SessionInputBufferImpl.fillBuffer(SessionInputBufferImpl.java:153)\\n\\tat org.apache.http.impl.execchain.MainClientExec.execute(MainClientExec.java:272)\\n\\tat com.example.payment.BankClient.charge(BankClient.java:88)\\n\\tat com.example.payment.ChargeService.charge(ChargeService.java:41)\\n\\tat com.example.payment.ChargeController.post(ChargeController.java:29)\\n\\tat org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1072)\\n\\tat org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:885)\\nCaused by: com.example.net.PoolExhausted: 50 of 50 connections to bank.example are in use\\n\\tat com.example.net.Pool.take(Pool.java:117)\\n\\tat com.example.net.Pool.with(Pool.java:64)\\n\\t... 8 more"
  for (t = now - 10800; t < now - 4; t += 2 + rand() * 5) {
    incident = t > now - 3300 && t < release
    kind = rand()
    if (kind < .12) { trace = hex(32); checkout(t, incident && rand() < .6) }
    else if (kind < .50) emit(t, "info", "gateway", "GET " pick("/|/products/8812|/products/117|/search?q=lamp|/cart|/static/app.css") " " pick("200|200|200|200|304|404") " in " int(rand() * 60 + 4) " ms", "", "", "\"path\":\"/products\",\"status\":200,\"bytes\":" int(rand() * 40000))
    else if (kind < .62) emit(t, "debug", "gateway", "GET /health 200 in 1 ms", "", "", "\"path\":\"/health\",\"status\":200")
    else if (kind < .72) emit(t, "debug", "orders-db", "checkpoint complete: wrote " int(rand() * 900) " buffers in " int(rand() * 9) "." int(rand() * 10) " s", "", "", "\"buffers\":" int(rand() * 900))
    else if (kind < .80) emit(t, "trace", "cart", "cache " pick("hit|hit|hit|miss") " for product:" int(rand() * 9000), "", "", "\"cache\":{\"size\":" int(rand() * 9000) ",\"ttl_s\":300}")
    else if (kind < .86) emit(t, "info", "mailer", "\\u001b[32m✔\\u001b[0m delivered \\u001b[1mreceipt\\u001b[0m in \\u001b[36m" int(rand() * 400) " ms\\u001b[0m, queue " int(rand() * 12), "", "", "\"queue\":{\"length\":" int(rand() * 12) "}")
    else if (kind < .90) emit(t, "warn", "inventory", "Stock of product " int(rand() * 9000) " is low: " int(rand() * 4) " left", "", "", "\"stock\":" int(rand() * 4))
    else if (kind < .93 || incident && kind < .97) emit(t, "warn", "payment", "Connection pool at " (incident ? 98 : 71) " percent, " (incident ? 49 : 35) " of 50 in use", "", "", "\"pool\":{\"used\":" (incident ? 49 : 35) ",\"max\":50}")
    else if (kind < .945) emit(t, "error", "mailer", "\\u001b[31;1mERROR\\u001b[0m mailbox of user " int(rand() * 900) " is full, next try in 15 min", "", "", "\"try\":2")
  }
  # The trace of the pictures, and what ends the incident.
  trace = "4bf92f3577b34da6a3ce929d0e0e4736"; checkout(release - 90, 1)
  emit(release - 30, "fatal", "payment", "Out of memory: killed process 2133 (java), 3.9 GiB resident", "", "", "\"signal\":9")
  emit(release + 2, "info", "payment", "payment b41d7e9 listens on 0.0.0.0:8443, started in 3.2 s, see http://10.4.7.11:9090/metrics", "", "", "\"port\":8443")
  trace = hex(32); checkout(now - 3, 0)
}
