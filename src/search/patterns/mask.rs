//! The parts of a message that vary from record to record. In: the bytes from where such a part may begin. Out: what it is and how long.
//! Each kind has a placeholder, which holds nothing that would be masked itself, and a regular expression in Postgres' syntax that matches
//! at least every text of the kind. Linear time: nothing is looked at more than a bounded number of times. Pure.

use std::net::Ipv6Addr;

/// What varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mask {
    /// `42`, `-1.5`, `1.2.3`.
    Number,
    /// `12ms`, `1h30m`, `0.5s`.
    Duration,
    /// Hexadecimal of six characters or more with a digit, `0x1f`, and words like `x7Kq2b`.
    Id,
    Uuid,
    Ip,
    Mac,
    Email,
    /// `2026-01-31`, `2026-01-31T08:00:00.5Z`.
    Date,
    /// `08:00`, `08:00:00,123 +0200`.
    Clock,
    /// With the name of a month: `Jan  2 15:04:05`, `02/Jan/2026:15:04:05 +0000`.
    Calendar,
    /// What colours the text in a terminal.
    Colour,
}

/// What a mark of colour begins with, in the middle of a word too.
pub const ESCAPE: u8 = 0x1b;
/// Longest name in front of the `@`, and longest domain, that are looked at.
const NAME_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 128;
/// `::ffff:255.255.255.255` with all its zeros.
const IPV6_BYTES_MAX: usize = 45;

const UNITS: [&str; 8] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Mask {
    /// What stands in a template; the marks of colour stay as they are, without their numbers.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Number => "<n>",
            Self::Duration => "<dur>",
            Self::Id => "<id>",
            Self::Uuid => "<uuid>",
            Self::Ip => "<ip>",
            Self::Mac => "<mac>",
            Self::Email => "<email>",
            Self::Date | Self::Clock | Self::Calendar => "<time>",
            Self::Colour => "\u{1b}[m",
        }
    }

    /// Postgres' regular expression, without what may stand in front of a number. The column has the collation "C", so `\d` is a digit
    /// of ASCII.
    pub fn regex(self) -> &'static str {
        match self {
            Self::Number => r"\d+(?:\.\d+){0,2}",
            Self::Duration => r"(?:\d+(?:\.\d+){0,2}(?:[nuµμm]?s|m|h))+",
            Self::Id => {
                r"(?:0[xX][0-9a-fA-F]+|(?=[0-9a-fA-F]{6})(?:\d+[a-fA-F]|[a-fA-F]+\d)[0-9a-fA-F]*|(?:\d+[A-Za-z]+\d+[A-Za-z]|[A-Za-z]+\d+[A-Za-z]+\d)[0-9A-Za-z]*)"
            }
            Self::Uuid => "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
            Self::Ip => r"(?:\d+(?:\.\d+){3,}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*)",
            Self::Mac => "(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}",
            Self::Email => "[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+",
            Self::Date => {
                r"\d{4}[-/]\d\d[-/]\d\d(?:[T _]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z| UTC| GMT| ?[-+]\d\d:?\d\d)?)?"
            }
            Self::Clock => r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z| UTC| GMT| ?[-+]\d\d:?\d\d)?",
            Self::Calendar => {
                r"(?:[A-Z][a-z]{2},? )?(?:[A-Z][a-z]{2}  ?\d\d?|\d\d?[-/ ][A-Z][a-z]{2}[-/ ]\d{4})[: ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[-+]\d{4}| [A-Z]{3,4})?(?: \d{4})?"
            }
            Self::Colour => r"\u001b\[[0-9;]*m",
        }
    }

    /// Whether a sign may belong to it.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Number | Self::Duration)
    }
}

/// Whether a `-` or `+` behind this character is the sign of a number, and no dash.
pub fn takes_sign(before: Option<char>) -> bool {
    before.is_none_or(|letter| letter.is_whitespace() || "=([{,;:\"'|<>".contains(letter))
}

