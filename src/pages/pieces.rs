//! A page in pieces. In: its text, as it is written. Out: an answer whose first pieces are on their way while the rest is still written, so
//! that the browser has something to do meanwhile. When the reader leaves, writing fails.

use std::{
    fmt,
    io::{self, Write},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use tokio::sync::mpsc::{self, UnboundedSender};

use super::{answer, assets::takes_gzip};

/// Bytes of HTML of a piece; the first is smaller, to come soon.
const FIRST_BYTES: usize = 8 << 10;
const PIECE_BYTES: usize = 128 << 10;

/// Takes a page as it is written. One that is dropped before its end breaks the answer off.
pub struct Pieces {
    html: String,
    /// Bytes of the present piece.
    full: usize,
    gzip: Option<GzEncoder<Vec<u8>>>,
    is_whole: bool,
    sent: UnboundedSender<io::Result<Bytes>>,
}

/// The answer, and what takes its page. A reader who is slow holds up nobody: what was written waits in memory.
pub fn open(request: &HttpRequest) -> (Pieces, HttpResponse) {
    let mut answer = answer::page_of(StatusCode::OK);
    let gzip = takes_gzip(request).then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    if gzip.is_some() {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    let (sent, taken) = mpsc::unbounded_channel();
    let pieces = Pieces { html: String::new(), full: FIRST_BYTES, gzip, is_whole: false, sent };
    let answer = answer.streaming(stream::unfold(taken, |mut taken| async move {
        let piece = taken.recv().await?;
        Some((piece, taken))
    }));
    (pieces, answer)
}

impl fmt::Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text).map_err(|_| fmt::Error)
    }
}

impl Pieces {
    /// Returns when the reader has left.
    pub fn reader_left(&self) -> impl Future<Output = ()> + use<> {
        let sent = self.sent.clone();
        async move { sent.closed().await }
    }

    /// Takes a text as it is.
    pub fn add(&mut self, text: &str) -> io::Result<()> {
        self.html.push_str(text);
        if self.html.len() >= self.full { self.send() } else { Ok(()) }
    }

    /// Sends what was written so far, in a way that the browser can show it.
    pub fn send(&mut self) -> io::Result<()> {
        self.full = PIECE_BYTES;
        let html = std::mem::take(&mut self.html).into_bytes();
        let piece = match &mut self.gzip {
            None => html,
            Some(gzip) => {
                gzip.write_all(&html)?;
                gzip.flush()?;
                std::mem::take(gzip.get_mut())
            }
        };
        self.give(piece)
    }

    /// The page is whole.
    pub fn end(mut self) -> io::Result<()> {
        let html = std::mem::take(&mut self.html).into_bytes();
        let rest = match self.gzip.take() {
            None => html,
            Some(mut gzip) => {
                gzip.write_all(&html)?;
                gzip.finish()?
            }
        };
        self.give(rest)?;
        self.is_whole = true;
        Ok(())
    }

    fn give(&self, piece: Vec<u8>) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.sent.send(Ok(Bytes::from(piece))).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = self.sent.send(Err(io::Error::other("the page was not written to its end")));
        }
    }
}
