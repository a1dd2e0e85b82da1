//! Which grams of a text to ask of blocks whose bits must be fetched first: each is a slice to read, and a few of them rule out what all
//! of them do. In: a [`Need`] and the bits of a sample of blocks. Out: the grams that are worth it. Pure.

use super::{group::BLOCKS_MAX, need::Need, probe::Slices};

/// To read a block takes as long as to fetch so many slices, each of them of up to 4,096 blocks.
const SLICES_A_BLOCK: f64 = 32.0;

/// Grams of `need` that rule out of the sample what all of them do, and as many more as it takes for what the sample is too small to show.
pub fn worthwhile(need: &Need, sample: &impl Slices) -> Vec<u32> {
    let mut chosen = Vec::new();
    add(need, sample, &mut chosen);
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn add(need: &Need, sample: &impl Slices, chosen: &mut Vec<u32>) {
    match need {
        Need::Anything | Need::Nothing | Need::Levels(_) | Need::Token(_) => {}
        Need::Grams(grams) => choose(grams, sample, chosen),
        Need::All(parts) | Need::Any(parts) => parts.iter().for_each(|part| add(part, sample, chosen)),
    }
}

fn choose(grams: &[u32], sample: &impl Slices, chosen: &mut Vec<u32>) {
    let slices: Option<Vec<_>> = grams.iter().map(|gram| Some((*gram, sample.bit(*gram)?))).collect();
    let Some(mut slices) = slices.filter(|_| sample.width() > 0) else {
        return chosen.extend_from_slice(grams); // nothing is known of one
    };
    // 1. The one that rules out most of what is left, until nothing is left that another could rule out.
    let mut by_all = vec![0xff; sample.width()];
    slices.iter().for_each(|(_, slice)| and(&mut by_all, slice));
    let by_all = ones(&by_all);
    let mut left = vec![0xff; sample.width()];
    while ones(&left) > by_all {
        let passing = |(_, (_, slice)): &(usize, &(u32, &[u8]))| ones_of_both(&left, slice);
        let Some((at, _)) = slices.iter().enumerate().min_by_key(passing) else { break };
        let (gram, slice) = slices.swap_remove(at);
        chosen.push(gram);
        and(&mut left, slice);
    }
    // 2. The rarest of the others, as if they had nothing to do with each other.
    slices.sort_unstable_by_key(|(_, slice)| ones(slice));
    let blocks = (sample.width() * 8) as f64;
    let mut passing = 1.0 / blocks;
    for (gram, slice) in slices {
        let share = f64::from(ones(slice) + 1) / (blocks + 1.0); // none of a few is not none of many
        if passing * (1.0 - share) * BLOCKS_MAX as f64 * SLICES_A_BLOCK <= 1.0 {
            break;
        }
        chosen.push(gram);
        passing *= share;
    }
}

fn and(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to &= from);
}

fn ones(slice: &[u8]) -> u32 {
    ones_of_both(slice, slice)
}

/// Eight bytes at a time: a tenth of the time that one at a time takes.
fn ones_of_both(one: &[u8], other: &[u8]) -> u32 {
    let ((one, one_rest), (other, other_rest)) = (one.as_chunks(), other.as_chunks());
    let both = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) & u64::from_ne_bytes(*other);
    let whole: u32 = one.iter().zip(other).map(both).map(u64::count_ones).sum();
    let rest: u32 = one_rest.iter().zip(other_rest).map(|(one, other)| (one & other).count_ones()).sum();
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::probe::Fetched;

    /// 512 blocks; gram n is in those whose number `has` names.
    fn sample(grams: u32, has: impl Fn(u32, usize) -> bool) -> Fetched {
        let slice = |gram| {
            let byte =
                |at: usize| (0..8).fold(0, |byte, bit| byte | u8::from(has(gram, at * 8 + bit)) << bit);
            (gram, (0..64).map(byte).collect())
        };
        Fetched { width: 64, bits: (0..grams).map(slice).collect(), ..Fetched::default() }
    }

    #[test]
    fn grams_that_say_nothing_new_are_left_out() {
        // Twenty grams that all blocks have, one that every other has, and two that part the rest between them.
        let has = |gram, block: usize| match gram {
            20 => block.is_multiple_of(2),
            21 => block.is_multiple_of(4),
            22 => block % 4 == 2,
            _ => true,
        };
        assert_eq!(worthwhile(&Need::Grams((0..23).collect()), &sample(23, has)), [20, 21, 22]);
        // One leaves what all together leave; others that are rare make up for the size of the sample.
        let rare = |gram: u32, block: usize| gram > 3 || block.is_multiple_of(1 << (4 - gram));
        assert_eq!(worthwhile(&Need::Grams((0..30).collect()), &sample(30, rare)), [0, 1, 2, 3]);
    }

    #[test]
    fn few_of_many_independent_grams_are_enough() {
        let has = |gram: u32, block: usize| {
            let mixed = (u64::from(gram) << 32 | block as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 62 == 0
        };
        let chosen = worthwhile(&Need::Grams((0..32).collect()), &sample(32, has));
        assert!((6..=14).contains(&chosen.len()), "{chosen:?}");
    }

    #[test]
    fn every_bit_counts() {
        let (one, other): (Vec<u8>, Vec<u8>) =
            (0..29).map(|n| (n * 37, n * 101 % 256)).map(|(a, b)| (a as u8, b as u8)).unzip();
        let bits = |at: usize| (0..8).filter(|bit| one[at] >> bit & other[at] >> bit & 1 == 1).count();
        assert_eq!(ones_of_both(&one, &other) as usize, (0..29).map(bits).sum::<usize>());
    }

    #[test]
    fn each_part_of_a_need_has_its_own_and_what_is_not_known_is_asked_for() {
        let sample = sample(4, |gram, block| block as u32 % 4 == gram);
        let (one, other) = (Need::Grams(vec![0]), Need::Grams(vec![1]));
        assert_eq!(worthwhile(&Need::Any(vec![one.clone(), other.clone()]), &sample), [0, 1]);
        assert_eq!(worthwhile(&Need::All(vec![other, Need::Nothing, one]), &sample), [0, 1]);
        assert_eq!(worthwhile(&Need::Grams(vec![2, 77, 78]), &sample), [2, 77, 78]);
        assert_eq!(worthwhile(&Need::Anything, &sample), [] as [u32; 0]);
    }
}
