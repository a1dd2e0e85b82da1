// 100 users, all at once 1,400, then 100 again: each posts single records as fast as answers come, timestamps over a year.
// STAGE_SCALE=0.05 shortens all stages for a quick look.
import { post, record, thresholds as limits } from "./records.js";

const scale = Number(__ENV.STAGE_SCALE || 1);
const stage = (seconds, target) => ({ duration: `${Math.max(1, Math.round(seconds * scale))}s`, target });

export const options = {
  scenarios: {
    spike: {
      executor: "ramping-vus",
      startVUs: 0,
      stages: [
        stage(10, 100),
        stage(30, 100),
        stage(10, 1400),
        stage(60, 1400),
        stage(10, 100),
        stage(60, 100),
        stage(10, 0),
      ],
      // The last answers are waited for: an aborted request could not be counted.
      gracefulRampDown: "45s",
      gracefulStop: "45s",
    },
  },
  thresholds: limits,
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

export default function () {
  post(JSON.stringify(record()), "application/json");
}
