//! Groups of a walk are opened. In: groups of any leaf. Out: each with the bits that tell which of its units may hold a hit.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Aim, Blocks, opened::Opened, stage::Candidate};
use crate::{
    index::{
        need::Need,
        probe::{self, Fetched, Slices},
        signature::Token,
        span::BlockSpan,
    },
    search::{
        catalogue::{Catalogue, Directory, GroupHead, damaged},
        session::{Session, Stopped},
        sql,
    },
};

/// Some groups, by leaf and number.
pub(super) async fn read(
    session: &mut Session,
    catalogue: &Catalogue,
    aim: &Aim,
    wanted: &[(i32, Arc<GroupHead>)],
    blocks: &mut Blocks,
) -> Result<Vec<((i32, i32), Opened)>, Stopped> {
    let directories = catalogue.directories(session, wanted).await?;
    let (mut bits, mut bytes) = (Vec::new(), Vec::new());
    aim.need.places(&mut bits, &mut bytes);
    bits.sort_unstable();
    bits.dedup();
    bytes.sort_unstable();
    bytes.dedup();
    let mut slices: HashMap<(i32, i32), Fetched> = HashMap::new();
    for (leaf, group) in wanted {
        let empty = Fetched { width: group.width, bits: HashMap::new(), bytes: HashMap::new() };
        slices.insert((*leaf, group.number), empty);
    }
    if !bits.is_empty() || !bytes.is_empty() {
        let groups = wanted.iter().map(|(leaf, group)| (*leaf, group.number));
        for row in session.statement(&sql::slices(groups, &bits, &bytes)).await? {
            let place = (row.try_get("leaf")?, row.try_get("grp")?);
            let number: i32 = row.try_get("place")?;
            let slice: Vec<u8> = row.try_get("slice")?;
            let fetched = slices.get_mut(&place).ok_or_else(|| damaged("a slice of no group"))?;
            match row.try_get("is_byte")? {
                true => fetched.bytes.insert(number as u16, slice),
                false => fetched.bits.insert(number as u32, slice),
            };
        }
    }
    let open = |((leaf, group), directory): (&(i32, Arc<GroupHead>), Arc<Directory>)| {
        if group.width == 0 || directory.blocks.len() != group.width * 8 {
            return Err(damaged("the width of a group").into());
        }
        let place = (*leaf, group.number);
        Ok((place, Opened::new(aim, &slices[&place], directory, blocks)))
    };
    wanted.iter().zip(directories).map(open).collect()
}

/// Which of some groups may hold a hit, going by the values that they have.
pub(super) async fn may_hold(
    session: &mut Session,
    need: &Need,
    values: &[Token],
    groups: &[(i32, Arc<GroupHead>)],
) -> Result<Vec<bool>, Stopped> {
    let parts = groups.iter().enumerate().flat_map(|(at, (leaf, group))| {
        let part = move |(value, token): (usize, &Token)| {
            let shape = group.values?;
            let number = (at * values.len() + value) as i32;
            Some([number, *leaf, group.number, shape.place(*token), shape.width()])
        };
        values.iter().enumerate().filter_map(part)
    });
    let mut absent = HashSet::new();
    for row in session.statement(&sql::buckets(parts)).await? {
        let part = row.try_get::<_, i32>("part")? as usize;
        let (at, token) = (part / values.len(), values[part % values.len()]);
        let is_there = groups[at].1.values.is_none_or(|shape| {
            let bucket = row.try_get("bucket");
            bucket.is_ok_and(|bucket: Option<&[u8]>| shape.may_hold(token, bucket.unwrap_or(&[])))
        });
        if !is_there {
            absent.insert((at, token));
        }
    }
    Ok((0..groups.len()).map(|at| need.may_hold(&|token| !absent.contains(&(at, token)))).collect())
}

/// Units of a chunk within the time range that may hold a hit.
pub(super) fn candidates(
    aim: &Aim,
    slices: &impl Slices,
    spans: &[Option<BlockSpan>],
    blocks: &mut Blocks,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut last = None;
    let mut offered = 0;
    probe::candidates(&aim.need, slices, spans, |place, unit| {
        let Some(block) = &spans[place] else { return };
        let span = block.units[unit];
        if span.from < aim.to && aim.from <= span.to {
            offered += u64::from(last.replace(place) != Some(place));
            found.push(Candidate::of(aim.direction, block, unit));
        }
    });
    blocks.skipped += spans.iter().flatten().count() as u64 - offered;
    found
}
