//! The histogram of a day by the minute, each bucket compared with counts by SQL.

use std::{collections::HashMap, time::Duration};

use log_ingestor::record::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    case::Literal,
    records::{NEEDLES, RARE_WORDS, rare_resource},
    rounds::{COLUMNS, Mode, Rounds, first_cells},
    tables::{latency_cells, verdict},
    truth::{Minutes, Truth, Window},
};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// One filter, or none, with its counts by minute.
pub(crate) struct Known {
    name: &'static str,
    goal: f64,
    questions: Vec<(Literal, Window, usize)>,
}

pub(crate) struct Histograms {
    known: [Known; 2],
    minutes: Vec<Minutes>,
}

/// Windows of a day that end at whole minutes, and their counts.
pub(crate) async fn know(truth: &Truth<'_>, end: Timestamp) -> Histograms {
    let last = end.0.div_euclid(MINUTE) * MINUTE;
    let window = |minutes: i64| Window {
        from: Timestamp(last - minutes * MINUTE - DAY),
        to: Timestamp(last - minutes * MINUTE),
    };
    let rare = |at: u64| match at % 2 {
        0 => Literal::column("resourceId", "resource_id", &rare_resource(at)),
        _ => Literal::word(RARE_WORDS[at as usize]),
    };
    let mut literals = vec![Literal::all()];
    literals.extend((0..NEEDLES).map(rare));
    let unfiltered = (0..NEEDLES as i64).map(|at| (Literal::all(), window(at), 0)).collect();
    let filtered = (0..NEEDLES).map(|at| (rare(at), window(0), at as usize + 1)).collect();
    let predicates: Vec<_> = literals.iter().map(|literal| literal.truth.clone()).collect();
    let all = Window { from: window(NEEDLES as i64).from, to: end };
    let mut minutes = truth.minutes(&predicates[..1], all).await;
    minutes.extend(truth.minutes(&predicates[1..], all).await);
    let known = [
        Known { name: "histogram, 24 h by minute", goal: 10.0, questions: unfiltered },
        Known { name: "histogram, 24 h by minute, rare filter", goal: 50.0, questions: filtered },
    ];
    Histograms { known, minutes }
}

impl Rounds<'_> {
    pub(crate) async fn histograms(&mut self, histograms: &Histograms, mode: Mode<'_>) {
        for known in &histograms.known {
            let result = self.histogram(known, &histograms.minutes, mode).await;
            let cells = match result {
                Err(reason) => {
                    self.progress.say(&format!("{}: not available ({reason})", known.name));
                    let mut cells = vec![known.name.to_owned(), format!("not available ({reason})")];
                    cells.resize(COLUMNS.len(), String::new());
                    cells
                }
                Ok((mut latencies, first)) => {
                    let [first_p50, first_p95] = first_cells(&first);
                    latencies.sort_unstable();
                    let p95 = crate::client::percentile(&latencies, 0.95);
                    let goal = match mode {
                        Mode::Quiet => known.goal,
                        Mode::Live { quiet, .. } => {
                            quiet.get(known.name).map_or(f64::INFINITY, |quiet| quiet * 2.5)
                        }
                    };
                    self.p95.insert(known.name.to_owned(), p95);
                    let [p50, p95_text, max] = latency_cells(&latencies);
                    self.progress.say(&format!("{}: p50 {p50} ms, p95 {p95_text} ms", known.name));
                    let goal_text =
                        if goal.is_finite() { format!("{goal:.1}") } else { "no quiet figure".to_owned() };
                    vec![
                        known.name.to_owned(),
                        p50,
                        p95_text,
                        max,
                        goal_text,
                        verdict(p95 <= goal),
                        first_p50,
                        first_p95,
                        String::new(),
                        String::new(),
                    ]
                }
            };
            self.tables.row(&cells);
        }
    }

    /// Out: what each question took, and what it took the first time.
    async fn histogram(
        &mut self,
        known: &Known,
        minutes: &[Minutes],
        mode: Mode<'_>,
    ) -> Result<(Vec<Duration>, Vec<Duration>), String> {
        let mut first = Vec::new();
        for (literal, window, at) in &known.questions {
            let params = params(literal, *window);
            let text = match self.asker.get("/api/histogram", &params).await {
                Ok((200, body, took)) => {
                    first.push(took);
                    difference(&body, &minutes[*at], *window)
                }
                Ok((status @ (400 | 404), body, _)) => {
                    return Err(body["error"].as_str().unwrap_or(&status.to_string()).to_owned());
                }
                Ok((status, body, _)) => Some(format!("answered {status}: {body}")),
                Err(reason) => Some(reason),
            };
            if let Some(text) = text {
                self.tables.problem(self.progress, format!("{} {params:?}: {text}", known.name));
            }
        }
        let mut latencies = Vec::new();
        for _ in 0..self.settings.repeats {
            for (literal, window, _) in &known.questions {
                let window = match mode {
                    Mode::Quiet => *window,
                    Mode::Live { .. } => up_to_now(),
                };
                if let Ok((200, _, took)) = self.asker.get("/api/histogram", &params(literal, window)).await {
                    latencies.push(took);
                }
            }
        }
        Ok((latencies, first))
    }
}

