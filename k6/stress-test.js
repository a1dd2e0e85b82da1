// Eight users post NDJSON batches of 100 to 1,000 records while four search: newest page, filters, words, traces.
// STAGE_SCALE=0.05 shortens it for a quick look.
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";
import { base, failed, post, record, run, thresholds as limits } from "./records.js";

const scale = Number(__ENV.STAGE_SCALE || 1);
const duration = `${Math.max(3, Math.round(120 * scale))}s`;
const searchMs = new Trend("search_ms", true);
const searchesRefused = new Counter("refused_searches");

export const options = {
  scenarios: {
    batches: { executor: "constant-vus", vus: 8, duration, gracefulStop: "45s", exec: "batches" },
    searches: { executor: "constant-vus", vus: 4, duration, gracefulStop: "45s", exec: "searches" },
  },
  thresholds: limits,
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

export function batches() {
  const size = 100 + Math.floor(Math.random() * 901);
  const lines = Array.from({ length: size }, () => JSON.stringify(record()));
  post(lines.join("\n"), "application/x-ndjson");
}

const filters = [
  () => "",
  () => "level=error",
  () => "level=warn&level=fatal&from=7d",
  () => `resourceId=server-${Math.floor(Math.random() * 2000)}`,
  () => "message=connection%20from&limit=20",
  () => `metadata.parentResourceId=server-${Math.floor(Math.random() * 200)}`,
  () => `traceId=${Math.random().toString(16).slice(2)}`,
  () => `commit=${run}&limit=100`,
];

export function searches() {
  const filter = filters[Math.floor(Math.random() * filters.length)]();
  const answer = http.get(`${base}/api/logs?${filter}`, { timeout: "40s", tags: { name: "search" } });
  if (answer.status === 200) {
    searchMs.add(answer.timings.duration);
  } else if (answer.status === 503) {
    searchesRefused.add(1);
  } else {
    failed.add(1, { status: `search ${answer.status}` });
    console.error(`search ${filter}: ${answer.status} ${answer.error} ${String(answer.body).slice(0, 200)}`);
  }
}
