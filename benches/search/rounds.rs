//! Runs cases over one connection: each literal once to warm up and to compare with the truth, then measured rounds. While a load goes on,
//! the measured questions are those that users ask, and the compared ones end where that load began.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use log_ingestor::record::Timestamp;

use crate::{
    ask::{Answer, Asker, FOLLOW_MAX, Hit, Outcome},
    case::{Case, Kind, Predicate},
    client::percentile,
    progress::Progress,
    settings::Settings,
    tables::{Tables, latency_cells, verdict},
    truth::{Truth, Window},
};

/// The measured rounds of one case end after so long, quiet and live; live rounds let the load grow.
const CASE_MAX: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(8)];
/// What is not found by then counts as so long.
const QUESTION_MAX: Duration = Duration::from_secs(10);
/// On top of a budget of 100 ms: the way there and back.
const FIRST_ANSWER_SLACK: f64 = 10.0;
const LIVE_TIMES_MAX: f64 = 2.5;
/// Milliseconds to read to the end: ten seconds for ten million records.
const SCAN_MS_PER_RECORD: f64 = 0.001;
pub(crate) const COLUMNS: [&str; 10] = [
    "case",
    "p50 ms",
    "p95 ms",
    "max ms",
    "goal p95",
    "",
    "first time p50 ms",
    "p95 ms",
    "rows read",
    "blocks read",
];

/// A case with the newest hits of each literal.
pub(crate) struct Known {
    pub(crate) case: Case,
    pub(crate) newest: Vec<Vec<Hit>>,
}

/// Looks up the truth of all cases together.
pub(crate) async fn know(
    truth: &Truth<'_>,
    cases: Vec<Case>,
    window: Window,
    settings: &Settings,
) -> Vec<Known> {
    let mut predicates = Vec::new();
    for case in &cases {
        for (at, literal) in case.literals.iter().enumerate() {
            let is_broken = at == 0 && settings.broken.as_deref() == Some(case.name);
            let predicate = literal.truth.clone();
            predicates.push(if is_broken { without_some(predicate) } else { predicate });
        }
    }
    let mut newest = truth.newest(&predicates, window).await.into_iter();
    let know = |case: Case| Known { newest: newest.by_ref().take(case.literals.len()).collect(), case };
    cases.into_iter().map(know).collect()
}

/// A wrong truth, for seeing that the benchmark notices.
fn without_some(predicate: Predicate) -> Predicate {
    predicate.and(&Predicate::new("hashtext(id::text) % 2 = 0", &[]))
}

/// p95 in milliseconds by the name of a row.
pub(crate) type Quiet = HashMap<String, f64>;

/// Whether something is written meanwhile.
#[derive(Clone, Copy)]
pub(crate) enum Mode<'a> {
    Quiet,
    /// Compared answers end at `bound`; goals are multiples of the quiet figures.
    Live {
        bound: Timestamp,
        quiet: &'a Quiet,
    },
}

/// What cases are run against.
pub(crate) struct Rounds<'a> {
    pub(crate) asker: Asker,
    pub(crate) settings: &'a Settings,
    pub(crate) progress: &'a Progress,
    pub(crate) tables: &'a mut Tables,
    pub(crate) records: u64,
    /// Result: p95 by row.
    pub(crate) p95: Quiet,
}