/// What begins here, at the first character of a word.
pub fn at_edge(text: &[u8]) -> Option<(Mask, usize)> {
    let found = |mask: Mask, len: Option<usize>| len.map(|len| (mask, len));
    let first = *text.first()?;
    let word = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if word == 0 {
        return match first {
            ESCAPE => found(Mask::Colour, colour(text)),
            b':' => found(Mask::Ip, ipv6(text)),
            _ => None,
        };
    }
    // Most words are words: the character behind one says what it cannot be.
    let next = text.get(word);
    let is_digit = first.is_ascii_digit();
    let asked = |can_be: bool, mask: Mask, len: fn(&[u8]) -> Option<usize>| {
        if can_be { found(mask, len(text)) } else { None }
    };
    asked(word == 8, Mask::Uuid, uuid)
        .or_else(|| asked(word == 2, Mask::Mac, mac))
        .or_else(|| asked(is_digit && word == 4, Mask::Date, date))
        .or_else(|| asked(is_digit && word == 2, Mask::Clock, |text| clock(text, 0)))
        .or_else(|| asked(is_digit || word == 3, Mask::Calendar, calendar))
        .or_else(|| asked(next == Some(&b':'), Mask::Ip, ipv6))
        .or_else(|| asked(next.is_some_and(|next| b"@._%+-".contains(next)), Mask::Email, email))
        .or_else(|| asked(is_digit, Mask::Duration, duration))
        .or_else(|| found(Mask::Id, id(&text[..word])))
        .or_else(|| if is_digit { number(text) } else { None })
}

/// A number wherever it stands: digits, and more of them behind dots. Four groups and more are an address.
pub fn number(text: &[u8]) -> Option<(Mask, usize)> {
    let mut end = digits(text, 0);
    if end == 0 {
        return None;
    }
    let mut groups = 1;
    while text.get(end) == Some(&b'.') && digits(text, end + 1) > 0 {
        end += 1 + digits(text, end + 1);
        groups += 1;
    }
    Some((if groups > 3 { Mask::Ip } else { Mask::Number }, end))
}

/// One or more numbers of at most three groups, each with its unit.
pub fn duration(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some((Mask::Number, len)) = number(&text[at..]) {
        let unit = UNITS.iter().find(|unit| text[at + len..].starts_with(unit.as_bytes()))?;
        at += len + unit.len();
    }
    (at > 0 && is_word_end(text, at)).then_some(at)
}

