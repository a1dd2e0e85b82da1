//! What messages of one kind have in common. In: a message. Out: its [`Template`]: the first line with what varies masked, so that
//! messages that differ only there have the same one. Looks at the first 512 bytes at most, in linear time. Pure.

use super::mask::{self, Mask};

/// Bytes of a message that are looked at.
const HEAD_BYTES_MAX: usize = 512;
/// Characters from which on a message has at least one byte more than is looked at: what has to be fetched of one.
pub const HEAD_CHARS: usize = HEAD_BYTES_MAX + 1;
/// A template ends after so much, so that it does not depend on how long the masked parts of a message are. A byte of text counts one.
const WEIGHT_MAX: usize = 256;
/// What a mask counts: never less than the length of its placeholder.
const MASK_WEIGHT: usize = 8;
/// How far back a cut moves to leave no half of anything behind.
const CUT_BYTES_MAX: usize = 64;

/// The kind of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    /// With placeholders.
    text: String,
    /// Where they stand, in order: a message may hold the text of a placeholder itself.
    spots: Vec<Spot>,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Spot {
    at: u16,
    mask: Mask,
}

/// What comes behind the text of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The end of the first line; there may be more lines.
    Line,
    /// More of the same line.
    Open,
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    Mask(Mask),
}

impl Template {
    /// The text with placeholders.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Sixteen hexadecimal digits that are the same for the same template, today and tomorrow.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.text.as_bytes());
        for spot in &self.spots {
            hasher.update(&[0]).update(&spot.at.to_be_bytes()).update(spot.mask.placeholder().as_bytes());
        }
        hasher.update(match self.end {
            End::Line => b"line",
            End::Open => b"open",
        });
        hasher.finalize().to_hex()[..16].to_owned()
    }

    /// Text and masks in turn; no text is empty.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut at = 0;
        let spots = self.spots.iter().map(Some).chain([None]);
        spots.flat_map(move |spot| {
            let (end, next) = match spot {
                Some(Spot { at, mask }) => {
                    let start = usize::from(*at);
                    (start, start + mask.placeholder().len())
                }
                None => (self.text.len(), self.text.len()),
            };
            let text = &self.text[at..end];
            at = next;
            let text = (!text.is_empty()).then_some(Piece::Text(text));
            [text, spot.map(|spot| Piece::Mask(spot.mask))].into_iter().flatten()
        })
    }
}

/// A template in the making.
struct Scan<'a> {
    head: &'a str,
    at: usize,
    weight: usize,
    made: Template,
}

/// The template of a message.
pub fn template(message: &str) -> Template {
    let (head, end) = head(message);
    let made = Template { text: String::with_capacity(head.len().min(WEIGHT_MAX)), spots: Vec::new(), end };
    let mut scan = Scan { head, at: 0, weight: 0, made };
    while scan.at < head.len() {
        if !scan.step() {
            scan.made.end = End::Open;
            break;
        }
    }
    scan.made
}

/// The part of a message that is looked at, and whether its line goes on.
fn head(message: &str) -> (&str, End) {
    let start = &message[..message.floor_char_boundary(HEAD_BYTES_MAX)];
    let start = match start.split_once('\n') {
        Some((line, _)) => return (line.trim_end_matches('\r'), End::Line),
        None if start.len() == message.len() => return (start, End::Line),
        None => start,
    };
    // A word, a time or an address that is cut through is none; without a blank nearby it is what it is.
    let near = start.floor_char_boundary(start.len() - CUT_BYTES_MAX);
    let cut = start[near..].rfind(' ').map_or(start.len(), |blank| near + blank);
    (&start[..cut], End::Open)
}

impl Scan<'_> {
    /// Takes the next word, number or sign; false if there is no room for it.
    fn step(&mut self) -> bool {
        let bytes = self.head.as_bytes();
        let rest = &bytes[self.at..];
        let before = self.at.checked_sub(1).map(|at| bytes[at]);
        let is_edge = before.is_none_or(|byte| !byte.is_ascii_alphanumeric())
            || rest[0] == mask::ESCAPE
            || self.is_behind_mask();
        let masked = if is_edge { mask::at_edge(rest) } else { mask::number(rest) };
        if let Some((mask, len)) = masked.or_else(|| self.signed(rest)) {
            return self.mask(mask, len);
        }
        let len = match rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count() {
            0 => self.head[self.at..].chars().next().map_or(0, char::len_utf8),
            letters => letters,
        };
        self.text(len)
    }

    /// A number with its sign, if that is what stands here.
    fn signed(&self, rest: &[u8]) -> Option<(Mask, usize)> {
        let is_sign = matches!(rest[0], b'-' | b'+')
            && !self.is_behind_mask()
            && mask::takes_sign(self.made.text.chars().next_back());
        if !is_sign {
            return None;
        }
        mask::at_edge(&rest[1..]).filter(|(mask, _)| mask.is_signed()).map(|(mask, len)| (mask, len + 1))
    }

    fn is_behind_mask(&self) -> bool {
        self.made.spots.last().is_some_and(|spot| spot.end() == self.made.text.len())
    }

    fn mask(&mut self, mask: Mask, len: usize) -> bool {
        if self.weight + MASK_WEIGHT > WEIGHT_MAX {
            return false;
        }
        self.weight += MASK_WEIGHT;
        self.at += len;
        let at = self.made.text.len() as u16;
        self.made.text.push_str(mask.placeholder());
        self.made.spots.push(Spot { at, mask });
        true
    }

    fn text(&mut self, len: usize) -> bool {
        let left = WEIGHT_MAX - self.weight;
        let text = &self.head[self.at..self.at + len];
        // A word that alone is too long is cut, or there would be nothing to tell it by.
        let fits = len <= left;
        if fits || self.made.text.is_empty() {
            self.made.text.push_str(&text[..len.min(left)]);
        }
        self.weight += len.min(left);
        self.at += len;
        fits
    }
}

impl Spot {
    fn end(self) -> usize {
        usize::from(self.at) + self.mask.placeholder().len()
    }
}

#[cfg(test)]
mod tests;
