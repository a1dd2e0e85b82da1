//! Bodies as a whole: syntax, types, encodings, sizes, headers.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use serde_json::{Value, json};

use super::case::Case;
use crate::harness::{
    app::{JSON, NDJSON},
    records::{many, ndjson, sample, with},
};

const BODY_BYTES_MAX: usize = 16 << 20;
const REQUEST_RECORDS_MAX: usize = 20_000;

pub fn cases() -> Vec<Case> {
    [syntax(), lines(), encodings(), sizes(), headers()].into_iter().flatten().collect()
}

fn syntax() -> Vec<Case> {
    let good = sample().to_string();
    vec![
        Case::record("the sample record", &sample()).accepted(1),
        Case::json("an array of records", json!([sample(), sample()]).to_string()).accepted(2),
        Case::json("an empty body", "").refused(400),
        Case::json("blanks only", " \n\t ").refused(400),
        Case::json("an empty array", "[]").refused(400),
        Case::new("an empty NDJSON body", NDJSON, "").refused(400),
        Case::new("blank NDJSON lines only", NDJSON, "\n \n\r\n").refused(400),
        Case::json("an empty object", "{}").rejected(""),
        Case::json("no JSON", "hello").refused(400).says("line 1").says("column"),
        Case::json("a number", "42").rejected(""),
        Case::json("an array that ends too early", format!("[{good},\n{{\"level\":"))
            .refused(400)
            .says("line 2"),
        Case::json("an object that ends too early", &good[..good.len() - 1]).refused(400).says("line 1"),
        Case::json("a syntax error inside an array", format!("[{good},\n {{level}}]"))
            .refused(400)
            .says("line 2"),
        Case::json("text after the array", format!("[{good}] x")).refused(400),
        Case::json("a trailing comma", format!("[{good},]")).refused(400),
        Case::json("an array with a number in it", json!([42, sample()]).to_string()).mixed(1, &[(0, "")]),
        Case::json("an array in an array", json!([[sample()]]).to_string()).rejected(""),
        Case::json("an array with null in it", json!([sample(), null]).to_string()).mixed(1, &[(1, "")]),
        Case::json("a byte order mark", format!("\u{feff}{good}")).accepted(1),
        Case::json("blanks around it", format!(" \r\n {good} \n")).accepted(1),
        Case::json("a raw NUL byte in a string", good.replace("connect", "con\0nect")).refused(400),
        Case::json("a million open brackets", vec![b'['; 1_000_000]).refused(400),
        Case::json("all rejected", json!([{}, {}]).to_string()).all_rejected(&[(0, ""), (1, "")]),
        Case::json(
            "good and bad mixed",
            json!([with("level", json!("banana")), sample(), with("message", json!(""))]).to_string(),
        )
        .mixed(1, &[(0, "level"), (2, "message")]),
        many_rejected(),
    ]
}

/// The list names the first 100, the total all.
fn many_rejected() -> Case {
    let bad = vec![with("level", json!("banana")); 250];
    let body = ndjson(std::iter::once(sample()).chain(bad));
    let listed: Vec<_> = (1..=100).map(|index| (index, "level")).collect();
    Case::new("250 of 251 rejected", NDJSON, body).mixed(1, &listed).rejected_total(250)
}

fn lines() -> Vec<Case> {
    let good = sample().to_string();
    vec![
        Case::new("lines with CRLF", NDJSON, format!("{good}\r\n{good}\r\n")).accepted(2),
        Case::new("no newline at the end", NDJSON, format!("{good}\n{good}")).accepted(2),
        Case::new("NDJSON with a byte order mark", NDJSON, format!("\u{feff}{good}\n")).accepted(1),
        Case::new("concatenated objects", NDJSON, format!("{good}{good} {good}\n{good}")).accepted(4),
        Case::new("blank lines do not count", NDJSON, format!("\n{good}\n\n  \n{{\"a\"\n\n{good}\n"))
            .mixed(2, &[(1, "")]),
        Case::between("a broken line between good ones", b"{\"level\":").mixed(2, &[(1, "")]),
        Case::between("a line that is no JSON", b"Jan 1 00:00:00 host daemon: hello").mixed(2, &[(1, "")]),
        Case::between("a line that is a number", b"42").mixed(2, &[(1, "")]),
        Case::between("invalid UTF-8 in a line", &invalid(&good)).mixed(2, &[(1, "")]),
        Case::between("a raw NUL byte in a line", good.replace("DB", "\0").as_bytes()).mixed(2, &[(1, "")]),
        Case::new("nothing but broken lines", NDJSON, "{\n]\n").all_rejected(&[(0, ""), (1, "")]),
        Case::json("invalid UTF-8 in one record of an array", invalid(&format!("[{good},{good}]")))
            .mixed(1, &[(0, "")]),
    ]
}

