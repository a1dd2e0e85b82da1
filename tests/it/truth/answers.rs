//! Compares what the product answers with what is true: every page forwards, then backwards, under a budget too.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::{
    filters::{Pairs, a_filter},
    meaning::Seen,
    oracle::Oracle,
    seed,
};
use crate::harness::{TestApp, records::Dice};

/// Requests at once.
const PARALLEL: usize = 8;
/// No search of these tests has so many pages.
const PAGES_MAX: usize = 3_000;

/// One search, and how it is paged.
struct Search<'a> {
    app: &'a TestApp,
    pairs: &'a Pairs,
    limit: usize,
    budget: bool,
}

/// Random searches in the state in which the product is; nothing may be written meanwhile. Returns how many searches found some rows and not all.
pub async fn compare(state: &str, app: &TestApp, count: usize) -> usize {
    let oracle = Oracle::read(app.database()).await;
    let mixed = AtomicUsize::new(0);
    let one = async |number: usize| {
        let mut dice = Dice(seed() ^ (number as u64 + 1).wrapping_mul(0x5851_f42d_4c95_7f2d));
        let pairs = a_filter(&mut dice, &oracle.all);
        let Some(hits) = oracle.hits(&pairs).await else { return };
        if !hits.is_empty() && hits.len() < oracle.all.len() {
            mixed.fetch_add(1, Ordering::Relaxed);
        }
        // Up to about five pages, and a few searches with pages of one row.
        let limit = match dice.roll(12) {
            0 if hits.len() < 12 => 1,
            1 => 1_000,
            _ => (hits.len() / (1 + dice.roll(5) as usize) + dice.roll(3) as usize).clamp(1, 1_000),
        };
        let search = Search { app, pairs: &pairs, limit, budget: hits.len() < 400 && dice.roll(8) == 0 };
        if let Err(fault) = search.check(&mut dice, &hits).await {
            panic!(
                "SEED={} {state}, search {number} of {} rows, limit {limit}, budget {}: {pairs:?}: {fault}",
                seed(),
                oracle.all.len(),
                search.budget,
            );
        }
    };
    stream::iter(0..count).for_each_concurrent(PARALLEL, one).await;
    mixed.into_inner()
}

impl Search<'_> {
    async fn page(&self, cursor: Option<&str>) -> Result<Value, String> {
        let mut pairs: Vec<(&str, &str)> =
            self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let limit = self.limit.to_string();
        pairs.push(("limit", &limit));
        if self.budget {
            pairs.push(("budget", "1ms"));
        }
        pairs.extend(cursor.map(|cursor| ("cursor", cursor)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let answer = self.app.get_patiently(&format!("/api/logs?{query}")).await;
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.text()));
        }
        let page = answer.json;
        let is_complete = page["stats"]["complete"] == true;
        if !is_complete && !page["nextCursor"].is_string() && cursor.is_none() {
            return Err(format!("incomplete, and no way to go on: {page}"));
        }
        if is_complete && !self.budget && page["nextCursor"].is_string() && cursor.is_none() {
            let (logs, bytes) = (logs(&page), answer.body.len());
            if logs.len() != self.limit && bytes < 8 << 20 {
                return Err(format!("{} of {} rows, and more to come", logs.len(), self.limit));
            }
        }
        Ok(page)
    }

    async fn check(&self, dice: &mut Dice, hits: &[&Seen]) -> Result<(), String> {
        let mut found: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        let mut last_page = 0;
        for pages in 0.. {
            let mut page = self.page(cursor.as_deref()).await?;
            if page["prevCursor"].is_null() != cursor.is_none() {
                return Err(format!("page {pages} has prevCursor {}", page["prevCursor"]));
            }
            last_page = found.len();
            let Value::Array(logs) = page["logs"].take() else { return Err("no logs".to_owned()) };
            found.extend(logs);
            let next = page["nextCursor"].as_str().map(str::to_owned);
            let is_last = next.is_none();
            if is_last {
                same(&found, hits)?;
                if pages > 0 && dice.roll(2) == 0 {
                    let back = page["prevCursor"].as_str().unwrap_or_default().to_owned();
                    return self.check_back(back, &hits[..last_page], hits).await;
                }
                return Ok(());
            }
            if next == cursor || pages > PAGES_MAX {
                return Err(format!("does not come to an end: page {pages}, {} rows", found.len()));
            }
            cursor = next;
        }
        unreachable!("page {last_page} was the last")
    }

    /// From the last page to the first, and one page forwards again.
    async fn check_back(&self, mut cursor: String, hits: &[&Seen], all: &[&Seen]) -> Result<(), String> {
        let mut end = hits.len();
        for pages in 0.. {
            let page = self.page(Some(&cursor)).await.map_err(|fault| format!("back: {fault}"))?;
            let logs = logs(&page);
            let Some(begin) = end.checked_sub(logs.len()) else {
                return Err("back: more rows than there are".to_owned());
            };
            same(logs, &hits[begin..end]).map_err(|fault| format!("back, page {pages}: {fault}"))?;
            if pages == 0 && !self.budget {
                let next = page["nextCursor"].as_str().ok_or("back: no way forwards again")?;
                let again = self.page(Some(next)).await?;
                let is_complete = again["stats"]["complete"] == true;
                let count = if is_complete { self.limit } else { self::logs(&again).len() };
                same(self::logs(&again), &all[end..all.len().min(end + count)])
                    .map_err(|fault| format!("back and forwards, {}: {fault}", again["stats"]))?;
            }
            end = begin;
            match page["prevCursor"].as_str() {
                None => break,
                Some(next) if next == cursor || pages > PAGES_MAX => {
                    return Err("back: does not come to an end".to_owned());
                }
                Some(next) => cursor = next.to_owned(),
            }
        }
        if end == 0 { Ok(()) } else { Err(format!("back: {end} rows before the first page")) }
    }
}

fn logs(page: &Value) -> &[Value] {
    page["logs"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Rows, order and what is shown of each.
fn same(found: &[Value], hits: &[&Seen]) -> Result<(), String> {
    let id = |log: &Value| log["id"].as_str().unwrap_or_default().to_owned();
    let ids: Vec<String> = found.iter().map(id).collect();
    let wanted: Vec<String> = hits.iter().map(|hit| hit.id.to_string()).collect();
    if let Some(hidden) = hits.iter().find(|hit| !ids.contains(&hit.id.to_string())) {
        return Err(format!("{} of {} rows; hidden: {hidden:#?}", ids.len(), wanted.len()));
    }
    if let Some(invented) = found.iter().find(|log| !wanted.contains(&id(log))) {
        return Err(format!("{} of {} rows; invented: {invented:#}", ids.len(), wanted.len()));
    }
    if ids != wanted {
        return Err(format!("{} of {} rows: twice, or in another order", ids.len(), wanted.len()));
    }
    for (log, hit) in found.iter().zip(hits) {
        let text = |name: &str| log[name].as_str();
        let shown = (
            text("level"),
            text("message"),
            text("resourceId"),
            text("traceId"),
            text("spanId"),
            text("commit"),
        );
        let stored = (
            Some(hit.level.name()),
            Some(hit.message.as_str()),
            Some(hit.resource_id.as_str()),
            hit.trace_id.as_deref(),
            hit.span_id.as_deref(),
            hit.commit.as_deref(),
        );
        if shown != stored || text("timestamp") != Some(&hit.timestamp.to_string()) {
            return Err(format!("shown is not what is stored: {log:#} {hit:#?}"));
        }
    }
    Ok(())
}
