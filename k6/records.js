// Sample-like records for both load tests, and the count of what the server accepted.
import http from "k6/http";
import { Counter } from "k6/metrics";

export const base = (__ENV.BASE_URL || "http://127.0.0.1:1323").replace(/\/+$/, "");
// Stands in `commit` of every record, so exactly the records of this run can be counted in the database.
export const run = __ENV.RUN_ID || `run-${Date.now()}`;

// The truth to compare with: records that the server answered 202 for.
export const accepted = new Counter("accepted_records");
// "Try again later" is an honest answer under overload; such records are not accepted, and are not an error.
export const refused = new Counter("refused_requests");
// Anything else. thresholds: none allowed.
export const failed = new Counter("failed_requests");

export const thresholds = { failed_requests: ["count==0"], accepted_records: ["count>0"] };

const levels = ["trace", "debug", "info", "info", "info", "info", "warn", "error", "fatal"];
const messages = [
  "Failed to connect to DB",
  "Connection from 10.0.3.17 closed by peer after 3 requests",
  "GET /api/orders/8821?expand=lines HTTP/1.1 200 in 18 ms",
  "Cache miss for key user:4711:profile, loading",
  "java.lang.IllegalStateException: pool exhausted\n\tat com.shop.Pool.take(Pool.java:118)",
  "Payment 'P-99' accepted, Größe 12,50 €",
];
const year = 365 * 24 * 3600 * 1000;

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const hex = (digits) =>
  Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join("");

export function record() {
  return {
    level: pick(levels),
    message: pick(messages),
    resourceId: `server-${Math.floor(Math.random() * 2000)}`,
    timestamp: new Date(Date.now() - Math.random() * year).toISOString(),
    traceId: hex(16),
    spanId: `span-${Math.floor(Math.random() * 1000)}`,
    commit: run,
    metadata: { parentResourceId: `server-${Math.floor(Math.random() * 200)}` },
  };
}

export function post(body, type) {
  const answer = http.post(`${base}/public/ingest`, body, {
    headers: { "Content-Type": type },
    timeout: "40s",
    tags: { name: "ingest" },
  });
  if (answer.status === 202) {
    accepted.add(answer.json("accepted"));
    if (answer.json("rejectedTotal") > 0) failed.add(1, { status: "rejected" });
  } else if (answer.status === 503 && answer.json("stored") === "no") {
    refused.add(1);
  } else {
    // Among them `"stored":"unknown"`: it could not be counted either way.
    failed.add(1, { status: `${answer.status}` });
    console.error(`POST: ${answer.status} ${answer.error} ${String(answer.body).slice(0, 200)}`);
  }
  return answer;
}