/// The day that ends with the present minute, which is being written.
fn up_to_now() -> Window {
    let to = (Timestamp::now().0.div_euclid(MINUTE) + 1) * MINUTE;
    Window { from: Timestamp(to - DAY), to: Timestamp(to) }
}

fn params(literal: &Literal, window: Window) -> Vec<(String, String)> {
    let mut params = literal.params.clone();
    params.push(("from".to_owned(), window.from.to_string()));
    params.push(("to".to_owned(), window.to.to_string()));
    params.push(("bucket".to_owned(), "60s".to_owned()));
    params
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Histogram {
    bucket_seconds: u64,
    buckets: Vec<Bucket>,
    total: Total,
}

#[derive(Deserialize)]
struct Bucket {
    from: String,
    count: u64,
    #[serde(default)]
    levels: HashMap<String, u64>,
}

#[derive(Deserialize)]
struct Total {
    count: u64,
    is: String,
}

/// Where the answer leaves the truth; counts that say `atLeast` may be lower.
fn difference(body: &Value, minutes: &Minutes, window: Window) -> Option<String> {
    let histogram: Histogram = match serde_json::from_value(body.clone()) {
        Ok(histogram) => histogram,
        Err(error) => return Some(format!("unreadable: {error}")),
    };
    let within = |at: i64| (window.from.0..window.to.0).contains(&at);
    let mut left: Minutes =
        minutes.iter().filter(|((at, _), _)| within(*at)).map(|(key, count)| (key.clone(), *count)).collect();
    let all: u64 = left.values().sum();
    let is_exact = histogram.total.is == "exact";
    let is_wrong = |count: u64, truth: u64| count > truth || is_exact && count != truth;
    if is_wrong(histogram.total.count, all) {
        return Some(format!(
            "a total of {} ({}) instead of {all}",
            histogram.total.count, histogram.total.is
        ));
    }
    if histogram.bucket_seconds != 60 {
        return Some(format!("buckets of {} s", histogram.bucket_seconds));
    }
    for bucket in histogram.buckets {
        let Ok(from) = chrono::DateTime::parse_from_rfc3339(&bucket.from) else {
            return Some(format!("a bucket from {}", bucket.from));
        };
        for (level, &count) in &bucket.levels {
            let truth = left.remove(&(from.timestamp_micros(), level.clone())).unwrap_or(0);
            if is_wrong(count, truth) {
                return Some(format!("{} has {count} {level} instead of {truth}", bucket.from));
            }
        }
        let sum: u64 = bucket.levels.values().sum();
        if bucket.count != sum {
            return Some(format!("{} counts {} and its levels {sum}", bucket.from, bucket.count));
        }
    }
    let (key, count) = left.iter().next().filter(|_| is_exact)?;
    Some(format!("{} {}: {count} are missing", Timestamp(key.0), key.1))
}
