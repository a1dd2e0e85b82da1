//! Sends an export. In: where its rows come from and how they are written. Out: the body of the answer, piece by piece. A task of its own
//! makes the pieces, because nobody asks a body for more while its client does not read; it ends when the client leaves or stalls.

use std::{fmt, time::Duration};

use actix_web::web;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{format::Format, pack::Packer, source::Source};
use crate::{
    metrics::Reason,
    search::{State, error::SearchError, logged, row::Row},
};

/// Pieces that wait for the client.
const PIECES: usize = 4;
/// Rows that are written at once.
const ROWS: usize = 200;
/// However slowly its client reads, an export ends by then: its snapshot keeps Postgres from cleaning up.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// An export that has begun.
pub struct Sending {
    pub state: web::Data<State>,
    pub source: Source,
    pub first: Vec<Row>,
    pub format: Format,
    pub packer: Packer,
    /// Records of the next piece.
    pub records: u64,
}

/// A body without its end is broken off.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Why the body ends where it should not; the cause is in the log.
#[derive(Debug)]
struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the export broke off")
    }
}

impl std::error::Error for BrokenOff {}

enum End {
    Done,
    /// The client has left.
    Left,
    /// The client did not read for too long.
    Stalled,
    /// It took too long altogether.
    Late,
    Failed(SearchError),
}

impl From<SearchError> for End {
    fn from(error: SearchError) -> Self {
        Self::Failed(error)
    }
}

impl End {
    fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Left => "left",
            Self::Stalled => "stalled",
            Self::Late => "late",
            Self::Failed(_) => "failed",
        }
    }
}

/// Starts to send; the place is kept to the end.
pub fn start(
    mut sending: Sending,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, impl std::error::Error + 'static>> + 'static {
    let (pieces, body) = mpsc::channel(PIECES);
    actix_web::rt::spawn(async move {
        let end = tokio::select! {
            // In this order, because a client that has everything leaves too.
            biased;
            sent = tokio::time::timeout(TIME_MAX, sending.send(&pieces)) => match sent {
                Ok(Ok(())) => End::Done,
                Ok(Err(end)) => end,
                Err(_) => End::Late,
            },
            () = pieces.closed() => End::Left,
        };
        // The body breaks off here, unless it has its end.
        drop(pieces);
        let Sending { state, source, .. } = sending;
        state.metrics.exports.get_or_create(&Reason { reason: end.name().to_owned() }).inc();
        match end {
            End::Done => source.close().await,
            End::Failed(error) => log::warn!("an export broke off: {}", logged(&error)),
            End::Stalled | End::Late => log::info!("an export was cut off: its client reads too slowly"),
            End::Left => {}
        }
        drop(place);
    });
    stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        match body.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(body))),
            Some(Piece::End) => None,
            None => Some((Err(BrokenOff), None)),
        }
    })
}

impl Sending {
    async fn send(&mut self, pieces: &mpsc::Sender<Piece>) -> Result<(), End> {
        let head = self.format.head();
        self.pack(pieces, &head).await?;
        let mut rows = std::mem::take(&mut self.first);
        loop {
            for some in rows.chunks(ROWS) {
                let lines = self.format.lines(some);
                self.records += some.len() as u64;
                self.pack(pieces, &lines).await?;
            }
            // What there is can be read while more is looked for.
            let piece = self.packer.flush();
            self.hand_over(pieces, piece).await?;
            match self.source.next().await? {
                Some(more) => rows = more,
                None => break,
            }
        }
        let last = self.packer.finish();
        self.hand_over(pieces, last).await?;
        self.put(pieces, Piece::End).await
    }

    async fn pack(&mut self, pieces: &mpsc::Sender<Piece>, bytes: &[u8]) -> Result<(), End> {
        match self.packer.add(bytes) {
            Some(piece) => self.hand_over(pieces, piece).await,
            None => Ok(()),
        }
    }

    async fn hand_over(&mut self, pieces: &mpsc::Sender<Piece>, piece: Bytes) -> Result<(), End> {
        if !piece.is_empty() {
            self.put(pieces, Piece::Bytes(piece)).await?;
            self.state.metrics.exported_records.inc_by(std::mem::take(&mut self.records));
        }
        Ok(())
    }

    /// Waits for a client that reads, but not for ever.
    async fn put(&self, pieces: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), End> {
        match tokio::time::timeout(self.state.export_wait_max, pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Left),
            Err(_) => Err(End::Stalled),
        }
    }
}
