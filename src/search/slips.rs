//! Slips of the hand between what was typed and what there is. Pure.

/// Longer texts are not looked through.
const CHARS_MAX: usize = 40;

/// How many slips of the hand lie between two names, if it is a few only: one in a short name, behind its first letter, two in a longer one.
pub fn slips(asked: &str, known: &str) -> Option<usize> {
    let (asked_chars, known_chars) = (asked.chars().count(), known.chars().count());
    let max = if asked_chars < 5 { 1 } else { 2 };
    // It takes as long as the one is long times the other.
    let is_short = asked_chars <= CHARS_MAX && known_chars.abs_diff(asked_chars) <= max;
    // Another hundred is another kind of status.
    let is_short = is_short && (max > 1 || asked.chars().next() == known.chars().next());
    is_short.then(|| strsim::osa_distance(known, asked)).filter(|slips| *slips <= max)
}
