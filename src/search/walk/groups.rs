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
        sparing,
    },
    search::{
        catalogue::{Catalogue, Chunk, Directory, GroupHead, damaged},
        session::{Session, Stopped},
        sql,
    },
};

/// Chunks that are a sample: 512 blocks.
const SAMPLE_CHUNKS: usize = 64;

/// The grams that groups are asked for.
pub(super) enum Grams {
    /// All that hits have.
    All,
    /// All were asked of this group; it tells which are worth it.
    Of(Fetched),
    These(Vec<u32>),
}

impl Grams {
    /// Those that the next groups are asked for; None means all.
    pub(super) fn chosen(&mut self, need: &Need) -> Option<&[u32]> {
        if let Self::Of(sample) = self {
            *self = Self::These(sparing::worthwhile(need, sample));
        }
        match self {
            Self::These(grams) => Some(grams),
            Self::All | Self::Of(_) => None,
        }
    }

    /// As the blocks of some chunks would have it, if they are enough to tell.
    pub(super) fn by_chunks(need: &Need, chunks: &[Arc<Chunk>]) -> Self {
        if chunks.len() < SAMPLE_CHUNKS {
            return Self::All;
        }
        let chunks = &chunks[chunks.len() - SAMPLE_CHUNKS..];
        let (mut bits, mut bytes) = (Vec::new(), Vec::new());
        need.places(&mut bits, &mut bytes);
        let byte = |chunk: &Arc<Chunk>, bit| chunk.slices().bit(bit).map_or(0xff, |slice| slice[0]);
        let slice = |bit| (bit, chunks.iter().map(|chunk| byte(chunk, bit)).collect());
        let bits = bits.into_iter().map(slice).collect();
        Self::Of(Fetched { width: SAMPLE_CHUNKS, bits, bytes: HashMap::new() })
    }
}

/// Some groups, by leaf and number.
pub(super) async fn read(
    session: &mut Session,
    catalogue: &Catalogue,
    aim: &Aim,
    wanted: &[(i32, Arc<GroupHead>)],
    grams: &mut Grams,
    blocks: &mut Blocks,
) -> Result<Vec<((i32, i32), Opened)>, Stopped> {
    let directories = catalogue.directories(session, wanted).await?;
    let (mut bits, mut bytes) = (Vec::new(), Vec::new());
    aim.need.places(&mut bits, &mut bytes);
    bits.sort_unstable();
    bits.dedup();
    if let Some(chosen) = grams.chosen(&aim.need) {
        bits.retain(|bit| chosen.binary_search(bit).is_ok());
    }
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
    let opened = wanted.iter().zip(directories).map(open).collect();
    if let (Grams::All, Some((leaf, group))) = (&grams, wanted.first()) {
        *grams = slices.remove(&(*leaf, group.number)).map_or(Grams::All, Grams::Of);
    }
    opened
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
