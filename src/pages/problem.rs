//! What went wrong, in words for people. In: an error. Out: a heading, a text, and where to try again. Pure.

use askama::Template;

use super::{assets::Assets, text::shown};
use crate::search::error::SearchError;

#[derive(Template)]
#[template(path = "problem.html", blocks = ["title", "content"])]
pub struct ProblemPage {
    pub assets: &'static Assets,
    pub heading: String,
    pub text: String,
}

pub struct Problem {
    pub class: &'static str,
    pub heading: &'static str,
    pub text: String,
    pub retry: Option<String>,
}

impl Problem {
    /// `retry` is where to try again, if that can help.
    pub fn new(error: &SearchError, retry: Option<String>) -> Self {
        let (class, heading, text, retry) = match error {
            SearchError::Bad(fault) => {
                ("problem", "This search cannot be run", shown(&format!("{}: {}", fault.field, fault.error)), None)
            }
            SearchError::TooLarge { .. } => ("problem", "Too large", format!("{error}."), None),
            SearchError::NotFound | SearchError::NoTrace => ("problem", "Not found", error.to_string(), None),
            SearchError::Busy { .. } => (
                "slow",
                "Too busy right now",
                "As many searches as may run at once are running. Nothing is wrong with yours; try again in a moment.".to_owned(),
                retry,
            ),
            SearchError::Crowded { .. } | SearchError::Exporting { .. } => ("slow", "Too busy right now", format!("{error}."), retry),
            SearchError::TooSlow { .. } => (
                "slow",
                "Too slow",
                "Not one row could be read within the time budget. A simpler regex or another filter may help.".to_owned(),
                retry,
            ),
            SearchError::LeafGone => (
                "slow",
                "Records were dropped",
                "Old records were dropped while this search read them. Try again: the next one does not see them.".to_owned(),
                retry,
            ),
            SearchError::Contended => ("slow", "Records were changed", format!("{error}. Try again."), retry),
            SearchError::Unavailable { .. } => (
                "problem",
                "The database cannot be reached",
                "Records that were accepted are safe. The search works again as soon as the database does.".to_owned(),
                retry,
            ),
            SearchError::Internal { .. } => ("problem", "Something went wrong", format!("{error}."), retry),
        };
        Self { class, heading, text, retry }
    }
}

impl From<(&'static str, &str)> for ProblemPage {
    fn from((heading, text): (&'static str, &str)) -> Self {
        Self { assets: Assets::get(), heading: heading.to_owned(), text: text.to_owned() }
    }
}