/// The first `DB` replaced by two bytes that are no UTF-8.
fn invalid(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = text.find("DB").expect("the sample names a DB");
    bytes[at..at + 2].copy_from_slice(b"\xc3\x28");
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory can be written")
}

fn encodings() -> Vec<Case> {
    let good = ndjson(vec![sample(); 3]).into_bytes();
    let encoded = |name: &str, encoding: &str, body: Vec<u8>| {
        Case::new(name, NDJSON, body).header("content-encoding", encoding)
    };
    let cut = |body: Vec<u8>| body[..body.len() - 9].to_vec();
    let zeros = vec![b' '; 1 << 30];
    let (gzip_bomb, zstd_bomb) = (gzip(&zeros), zstd(&zeros));
    drop(zeros);
    vec![
        encoded("gzip", "gzip", gzip(&good)).accepted(3),
        encoded("zstd", "zstd", zstd(&good)).accepted(3),
        encoded("deflate (zlib)", "deflate", zlib(&good)).accepted(3),
        encoded("identity", "identity", good.clone()).accepted(3),
        encoded("GZIP in capitals", "GZIP", gzip(&good)).accepted(3),
        encoded("gzip in chunks", "gzip", gzip(&good)).chunked().accepted(3),
        encoded("an unknown encoding", "br", good.clone()).refused(415),
        encoded("what is not gzip", "gzip", good.clone()).refused(400),
        encoded("what is not zstd", "zstd", good.clone()).refused(400),
        encoded("what is not deflate", "deflate", vec![0xff; 100]).refused(400),
        encoded("gzip that ends too early", "gzip", cut(gzip(&good))).refused(400),
        encoded("zstd that ends too early", "zstd", cut(zstd(&good))).refused(400),
        encoded("deflate that ends too early", "deflate", cut(deflate(&good))).refused(400),
        encoded("deflate with bytes behind its end", "deflate", [deflate(&good), vec![7; 3]].concat())
            .refused(400)
            .says("behind its end: 3"),
        encoded("deflate (zlib) with a byte behind its end", "deflate", [zlib(&good), vec![7]].concat())
            .refused(400)
            .says("behind its end: 1"),
        encoded("a gzip bomb of 1 GiB", "gzip", gzip_bomb).refused(413),
        encoded("a zstd bomb of 1 GiB", "zstd", zstd_bomb).refused(413),
    ]
}

fn sizes() -> Vec<Case> {
    let padded = |bytes: usize| -> Vec<u8> {
        let mut body = sample().to_string().into_bytes();
        body.resize(bytes, b' ');
        body
    };
    vec![
        Case::json("a body of 16 MiB", padded(BODY_BYTES_MAX)).accepted(1),
        Case::json("a body of 16 MiB and a byte", padded(BODY_BYTES_MAX + 1)).refused(413),
        Case::json("the same in chunks", padded(BODY_BYTES_MAX + 1)).chunked().refused(413),
        Case::json("a declared length of 1 TiB", "x").declaring(1 << 40).refused(413),
        Case::new("20,000 records", NDJSON, many("limit", REQUEST_RECORDS_MAX)).accepted(REQUEST_RECORDS_MAX),
        Case::new("20,001 records", NDJSON, many("limit", REQUEST_RECORDS_MAX + 1)).refused(413),
        Case::json("an array of 20,001", Value::from(vec![json!({}); REQUEST_RECORDS_MAX + 1]).to_string())
            .refused(413),
    ]
}

fn headers() -> Vec<Case> {
    let good = sample().to_string();
    vec![
        Case::new("a type with a charset", "application/json; charset=utf-8", good.clone()).accepted(1),
        Case::new("a type in capitals", "Application/JSON", good.clone()).accepted(1),
        Case::new("an unknown type", "text/plain", good.clone()).refused(415),
        Case::new("a form", "application/x-www-form-urlencoded", "level=info").refused(415),
        Case::new("an empty key", JSON, good.clone()).header("idempotency-key", "").refused(400),
        Case::new("two keys", JSON, good.clone())
            .header("idempotency-key", "a")
            .header("idempotency-key", "b")
            .refused(400)
            .says("got 2"),
        Case::new("a key of 5,000 bytes", JSON, good.clone())
            .header("idempotency-key", "k".repeat(5_000))
            .refused(400),
        Case::new("an unknown word for `unknown`", JSON, good.clone()).query("unknown=maybe").refused(400),
        Case::new("two words for `unknown`", JSON, good.clone())
            .query("unknown=reject&unknown=keep")
            .refused(400),
        Case::new("an unknown parameter", JSON, good.clone()).query("colour=red").refused(400).says("colour"),
        Case::new("GET", "", "").method("GET").refused(405),
        Case::new("DELETE", "", "").method("DELETE").refused(405),
        Case::new("PUT", JSON, good).method("PUT").refused(405),
    ]
}
