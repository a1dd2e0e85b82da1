//! What a block must have so that it can hold a hit. In: conditions, taken apart by the search. Out: a tree that is evaluated on the
//! bits of many blocks at once. Never narrower than the condition it was made from. Pure.

use super::{
    signature::{SHORT_GRAM, Token, gram_bit, long_gram, two_words, two_words_bits},
    tokens,
};
use crate::record::Level;

pub use super::tokens::Field;

/// Grams of each length that are asked for, evenly spread over a long text: its first words may be in all blocks.
const LONG_GRAMS_MAX: usize = 24;
const SHORT_GRAMS_MAX: usize = 16;
/// Those from one word to the next, which have two bits each.
const PAIRS_MAX: usize = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Anything,
    Nothing,
    /// Bit n - 1 for the level with the number n: a block holds rows of one level.
    Levels(u8),
    /// All of these bits of the block.
    Grams(Vec<u32>),
    /// In the same unit.
    Token(Token),
    All(Vec<Need>),
    Any(Vec<Need>),
}

impl Need {
    pub fn anything() -> Self {
        Self::Anything
    }

    pub fn nothing() -> Self {
        Self::Nothing
    }

    pub fn levels(levels: &[Level]) -> Self {
        match levels.iter().fold(0, |mask, level| mask | level_bit(*level as i16)) {
            0 => Self::Nothing,
            0b11_1111 => Self::Anything,
            mask => Self::Levels(mask),
        }
    }

    /// Messages that contain these bytes, ASCII letters in any case. Less than three bytes say nothing.
    pub fn substring(literal: &str) -> Self {
        let folded = literal.to_ascii_lowercase();
        let bytes = folded.as_bytes();
        let long: Vec<&[u8]> = (0..bytes.len()).filter_map(|at| long_gram(&bytes[at..])).collect();
        let pairs: Vec<&[u8]> = (0..bytes.len()).filter_map(|at| two_words(&bytes[at..])).collect();
        let short = spread(bytes.windows(SHORT_GRAM), SHORT_GRAMS_MAX);
        let mut grams: Vec<u32> =
            spread(long.into_iter(), LONG_GRAMS_MAX).chain(short).map(gram_bit).collect();
        grams.extend(spread(pairs.into_iter(), PAIRS_MAX).flat_map(two_words_bits));
        grams.sort_unstable();
        grams.dedup();
        if grams.is_empty() { Self::Anything } else { Self::Grams(grams) }
    }

    /// The field is exactly this; numbers in any spelling.
    pub fn field(field: Field<'_>, value: &str) -> Self {
        Self::Token(tokens::value(field, value))
    }

    /// Metadata has something at this dotted path.
    pub fn has_path(path: &str) -> Self {
        Self::Token(tokens::path(path))
    }

    pub fn all(needs: Vec<Self>) -> Self {
        let mut parts = Vec::new();
        for need in needs {
            match need {
                Self::Anything => {}
                Self::Nothing => return Self::Nothing,
                Self::All(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => Self::Anything,
            1 => parts.remove(0),
            _ => Self::All(parts),
        }
    }

    pub fn any(needs: Vec<Self>) -> Self {
        let mut parts = Vec::new();
        for need in needs {
            match need {
                Self::Nothing => {}
                Self::Anything => return Self::Anything,
                Self::Any(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => Self::Nothing,
            1 => parts.remove(0),
            _ => Self::Any(parts),
        }
    }

    /// Whether a block of this level can hold a hit, as far as levels say.
    pub fn admits(&self, level: i16) -> bool {
        match self {
            Self::Nothing => false,
            Self::Levels(mask) => mask & level_bit(level) != 0,
            Self::All(parts) => parts.iter().all(|part| part.admits(level)),
            Self::Any(parts) => parts.iter().any(|part| part.admits(level)),
            Self::Anything | Self::Grams(_) | Self::Token(_) => true,
        }
    }

    /// True if levels alone decide, so that no bits have to be read.
    pub fn is_by_level(&self) -> bool {
        match self {
            Self::Anything | Self::Nothing | Self::Levels(_) => true,
            Self::Grams(_) | Self::Token(_) => false,
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_by_level),
        }
    }

    /// The bits and the bytes of a signature that evaluation reads.
    pub fn places(&self, grams: &mut Vec<u32>, bytes: &mut Vec<u16>) {
        match self {
            Self::Anything | Self::Nothing | Self::Levels(_) => {}
            Self::Grams(bits) => grams.extend_from_slice(bits),
            Self::Token(token) => bytes.extend_from_slice(&token.0),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.places(grams, bytes)),
        }
    }

    /// The values without one of which there is no hit; none if there may be a hit without any of them.
    pub fn values(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.add_tokens(&mut tokens);
        if self.may_hold(&|_| false) { Vec::new() } else { tokens }
    }

    /// Whether there can be a hit where only these values are.
    pub fn may_hold(&self, is_there: &impl Fn(Token) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything | Self::Levels(_) | Self::Grams(_) => true,
            Self::Token(token) => is_there(*token),
            Self::All(parts) => parts.iter().all(|part| part.may_hold(is_there)),
            Self::Any(parts) => parts.iter().any(|part| part.may_hold(is_there)),
        }
    }

    fn add_tokens(&self, tokens: &mut Vec<Token>) {
        match self {
            Self::Anything | Self::Nothing | Self::Levels(_) | Self::Grams(_) => {}
            Self::Token(token) if tokens.contains(token) => {}
            Self::Token(token) => tokens.push(*token),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.add_tokens(tokens)),
        }
    }
}

