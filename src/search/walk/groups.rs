//! Groups of a walk are opened. In: groups of any leaf. Out: each with the bits that tell which of its units may hold a hit.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;

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
        catalogue::{Catalogue, Chunk, Directory, GroupHead, Part, Piece, damaged},
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
        Self::Of(Fetched { width: SAMPLE_CHUNKS, bits, ..Fetched::default() })
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
    let mut slices = slices(session, catalogue, aim, wanted, grams).await?;
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

/// The slices of some groups that `aim` needs: those that are kept, and those that are not from the database.
async fn slices(
    session: &mut Session,
    catalogue: &Catalogue,
    aim: &Aim,
    wanted: &[(i32, Arc<GroupHead>)],
    grams: &mut Grams,
) -> Result<HashMap<(i32, i32), Fetched>, Stopped> {
    let (mut bits, mut bytes) = (Vec::new(), Vec::new());
    aim.need.places(&mut bits, &mut bytes);
    bits.sort_unstable();
    bits.dedup();
    if let Some(chosen) = grams.chosen(&aim.need) {
        bits.retain(|bit| chosen.binary_search(bit).is_ok());
    }
    bytes.sort_unstable();
    bytes.dedup();
    // 1. What is kept.
    let mut slices = HashMap::new();
    let (mut groups, mut missing_bits, mut missing_bytes) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (leaf, group) in wanted {
        let (leaf, group, width) = (*leaf, group.number, group.width);
        let part = |piece| catalogue.kept.get(Part { leaf, group, piece });
        let mut fetched = Fetched { width, ..Fetched::default() };
        fetched.bits.extend(bits.iter().filter_map(|bit| Some((*bit, part(Piece::Bit(*bit))?))));
        fetched.bytes.extend(bytes.iter().filter_map(|byte| Some((*byte, part(Piece::Byte(*byte))?))));
        if fetched.bits.len() + fetched.bytes.len() < bits.len() + bytes.len() {
            groups.push((leaf, group));
            missing_bits.extend(bits.iter().filter(|bit| !fetched.bits.contains_key(bit)).copied());
            missing_bytes.extend(bytes.iter().filter(|byte| !fetched.bytes.contains_key(byte)).copied());
        }
        slices.insert((leaf, group), fetched);
    }
    if groups.is_empty() {
        return Ok(slices);
    }
    // 2. The rest.
    let (bits, bytes): (Vec<u32>, Vec<u16>) =
        (missing_bits.into_iter().collect(), missing_bytes.into_iter().collect());
    for row in session.statement(&sql::slices(groups.into_iter(), &bits, &bytes)).await? {
        let (leaf, group): (i32, i32) = (row.try_get("leaf")?, row.try_get("grp")?);
        let number: i32 = row.try_get("place")?;
        let slice = Bytes::from(row.try_get::<_, Vec<u8>>("slice")?);
        let fetched = slices.get_mut(&(leaf, group)).ok_or_else(|| damaged("a slice of no group"))?;
        let piece = match row.try_get("is_byte")? {
            true => Piece::Byte(number as u16),
            false => Piece::Bit(number as u32),
        };
        catalogue.kept.keep(Part { leaf, group, piece }, slice.clone());
        match piece {
            Piece::Byte(byte) => fetched.bytes.insert(byte, slice),
            Piece::Bit(bit) => fetched.bits.insert(bit, slice),
            Piece::Bucket(_) => None,
        };
    }
    Ok(slices)
}

/// Which of some groups may hold a hit, going by the values that they have.
pub(super) async fn may_hold(
    session: &mut Session,
    catalogue: &Catalogue,
    need: &Need,
    values: &[Token],
    groups: &[(i32, Arc<GroupHead>)],
) -> Result<Vec<bool>, Stopped> {
    let mut absent = HashSet::new();
    // 1. What is kept.
    let mut missing = Vec::new();
    for (at, (leaf, group)) in groups.iter().enumerate() {
        let Some(shape) = group.values else { continue };
        for token in values {
            let part = Part { leaf: *leaf, group: group.number, piece: Piece::Bucket(shape.place(*token)) };
            match catalogue.kept.get(part) {
                Some(bucket) if shape.may_hold(*token, &bucket) => {}
                Some(_) => _ = absent.insert((at, *token)),
                None => missing.push((at, *token, part, shape)),
            }
        }
    }
    // 2. The rest.
    if !missing.is_empty() {
        let parts = missing.iter().enumerate().map(|(number, (_, token, part, shape))| {
            [number as i32, part.leaf, part.group, shape.place(*token), shape.width()]
        });
        for row in session.statement(&sql::buckets(parts)).await? {
            let (at, token, part, shape) = missing[row.try_get::<_, i32>("part")? as usize];
            let bucket = row.try_get::<_, Option<Vec<u8>>>("bucket")?.map(Bytes::from).unwrap_or_default();
            if !shape.may_hold(token, &bucket) {
                absent.insert((at, token));
            }
            catalogue.kept.keep(part, bucket);
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
