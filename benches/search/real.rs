//! Real, heterogeneous logs: how fast they load, what they take on disk, and searches for words, addresses and paths from their lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use crate::{
    ask::Asker,
    case::{Case, Literal},
    disk,
    feed::{BATCH_RECORDS, Maker},
    lines::Lines,
    product::Product,
    progress::Progress,
    rounds::{Mode, Quiet, Rounds, know},
    settings::Settings,
    tables::{Tables, grouped},
    truth::{Truth, Window},
    write,
};

const LITERALS: usize = 12;

pub(crate) async fn run(settings: &Settings, tables: &mut Tables, progress: &Progress) {
    let batches = settings.real_records.div_ceil(BATCH_RECORDS);
    let records = batches * BATCH_RECORDS;
    let Some(lines) = Lines::read(&settings.logs, records) else {
        progress.say("real logs: none; scripts/loghub.sh fetches some, or BENCH_LOGS names a folder");
        tables.note("## Real logs\n\nNot run: no text files in the folder of BENCH_LOGS.");
        return;
    };
    let lines = Arc::new(lines);
    let product = Product::start(None).await;
    let empty = disk::database_bytes(product.sql()).await;
    let line_bytes = Arc::new(Mutex::new(0));
    let mut loads = Tables::default();
    let fed =
        write::load(&product, &maker(lines.clone(), line_bytes.clone()), 0..batches, &mut loads, progress)
            .await;
    disk::report("Real logs: bytes on disk", product.sql(), empty, fed.json_bytes, tables).await;
    let distinct: usize = lines.files.iter().map(|file| file.entries.len()).sum();
    tables.note(&format!(
        "{} files with {} entries, used in turn and again until {} records were made; {} bytes of text. Loaded at {:.0} records/s.",
        lines.files.len(),
        grouped(distinct as u64),
        grouped(fed.records),
        grouped(*line_bytes.lock().expect("no maker panicked")),
        fed.records as f64 / fed.seconds
    ));
    let window = Window { from: lines.start(), to: lines.end };
    let truth = Truth::new(product.sql(), progress).await;
    let known = know(&truth, settings.cases(cases(&lines)), window, settings).await;
    let mut rounds = Rounds {
        asker: Asker::new(product.address()),
        settings,
        progress,
        tables,
        records: fed.records,
        p95: Quiet::new(),
    };
    rounds.run("Real logs: searches", &known, Mode::Quiet).await;
    product.stop().await;
}

fn maker(lines: Arc<Lines>, line_bytes: Arc<Mutex<u64>>) -> Maker {
    Arc::new(move |batch, body| {
        let mut bytes = 0;
        for number in batch * BATCH_RECORDS..(batch + 1) * BATCH_RECORDS {
            bytes += lines.write(number, body) as u64;
            body.push('\n');
        }
        *line_bytes.lock().expect("no maker panicked") += bytes;
        body.len() as u64 - BATCH_RECORDS
    })
}

fn cases(lines: &Lines) -> Vec<Case> {
    let entries: Vec<&str> =
        lines.files.iter().flat_map(|file| file.entries.iter().map(String::as_str)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        let words: BTreeSet<&str> =
            entry.split(|letter: char| !letter.is_ascii_alphabetic()).filter(|word| word.len() > 3).collect();
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let mut by_count: Vec<(&str, usize)> = counts.into_iter().collect();
    by_count.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let common: Vec<&str> = by_count.iter().take(LITERALS).map(|&(word, _)| word).collect();
    let rare: Vec<&str> =
        spread(by_count.iter().filter(|&&(_, count)| count == 1).map(|&(word, _)| word).collect());
    let absent: Vec<String> = common.iter().map(|word| word.chars().rev().collect()).collect();
    let words = |words: &[&str]| words.iter().map(|word| Literal::word(word)).collect::<Vec<_>>();
    let tokens = |is_wanted: &dyn Fn(&str) -> bool| {
        let all: BTreeSet<&str> =
            entries.iter().flat_map(|entry| entry.split(is_edge)).filter(|token| is_wanted(token)).collect();
        words(&spread(all.into_iter().collect()))
    };
    let files: Vec<Literal> =
        lines.files.iter().map(|file| Literal::column("resourceId", "resource_id", &file.name)).collect();
    let regex = |word: &&str| Literal::regex(&format!("{word}.*[0-9]"));
    let with_file = |(at, word): (usize, &&str)| files[at % files.len()].clone().and(Literal::word(word));
    let cases = vec![
        Case::page("newest page", 5.0, vec![Literal::all()]),
        Case::page("resource (a file)", 5.0, files.clone()),
        Case::page("common word", 5.0, words(&common)),
        Case::page("word of one line", 20.0, words(&rare)),
        Case::page(
            "absent word (a common one backwards)",
            20.0,
            absent.iter().map(|word| Literal::word(word)).collect(),
        ),
        Case::page(
            "substring with punctuation",
            20.0,
            words(&spread(entries.iter().filter_map(|entry| punctuated(entry)).collect())),
        ),
        Case::page("IP address", 20.0, tokens(&is_address)),
        Case::page(
            "path",
            20.0,
            tokens(&|token| token.starts_with('/') && token[1..].contains('/') && token.len() < 60),
        ),
        Case::page("resource + common word", 25.0, common.iter().enumerate().map(with_file).collect()),
        Case::page("regex with a literal", 100.0, rare.iter().map(regex).collect()),
        Case::scan("1-2 characters", words(&["e", ":", "zq", "q%", "~!", "9x"])),
    ];
    cases.into_iter().filter(|case| !case.literals.is_empty()).collect()
}

/// A dozen at even distances.
fn spread<T: Copy>(all: Vec<T>) -> Vec<T> {
    (0..LITERALS.min(all.len())).map(|at| all[at * all.len() / LITERALS.min(all.len())]).collect()
}

fn is_edge(letter: char) -> bool {
    letter.is_ascii_whitespace() || !letter.is_ascii() || ",;:()[]{}<>\"'=|?&".contains(letter)
}

fn is_address(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok())
}

/// About a dozen characters around the middle of a line, if they are ASCII and hold a word and a sign.
fn punctuated(entry: &str) -> Option<&str> {
    let middle = entry.len() / 2;
    let text = entry.get(middle.checked_sub(6)?..middle + 6)?;
    let has = |is_wanted: fn(&char) -> bool| text.chars().any(|letter| is_wanted(&letter));
    let is_good = text.is_ascii() && text.trim() == text && !text.contains(char::is_control);
    (is_good && has(char::is_ascii_punctuation) && has(char::is_ascii_alphabetic)).then_some(text)
}
