//! The table of cases over the made records. In: the records, to take literals from. Out: every case with at least ten literals, except
//! the newest page, of which there is one.

use log_ingestor::record::Timestamp;
use serde_json::Value;

use crate::{
    case::{Case, Literal, Predicate},
    records::{FATAL_WORDS, NEEDLES, RARE_WORDS, Records, SCARCE_WORDS, rare_commit, rare_resource},
};

const COMMON_WORDS: [&str; NEEDLES as usize] = [
    "gateway",
    "timed out",
    "Payment",
    "after",
    "req ",
    "worker thread",
    "REJECTED",
    "the audit trail",
    "session",
    "peer 10.",
    "scheduler",
    "Retried",
];
/// Of words that are everywhere, but never side by side.
const STRANGE_PAIRS: [&str; NEEDLES as usize] = [
    "payment session",
    "upstream pool",
    "search gateway",
    "mail thread",
    "billing token",
    "image broker",
    "audit map",
    "feature limiter",
    "rate trail",
    "config index",
    "order relay",
    "database flag",
];
const ABSENT_WORDS: [&str; NEEDLES as usize] = [
    "unobtainium",
    "flibbertigibbet",
    "snollygoster",
    "bumfuzzle",
    "cattywampus",
    "gardyloo",
    "taradiddle",
    "widdershins",
    "collywobbles",
    "gubbins",
    "abibliophobia",
    "nudiustertian",
];
/// Of at most two characters: common ones and ones that hardly occur.
const SHORT_WORDS: [&str; NEEDLES as usize] =
    ["e", "ms", "10", "to", "(r", "7", "zq", "qx", "~", "jq", "#", "vv"];
/// Without three literal characters in a row: common ones, rare ones, absent ones.
const BARE_REGEXES: [&str; NEEDLES as usize] = [
    "[0-9]{3} .s",
    "[a-f]{3}[0-9]",
    "^[qr]e",
    "a.b.c.d",
    "^.o.n",
    "[0-9a-f]{8}-[0-9a-f]{4}",
    "[xyz]{4}[0-9]",
    "[0-9]{13}",
    "[q-z]{9}",
    "^[^ ]+$",
    "[G-Z]{2}",
    "(aa|bb|cc){4}",
];

