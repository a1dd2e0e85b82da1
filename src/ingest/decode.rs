//! Request body to bytes. In: the payload stream and its Content-Encoding. Out: the inflated body, never more than the limit. What is
//! held is admitted against a budget for all requests together, so that a thousand large bodies cannot fill the memory.

use std::{io::Read, time::Duration};

use actix_web::{http::header::HeaderMap, web};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::error::IngestError;
use crate::queue::{Budget, Reservation};

/// A body must have arrived by then; no request may hang longer than 35 s, and storing takes up to 30.
const ARRIVAL_WAIT_MAX: Duration = Duration::from_secs(30);
/// An inflated body may be this much larger than what was sent, once it is over 1 MiB; gzip's own limit is 1,032.
const RATIO_MAX: usize = 1_000;
const RATIO_FREE_BYTES: usize = 1 << 20;
/// Largest window a zstd frame may ask for, as a power of two: 8 MiB, what RFC 8878 recommends decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const STEP_BYTES: usize = 64 << 10;

/// How the body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Encoding {
    /// Reads `Content-Encoding`; one encoding at a time.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, IngestError> {
        let Some(value) = headers.get("content-encoding") else { return Ok(Self::Identity) };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            other => Err(IngestError::UnsupportedEncoding(other.chars().take(64).collect())),
        }
    }
}

/// A body and the room it takes.
pub struct Body {
    pub bytes: Vec<u8>,
    pub reservation: Reservation,
}

/// Reads the whole body as it was sent, at most `bytes_max`.
pub async fn read(
    mut payload: web::Payload,
    length: Option<usize>,
    bytes_max: usize,
    budget: &Budget,
) -> Result<Body, IngestError> {
    let too_large =
        |seen: &str| IngestError::TooLarge(format!("a body has at most {bytes_max} bytes, got {seen}"));
    if let Some(length) = length.filter(|length| *length > bytes_max) {
        return Err(too_large(&length.to_string()));
    }
    let expected = length.unwrap_or(STEP_BYTES);
    let mut reservation = budget.reserve(expected).ok_or(IngestError::BODIES_FULL)?;
    let mut bytes = Vec::with_capacity(expected);
    let arrival = async {
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|error| IngestError::Malformed(format!("the body broke off: {error}")))?;
            if bytes.len() + chunk.len() > bytes_max {
                return Err(too_large("more"));
            }
            if !reservation.grow_to(bytes.len() + chunk.len()) {
                return Err(IngestError::BODIES_FULL);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    timeout(ARRIVAL_WAIT_MAX, arrival).await.map_err(|_| IngestError::TooSlow)??;
    Ok(Body { bytes, reservation })
}

/// Inflates a body in steps; stops at the limit, at a hostile ratio and when the budget is full.
pub fn inflate(body: Body, encoding: Encoding, bytes_max: usize) -> Result<Body, IngestError> {
    let Body { bytes: packed, reservation } = body;
    match encoding {
        Encoding::Identity => Ok(Body { bytes: packed, reservation }),
        Encoding::Gzip => {
            drain(flate2::read::MultiGzDecoder::new(&*packed), "gzip", &packed, reservation, bytes_max)
        }
        Encoding::Deflate => {
            // The standard means zlib's format; some clients send raw deflate (RFC 9110, section 8.4.1.2).
            let zlib = packed.len() >= 2
                && packed[0] & 0x0f == 8
                && (u16::from(packed[0]) << 8 | u16::from(packed[1])) % 31 == 0;
            let (body, read) = if zlib {
                let mut decoder = flate2::read::ZlibDecoder::new(&*packed);
                let body = drain(&mut decoder, "deflate", &packed, reservation, bytes_max)?;
                (body, decoder.total_in())
            } else {
                let mut decoder = flate2::read::DeflateDecoder::new(&*packed);
                let body = drain(&mut decoder, "deflate", &packed, reservation, bytes_max)?;
                (body, decoder.total_in())
            };
            match packed.len() as u64 - read {
                0 => Ok(body),
                rest => Err(IngestError::Malformed(format!("broken deflate: bytes behind its end: {rest}"))),
            }
        }
        Encoding::Zstd => {
            let broken = |error: std::io::Error| IngestError::Malformed(format!("broken zstd: {error}"));
            let mut decoder = zstd::Decoder::with_buffer(&*packed).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            drain(decoder, "zstd", &packed, reservation, bytes_max)
        }
    }
}

fn drain(
    mut decoder: impl Read,
    name: &str,
    packed: &[u8],
    mut reservation: Reservation,
    bytes_max: usize,
) -> Result<Body, IngestError> {
    if packed.is_empty() {
        return Err(IngestError::Malformed(format!("broken {name}: the body is empty")));
    }
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        let step = STEP_BYTES.min(bytes_max + 1 - start);
        if !reservation.grow_to(packed.len() + start + step) {
            return Err(IngestError::BODIES_FULL);
        }
        bytes.resize(start + step, 0);
        let count = decoder
            .read(&mut bytes[start..])
            .map_err(|error| IngestError::Malformed(format!("broken {name}: {error}")))?;
        bytes.truncate(start + count);
        if count == 0 {
            return Ok(Body { bytes, reservation });
        }
        if bytes.len() > bytes_max {
            return Err(IngestError::TooLarge(format!(
                "a body has at most {bytes_max} bytes after inflating, got more"
            )));
        }
        if bytes.len() > RATIO_FREE_BYTES && bytes.len() / RATIO_MAX > packed.len() {
            return Err(IngestError::TooLarge(format!("a body may inflate at most {RATIO_MAX}-fold")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn body(bytes: Vec<u8>) -> Body {
        let reservation = Budget::new(64 << 20, Default::default()).reserve(bytes.len()).unwrap();
        Body { bytes, reservation }
    }

    fn pack(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match encoding {
            Encoding::Identity => bytes.to_vec(),
            Encoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        }
    }

    const PACKED: [Encoding; 3] = [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd];

    #[test]
    fn what_was_packed_comes_back() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        for encoding in PACKED {
            let packed = pack(encoding, &text);
            assert_eq!(inflate(body(packed), encoding, 1 << 20).unwrap().bytes, text, "{encoding:?}");
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        for encoding in PACKED {
            let packed = pack(encoding, b"some text that is long enough to be packed, packed, packed");
            for length in 0..packed.len() {
                let outcome = inflate(body(packed[..length].to_vec()), encoding, 1 << 20);
                assert!(matches!(outcome, Err(IngestError::Malformed(_))), "{encoding:?} cut at {length}");
            }
        }
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        for encoding in PACKED {
            let packed = pack(encoding, &vec![0; 64 << 20]);
            let outcome = inflate(body(packed), encoding, 16 << 20);
            assert!(matches!(outcome, Err(IngestError::TooLarge(_))), "{encoding:?}");
        }
    }
}
