//! The part of the page that comes after its rows: histogram and facets, each as soon as it is counted, each with its own error. In: an
//! [`Exploration`]. Out: the body of the answer, piece by piece; when the reader leaves, counting ends.

use std::{io::Write, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header, web::Bytes};
use askama::Template;
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use tokio::sync::mpsc;

use super::{
    COUNTS, ExplorerPage,
    facets::{FacetList, KEYS_MAX, wanted},
    histogram::Picture,
    view::View,
};
use crate::{
    pages::{answer, assets},
    search::{count::buckets::Width, error::SearchError, exploration::Exploration, logged},
};

/// How long each is counted, if the search has no budget of its own.
const HISTOGRAM_BUDGET: Duration = Duration::from_secs(1);
const FACETS_BUDGET: Duration = Duration::from_millis(500);
/// Bars of a histogram.
const BARS: usize = 96;

#[derive(Template)]
#[template(path = "histogram.html")]
struct HistogramPart {
    outcome: Result<Picture, String>,
    /// Its rows go on, its numbers do not.
    is_live: bool,
}

#[derive(Template)]
#[template(path = "facets.html")]
struct FacetsPart {
    outcome: Result<FacetList, String>,
    /// The same page, with more time to count.
    longer_href: String,
    is_live: bool,
}

/// Pieces of a page: its rows, the histogram, the facets, its end. There is room for all, so a reader who stops reading holds up nobody.
const PIECES: usize = 4;

type Piece = Result<Bytes, std::io::Error>;

/// What is counted for a page after its rows.
struct Rest {
    view: View,
    exploration: Exploration,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

/// The whole page: the rows now, the rest as it comes.
pub fn stream(
    request: &HttpRequest,
    page: &ExplorerPage,
    view: View,
    exploration: Exploration,
) -> HttpResponse {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => return answer::broken(&error),
    };
    let mut answer = answer::page_of(actix_web::http::StatusCode::OK);
    let gzip = assets::takes_gzip(request).then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    if gzip.is_some() {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    let rest = Rest { view, exploration, gzip };
    let (pieces, taken) = mpsc::channel(PIECES);
    actix_web::rt::spawn(async move {
        tokio::select! {
            () = rest.send(&html, &pieces) => {}
            // Dropping the rest cancels what Postgres runs for it.
            () = pieces.closed() => {}
        }
    });
    answer.streaming(stream::unfold(taken, |mut taken| async move {
        let piece = taken.recv().await?;
        Some((piece, taken))
    }))
}

#[derive(PartialEq, Eq)]
enum Flush {
    Piece,
    End,
}

impl Rest {
    async fn send(mut self, html: &str, pieces: &mpsc::Sender<Piece>) {
        let (rows, end) = html.split_once(COUNTS).unwrap_or((html, ""));
        let _ = pieces.send(self.pack(rows, Flush::Piece)).await;
        let histogram = self.histogram().await;
        let _ = pieces.send(self.pack(&histogram, Flush::Piece)).await;
        let facets = self.facets().await;
        let _ = pieces.send(self.pack(&facets, Flush::Piece)).await;
        let _ = pieces.send(self.pack(end, Flush::End)).await;
        self.exploration.close().await;
    }

    async fn histogram(&mut self) -> String {
        let budget = self.view.query.budget.unwrap_or(HISTOGRAM_BUDGET);
        let outcome = self.exploration.histogram(Width::About(BARS), budget).await;
        let links = self.view.links();
        let mut outcome = outcome
            .map(|histogram| Picture::new(&histogram, &links, self.view.zone))
            .map_err(|error| said(&error));
        if let Ok(picture) = &mut outcome {
            match self.exploration.deploys(budget).await {
                Ok(deploys) => picture.mark(&deploys, &links, self.view.zone),
                Err(error) => log::warn!("deploys cannot be marked: {}", said(&error)),
            }
        }
        rendered(HistogramPart { outcome, is_live: self.view.is_live }.render())
    }

    async fn facets(&mut self) -> String {
        let budget = self.view.query.budget.unwrap_or(FACETS_BUDGET);
        let outcome = self.exploration.facets(&wanted(&self.view), KEYS_MAX, budget).await;
        let outcome = outcome.map(|facets| FacetList::new(&self.view, &facets)).map_err(|error| said(&error));
        let longer_href = self.view.links().with("budget", "10s");
        rendered(FacetsPart { outcome, longer_href, is_live: self.view.is_live }.render())
    }

    /// As bytes that the browser can show at once.
    fn pack(&mut self, part: &str, flush: Flush) -> Piece {
        let Some(mut gzip) = self.gzip.take() else { return Ok(Bytes::copy_from_slice(part.as_bytes())) };
        gzip.write_all(part.as_bytes())?;
        if flush == Flush::End {
            return Ok(Bytes::from(gzip.finish()?));
        }
        gzip.flush()?;
        let bytes = std::mem::take(gzip.get_mut());
        self.gzip = Some(gzip);
        Ok(Bytes::from(bytes))
    }
}

fn said(error: &SearchError) -> String {
    logged(error).to_string()
}

fn rendered(part: askama::Result<String>) -> String {
    part.unwrap_or_else(|error| {
        log::error!("a part of a page cannot be rendered: {error}");
        String::new()
    })
}
