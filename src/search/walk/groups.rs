//! Groups of a walk are opened. In: groups of any leaf. Out: the units in them that may hold a hit.

use std::{collections::HashMap, sync::Arc};

use super::{Aim, Blocks, key, stage::Candidate};
use crate::{
    index::{
        probe::{self, Fetched, Slices},
        span::BlockSpan,
    },
    search::{
        catalogue::{Catalogue, GroupHead, damaged},
        session::{Session, Stopped},
        sql,
    },
};

/// Candidates of some groups, by leaf and group.
pub(super) async fn read(
    session: &mut Session,
    catalogue: &Catalogue,
    aim: &Aim,
    wanted: &[(i32, Arc<GroupHead>)],
    blocks: &mut Blocks,
) -> Result<Vec<((i32, i32), Vec<Candidate>)>, Stopped> {
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
    let found = wanted.iter().zip(directories).map(|((leaf, group), directory)| {
        let place = (*leaf, group.number);
        (place, candidates(aim, &slices[&place], &directory, blocks))
    });
    Ok(found.collect())
}

/// Units within the time range that may hold a hit.
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
            let key = key(aim.direction, span.from, span.to);
            found.push(Candidate { key, unit: block.unit_id(unit), rows: Some(span.rows) });
        }
    });
    blocks.skipped += spans.iter().flatten().count() as u64 - offered;
    found
}
