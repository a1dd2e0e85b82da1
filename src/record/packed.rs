//! Trace and span ids in as few bytes as they need: a tag, then the text, or what its hex digits stand for. In: any text. Out: bytes
//! that mean exactly this text, the same for equal texts, hence comparable. The SQL functions `pack_id` and `id_text` do the same.

/// The rest is the text.
const TEXT: u8 = 0;
/// The rest is the bytes of an even number of lowercase hex digits.
const HEX: u8 = 1;
/// The rest is the 16 bytes of a UUID in lowercase with hyphens.
const UUID: u8 = 2;

pub fn pack(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut packed = Vec::with_capacity(bytes.len() + 1);
    packed.push(TEXT);
    let is_uuid = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let done = if is_uuid {
        packed[0] = UUID;
        [0..8, 9..13, 14..18, 19..23, 24..36].into_iter().all(|part| push_hex(&mut packed, &bytes[part]))
    } else {
        packed[0] = HEX;
        !bytes.is_empty() && bytes.len().is_multiple_of(2) && push_hex(&mut packed, bytes)
    };
    if !done {
        packed.clear();
        packed.push(TEXT);
        packed.extend_from_slice(bytes);
    }
    packed
}

/// The text of packed bytes; None for what [`pack`] does not make.
pub fn unpack(packed: &[u8]) -> Option<String> {
    let (tag, rest) = packed.split_first()?;
    let digit = |four: u8| char::from_digit(u32::from(four), 16).expect("four bits are a digit");
    match (*tag, rest.len()) {
        (TEXT, _) => String::from_utf8(rest.to_vec()).ok(),
        (HEX, _) | (UUID, 16) => {
            let mut text = String::with_capacity(rest.len() * 2 + 4);
            for (at, byte) in rest.iter().enumerate() {
                if *tag == UUID && matches!(at, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                text.extend([digit(byte >> 4), digit(byte & 15)]);
            }
            Some(text)
        }
        _ => None,
    }
}

fn push_hex(out: &mut Vec<u8>, digits: &[u8]) -> bool {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for pair in digits.chunks_exact(2) {
        match (value(pair[0]), value(pair[1])) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("", 1),
            ("abc-xyz-123", 12),
            ("00f067aa0ba902b7", 9),
            ("00F067AA0BA902B7", 17),
            ("abc", 4),
            ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", 17),
            ("4bf92f35-77b3-4da6-a3ce-929d0e0e473G", 37),
        ] {
            assert_eq!(pack(text).len(), bytes, "{text}");
            assert_eq!(unpack(&pack(text)).as_deref(), Some(text));
        }
        assert_eq!(unpack(&[]), None);
        assert_eq!(unpack(&[2, 1]), None);
        assert_eq!(unpack(&[9]), None);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in prop_oneof!["[0-9a-f-]{0,40}", "\\PC{0,40}", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"]) {
            let packed = pack(&text);
            prop_assert_eq!(unpack(&packed), Some(text));
        }
    }
}
