//! The part of the page that comes after its rows: histogram and facets, each as soon as it is counted, each with its own error. In: an
//! [`Exploration`]. Out: the body of the answer, piece by piece; when the reader leaves, counting ends.

use std::{fmt, io, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{
    COUNTS, ExplorerPage,
    facets::{FacetList, KEYS_MAX, wanted},
    histogram::Picture,
    view::View,
};
use crate::{
    pages::pieces::{self, Pieces},
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

/// What is counted for a page after its rows.
struct Rest {
    view: View,
    exploration: Exploration,
}

/// The whole page: the rows now, the rest as it comes.
pub fn stream(
    request: &HttpRequest,
    page: ExplorerPage,
    view: View,
    exploration: Exploration,
) -> HttpResponse {
    let (pieces, answer) = pieces::open(request);
    let rest = Rest { view, exploration };
    actix_web::rt::spawn(async move {
        tokio::select! {
            () = pieces.reader_left() => {}
            // Dropping the rest cancels what Postgres runs for it.
            sent = rest.send(page, pieces) => {
                if let Err(error) = sent {
                    log::debug!("a page was not shown to its end: {error}");
                }
            }
        }
    });
    answer
}

/// Hands on what stands before the counts, and keeps what stands behind them.
struct UpToCounts {
    pieces: Pieces,
    end: Option<String>,
}

impl fmt::Write for UpToCounts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(end) = &mut self.end {
            end.push_str(text);
            return Ok(());
        }
        let Some((front, end)) = text.split_once(COUNTS) else { return self.pieces.write_str(text) };
        self.end = Some(end.to_owned());
        self.pieces.write_str(front)
    }
}

impl Rest {
    async fn send(mut self, page: ExplorerPage, pieces: Pieces) -> io::Result<()> {
        // On a thread of its own, so that this one can send the head of the page meanwhile.
        let rows = web::block(move || {
            let mut to = UpToCounts { pieces, end: None };
            page.render_into(&mut to).map_err(io::Error::other)?;
            to.pieces.send()?;
            Ok::<_, io::Error>(to)
        });
        let UpToCounts { mut pieces, end } = rows.await.map_err(io::Error::other)??;
        pieces.add(&self.histogram().await)?;
        pieces.send()?;
        pieces.add(&self.facets().await)?;
        pieces.add(&end.unwrap_or_default())?;
        pieces.end()?;
        self.exploration.close().await;
        Ok(())
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
