//! Addresses in a text. In: text as it is shown. Out: where `http:` and `https:` addresses stand, and what a link to each says. What is
//! linked is exactly what is read: no name or password before the host, no host of other letters than ASCII. Pure.

use std::ops::Range;

use memchr::memmem;

/// Bytes of an address; a longer one is no link, since a part of it would lead elsewhere.
const ADDRESS_BYTES_MAX: usize = 2_048;
/// Bytes before the path: the longest name that DNS knows, and a port.
const AUTHORITY_BYTES_MAX: usize = 253 + ":65535".len();
const PORT_DIGITS_MAX: usize = 5;
/// Ends a sentence rather than an address.
const PUNCTUATION: &[char] = &['.', ',', ';', ':', '!', '?', '*', '~', '(', '['];

pub(super) struct Link {
    pub(super) range: Range<usize>,
    pub(super) href: String,
}

/// The addresses of a text, in order.
pub(super) fn find(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut taken = 0;
    // Every address in a run of letters ends where the run ends, at the latest; so each run is walked once.
    let mut run_end = 0;
    for colon in memmem::find_iter(text.as_bytes(), b"://") {
        let start = scheme_start(&text[..colon]).filter(|start| *start >= taken);
        let Some(start) = start else { continue };
        let host = colon + "://".len();
        if run_end <= host {
            run_end = text[host..].find(is_end).map_or(text.len(), |bytes| host + bytes);
        }
        let Some(bytes) = address(&text[host..run_end]) else { continue };
        let range = start..host + bytes;
        taken = range.end;
        if range.len() <= ADDRESS_BYTES_MAX {
            links.push(Link { href: encoded(&text[range.clone()]), range });
        }
    }
    links
}

/// Where the `http` or `https` begins that the text ends in, as a word of its own.
fn scheme_start(before: &str) -> Option<usize> {
    let bytes = before.as_bytes();
    let ends = |scheme: &&str| {
        bytes.len() >= scheme.len()
            && bytes[bytes.len() - scheme.len()..].eq_ignore_ascii_case(scheme.as_bytes())
    };
    let start = bytes.len() - ["https", "http"].into_iter().find(ends)?.len();
    (start == 0 || !bytes[start - 1].is_ascii_alphanumeric()).then_some(start)
}

/// What no address holds: blanks, quotes, brackets of markup, signs of other scripts.
fn is_end(letter: char) -> bool {
    match letter.is_ascii() {
        true => !letter.is_ascii_graphic() || "<>\"'`{}|\\^".contains(letter),
        false => !letter.is_alphanumeric(),
    }
}

/// Bytes of the address that a run of letters begins with, from its host on.
fn address(run: &str) -> Option<usize> {
    let authority = run.bytes().take(AUTHORITY_BYTES_MAX + 1).position(|byte| b"/?#".contains(&byte));
    let authority = authority.unwrap_or(run.len());
    if authority > AUTHORITY_BYTES_MAX {
        return None;
    }
    let host = host(&run[..authority])?;
    if host < authority { Some(host) } else { Some(authority + path(&run[authority..])) }
}

/// Bytes of `host` or `host:port`. Another sign behind it may end a sentence or part two addresses; a letter may not.
fn host(authority: &str) -> Option<usize> {
    let bytes = authority.as_bytes();
    if !authority.is_ascii() || bytes.iter().any(|byte| b"@%".contains(byte)) {
        return None;
    }
    let name = match bytes.first()? {
        b'[' => {
            let inside = authority[1..].split_once(']')?.0;
            let is_address = inside.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
            (is_address && inside.contains(':')).then_some(inside.len() + "[]".len())?
        }
        _ => {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
            let name = bytes.iter().position(|byte| !is_name(byte)).unwrap_or(bytes.len());
            authority[..name].trim_end_matches(['.', '-', '_']).len()
        }
    };
    if name == 0 || !(bytes[0] == b'[' || bytes[0].is_ascii_alphanumeric()) {
        return None;
    }
    let Some(behind) = authority[name..].strip_prefix(':') else {
        return (!authority[name..].starts_with(|sign: char| sign.is_ascii_alphanumeric())).then_some(name);
    };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let goes_on = behind[digits..].starts_with(|sign: char| sign.is_ascii_alphanumeric());
    match digits {
        _ if goes_on => None,
        0 => Some(name),
        1..=PORT_DIGITS_MAX => Some(name + 1 + digits),
        _ => None,
    }
}

