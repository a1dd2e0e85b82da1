//! Which field values blocks hold: a hash of 28 bits each. In: tokens of the rows of a block. Out: a sorted list beside its signature, and
//! of all blocks of a group one list in buckets, of which a search reads a single one to know that a value is nowhere in the group. Without
//! it a rare value costs eight slices of every group there is. Pure.
//!
//! A list is written as the distances between its hashes, seven bits a byte, the lowest first, the eighth bit saying that more follow; a zero ends
//! it. In a group each bucket covers as many possible hashes as any other and has as many bytes, so that where it stands can be computed.

use super::signature::Token;

/// A million rows of four values each are a hash in 70: about one in 70 absent values is not told from a present one, and a distance takes one byte.
const HASH_BITS: u32 = 28;
/// Hashes of a bucket, more or less: 1.4 KB, one or two of the pieces in which Postgres keeps what is out of line.
const BUCKET_HASHES: usize = 1_024;
/// A group with more than this has no list: it would rule out too little, and its sealer would need more than 64 MB.
pub const HASHES_MAX: usize = 16 << 20;
/// Hashes that are not taken down again when they come soon after themselves.
const RECENT: usize = 256;

/// The values of a block that is being filled.
#[derive(Clone)]
pub struct Values {
    hashes: Vec<u32>,
    /// The last one that came to each place.
    recent: Box<[u32; RECENT]>,
}

impl Default for Values {
    fn default() -> Self {
        // No hash has so many bits.
        Self { hashes: Vec::new(), recent: Box::new([u32::MAX; RECENT]) }
    }
}

impl Values {
    pub fn add(&mut self, token: Token) {
        let hash = hash(token);
        let recent = &mut self.recent[hash as usize % RECENT];
        if *recent != hash {
            *recent = hash;
            self.hashes.push(hash);
        }
    }

    /// As they stand beside the signature.
    pub fn written(mut self) -> Vec<u8> {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let mut bytes = Vec::with_capacity(self.hashes.len() * 3);
        write(&self.hashes, 0, &mut bytes);
        bytes
    }
}

/// Reads what [`Values::written`] wrote into `hashes`; false if it is damaged.
pub fn read_into(bytes: &[u8], hashes: &mut Vec<u32>) -> bool {
    let mut reader = Reader { bytes, last: -1 };
    hashes.extend(&mut reader);
    reader.is_at_end()
}

/// The values of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    pub bytes: Vec<u8>,
    pub shape: Shape,
}

/// How buckets stand one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    count: u32,
    /// Bytes of each.
    width: u32,
}

impl Buckets {
    /// From hashes in any order.
    pub fn of(mut hashes: Vec<u32>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        let count = hashes.len().div_ceil(BUCKET_HASHES).max(1) as u32;
        let shape = Shape { count, width: 0 };
        let mut lists = Vec::with_capacity(count as usize);
        let mut rest = hashes.as_slice();
        for bucket in 0..count {
            let (here, after) = rest.split_at(rest.partition_point(|hash| shape.bucket(*hash) <= bucket));
            let mut list = Vec::with_capacity(here.len() * 2);
            write(here, shape.first(bucket), &mut list);
            lists.push(list);
            rest = after;
        }
        let width = lists.iter().map(Vec::len).max().unwrap_or(0);
        let mut bytes = Vec::with_capacity(width * lists.len());
        for list in lists {
            bytes.extend_from_slice(&list);
            bytes.resize(bytes.len() + width - list.len(), 0);
        }
        Self { bytes, shape: Shape { count, width: width as u32 } }
    }

    /// All hashes; None if they are damaged.
    pub fn hashes(&self) -> Option<Vec<u32>> {
        let mut hashes = Vec::new();
        for (bucket, bytes) in self.bytes.chunks_exact(self.shape.width as usize).enumerate() {
            let mut reader = Reader { bytes, last: i64::from(self.shape.first(bucket as u32)) - 1 };
            hashes.extend(&mut reader);
            if !reader.is_at_end() {
                return None;
            }
        }
        Some(hashes)
    }
}

impl Shape {
    /// Of buckets of so many bytes each, and so many in all; None if that cannot be.
    pub fn of(width: i32, bytes: usize) -> Option<Self> {
        let width = u32::try_from(width).ok().filter(|width| *width > 0)?;
        let count = u32::try_from(bytes).ok()? / width;
        (count > 0 && count as usize * width as usize == bytes).then_some(Self { count, width })
    }

    /// Bytes of a bucket.
    pub fn width(self) -> i32 {
        self.width as i32
    }

    /// Where the bucket of a token begins.
    pub fn place(self, token: Token) -> i32 {
        (self.bucket(hash(token)) * self.width) as i32
    }

    /// Whether a value may be in the group, going by its bucket.
    pub fn may_hold(self, token: Token, bucket: &[u8]) -> bool {
        let hash = hash(token);
        let mut reader = Reader { bytes: bucket, last: i64::from(self.first(self.bucket(hash))) - 1 };
        let found = reader.by_ref().any(|other| other == hash);
        // What is damaged rules nothing out.
        found || !reader.is_at_end()
    }

    fn bucket(self, hash: u32) -> u32 {
        ((u64::from(hash) * u64::from(self.count)) >> HASH_BITS) as u32
    }