impl Rounds<'_> {
    pub(crate) async fn run(&mut self, title: &str, known: &[Known], mode: Mode<'_>) {
        self.progress.say(title);
        self.tables.section(title, &COLUMNS);
        for known in known {
            if let Err(reason) = self.case(known, mode).await {
                let mut cells = vec![known.case.name.to_owned(), format!("not available ({reason})")];
                cells.resize(COLUMNS.len(), String::new());
                self.tables.row(&cells);
            }
        }
    }

    async fn case(&mut self, known: &Known, mode: Mode<'_>) -> Result<(), String> {
        let case = &known.case;
        let step = if case.kind == Kind::Scan && matches!(mode, Mode::Live { .. }) { 3 } else { 1 };
        let mut compared = Samples::default();
        for (literal, newest) in case.literals.iter().zip(&known.newest).step_by(step) {
            let params = bounded(&literal.params, mode);
            let outcome = match case.kind {
                Kind::Page => self.asker.page(&params, FOLLOW_MAX).await,
                Kind::Scan => self.asker.exhaust(&params).await,
            };
            self.compare(case, &params, newest, &outcome);
            match outcome {
                Outcome::Answer(answer) => compared.push(answer.total, &answer),
                Outcome::NotAvailable(reason) => return Err(reason),
                Outcome::Failed(_) => {}
            }
            self.progress.now_and_then(|| case.name.to_owned());
        }
        let measured = self.measure(known, mode).await;
        match case.kind {
            Kind::Page => self.row(case.name, &measured, Some(&compared), case.goal, mode),
            Kind::Scan => {
                self.row(
                    &format!("{}: first answer", case.name),
                    &measured,
                    None,
                    case.goal + FIRST_ANSWER_SLACK,
                    mode,
                );
                let goal = (self.records as f64 * SCAN_MS_PER_RECORD).max(case.goal);
                self.row(&format!("{}: to the end", case.name), &compared, None, goal, mode);
            }
        }
        Ok(())
    }

    async fn measure(&mut self, Known { case, newest }: &Known, mode: Mode<'_>) -> Samples {
        let started = Instant::now();
        let mut samples = Samples::default();
        let case_max = CASE_MAX[usize::from(matches!(mode, Mode::Live { .. }))];
        // A case of one literal gets as many measurements as the others.
        let rounds = self.settings.repeats * (12 / case.literals.len().max(1)).max(1);
        for _ in 0..rounds {
            for (literal, newest) in case.literals.iter().zip(newest) {
                if started.elapsed() > case_max && !samples.latencies.is_empty() {
                    return samples;
                }
                let outcome = match case.kind {
                    Kind::Page => self.asker.page(&literal.params, QUESTION_MAX).await,
                    Kind::Scan => self.asker.first(&literal.params).await,
                };
                match outcome {
                    Outcome::Answer(answer) => {
                        samples.push(answer.total, &answer);
                        // What a partial answer has must be the newest there is.
                        if matches!(mode, Mode::Quiet) && !newest.starts_with(&answer.hits) {
                            self.compare(case, &literal.params, newest, &Outcome::Answer(answer));
                        }
                    }
                    Outcome::NotAvailable(reason) | Outcome::Failed(reason) => {
                        self.tables
                            .problem(self.progress, format!("{} {:?}: {reason}", case.name, literal.params));
                    }
                }
            }
        }
        samples
    }

    fn compare(&mut self, case: &Case, params: &[(String, String)], newest: &[Hit], outcome: &Outcome) {
        let text = match outcome {
            Outcome::NotAvailable(_) => return,
            Outcome::Failed(reason) => reason.clone(),
            Outcome::Answer(answer) => match difference(&answer.hits, newest) {
                None => return,
                Some(text) => text,
            },
        };
        self.tables.problem(self.progress, format!("{} {params:?}: {text}", case.name));
    }

    /// `first` is what each literal took before anything of it was in memory.
    fn row(&mut self, name: &str, samples: &Samples, first: Option<&Samples>, goal: f64, mode: Mode<'_>) {
        let mut latencies = samples.latencies.clone();
        latencies.sort_unstable();
        let p95 = percentile(&latencies, 0.95);
        self.p95.insert(name.to_owned(), p95);
        let (goal, is_met) = match mode {
            Mode::Quiet => (format!("{goal:.0}"), Some(p95 <= goal)),
            Mode::Live { quiet, .. } => match quiet.get(name) {
                Some(quiet) => (
                    format!("{:.1} ({:.1}×)", quiet * LIVE_TIMES_MAX, p95 / quiet),
                    Some(p95 <= quiet * LIVE_TIMES_MAX),
                ),
                None => ("no quiet figure".to_owned(), None),
            },
        };
        let mut cells = vec![name.to_owned()];
        cells.extend(latency_cells(&latencies));
        cells.extend([goal, is_met.map_or_else(String::new, verdict)]);
        cells.extend(first_cells(first.map_or(&[], |first| &first.latencies)));
        cells.extend([
            samples.mean(samples.rows_read),
            samples.blocks_read.map_or_else(String::new, |blocks| samples.mean(blocks)),
        ]);
        if samples.partial > 0 {
            cells[0] =
                format!("{name} ({} of {} answers were partial at first)", samples.partial, latencies.len());
        }
        self.progress
            .say(&format!("{}: p50 {} ms, p95 {} ms (goal {})", cells[0], cells[1], cells[2], cells[4]));
        self.tables.row(&cells);
    }
}

/// What the answers of one row cost.
#[derive(Default)]
struct Samples {
    latencies: Vec<Duration>,
    rows_read: u64,
    blocks_read: Option<u64>,
    partial: usize,
}

impl Samples {
    fn push(&mut self, latency: Duration, answer: &Answer) {
        self.latencies.push(latency);
        self.rows_read += answer.rows_read;
        if let Some(blocks) = answer.blocks_read {
            *self.blocks_read.get_or_insert(0) += blocks;
        }
        self.partial += usize::from(!answer.complete_at_once);
    }

    fn mean(&self, sum: u64) -> String {
        format!("{:.0}", sum as f64 / self.latencies.len().max(1) as f64)
    }
}

/// p50 and p95 of what questions took when they were asked for the first time, if they were.
pub(crate) fn first_cells(latencies: &[Duration]) -> [String; 2] {
    if latencies.is_empty() {
        return Default::default();
    }
    let mut latencies = latencies.to_vec();
    latencies.sort_unstable();
    let [p50, p95, _] = latency_cells(&latencies);
    [p50, p95]
}

/// Ends the question where the load began, unless it ends before.
pub(crate) fn bounded(params: &[(String, String)], mode: Mode<'_>) -> Vec<(String, String)> {
    let mut params = params.to_vec();
    if let Mode::Live { bound, .. } = mode
        && !params.iter().any(|(name, _)| name == "to")
    {
        params.push(("to".to_owned(), bound.to_string()));
    }
    params
}

/// Where the answer leaves the truth.
pub(crate) fn difference(hits: &[Hit], newest: &[Hit]) -> Option<String> {
    let at = (0..hits.len().max(newest.len())).find(|&at| hits.get(at) != newest.get(at))?;
    let show = |hit: Option<&Hit>| {
        hit.map_or("nothing".to_owned(), |(micros, id)| format!("{} {id}", Timestamp(*micros)))
    };
    Some(format!(
        "{} hits instead of {}; hit {at} is {} instead of {}",
        hits.len(),
        newest.len(),
        show(hits.get(at)),
        show(newest.get(at))
    ))
}