pub(crate) fn all(records: &Records, total: u64) -> Vec<Case> {
    let samples = samples(records, total);
    let each = |make: &dyn Fn(&Value) -> Literal| samples.iter().map(make).collect::<Vec<_>>();
    let numbered = |make: &dyn Fn(u64) -> Literal| (0..NEEDLES).map(make).collect::<Vec<_>>();
    let words = |words: &[&str]| words.iter().map(|word| Literal::word(word)).collect::<Vec<_>>();
    let rare = |at| Literal::column("resourceId", "resource_id", &rare_resource(at));
    let text = |record: &Value, field: &str| record[field].as_str().expect("a text").to_owned();
    let word_of = |words: &[&str; NEEDLES as usize], at: u64| Literal::word(words[at as usize]);
    let mut cases = vec![
        Case::page("newest page", 5.0, vec![Literal::all()]),
        Case::page("a page back in time (`to`)", 5.0, numbered(&|at| page_at(records, total, at))),
        Case::page("level", 5.0, levels()),
        Case::page("common resource", 5.0, numbered(&|at| server(at))),
        Case::page("common word", 5.0, words(&COMMON_WORDS)),
        Case::page(
            "traceId",
            8.0,
            each(&|record| Literal::column("traceId", "trace_id", &text(record, "traceId"))),
        ),
        Case::page(
            "spanId",
            8.0,
            each(&|record| Literal::column("spanId", "span_id", &text(record, "spanId"))),
        ),
        Case::page("metadata.userId", 8.0, each(&user)),
        Case::page("metadata.user.id (nested)", 8.0, each(&nested_user)),
        Case::page("metadata.parentResourceId", 8.0, each(&parent)),
        Case::page(
            "metadata.http_status, common",
            8.0,
            numbered(&|at| status([200, 404, 500, 201, 204, 301][at as usize % 6])),
        ),
        Case::page("rare word (20 rows)", 20.0, words(&RARE_WORDS)),
        Case::page(
            "rare phrase (20 rows)",
            20.0,
            numbered(&|at| Literal::word(&format!("{} lattice", RARE_WORDS[at as usize]))),
        ),
        Case::page("word in one of 20,000 rows", 20.0, words(&SCARCE_WORDS)),
        Case::page("rare resource", 20.0, numbered(&rare)),
        Case::page(
            "rare commit",
            20.0,
            numbered(&|at| Literal::column("commit", "\"commit\"", &rare_commit(at))),
        ),
        Case::page("UUID prefix", 20.0, uuids(records, total)),
        Case::page(
            "IP address",
            20.0,
            each(&|record| Literal::word(between(&text(record, "message"), "peer ", &[',', ')']))),
        ),
        Case::page("a whole message, pasted", 20.0, each(&|record| Literal::word(&text(record, "message")))),
        Case::page("absent word", 20.0, words(&ABSENT_WORDS)),
        Case::page("absent phrase of common words", 20.0, words(&STRANGE_PAIRS)),
    ];
    cases.extend([
        Case::page(
            "common word + rare resource",
            25.0,
            numbered(&|at| word_of(&COMMON_WORDS, at).and(rare(at))),
        ),
        Case::page("fatal + rare resource", 25.0, numbered(&|at| Literal::level("fatal").and(rare(at)))),
        Case::page(
            "error + common word",
            25.0,
            numbered(&|at| Literal::level("error").and(word_of(&COMMON_WORDS, at))),
        ),
        Case::page("env + rare resource", 25.0, numbered(&|at| staging().and(rare(at)))),
        Case::page(
            "debug + word only in fatal",
            25.0,
            numbered(&|at| Literal::level("debug").and(word_of(&FATAL_WORDS, at))),
        ),
        Case::page("regex with a literal", 100.0, regexes()),
        Case::scan("1-2 characters", words(&SHORT_WORDS)),
        Case::scan(
            "regex without a literal",
            BARE_REGEXES.iter().map(|regex| Literal::regex(regex)).collect(),
        ),
    ]);
    cases.extend(lines());
    cases
}

/// The same questions as query lines.
fn lines() -> Vec<Case> {
    let each = |make: &dyn Fn(u64) -> Literal| (0..NEEDLES).map(make).collect::<Vec<_>>();
    let rare = |at: u64| RARE_WORDS[at as usize];
    vec![
        Case::page("q: rare word", 20.0, each(&|at| Literal::word(rare(at)).asked_as(rare(at)))),
        Case::page(
            "q: phrase",
            20.0,
            each(&|at| {
                let phrase = format!("{} lattice", rare(at));
                Literal::word(&phrase).asked_as(&format!("\"{phrase}\""))
            }),
        ),
        Case::page(
            "q: field, not level, word",
            25.0,
            each(&|at| {
                let resource = rare_resource(at);
                let line = format!("resourceId:{resource} and not level:info after");
                let without_info = Predicate::new("level <> $", &["info"]);
                let without_info = Literal::new("", "", without_info.clone(), without_info);
                let all = Literal::column("resourceId", "resource_id", &resource).and(without_info);
                all.and(Literal::word("after")).asked_as(&line)
            }),
        ),
        Case::page(
            "q: either of two rare words",
            25.0,
            each(&|at| {
                let (one, other) = (rare(at), rare((at + 5) % NEEDLES));
                let mut either = Literal::word(one);
                let second = Literal::word(other);
                let join = |one: &Predicate, other: &Predicate| Predicate {
                    sql: format!("({}) or ({})", one.sql, other.sql),
                    values: [&one.values[..], &other.values[..]].concat(),
                };
                either.truth = join(&either.truth, &second.truth);
                either.plain = join(&either.plain, &second.plain);
                either.asked_as(&format!("{one} or {other}"))
            }),
        ),
        Case::page("q: /regex/ with a literal", 100.0, {
            let regexes = crate::cases::regexes();
            regexes
                .into_iter()
                .map(|literal| {
                    let line = format!("/{}/", literal.params[0].1);
                    literal.asked_as(&line)
                })
                .collect()
        }),
    ]
}

