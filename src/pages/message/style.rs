//! How a terminal would draw a text. In: the parameters of colour codes (ECMA-48 §8.3.117, SGR). Out: css classes of `message.css`.
//! Blinking and hidden text are shown like any other: a page neither moves nor hides what was logged. Pure.

use std::fmt;

/// A way to draw; its `Display` is the css classes for it, separated by blanks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    struck: bool,
    inverse: bool,
    /// Number of a colour, 0 to 15.
    ink: Option<usize>,
    paper: Option<usize>,
}

/// The colours 0 to 7; eight more are their bright ones.
const NAMES: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// What xterm draws for the sixteen colours; others are drawn as the nearest of them.
const XTERM: [[i32; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

impl Style {
    /// Follows a colour code; what it does not know changes nothing.
    pub(super) fn follow(&mut self, parameters: &str) {
        let mut groups = parameters.split(';');
        while let Some(group) = groups.next() {
            let mut parts = group.split(':');
            let code = number(parts.next());
            match code {
                Some(0) => *self = Self::default(),
                Some(1) => self.bold = true,
                Some(2) => self.dim = true,
                Some(3) => self.italic = true,
                Some(4) => self.underlined = parts.next() != Some("0"),
                Some(7) => self.inverse = true,
                Some(9) => self.struck = true,
                Some(21) => self.underlined = true,
                Some(22) => (self.bold, self.dim) = (false, false),
                Some(23) => self.italic = false,
                Some(24) => self.underlined = false,
                Some(27) => self.inverse = false,
                Some(29) => self.struck = false,
                Some(code @ 30..=37) => self.ink = Some(code - 30),
                Some(39) => self.ink = None,
                Some(code @ 40..=47) => self.paper = Some(code - 40),
                Some(49) => self.paper = None,
                Some(code @ 90..=97) => self.ink = Some(code - 90 + 8),
                Some(code @ 100..=107) => self.paper = Some(code - 100 + 8),
                Some(38 | 48 | 58) => {
                    let colour = if group.contains(':') { extended_in(group) } else { extended(&mut groups) };
                    match (code, colour) {
                        (Some(38), Some(colour)) => self.ink = Some(colour),
                        (Some(48), Some(colour)) => self.paper = Some(colour),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blank = "";
        let mut add = |class: fmt::Arguments<'_>| {
            write!(f, "{blank}ansi-{class}")?;
            blank = " ";
            Ok(())
        };
        let is_turned = self.inverse && self.ink.is_none();
        let (ink, paper) = match self.inverse {
            false => (self.ink, self.paper),
            true if is_turned => (None, None),
            true => (self.paper, self.ink),
        };
        for (is_set, class) in [
            (self.bold, "bold"),
            (self.dim && !is_turned, "dim"),
            (self.italic, "italic"),
            (self.underlined, "underlined"),
            (self.struck, "struck"),
            (is_turned, "inverse"),
        ] {
            if is_set {
                add(format_args!("{class}"))?;
            }
        }
        if let Some(ink) = ink {
            add(format_args!("{}{}", if ink < 8 { "" } else { "bright-" }, NAMES[ink % 8]))?;
        }
        match paper {
            // Bright and plain papers are one: both are tints, so that every ink can be read on them.
            Some(paper) => add(format_args!("on-{}", NAMES[paper % 8])),
            None => Ok(()),
        }
    }
}

/// A parameter; one that is empty is 0.
fn number(text: Option<&str>) -> Option<usize> {
    match text? {
        "" => Some(0),
        digits => digits.parse().ok().filter(|number| *number < 1_000),
    }
}

/// The colour behind `38;`: `5;n` or `2;red;green;blue`.
fn extended<'a>(groups: &mut impl Iterator<Item = &'a str>) -> Option<usize> {
    match number(groups.next())? {
        5 => indexed(number(groups.next())?),
        2 => {
            let (red, green, blue) = (number(groups.next()), number(groups.next()), number(groups.next()));
            nearest(red?, green?, blue?)
        }
        _ => None,
    }
}

/// The colour of `38:5:n`, `38:2:red:green:blue` or `38:2:space:red:green:blue`.
fn extended_in(group: &str) -> Option<usize> {
    let parts: Vec<&str> = group.split(':').take(7).collect();
    let part = |at: usize| number(parts.get(at).copied());
    match (part(1)?, parts.len()) {
        (5, _) => indexed(part(2)?),
        (2, 5) => nearest(part(2)?, part(3)?, part(4)?),
        (2, 6..) => nearest(part(3)?, part(4)?, part(5)?),
        _ => None,
    }
}

/// One of the 256 colours: sixteen, a cube of six shades a side, 24 greys.
fn indexed(index: usize) -> Option<usize> {
    let shade = |step: usize| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..=15 => Some(index),
        16..=231 => {
            let cube = index - 16;
            nearest(shade(cube / 36), shade(cube / 6 % 6), shade(cube % 6))
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            nearest(grey, grey, grey)
        }
        _ => None,
    }
}

fn nearest(red: usize, green: usize, blue: usize) -> Option<usize> {
    let wanted = [red, green, blue].map(|part| i32::try_from(part.min(255)).expect("at most 255"));
    let distance = |colour: &[i32; 3]| -> i32 {
        colour.iter().zip(wanted).map(|(part, wanted)| (part - wanted) * (part - wanted)).sum()
    };
    (0..XTERM.len()).min_by_key(|at| distance(&XTERM[*at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(codes: &[&str]) -> String {
        let mut style = Style::default();
        codes.iter().for_each(|code| style.follow(code));
        style.to_string()
    }

    #[test]
    fn codes_and_their_classes() {
        for (codes, expected) in [
            (&["1;31"][..], "ansi-bold ansi-red"),
            (&["1", "31", "22"], "ansi-red"),
            (&["31", ""], ""),
            (&["31", "0;4"], "ansi-underlined"),
            (&["31;"], ""),
            (&["2;3;4;9"], "ansi-dim ansi-italic ansi-underlined ansi-struck"),
            (&["4:3"], "ansi-underlined"),
            (&["4", "4:0"], ""),
            (&["97;101"], "ansi-bright-white ansi-on-red"),
            (&["33;44", "39"], "ansi-on-blue"),
            (&["33;44", "49"], "ansi-yellow"),
            (&["7"], "ansi-inverse"),
            (&["7;41"], "ansi-inverse"),
            (&["7;31"], "ansi-on-red"),
            (&["7;31;42"], "ansi-green ansi-on-red"),
            (&["7;31", "27"], "ansi-red"),
            (&["38;5;9;48;5;16"], "ansi-bright-red ansi-on-black"),
            (&["38;5;208"], "ansi-yellow"),
            (&["38;5;244"], "ansi-bright-black"),
            (&["38;2;250;10;10"], "ansi-bright-red"),
            (&["38:2:250:10:10"], "ansi-bright-red"),
            (&["38:2::250:10:10"], "ansi-bright-red"),
            (&["38:5:4;1"], "ansi-bold ansi-blue"),
            (&["58;5;9;1"], "ansi-bold"),
            (&["38;5;256;1"], "ansi-bold"),
            (&["38"], ""),
            (&["38;2;1"], ""),
            (&["5;6;8;10;99999999999999999999;1"], "ansi-bold"),
        ] {
            assert_eq!(classes(codes), expected, "{codes:?}");
        }
    }
}
