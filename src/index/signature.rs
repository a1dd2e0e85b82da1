//! The signature of a block: 95,808 bits. In: the rows of a block. Out: bits, of which a search needs a few to rule the block out.
//!
//! Every run of three bytes of a message (ASCII letters folded) sets one bit for the block, and so does every longer run: of five letters
//! and digits, of six digits, of seven digits and points, of six bytes across anything else, and, two bits each, of eight from the letters of one word
//! to those of the next. Every value of a field sets one bit in each of eight bytes, and which bit of the byte says in which unit of 32 rows the value
//! is. So one byte answers for eight units at once. Rates, fill and the alternatives: docs/decisions.md.

use xxhash_rust::xxh3::xxh3_128;

use super::values::Values;

/// Six of the pieces of 1,996 bytes in which Postgres keeps a value that is stored out of line.
pub const BYTES: usize = 6 * 1_996;
pub const BITS: usize = BYTES * 8;
/// Bytes of a signature that a field value touches: sixteen bits of its hash name each.
pub const TOKEN_BYTES: usize = 8;
/// Units of a block.
pub const UNITS: usize = 8;
pub const UNIT_ROWS: usize = 32;
pub const BLOCK_ROWS: usize = UNITS * UNIT_ROWS;
/// A block with more bits than this is closed early, or stack traces would make every block match everything.
pub const ONES_MAX: u32 = (BITS as u32) / 5 * 2;

pub const SHORT_GRAM: usize = 3;
/// The first bytes of a long gram say how long it is.
const HEAD: usize = 5;
/// One bit for each byte of a head.
const WHOLE_HEAD: u8 = (1 << HEAD) - 1;
/// Of letters and digits: a word of five letters has one.
const IN_WORD: usize = HEAD;
/// Of a number, and of a word that begins with one.
const OF_NUMBER: usize = 6;
/// Of digits and points, which have the fewest values.
const OF_DIGITS: usize = 7;
/// Across what is neither letter nor digit.
const ACROSS: usize = 6;
/// From one word of letters to the next, with one byte between them: words that are everywhere, but not side by side, part here.
const TWO_WORDS: usize = 8;

/// Places of a field value in a signature: numbers of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub [u16; TOKEN_BYTES]);

impl Token {
    /// The token of a value, named by bytes that say which field it belongs to.
    pub fn of(name: &[u8]) -> Self {
        let hash = xxh3_128(name);
        Self(std::array::from_fn(|at| ((u32::from((hash >> (at * 16)) as u16) * BYTES as u32) >> 16) as u16))
    }
}

/// The long gram with which a text begins; None if the text ends before it does.
pub fn long_gram(text: &[u8]) -> Option<&[u8]> {
    let head = text.get(..HEAD)?;
    let size = match (head.iter().all(is_digit), head.iter().all(is_word)) {
        (true, true) if text.get(HEAD).is_some_and(is_word) => OF_NUMBER,
        (true, _) => OF_DIGITS,
        (_, true) => IN_WORD,
        _ => ACROSS,
    };
    text.get(..size)
}

/// The gram of two words with which a text begins, if it begins with one.
pub fn two_words(text: &[u8]) -> Option<&[u8]> {
    let gram = text.get(..TWO_WORDS)?;
    let is_framed = is_letter(&gram[0]) && is_letter(&gram[TWO_WORDS - 1]);
    let between = gram.iter().filter(|byte| !is_letter(byte)).count();
    (is_framed && between == 1 && !gram.iter().any(is_digit)).then_some(gram)
}

