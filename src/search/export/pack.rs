//! Puts bytes into pieces of a size that travels well, compressed if the client reads that. In: bytes. Out: pieces. Pure.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

const PIECE_BYTES: usize = 64 << 10;

pub enum Packer {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Packer {
    pub fn plain() -> Self {
        Self::Plain(Vec::new())
    }

    pub fn gzip() -> Self {
        Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// Takes bytes in; a piece comes out when there is enough for one.
    pub fn add(&mut self, bytes: &[u8]) -> Option<Bytes> {
        let ready = match self {
            Self::Plain(ready) => {
                ready.extend_from_slice(bytes);
                ready
            }
            Self::Gzip(encoder) => {
                encoder.write_all(bytes).expect("memory takes it");
                encoder.get_mut()
            }
        };
        (ready.len() >= PIECE_BYTES).then(|| Bytes::from(std::mem::take(ready)))
    }

    /// What is ready so far, so that the client sees something.
    pub fn flush(&mut self) -> Bytes {
        let ready = match self {
            Self::Plain(ready) => ready,
            Self::Gzip(encoder) => {
                encoder.flush().expect("memory takes it");
                encoder.get_mut()
            }
        };
        Bytes::from(std::mem::take(ready))
    }

    /// What is left; nothing can be added any more.
    pub fn finish(&mut self) -> Bytes {
        Bytes::from(match std::mem::replace(self, Self::plain()) {
            Self::Plain(ready) => ready,
            Self::Gzip(encoder) => encoder.finish().expect("memory takes it"),
        })
    }
}