    /// The lowest hash of a bucket.
    fn first(self, bucket: u32) -> u32 {
        (u64::from(bucket) << HASH_BITS).div_ceil(u64::from(self.count)) as u32
    }
}

/// Of all places of the token, so that two values that share some of them differ in it.
fn hash(token: Token) -> u32 {
    let folded = token.0.iter().fold(0_u64, |folded, place| {
        (folded ^ u64::from(*place)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as u32
}

/// Writes hashes that rise, none of them below `first`.
fn write(hashes: &[u32], first: u32, bytes: &mut Vec<u8>) {
    let mut last = i64::from(first) - 1;
    for hash in hashes {
        let mut distance = i64::from(*hash) - last;
        last = i64::from(*hash);
        while distance >= 0x80 {
            bytes.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        bytes.push(distance as u8);
    }
    bytes.push(0);
}

/// Reads hashes until the zero behind them; it is damaged if that does not come.
struct Reader<'a> {
    bytes: &'a [u8],
    last: i64,
}

impl Reader<'_> {
    fn is_at_end(&self) -> bool {
        self.bytes.first() == Some(&0)
    }
}

impl Iterator for Reader<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.is_at_end() {
            return None;
        }
        let (mut distance, mut read) = (0, 0);
        loop {
            let byte = *self.bytes.get(read)?;
            if read >= 4 {
                return None;
            }
            distance |= i64::from(byte & 0x7f) << (7 * read);
            read += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let hash = self.last + distance;
        if distance == 0 || hash >= 1 << HASH_BITS {
            return None;
        }
        self.bytes = &self.bytes[read..];
        self.last = hash;
        u32::try_from(hash).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn token(number: u32) -> Token {
        Token::of(&number.to_be_bytes())
    }

    fn bucket(buckets: &Buckets, token: Token) -> &[u8] {
        let width = buckets.shape.width() as usize;
        &buckets.bytes[buckets.shape.place(token) as usize..][..width]
    }

    fn group(numbers: impl Iterator<Item = u32>) -> Buckets {
        Buckets::of(numbers.map(|number| hash(token(number))).collect())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(numbers in vec(any::<u32>(), 0..400)) {
            let mut values = Values::default();
            numbers.iter().for_each(|number| values.add(token(*number)));
            let mut wanted: Vec<u32> = numbers.iter().map(|number| hash(token(*number))).collect();
            let mut read = Vec::new();
            prop_assert!(read_into(&values.written(), &mut read));
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(&read, &wanted);
            let buckets = Buckets::of(read);
            prop_assert_eq!(Shape::of(buckets.shape.width(), buckets.bytes.len()), Some(buckets.shape));
            prop_assert_eq!(buckets.hashes(), Some(wanted));
            for number in numbers {
                prop_assert!(buckets.shape.may_hold(token(number), bucket(&buckets, token(number))));
            }
        }

        #[test]
        fn anything_can_be_read(bytes in vec(any::<u8>(), 0..50), count in 1_u32..9, wanted in any::<u32>()) {
            let mut hashes = Vec::new();
            read_into(&bytes, &mut hashes);
            let width = (bytes.len() as u32 / count).max(1);
            let shape = Shape { count, width };
            shape.may_hold(token(wanted), &bytes);
            Buckets { bytes, shape }.hashes();
        }
    }

    #[test]
    fn an_absent_value_is_seldom_taken_for_a_present_one() {
        let buckets = group(0..200_000);
        assert!(buckets.shape.count > 100);
        let holds = |number| buckets.shape.may_hold(token(number), bucket(&buckets, token(number)));
        assert!((0..200_000).step_by(7).all(holds));
        let found = (1_000_000..1_100_000).filter(|number| holds(*number)).count();
        // 200,000 of 2^28 hashes are one in 1,342.
        assert!((30..150).contains(&found), "{found}");
    }

    #[test]
    fn buckets_are_nearly_full() {
        // Distances of 2,684 on average: two bytes for nearly all.
        let buckets = group(0..100_000);
        let bytes_each = buckets.bytes.len() as f64 / 1e5;
        assert!((2.0..2.4).contains(&bytes_each), "{bytes_each}");
    }

    #[test]
    fn the_damaged_rules_nothing_out() {
        let buckets = group(0..10);
        let (shape, absent) = (buckets.shape, token(99));
        assert!(!shape.may_hold(absent, bucket(&buckets, absent)));
        for damaged in [&[] as &[u8], &[0x80], &[1, 1, 1], &[0xff; 9]] {
            assert!(shape.may_hold(absent, damaged), "{damaged:?}");
            assert!(!read_into(damaged, &mut Vec::new()), "{damaged:?}");
        }
        assert_eq!(Shape::of(0, 5), None);
        assert_eq!(Shape::of(-3, 6), None);
        assert_eq!(Shape::of(4, 6), None);
        assert_eq!(Shape::of(4, 0), None);
        let nothing = Buckets::of(Vec::new());
        assert!(!nothing.shape.may_hold(absent, &nothing.bytes));
    }

    /// They are stored: another number needs a new column.
    #[test]
    fn hashes_stay() {
        assert_eq!(hash(Token::of(b"r\0server-1")), 125_574_953);
    }
}
