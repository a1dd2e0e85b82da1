//! Records from the lines of real logs. In: a folder of text files. Out: records of all files in turn, spread over an hour that ends now;
//! when a file is used up it begins again, with other numbers: k is added to the last digits of each run of four or more in round k.

use std::{fmt::Write, path::Path};

use log_ingestor::record::Timestamp;

const HOUR_MICROS: i64 = 3_600_000_000;
/// Of one file; what is longer is cut.
const FILE_BYTES_MAX: usize = 64 << 20;
/// Of one record, in bytes: the product takes 64 KiB.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

pub(crate) struct File {
    pub(crate) name: String,
    /// A line, or a line with the stack trace below it.
    pub(crate) entries: Vec<String>,
}

pub(crate) struct Lines {
    pub(crate) files: Vec<File>,
    total: u64,
    pub(crate) end: Timestamp,
}

impl Lines {
    /// None if there are no text files.
    pub(crate) fn read(folder: &Path, total: u64) -> Option<Self> {
        let mut files = Vec::new();
        collect(folder, &mut files);
        files.sort_by(|one: &File, other: &File| one.name.cmp(&other.name));
        let now = Timestamp::now();
        (!files.is_empty()).then_some(Self { files, total, end: Timestamp(now.0 + 1) })
    }

    /// Nothing is older.
    pub(crate) fn start(&self) -> Timestamp {
        Timestamp(self.end.0 - 1 - HOUR_MICROS)
    }

    /// Appends record `number` as JSON; returns the bytes of its line.
    pub(crate) fn write(&self, number: u64, json: &mut String) -> usize {
        let files = self.files.len() as u64;
        let file = &self.files[(number % files) as usize];
        let entries = file.entries.len() as u64;
        let (at, round) = (number / files % entries, number / files / entries);
        let entry = &file.entries[at as usize];
        let message = if round == 0 { entry.clone() } else { renumbered(entry, round) };
        let quoted = serde_json::to_string(&message).expect("a text");
        let micros = self.start().0 + (HOUR_MICROS as f64 * (number + 1) as f64 / self.total as f64) as i64;
        let _ = write!(
            json,
            "{{\"level\":\"{}\",\"message\":{quoted},\"resourceId\":\"{}\",\"timestamp\":\"{}\",\"metadata\":{{\"file\":\"{}\",\"line\":{}}}}}",
            level(entry),
            file.name,
            Timestamp(micros),
            file.name,
            at + 1
        );
        message.len()
    }
}

/// Files that end in `.log`, and other text files if there are none.
fn collect(folder: &Path, files: &mut Vec<File>) {
    let mut paths: Vec<_> = walk(folder);
    if paths.iter().any(|path| path.extension().is_some_and(|end| end == "log")) {
        paths.retain(|path| path.extension().is_some_and(|end| end == "log"));
    }
    for path in paths {
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        bytes.truncate(FILE_BYTES_MAX);
        if bytes.iter().take(4_096).any(|&byte| byte == 0) {
            continue;
        }
        let entries = entries(&String::from_utf8_lossy(&bytes));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_plain =
            name.chars().all(|letter| letter.is_ascii_graphic() && letter != '"' && letter != '\\');
        if !entries.is_empty() && is_plain {
            files.push(File { name, entries });
        }
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => paths.extend(walk(&path)),
            Ok(kind) if kind.is_file() => paths.push(path),
            _ => {}
        }
    }
    paths
}

/// Lines that begin with blanks, `at ` or `Caused by` belong to the line above.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        let goes_on = [" ", "\t", "at ", "Caused by"].iter().any(|front| line.starts_with(front));
        match entries.last_mut() {
            Some(last) if goes_on && last.len() + line.len() < MESSAGE_BYTES_MAX => {
                last.push('\n');
                last.push_str(line);
            }
            _ if line.trim().is_empty() || line.len() > MESSAGE_BYTES_MAX => {}
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

fn level(line: &str) -> &'static str {
    let low = line.to_ascii_lowercase();
    let words = [
        ("fatal", "fatal"),
        ("panic", "fatal"),
        ("error", "error"),
        ("exception", "error"),
        ("fail", "error"),
        ("warn", "warn"),
        ("debug", "debug"),
        ("trace", "trace"),
    ];
    words.iter().find(|(word, _)| low.contains(word)).map_or("info", |(_, level)| level)
}

/// Times, process numbers and ids move on; addresses and short numbers stay.
fn renumbered(line: &str, round: u64) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let end =
            rest[start..].find(|letter: char| !letter.is_ascii_digit()).map_or(rest.len(), |len| start + len);
        let digits = &rest[start..end];
        out.push_str(&rest[..start]);
        if digits.len() >= 4 {
            let (front, last) = digits.split_at(digits.len() - 4);
            let last: u64 = last.parse().expect("digits");
            let _ = write!(out, "{front}{:04}", (last + round) % 10_000);
        } else {
            out.push_str(digits);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}
