//! Messages by tables, by chance and by colour.

use super::*;
use crate::pages::text::shown;
use proptest::prelude::*;

/// Pieces as one line: `[classes|text](href)`.
fn drawn(pieces: &[Piece]) -> String {
    let one = |piece: &Piece| {
        let class = piece.class.map_or(String::new(), |class| class.to_string());
        let href = piece.href.as_ref().map_or(String::new(), |href| format!("({href})"));
        format!("[{class}|{}]{href}", piece.text)
    };
    pieces.iter().map(one).collect()
}

fn joined(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

#[test]
fn what_is_drawn() {
    for (text, expected) in [
        ("", ""),
        ("plain", "[|plain]"),
        ("\x1b[31;1mERROR\x1b[0m ok", "[ansi-bold ansi-red|ERROR][| ok]"),
        ("\x1b[31ma\x1b[0m\x1b[31mb\x1b[32m", "[ansi-red|ab]"),
        ("a\x1b[0mb", "[|ab]"),
        ("\x1b[2K\x1b[31", "[|␛[2K␛[31]"),
        ("\x1b]8;;javascript:x\x07here\x1b]8;;\x07", "[|␛]8;;javascript:x␇here␛]8;;␇]"),
        ("\x1b]8;;http://a.example/\x07here", "[|␛]8;;][|http://a.example/](http://a.example/)[|␇here]"),
        ("at http://a.example/x.", "[|at ][|http://a.example/x](http://a.example/x)[|.]"),
        (
            "\x1b[4mhttp://\x1b[31ma.example/\x1b[0mx y",
            "[ansi-underlined|http://a.example/x](http://a.example/x)[| y]",
        ),
        ("http://a.example/\u{202e}gpj", "[|http://a.example/](http://a.example/)[|<U+202E>gpj]"),
        ("<script>alert(1)</script>\r\n", "[|<script>alert(1)</script>\n]"),
    ] {
        assert_eq!(drawn(&pieces(text)), expected, "{text:?}");
    }
}

#[test]
fn pieces_have_a_limit() {
    let text: String = (0..PIECES_MAX * 2).map(|n| format!("\x1b[3{}mx", n % 2)).collect();
    let pieces = pieces(&text);
    assert_eq!(pieces.len(), PIECES_MAX);
    assert_eq!(joined(&pieces), "x".repeat(PIECES_MAX * 2));
    assert_eq!(pieces[PIECES_MAX - 1].class, None);
}

#[test]
fn first_lines() {
    for (text, chars_max, expected, is_cut) in [
        ("one\ntwo", 10, "[|one]", true),
        ("one\n", 10, "[|one]", false),
        ("\n \x1b[31m\n  \ttwo  \r\n", 10, "[ansi-red|two]", false),
        ("äöü🚨x", 4, "[|äöü🚨]", true),
        ("äöü🚨x", 5, "[|äöü🚨x]", false),
        ("\x1b[31mab\x1b[0mcd", 3, "[ansi-red|ab][|c]", true),
        ("\x1b[31mab\x1b[0mcd", 2, "[ansi-red|ab]", true),
        ("see http://a.example/x", 8, "[|see ][|http]", true),
        ("", 5, "", false),
        (" \n ", 5, "", false),
        ("abc", 0, "", true),
    ] {
        let line = first_line(text, chars_max);
        assert_eq!((drawn(&line.pieces).as_str(), line.is_cut), (expected, is_cut), "{text:?}");
    }
}

/// What stands open, and `{n}` for each fold.
fn folded(text: &str) -> String {
    let Some(sections) = fold(text) else { return "nothing".to_owned() };
    let joined: String = sections.iter().flat_map(|section| [section.shown, section.folded]).collect();
    assert_eq!(joined, text);
    let one = |section: &Section| match section.frames {
        0 => section.shown.to_owned(),
        frames => format!("{}{{{frames}}}\n", section.shown),
    };
    sections.iter().map(one).collect()
}

#[test]
fn a_trace_of_java() {
    let text = "boom\njava.lang.IllegalStateException: x\r\n\tat a.B.c(B.java:1)\r\n\tat a.B.d(B.java:2)\n\tat a.B.e(B.java:3) ~[b.jar:1]\n\
        \tat a.B.f(Native Method)\n\tat java.base/x.Y.z(Y.java:5)\n\tat q.R$s.invoke(Unknown Source)\nCaused by: java.io.IOException: y\n\
        \tat a.B.g(B.java:7)\n\tat a.B.h(B.java:8)\n\tat a.B.i(B.java:9)\n\tat a.B.j(B.java:10)\n\tat a.B.k(B.java:11)\n\t... 23 more\n\
        Caused by: short\n\tat a.B.l(B.java:12)\n\t... 25 more\nafter\n";
    assert_eq!(
        folded(text),
        "boom\njava.lang.IllegalStateException: x\r\n\tat a.B.c(B.java:1)\r\n\tat a.B.d(B.java:2)\n\tat a.B.e(B.java:3) ~[b.jar:1]\n{3}\n\
        Caused by: java.io.IOException: y\n\tat a.B.g(B.java:7)\n\tat a.B.h(B.java:8)\n\tat a.B.i(B.java:9)\n{2}\n\
        Caused by: short\n\tat a.B.l(B.java:12)\n\t... 25 more\nafter\n"
    );
}

#[test]
fn a_trace_of_python() {
    let frame =
        |n: usize| format!("  File \"/app/m{n}.py\", line {n}, in f{n}\n    f{}(x)\n    ~~^^^\n", n + 1);
    let trace: String = (1..=6).map(frame).collect();
    let open: String = (4..=6).map(frame).collect();
    let head = "Traceback (most recent call last):\n";
    let again = "ValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\n";
    assert_eq!(
        folded(&format!("{head}{trace}{again}{head}{trace}KeyError: 'y'")),
        format!("{head}{{3}}\n{open}{again}{head}{{3}}\n{open}KeyError: 'y'")
    );
    let in_group = |text: &str| text.lines().map(|line| format!("  | {line}\n")).collect::<String>();
    assert_eq!(
        folded(&in_group(&format!("{head}{trace}ValueError: x"))),
        format!("{}{{3}}\n{}", in_group(head), in_group(&format!("{open}ValueError: x")))
    );
    let recursive = format!("{head}{}  [Previous line repeated 996 more times]\n{}E", frame(1), trace);
    assert_eq!(folded(&recursive), format!("{head}{{4}}\n{open}E"));
}

/// Writes the frame of a number.
type OneFrame<'a> = &'a dyn Fn(usize) -> String;

#[test]
fn traces_of_others() {
    let frames = |one: OneFrame, range: std::ops::RangeInclusive<usize>| range.map(one).collect::<String>();
    let node = |n: usize| format!("    at async fn{n} (/app/{n}.js:{n}:1)\n");
    let net = |n: usize| format!("   at N.C.M{n}(String s) in C:\\x.cs:line {n}\n");
    let go = |n: usize| format!("main.f{n}(0xc0, ...)\n\t/src/main.go:{n} +0x1d\n");
    let wrapped = |n: usize| format!("main.f{n}\n\t/src/main.go:{n}\n");
    let rust =
        |n: usize| format!("{n:4}: core::panicking::panic{n}\n             at /rustc/0/src/x.rs:{n}:5\n");
    let php = |n: usize| format!("#{n} /app/x.php({n}): f()\n");
    let ruby = |n: usize| format!("\tfrom /app/x.rb:{n}:in `f'\n");
    let all: [(&str, OneFrame, &str); 7] = [
        ("Error: x\n", &node, "    at <anonymous>\n"),
        ("System.Exception: x\n", &net, "--- End of inner exception stack trace ---\n"),
        ("panic: x\n\ngoroutine 1 [running]:\n", &go, "\ngoroutine 6 [select]:\n"),
        ("x\n", &wrapped, "next\n"),
        ("thread 'main' panicked at x:\nboom\nstack backtrace:\n", &rust, "note: Some details are omitted\n"),
        ("PHP Fatal error:  x\nStack trace:\n", &php, "  thrown in x\n"),
        ("x.rb:1:in `f': boom (RuntimeError)\n", &ruby, "end\n"),
    ];
    for (head, one, tail) in all {
        let (text, open) = (frames(one, 1..=9), frames(one, 1..=3));
        assert_eq!(folded(&format!("{head}{text}{tail}")), format!("{head}{open}{{6}}\n{tail}"), "{head}");
        assert_eq!(folded(&format!("{head}{}{tail}", frames(one, 1..=4))), "nothing", "{head}");
    }
}

#[test]
fn what_is_no_trace() {
    let causes: String = (0..9).map(|n| format!("    {n}: reason\n")).collect();
    let poem = "  at dawn\n".repeat(9);
    let list = "# heading\n- at x (y)\n".repeat(9);
    for text in ["", "one line", &format!("Error: x\n\nCaused by:\n{causes}"), &poem, &list, "\n\n\n\n\n\n"] {
        assert_eq!(folded(text), "nothing", "{text}");
    }
}

#[test]
fn colours_go_on_behind_a_fold() {
    let frames: String = (0..7).map(|n| format!("\tat a.b(C.java:{n})\n")).collect();
    let blocks = blocks(&format!("\x1b[31mE\n{frames}Caused by: x\x1b[0m"));
    let [first, second] = blocks.as_slice() else { panic!("{blocks:?}") };
    let fold = first.folded.as_ref().unwrap();
    assert_eq!(fold.label, "4 more frames");
    for pieces in [&first.pieces, &fold.pieces, &second.pieces] {
        assert!(drawn(pieces).starts_with("[ansi-red|"), "{}", drawn(pieces));
    }
    assert_eq!(super::blocks("x"), [Block { pieces: pieces("x"), folded: None }]);
}

fn a_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => any::<String>(),
        2 => "\\PC{0,20}",
        2 => "\x1b\\[[0-9;:]{0,12}m",
        1 => "\x1b[\\]\\[][0-9;a-zA-Z]{0,5}",
        2 => "https?://[a-z.@:%/?()\\[\\]é]{0,20}",
        1 => "[\\r\\n\\t ]{1,3}",
        1 => "\tat a\\.b\\(c:1\\)\n",
        1 => "  File \"x\", line 1\n",
        1 => "[\u{202a}-\u{202e}\u{2066}-\u{2069}\u{80}-\u{9f}\0-\x1f]{1,3}",
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn pieces_are_the_shown_text(text in a_text()) {
        let pieces = pieces(&text);
        prop_assert_eq!(joined(&pieces), shown(&text));
        prop_assert!(pieces.iter().all(|piece| !piece.text.is_empty()));
        for href in pieces.iter().filter_map(|piece| piece.href.as_deref()) {
            prop_assert!(href.is_ascii() && !href.contains(['"', '<', '>', ' ', '\'', '\\']));
            let address = actix_web::http::Uri::try_from(href);
            prop_assert!(address.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https"))), "{}", href);
        }
    }

    #[test]
    fn blocks_are_the_shown_text(text in a_text()) {
        let mut all = String::new();
        for block in blocks(&text) {
            all.push_str(&joined(&block.pieces));
            all.push_str(&block.folded.map_or(String::new(), |folded| joined(&folded.pieces)));
        }
        prop_assert_eq!(all, shown(&text));
    }

    #[test]
    fn a_first_line_is_part_of_the_text(text in a_text(), chars_max in 0_usize..60) {
        let line = first_line(&text, chars_max);
        let shown_line = joined(&line.pieces);
        prop_assert!(shown_line.chars().count() <= chars_max && !shown_line.contains('\n'));
        prop_assert!(shown(&text).contains(&shown_line));
        prop_assert_eq!(line.is_cut, shown(&text).trim() != shown_line.trim());
    }
}

/// The colours of `--name: light-dark(#…, #…)` in `page.css`.
fn token(name: &str) -> [[f64; 3]; 2] {
    let css = include_str!("../../../static/page.css");
    let (_, value) = css.split_once(&format!("--{name}: light-dark(")).expect("every token is given");
    let (light, dark) = value.split_once(", ").unwrap();
    [colour(light), colour(dark)]
}

fn colour(text: &str) -> [f64; 3] {
    let digits: String = text[1..].chars().take_while(char::is_ascii_hexdigit).collect();
    let wide: String = if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits };
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&wide[at..at + 2], 16).unwrap()) / 255.0)
}

