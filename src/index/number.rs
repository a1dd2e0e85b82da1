//! Numbers as text, in one form for all spellings. In: the text of a value. Out: `1.50e1`, `15` and `15.0` give the same bytes; what is
//! no JSON number stays as it is. Equal numbers must give equal bytes, whatever their spelling; the opposite does not matter, because
//! the exact condition runs afterwards. Pure.

use std::borrow::Cow;

/// Digits without zeros at either end, then, unless it is 0, `e` and the exponent of the last digit.
pub fn canonical(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    // Most are such: nothing to do.
    if matches!((bytes.first(), bytes.last()), (Some(b'1'..=b'9'), Some(b'1'..=b'9')))
        && bytes.iter().all(u8::is_ascii_digit)
    {
        return Cow::Borrowed(text);
    }
    let Some((negative, digits, exponent)) = split(text) else { return Cow::Borrowed(text) };
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = &digits[leading..];
    let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let digits = &digits[..digits.len() - trailing];
    if digits.is_empty() {
        return Cow::Borrowed("0");
    }
    let exponent = exponent + trailing as i64;
    let sign = if negative { "-" } else { "" };
    let digits = std::str::from_utf8(digits).expect("digits are ASCII");
    if exponent == 0 && digits.len() + sign.len() == text.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(if exponent == 0 { format!("{sign}{digits}") } else { format!("{sign}{digits}e{exponent}") })
}

/// Sign, all digits, and the exponent of the last one; None for what is no JSON number (RFC 8259, section 6).
fn split(text: &str) -> Option<(bool, Vec<u8>, i64)> {
    let bytes = text.as_bytes();
    let negative = bytes.first() == Some(&b'-');
    let rest = &bytes[usize::from(negative)..];
    if !rest.first()?.is_ascii_digit() {
        return None;
    }
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
        None => (mantissa, None),
    };
    let all_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !all_digits(whole) || (whole.len() > 1 && whole[0] == b'0') || !fraction.is_none_or(all_digits) {
        return None;
    }
    let fraction = fraction.unwrap_or(&[]);
    Some((negative, [whole, fraction].concat(), exponent - fraction.len() as i64))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1 << 40)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_number_agree() {
        for same in [
            &["15", "15.0", "1.50e1", "150E-1", "0.15e+2"][..],
            &["0", "-0", "0.000", "0e7", "-0.0e-9"],
            &["-1200", "-1.2e3", "-1200.00"],
            &["0.001", "1e-3", "10e-4"],
        ] {
            for text in same {
                assert_eq!(canonical(text), canonical(same[0]), "{text}");
            }
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "+1", "0x1", "NaN", "1_000", "true", "42 ", "é"] {
            assert_eq!(canonical(text), text);
        }
    }

    proptest! {
        #[test]
        fn equal_numbers_give_equal_bytes(digits in 0_u32..1_000_000, shift in 0_usize..6, places in 0_usize..4) {
            let plain = canonical(&digits.to_string()).into_owned();
            let zeros = "0".repeat(places);
            let fraction = format!("{digits}.{zeros}0");
            prop_assert_eq!(canonical(&fraction), plain.as_str());
            let shifted = format!("{digits}{}e-{shift}", "0".repeat(shift));
            if digits > 0 || shift == 0 {
                prop_assert_eq!(canonical(&shifted), plain.as_str());
            }
        }

        #[test]
        fn different_numbers_stay_different(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            prop_assert_eq!(canonical(&a.to_string()) == canonical(&b.to_string()), a == b);
        }
    }
}