fn is_letter(byte: &u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

fn is_digit(byte: &u8) -> bool {
    byte.is_ascii_digit() || *byte == b'.'
}

/// Every byte of a letter that is not ASCII counts as one.
fn is_word(byte: &u8) -> bool {
    byte.is_ascii_digit() || is_letter(byte)
}

/// The bits of a run of two words: two, because of a phrase few runs say that its words stand side by side.
pub fn two_words_bits(gram: &[u8]) -> [u32; 2] {
    two_bits_of(number(gram))
}

fn two_bits_of(gram: u64) -> [u32; 2] {
    [bit_of(gram), bit_of(gram.rotate_left(29))]
}

/// The bit of a run of at most seven folded bytes.
pub fn gram_bit(gram: &[u8]) -> u32 {
    bit_of(number(gram))
}

fn number(gram: &[u8]) -> u64 {
    gram.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Fibonacci hashing: the upper bits of a product with an odd constant, as a fraction of all bits.
fn bit_of(gram: u64) -> u32 {
    let upper = gram.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((upper * BITS as u64) >> 32) as u32
}

/// A signature that is being made.
#[derive(Clone)]
pub struct Signature {
    bytes: Box<[u8; BYTES]>,
    /// No fewer than its bits: each time that one was set counts.
    ones_max: u32,
    values: Values,
}

impl Default for Signature {
    fn default() -> Self {
        Self { bytes: Box::new([0; BYTES]), ones_max: 0, values: Values::default() }
    }
}

impl Signature {
    /// All grams of a message.
    pub fn add_message(&mut self, message: &str) {
        let mut window = 0_u64;
        // Which of the last eight bytes are digits or points, of words, and letters, the last one lowest.
        let (mut digits, mut words, mut letters) = (0_u8, 0_u8, 0_u8);
        let is_head = |bytes: u8| bytes & WHOLE_HEAD == WHOLE_HEAD;
        let bytes = message.as_bytes();
        self.ones_max = self.ones_max.saturating_add(2 * bytes.len() as u32);
        for (at, byte) in bytes.iter().enumerate() {
            window = window << 8 | u64::from(byte.to_ascii_lowercase());
            digits = digits << 1 | u8::from(is_digit(byte));
            words = words << 1 | u8::from(is_word(byte));
            letters = letters << 1 | u8::from(is_letter(byte));
            if at + 1 >= SHORT_GRAM {
                self.set(bit_of(window & 0xff_ffff));
            }
            if is_head(words) && !is_head(digits) {
                self.set(bit_of(window & 0xff_ffff_ffff));
            }
            let is_six = match (is_head(digits >> 1), is_head(words >> 1)) {
                (false, false) => at + 1 >= ACROSS,
                (true, true) => words & 1 == 1,
                _ => false,
            };
            if is_six {
                self.set(bit_of(window & 0xffff_ffff_ffff));
            }
            if is_head(digits >> 2) && !(is_head(words >> 2) && words >> 1 & 1 == 1) {
                self.set(bit_of(window & 0xff_ffff_ffff_ffff));
            }
            if letters & 0x81 == 0x81 && letters.count_zeros() == 1 && digits == 0 {
                two_bits_of(window).into_iter().for_each(|bit| self.set(bit));
                self.ones_max = self.ones_max.saturating_add(2);
            }
        }
    }

    /// A field value of a row of this unit.
    pub fn add_token(&mut self, token: Token, unit: usize) {
        for byte in token.0 {
            self.set(u32::from(byte) << 3 | unit as u32);
        }
        self.ones_max = self.ones_max.saturating_add(TOKEN_BYTES as u32);
        self.values.add(token);
    }

    /// More rows would make it match too much.
    pub fn is_full(&mut self) -> bool {
        if self.ones_max > ONES_MAX {
            // Twice or three times a block; counting each bit as it is set costs more.
            self.ones_max = self.bytes.iter().map(|byte| byte.count_ones()).sum();
        }
        self.ones_max > ONES_MAX
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Its bytes, and the list of its values.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        let bytes: Box<[u8]> = self.bytes;
        (bytes.into_vec(), self.values.written())
    }

    fn set(&mut self, bit: u32) {
        self.bytes[(bit >> 3) as usize] |= 1 << (bit & 7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(signature: &Signature, bit: u32) -> bool {
        signature.bytes()[(bit >> 3) as usize] >> (bit & 7) & 1 == 1
    }

    #[test]
    fn every_gram_of_a_message_is_in_it() {
        let mut signature = Signature::default();
        signature.add_message("Connection RESET by peer №7, 10.20.30.4 at 12345678, 12345abc, 12345.");
        let folded = "connection reset by peer №7, 10.20.30.4 at 12345678, 12345abc, 12345.".as_bytes();
        let long = (0..folded.len()).filter_map(|at| long_gram(&folded[at..]));
        let pairs: Vec<&[u8]> = (0..folded.len()).filter_map(|at| two_words(&folded[at..])).collect();
        assert!(pairs.contains(&b"on reset".as_slice()) && pairs.contains(&b"reset by".as_slice()));
        let pairs = pairs.into_iter().flat_map(two_words_bits);
        let all: Vec<u32> = folded.windows(SHORT_GRAM).chain(long).map(gram_bit).chain(pairs).collect();
        assert!(all.len() > folded.len() * 3 / 2);
        assert!(all.iter().all(|bit| has(&signature, *bit)));
        // And nothing else is.
        let ones: u32 = signature.bytes().iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones as usize, all.iter().collect::<std::collections::HashSet<_>>().len());
    }

    #[test]
    fn what_a_long_gram_begins_with_says_how_long_it_is() {
        for (text, gram) in [
            ("connection", "conne"),
            ("r2d2 x", "r2d2 x"),
            ("10.20.30.4", "10.20.3"),
            ("12345x7", "12345x"),
            ("1234567", "123456"),
            ("12345.7", "12345.7"),
            ("12345, 7", "12345, "),
            ("grüner", "grün"),
            ("by peer", "by pee"),
            ("a=b, c=d", "a=b, c"),
        ] {
            assert_eq!(long_gram(text.as_bytes()), Some(gram.as_bytes()), "{text}");
        }
        for text in ["", "four", "by pe", "12345", "12345.", "12345 ", "1.2.3."] {
            assert_eq!(long_gram(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn two_words_have_one_byte_between_them() {
        for text in ["ase flag", "r-reason", "größ_abc", "by_peers", "e=failed"] {
            assert_eq!(two_words(text.as_bytes()), Some(&text.as_bytes()[..8]), "{text}");
        }
        for text in [
            "database", "a, b: cd", "ab cd ef", "ms 1 for", "abc.defg", "at 7 pee", " reasons", "reasons ",
            "ab cdef",
        ] {
            assert_eq!(two_words(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_token_says_its_unit() {
        let mut signature = Signature::default();
        let token = Token::of(b"r\0server-1");
        signature.add_token(token, 5);
        for byte in token.0 {
            assert!(has(&signature, u32::from(byte) << 3 | 5));
            assert_eq!(signature.bytes()[usize::from(byte)] & !(1 << 5), 0);
        }
    }

    #[test]
    fn long_random_text_fills_it() {
        let mut signature = Signature::default();
        let mut rows = 0;
        while !signature.is_full() {
            let text: String = (0..200_u32)
                .map(|n| blake3::hash(&(rows * 200 + n).to_be_bytes()).to_hex().to_string())
                .collect();
            signature.add_message(&text);
            rows += 1;
        }
        assert!(rows < 10, "{rows}");
        // 40 % for sure, and not twice that.
        let ones: u32 = signature.bytes().iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones, signature.ones_max);
    }

    /// Signatures are stored: a change of these numbers needs a new format.
    #[test]
    fn hashes_stay() {
        assert_eq!(gram_bit(b"abc"), bit_of(0x61_6263));
        assert_eq!((gram_bit(b"abc"), gram_bit(b"abcde"), gram_bit(b"1234567")), (15551, 2372, 81273));
        assert_eq!(two_words_bits(b"ase flag"), [52893, 20681]);
        assert_eq!(Token::of(b"r\0server-1").0, [11346, 8170, 3698, 9951, 8990, 3402, 9275, 9028]);
    }
}
