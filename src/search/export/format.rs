//! How records are written. In: rows. Out: bytes: a line of JSON each, in the shape of `/api/logs`, or rows of CSV below a header. Pure.

use super::cells;
use crate::search::row::Row;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Ndjson,
    /// With these columns behind those that are always there.
    Csv(Vec<Column>),
}

/// A column of values from the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Dotted.
    pub path: String,
}

impl Format {
    /// The columns that every CSV has.
    pub const HEADER: [&str; 10] = [
        "timestamp",
        "level",
        "resourceId",
        "message",
        "traceId",
        "spanId",
        "commit",
        "id",
        "clientId",
        "metadata",
    ];

    pub fn extension(&self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv(_) => "csv",
        }
    }

    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
        }
    }

    /// What stands before the first record.
    pub fn head(&self) -> Vec<u8> {
        match self {
            Self::Ndjson => Vec::new(),
            Self::Csv(columns) => {
                let names: Vec<String> = columns
                    .iter()
                    .map(|column| cells::safe(&format!("metadata.{}", column.path)).into_owned())
                    .collect();
                csv(|file| {
                    file.write_record(Self::HEADER.into_iter().chain(names.iter().map(String::as_str)))
                })
            }
        }
    }

    pub fn lines(&self, rows: &[Row]) -> Vec<u8> {
        match self {
            Self::Ndjson => {
                let mut out = Vec::new();
                for row in rows {
                    serde_json::to_writer(&mut out, row).expect("a row is JSON, and memory takes it");
                    out.push(b'\n');
                }
                out
            }
            Self::Csv(columns) => csv(|file| {
                rows.iter().try_for_each(|row| {
                    let cells = cells::of(row, columns);
                    file.write_record(cells.iter().map(|cell| cell.as_bytes()))
                })
            }),
        }
    }
}

/// RFC 4180: commas, CRLF, quotes where they are needed.
fn csv(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Vec<u8> {
    let mut file = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    write(&mut file).expect("every record has as many cells as the header, and memory takes it");
    file.into_inner().expect("memory takes it")
}