/// Bytes of a path, without a bracket that was opened before it and without what ends the sentence.
fn path(run: &str) -> usize {
    let (mut round, mut square) = (0_usize, 0_usize);
    let closes = |letter: char| {
        let open = match letter {
            '(' | ')' => &mut round,
            '[' | ']' => &mut square,
            _ => return false,
        };
        match letter {
            '(' | '[' => *open += 1,
            _ if *open == 0 => return true,
            _ => *open -= 1,
        }
        false
    };
    let end = run.find(closes).unwrap_or(run.len());
    run[..end].trim_end_matches(PUNCTUATION).len()
}

/// The address in ASCII; letters beyond it as their UTF-8.
fn encoded(address: &str) -> String {
    let mut href = String::with_capacity(address.len());
    for letter in address.chars() {
        if letter.is_ascii() {
            href.push(letter);
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                href.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    href
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text, and the addresses that are links in it.
    const TEXTS: &[(&str, &[&str])] = &[
        ("see http://a.example/x?y=1#z now", &["http://a.example/x?y=1#z"]),
        ("HTTPS://A.example", &["HTTPS://A.example"]),
        ("Go to https://a.example.", &["https://a.example"]),
        (
            "https://a.example/x, https://b.example/y; (https://c.example/z)!",
            &["https://a.example/x", "https://b.example/y", "https://c.example/z"],
        ),
        ("http://127.0.0.1:2379,http://127.0.0.1:2380", &["http://127.0.0.1:2379", "http://127.0.0.1:2380"]),
        (
            "http://[::1]:8080/x http://[fe80::1] http://[x]/ http://[]/",
            &["http://[::1]:8080/x", "http://[fe80::1]"],
        ),
        (
            "(http://w.example/a_(b)) [http://w.example/c[d]]",
            &["http://w.example/a_(b)", "http://w.example/c[d]"],
        ),
        (
            r#"{"url":"http://a.example/x","n":1} 'http://b.example/y',z <http://c.example/>"#,
            &["http://a.example/x", "http://b.example/y", "http://c.example/"],
        ),
        ("http://host: refused, http://host:80: refused", &["http://host", "http://host:80"]),
        ("http://a.example/?u=http://b.example/x", &["http://a.example/?u=http://b.example/x"]),
        ("http://a.example/x\\nhttp", &["http://a.example/x"]),
        ("http://a.example/x。次 “http://b.example/y”…", &["http://a.example/x", "http://b.example/y"]),
        // Not what they seem to be.
        ("http://good.example@evil.example/ http://u:p@h/ http://a%2e/ http://good.example:80@evil/", &[]),
        ("http://good.example\\@evil.example/", &["http://good.example"]),
        ("http://аpple.example/ http://é/", &[]),
        (
            "javascript:alert(1) data:text/html,x ftp://a/ xhttp://a/ file:///x //a/ http:// http:///x http://.a/",
            &[],
        ),
        ("javascript:http://a.example/", &["http://a.example/"]),
        ("http://host:pass http://host:123456/ http://host:12x/", &[]),
    ];

    #[test]
    fn what_is_linked() {
        for (text, expected) in TEXTS {
            let seen: Vec<&str> = find(text).iter().map(|link| &text[link.range.clone()]).collect();
            assert_eq!(&seen, expected, "{text}");
        }
        let links = find("http://a.example/ä?名=%20");
        assert_eq!(links[0].href, "http://a.example/%C3%A4?%E5%90%8D=%20");
    }

    #[test]
    fn limits() {
        let of = |bytes: usize| format!("http://a.example/{}", "x".repeat(bytes - "http://a.example/".len()));
        assert_eq!(find(&of(ADDRESS_BYTES_MAX)).len(), 1);
        assert_eq!(find(&of(ADDRESS_BYTES_MAX + 1)).len(), 0);
        // Nor is a part of one that is too long.
        assert_eq!(find(&"http://a.example/".repeat(ADDRESS_BYTES_MAX)).len(), 0);
        assert_eq!(find(&format!("http://{}/", "h".repeat(AUTHORITY_BYTES_MAX))).len(), 1);
        assert_eq!(find(&format!("http://{}/", "h".repeat(AUTHORITY_BYTES_MAX + 1))).len(), 0);
    }
}