/// At most so many, the first and the last among them.
fn spread<T>(items: impl ExactSizeIterator<Item = T>, most: usize) -> impl Iterator<Item = T> {
    let (count, taken) = (items.len(), items.len().min(most));
    // Of `count` places in a row, every one at which another of the `taken` begins.
    let is_taken =
        move |at: usize| at == 0 || at * (taken - 1) / (count - 1) > (at - 1) * (taken - 1) / (count - 1);
    items.enumerate().filter(move |(at, _)| is_taken(*at)).map(|(_, item)| item)
}

fn level_bit(level: i16) -> u8 {
    1_u8.checked_shl((level - 1) as u32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simplest_form() {
        let token = || Need::has_path("a");
        assert_eq!(Need::substring("ab"), Need::Anything);
        assert!(matches!(Need::substring("aBc"), Need::Grams(bits) if bits == [gram_bit(b"abc")]));
        assert!(matches!(Need::substring("aaaaaaaaaa"), Need::Grams(bits) if bits.len() == 2));
        assert_eq!(Need::levels(&[]), Need::Nothing);
        assert_eq!(Need::levels(&Level::ALL), Need::Anything);
        assert_eq!(Need::all(vec![Need::Anything, token()]), token());
        assert_eq!(Need::all(vec![Need::Nothing, token()]), Need::Nothing);
        assert_eq!(Need::any(vec![Need::Anything, token()]), Need::Anything);
        assert_eq!(Need::any(vec![Need::Nothing, token()]), token());
        assert_eq!(Need::all(vec![]), Need::Anything);
        assert_eq!(Need::any(vec![]), Need::Nothing);
    }

    #[test]
    fn values_without_which_there_is_no_hit() {
        let (a, b, text) = (Need::has_path("a"), Need::has_path("b"), Need::substring("text"));
        let token = |need: &Need| need.values()[0];
        let both = Need::all(vec![a.clone(), b.clone(), text.clone()]);
        assert_eq!(both.values(), [token(&a), token(&b)]);
        assert!(!both.may_hold(&|there| there == token(&a)) && both.may_hold(&|_| true));
        let either = Need::any(vec![a.clone(), b.clone()]);
        assert_eq!(either.values().len(), 2);
        assert!(either.may_hold(&|there| there == token(&b)) && !either.may_hold(&|_| false));
        // Another way to a hit is open.
        assert_eq!(Need::any(vec![a.clone(), text.clone()]).values(), []);
        assert_eq!(text.values(), []);
        assert_eq!(Need::all(vec![a.clone(), Need::any(vec![b, text])]).values().len(), 2);
    }

    #[test]
    fn all_of_a_long_text_is_asked_for() {
        let text =
            |last: &str| Need::substring(&format!("{} {last}", "a request that nobody had seen ".repeat(20)));
        let Need::Grams(grams) = text("0123456") else { panic!("it has grams") };
        assert!(grams.len() <= LONG_GRAMS_MAX + SHORT_GRAMS_MAX + 2 * PAIRS_MAX);
        assert!(grams.contains(&gram_bit(b"123456")) && grams.contains(&gram_bit(b"456")));
        assert_ne!(text("0123456"), text("0123457"));
        for count in 1..100 {
            let taken: Vec<usize> = spread(0..count, 10).collect();
            assert_eq!((taken.len(), taken[0], taken[taken.len() - 1]), (count.min(10), 0, count - 1));
        }
    }

    #[test]
    fn levels_decide_blocks() {
        let error = Need::levels(&[Level::Error]);
        assert!(error.admits(Level::Error as i16) && !error.admits(Level::Info as i16));
        let either = Need::any(vec![error.clone(), Need::has_path("a")]);
        assert!(either.admits(Level::Info as i16) && !either.is_by_level());
        assert!(!Need::all(vec![error, Need::has_path("a")]).admits(Level::Info as i16));
        assert!(!Need::levels(&[Level::Trace]).admits(-3));
    }
}