/// WCAG 2.2, contrast ratio.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    let light = |[r, g, b]: [f64; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
    let (one, other) = (light(one), light(other));
    one.max(other) / one.min(other)
}

#[test]
fn every_ink_can_be_read_on_every_paper() {
    let css = include_str!("../../../static/message.css");
    let (mut inks, mut papers) = (Vec::new(), Vec::new());
    for line in css.lines().filter(|line| line.contains("light-dark(")) {
        let (class, value) = line.split_once(" { ").unwrap();
        let (light, dark) = value.split_once("light-dark(").unwrap().1.split_once(", ").unwrap();
        let list = if value.starts_with("color:") { &mut inks } else { &mut papers };
        list.push((class.to_owned(), [colour(light), colour(dark)]));
    }
    assert_eq!((inks.len(), papers.len()), (16, 8));
    let of_page = |name: &str| (name.to_owned(), token(name));
    inks.extend(["text", "quiet", "link"].map(of_page));
    papers.extend(["ground", "sheet", "hover", "bad", "worse", "mark"].map(of_page));
    for (ink, ink_colours) in &inks {
        for (paper, paper_colours) in &papers {
            for theme in [0, 1] {
                let ratio = contrast(ink_colours[theme], paper_colours[theme]);
                assert!(ratio >= 4.5, "{ink} on {paper} in theme {theme}: {ratio:.2}");
            }
        }
    }
}

#[test]
fn every_class_has_a_rule() {
    let css = include_str!("../../../static/message.css");
    for code in (0..=9).chain(30..=37).chain(40..=47).chain(90..=97).chain(100..=107) {
        let mut style = Style::default();
        style.follow(&code.to_string());
        for class in style.to_string().split(' ').filter(|class| !class.is_empty()) {
            assert!(css.contains(&format!("\n.{class} {{")), "{class}");
        }
    }
}

#[test]
fn time_grows_with_the_text_only() {
    // What would be read again from each of its parts, if it grew with the square: then these took minutes.
    for part in [
        "http://",
        "http://a/",
        "http://a",
        "http://a@",
        "://",
        "\x1b[",
        "\x1b[1",
        "((",
        "\x1b[31mx\x1b[m",
        "\tat a(",
        "\ta.go:1\n",
    ] {
        let text = part.repeat((1 << 20) / part.len());
        let started = std::time::Instant::now();
        let bytes: usize =
            blocks(&text).iter().flat_map(|block| &block.pieces).map(|piece| piece.text.len()).sum();
        assert!(bytes > 0 && started.elapsed().as_secs() < 20, "{part:?} took {:?}", started.elapsed());
    }
}
