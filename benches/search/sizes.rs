//! Scaling: the same three questions at several sizes, each time quiet and then while the load goes on. Of each kind there are a hundred, asked once and
//! then once more. All have as many hits at each size: the twenty rows of a rare word are among those that were loaded first.

use std::{ops::Range, time::Duration};

use crate::{
    ask::{Asker, Outcome},
    case::Literal,
    client::percentile,
    feed::{self, BATCH_RECORDS, Background},
    product::Product,
    progress::Progress,
    records::{RARE_PHRASE_ROWS, RARE_WORDS, Records},
    settings::Settings,
    tables::{Tables, grouped, verdict},
    write,
};

const TIMES_SMALLEST_MAX: f64 = 2.0;
const KINDS: [&str; 3] = ["newest page", "traceId", "rare word"];
const QUESTIONS: usize = 100;
/// One kind of question takes at most so long at one size.
const KIND_MAX: Duration = Duration::from_secs(20);

pub(crate) async fn run(settings: &Settings, tables: &mut Tables, progress: &Progress) {
    let product = Product::start(None).await;
    let largest = settings.sizes.iter().copied().max().unwrap_or(0);
    let first = settings.sizes.first().map_or(0, |size| size / BATCH_RECORDS * BATCH_RECORDS);
    let records = Records::spread(3, largest).rare_within(first);
    let maker = feed::maker(records);
    let mut loaded_tables = Tables::default();
    let mut asker = Asker::new(product.address());
    let mut smallest = [[None; KINDS.len()]; 2];
    let mut batch = 0;
    // What was loaded without gaps; a load that is stopped drops the requests that were made and not sent.
    let mut loaded = Vec::new();
    let columns = ["records", "question", "p50 ms", "p95 ms", "p95 × smallest", "goal", ""];
    tables.section("Size", &[&columns[..], &["first time p50 ms", "p95 ms"]].concat());
    for &size in &settings.sizes {
        let end = (size / BATCH_RECORDS).max(batch + 1);
        write::load(&product, &maker, batch..end, &mut loaded_tables, progress).await;
        loaded.push(batch * BATCH_RECORDS..end * BATCH_RECORDS);
        let mut measure = async |asker: &mut Asker, is_loading: bool| {
            let mut rows = Vec::new();
            for (at, name) in KINDS.into_iter().enumerate() {
                let first = latencies(asker, at, &records, &loaded, tables, progress).await;
                let latencies = latencies(asker, at, &records, &loaded, tables, progress).await;
                let p95 = percentile(&latencies, 0.95);
                let times = p95 / *smallest[usize::from(is_loading)][at].get_or_insert(p95);
                progress.say(&format!("{} records, {name}: p95 {p95:.1} ms", grouped(size)));
                rows.push([
                    String::new(),
                    name.to_owned(),
                    format!("{:.1}", percentile(&latencies, 0.5)),
                    format!("{p95:.1}"),
                    format!("{times:.2}"),
                    format!("≤ {TIMES_SMALLEST_MAX}×"),
                    verdict(times <= TIMES_SMALLEST_MAX),
                    format!("{:.1}", percentile(&first, 0.5)),
                    format!("{:.1}", percentile(&first, 0.95)),
                ]);
            }
            rows
        };
        let quiet = measure(&mut asker, false).await;
        let background = Background::start(product.address(), maker.clone(), end);
        let loading = measure(&mut asker, true).await;
        let fed = background.stop().await;
        batch = fed.next_batch;
        let of_quiet = grouped(size);
        let of_loading = format!("{of_quiet} growing to {}", grouped(size + fed.records));
        for (rows, records) in [(quiet, of_quiet), (loading, of_loading)] {
            for mut row in rows {
                row[0].clone_from(&records);
                tables.row(&row);
            }
        }
    }
    product.stop().await;
}

async fn latencies(
    asker: &mut Asker,
    kind: usize,
    records: &Records,
    loaded: &[Range<u64>],
    tables: &mut Tables,
    progress: &Progress,
) -> Vec<Duration> {
    let started = std::time::Instant::now();
    let mut latencies = Vec::new();
    for at in 0..QUESTIONS {
        let params = match kind {
            0 => Vec::new(),
            1 => vec![("traceId".to_owned(), trace_id(records, number(loaded, at)))],
            _ => Literal::word(RARE_WORDS[at % RARE_WORDS.len()]).params,
        };
        if started.elapsed() > KIND_MAX {
            break;
        }
        match asker.page(&params, KIND_MAX).await {
            // What has been loaded must be found.
            Outcome::Answer(answer) if !is_right(kind, answer.hits.len()) => {
                tables.problem(progress, format!("{params:?}: {} found", answer.hits.len()));
            }
            Outcome::Answer(answer) => latencies.push(answer.total),
            Outcome::NotAvailable(reason) | Outcome::Failed(reason) => {
                tables.problem(progress, format!("{params:?}: {reason}"));
            }
        }
    }
    latencies.sort_unstable();
    latencies
}

/// Rows of a rare word are the same at each size, hence as many.
fn is_right(kind: usize, hits: usize) -> bool {
    if kind == 2 { hits == RARE_PHRASE_ROWS as usize } else { hits > 0 }
}

/// Spread over everything that was loaded.
fn number(loaded: &[Range<u64>], at: usize) -> u64 {
    let range = &loaded[at % loaded.len()];
    range.start + (range.end - range.start) * at as u64 / QUESTIONS as u64
}

fn trace_id(records: &Records, number: u64) -> String {
    let mut json = String::new();
    records.write(number, &mut json);
    let record: serde_json::Value = serde_json::from_str(&json).expect("our own JSON");
    record["traceId"].as_str().expect("a trace").to_owned()
}