/// Records at even distances, not the newest.
fn samples(records: &Records, total: u64) -> Vec<Value> {
    (0..NEEDLES).map(|at| record(records, (2 * at + 1) * total / (2 * NEEDLES))).collect()
}

fn record(records: &Records, number: u64) -> Value {
    let mut json = String::new();
    records.write(number, &mut json);
    serde_json::from_str(&json).expect("our own JSON")
}

/// Ten seconds are enough for fifty rows, so the truth need not look at all that is older.
fn page_at(records: &Records, total: u64, at: u64) -> Literal {
    let to = records.micros((at + 1) * total / (NEEDLES + 1));
    let text = Timestamp(to).to_string();
    let from = Timestamp(to - 10_000_000).to_string();
    let truth = "timestamp < $::timestamptz and timestamp >= $::timestamptz";
    Literal::new(
        "to",
        &text,
        Predicate::new(truth, &[&text, &from]),
        Predicate::new("timestamp < $::timestamptz", &[&text]),
    )
}

fn levels() -> Vec<Literal> {
    let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
    let pairs = [
        ("error", "fatal"),
        ("warn", "error"),
        ("debug", "fatal"),
        ("trace", "fatal"),
        ("trace", "warn"),
        ("info", "warn"),
    ];
    let pair = |(one, other): (&str, &str)| {
        let both = Predicate::new("level in ($, $)", &[one, other]);
        let mut literal = Literal::new("level", one, both.clone(), both);
        literal.params.push(("level".to_owned(), other.to_owned()));
        literal
    };
    levels.into_iter().map(Literal::level).chain(pairs.into_iter().map(pair)).collect()
}

fn server(at: u64) -> Literal {
    Literal::column("resourceId", "resource_id", &format!("srv-{at:04}"))
}

fn user(record: &Value) -> Literal {
    let user = record["metadata"]["userId"].to_string();
    Literal::metadata("userId", "user_id", &user, &format!("{{\"userId\":{user}}}"))
}

fn nested_user(record: &Value) -> Literal {
    let user = record["metadata"]["user"]["id"].as_str().expect("a text");
    Literal::metadata("user.id", "nested_user_id", user, &format!("{{\"user\":{{\"id\":\"{user}\"}}}}"))
}

fn parent(record: &Value) -> Literal {
    let parent = record["metadata"]["parentResourceId"].as_str().expect("a text");
    Literal::metadata(
        "parentResourceId",
        "parent_id",
        parent,
        &format!("{{\"parentResourceId\":\"{parent}\"}}"),
    )
}

fn status(code: u64) -> Literal {
    Literal::metadata("http_status", "http_status", &code.to_string(), &format!("{{\"http_status\":{code}}}"))
}

fn staging() -> Literal {
    Literal::metadata("env", "env", "staging", "{\"env\":\"staging\"}")
}

/// The first eight digits of a UUID in a message.
fn uuids(records: &Records, total: u64) -> Vec<Literal> {
    let messages = (0..total).step_by((total / 800).max(1) as usize).map(|number| record(records, number));
    let prefix = |record: Value| {
        let message = record["message"].as_str()?;
        message.split_once("session ").filter(|_| message.contains(", session"))?;
        Some(Literal::word(between(message, ", session ", &['-'])))
    };
    messages.filter_map(prefix).take(NEEDLES as usize).collect()
}

fn between<'a>(text: &'a str, front: &str, ends: &[char]) -> &'a str {
    let rest = text.split_once(front).map_or("", |(_, rest)| rest);
    rest.split(ends).next().unwrap_or("")
}

fn regexes() -> Vec<Literal> {
    let things =
        ["payment gateway", "user session", "database pool", "order service", "audit trail", "mail relay"];
    let common = things.iter().map(|thing| Literal::regex(&format!("{thing} after 49[0-9][0-9] ms")));
    let rare = RARE_WORDS.iter().take(6).map(|word| Literal::regex(&format!("req [0-9a-f]+, .*{word}")));
    common.chain(rare).collect()
}