fn digits(text: &[u8], at: usize) -> usize {
    text.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn is_word_end(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// True behind a time; not in front of `:5`, which would go on with it.
fn is_time_end(text: &[u8], at: usize) -> bool {
    let goes_on =
        text.get(at) == Some(&b':') && text.get(at + 1).is_some_and(|byte| byte.is_ascii_alphanumeric());
    is_word_end(text, at) && !goes_on
}

/// Where a text of this shape that begins at `at` ends: `0` is a digit, `x` a hexadecimal one, anything else itself.
fn shape(text: &[u8], at: usize, shape: &str) -> Option<usize> {
    let piece = text.get(at..at + shape.len())?;
    let fits = |(byte, wanted): (&u8, u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        wanted => *byte == wanted,
    };
    piece.iter().zip(shape.bytes()).all(fits).then_some(at + shape.len())
}

fn uuid(text: &[u8]) -> Option<usize> {
    shape(text, 0, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx").filter(|end| is_word_end(text, *end))
}

fn mac(text: &[u8]) -> Option<usize> {
    let end = shape(text, 0, "xx:xx:xx:xx:xx:xx").or_else(|| shape(text, 0, "xx-xx-xx-xx-xx-xx"))?;
    (is_time_end(text, end) && text[..end].iter().any(u8::is_ascii_digit)).then_some(end)
}

fn date(text: &[u8]) -> Option<usize> {
    let day = shape(text, 0, "0000-00-00").or_else(|| shape(text, 0, "0000/00/00"))?;
    let has_clock = matches!(text.get(day), Some(b'T' | b' ' | b'_'));
    let whole = if has_clock { clock(text, day + 1) } else { None };
    whole.or_else(|| is_time_end(text, day).then_some(day))
}

/// Hours and minutes, perhaps with seconds, a fraction, a zone.
fn clock(text: &[u8], at: usize) -> Option<usize> {
    let minutes = shape(text, at, "00:00")?;
    let end = shape(text, minutes, ":00").map_or(minutes, |end| fraction(text, end));
    zone(text, end).filter(|end| is_time_end(text, *end)).or_else(|| is_time_end(text, end).then_some(end))
}

fn fraction(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'.' | b',') if digits(text, at + 1) > 0 => at + 1 + digits(text, at + 1),
        _ => at,
    }
}

fn zone(text: &[u8], at: usize) -> Option<usize> {
    let word = ["Z", " UTC", " GMT"].into_iter().find(|word| text[at..].starts_with(word.as_bytes()));
    word.map(|word| at + word.len()).or_else(|| {
        let sign = at + usize::from(text.get(at) == Some(&b' '));
        matches!(text.get(sign), Some(b'+' | b'-')).then_some(())?;
        shape(text, sign + 1, "00:00").or_else(|| shape(text, sign + 1, "0000"))
    })
}

fn calendar(text: &[u8]) -> Option<usize> {
    let word = |at: usize, words: &[&str]| {
        words.iter().any(|word| text.get(at..).is_some_and(|rest| rest.starts_with(word.as_bytes())))
    };
    let mut at = 0;
    // 1. Perhaps the day of the week.
    if word(0, &WEEKDAYS) {
        at = shape(text, 3, ", ").or_else(|| shape(text, 3, " "))?;
    }
    // 2. Month and day, or day, month and year.
    let day = digits(text, at);
    let end = if word(at, &MONTHS) {
        let day = shape(text, at + 3, "  ").or_else(|| shape(text, at + 3, " "))?;
        day + Some(digits(text, day)).filter(|digits| (1..=2).contains(digits))?
    } else if (1..=2).contains(&day) && word(at + day + 1, &MONTHS) {
        let is_between = |at: usize| matches!(text.get(at), Some(b'/' | b'-' | b' '));
        let month = at + day + 1;
        (is_between(month - 1) && is_between(month + 3)).then_some(())?;
        shape(text, month + 4, "0000")?
    } else {
        return None;
    };
    // 3. The clock, and what comes behind it.
    matches!(text.get(end), Some(b' ' | b':')).then_some(())?;
    let end = fraction(text, shape(text, end + 1, "00:00:00")?);
    let zone = zone_of_calendar(text, end).unwrap_or(end);
    let year = shape(text, zone, " 0000").filter(|end| is_time_end(text, *end));
    [year, Some(zone), Some(end)].into_iter().flatten().find(|end| is_time_end(text, *end))
}

/// `Z`, `+0000` or capitals like `CEST`.
fn zone_of_calendar(text: &[u8], at: usize) -> Option<usize> {
    let letters = || {
        let rest = text.get(at..)?.strip_prefix(b" ")?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        ((3..=4).contains(&count) && is_word_end(rest, count)).then_some(at + 1 + count)
    };
    let offset = || {
        let sign = at + usize::from(text.get(at) == Some(&b' '));
        matches!(text.get(sign), Some(b'+' | b'-')).then_some(())?;
        shape(text, sign + 1, "0000")
    };
    shape(text, at, "Z").or_else(offset).or_else(letters)
}

fn ipv6(text: &[u8]) -> Option<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let run = text.iter().take(IPV6_BYTES_MAX + 1).take_while(is_part).count();
    // The colon or the dot behind an address belongs to the sentence; `::` may end one.
    let mut end = run;
    while end > 2 && matches!(text[end - 1], b'.' | b':') && !text[..end].ends_with(b"::") {
        end -= 1;
    }
    let address = std::str::from_utf8(&text[..end]).ok()?;
    let is_address = address.bytes().filter(|byte| *byte == b':').count() > 1
        && address.bytes().any(|byte| byte.is_ascii_digit())
        && address.parse::<Ipv6Addr>().is_ok();
    (is_address && is_word_end(text, end)).then_some(end)
}

fn email(text: &[u8]) -> Option<usize> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let name = text.iter().take(NAME_BYTES_MAX + 1).take_while(is_name).count();
    (text.get(name) == Some(&b'@')).then_some(())?;
    // Labels between dots; the address ends with the last one that can be a top level domain.
    let mut end = None;
    let mut at = name + 1;
    loop {
        let is_label = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
        let label = text.get(at..)?.iter().take(DOMAIN_BYTES_MAX).take_while(is_label).count();
        if label == 0 || at > name + DOMAIN_BYTES_MAX {
            return end;
        }
        if at > name + 1 && label > 1 && text[at].is_ascii_alphabetic() {
            end = Some(at + label);
        }
        if text.get(at + label) != Some(&b'.') {
            return end;
        }
        at += label + 1;
    }
}

fn id(word: &[u8]) -> Option<usize> {
    let changes = word.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let is_hex = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_hexdigit);
    let is_prefixed = || word.strip_prefix(b"0x").or_else(|| word.strip_prefix(b"0X")).is_some_and(is_hex);
    let is_id = changes > 2 || changes > 0 && (word.len() >= 6 && is_hex(word) || is_prefixed());
    is_id.then_some(word.len())
}

fn colour(text: &[u8]) -> Option<usize> {
    let inside = text.strip_prefix(b"\x1b[")?;
    let len = inside.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    (inside.get(len) == Some(&b'm')).then_some(len + 3)
}
