use super::*;
use proptest::prelude::*;

fn text(message: &str) -> String {
    template(message).text().to_owned()
}

#[test]
fn what_varies_is_masked() {
    for (message, wanted) in [
        ("", ""),
        ("plain words, nothing else", "plain words, nothing else"),
        ("user 42 has 3.5 of -7", "user <n> has <n> of <n>"),
        (
            "worker-7 user42 v1.2.3 k8s 3rd 10GB 1.5GB 1.2.",
            "worker-<n> user<n> v<n> k<n>s <n>rd <n>GB <n>GB <n>.",
        ),
        ("took 12ms, 1h30m or 1.5s; 5 min", "took <dur>, <dur> or <dur>; <n> min"),
        ("5µs -3ms 5msx 5sé", "<dur> <dur> <n>msx <dur>é"),
        ("commit 5e5342f of 0x1F at deadbeef1", "commit <id> of <id> at <id>"),
        ("deadbeef abc12 5a", "deadbeef abc<n> <n>a"),
        ("pod api-7d9f8b6c5-x2x9z req_8f3a2b1c", "pod api-<id>-<id> req_<id>"),
        ("id 0199b7a0-1234-7abc-8def-0123456789ab.", "id <uuid>."),
        ("0199b7a0-1234-7abc-8def-0123456789abc", "<id>-<n>-<n>abc-<n>def-<id>"),
        ("from 10.0.0.1:8080 and [fe80::1]:80, ::1.", "from <ip>:<n> and [<ip>]:<n>, <ip>."),
        ("2001:db8:0:0:0:0:0:1 std::fmt ab::cd a:b:1", "<ip> std::fmt ab::cd a:b:<n>"),
        ("mac 00:1a:2b:3c:4d:5e up", "mac <mac> up"),
        ("at 2026-01-31T08:00:00.123Z: x", "at <time>: x"),
        ("2026-01-31 08:00:00,123 +0200 [INFO]", "<time> [INFO]"),
        ("2026/01/31 x 2026-01-31Tx", "<time> x <n>-<n>-<n>Tx"),
        ("08:15:00.5 and 08:15 but 1:2 and 08:15:7", "<time> and <time> but <n>:<n> and <n>:<n>:<n>"),
        ("Jan  2 15:04:05 host sshd[42]: x", "<time> host sshd[<n>]: x"),
        ("[02/Jan/2026:15:04:05 +0000] GET", "[<time>] GET"),
        ("Mon, 02 Jan 2026 15:04:05 GMT / Mon Jan  2 15:04:05 UTC 2026", "<time> / <time>"),
        ("May I? Mon ami 5", "May I? Mon ami <n>"),
        ("mail a.b+c@example.org. and git@github.com:x a@b", "mail <email>. and <email>:x a@b"),
        ("GET /api/v1/users/42/orders/ab12cd34?x=7", "GET /api/v<n>/users/<n>/orders/<id>?x=<n>"),
        ("{\"n\":-5,\"s\":\"x\"} (-5) a-5 a=-5 --5", "{\"n\":<n>,\"s\":\"x\"} (<n>) a-<n> a=<n> --<n>"),
        ("\u{1b}[31m2026-01-31\u{1b}[0m x", "\u{1b}[m<time>\u{1b}[m x"),
        ("Ünïcödé 名前 7 🚨", "Ünïcödé 名前 <n> 🚨"),
        ("first 1\r\n  at line 2", "first <n>"),
        ("\nsecond", ""),
        ("1.2.3.4.5", "<ip>"),
    ] {
        assert_eq!(text(message), wanted, "{message}");
    }
}

#[test]
fn what_a_message_says_literally_is_no_mask() {
    let (mask, word) = (template("n 5"), template("n <n>"));
    assert_eq!(mask.text(), word.text());
    assert_ne!(mask, word);
    assert_ne!(mask.id(), word.id());
}

#[test]
fn an_id_stays_what_it_is() {
    // Links and notes may hold it.
    assert_eq!(template("user 42 logged in").id(), "d840f187fd248f6a");
}

#[test]
fn long_messages_end_open_and_do_not_depend_on_how_long_their_numbers_are() {
    let long = |n: &str| format!("{}end", format!("number {n} ").repeat(40));
    assert_eq!(template(&long("1")), template(&long("123456")));
    assert_eq!(template(&long("1")).end, End::Open);
    let blob = "x".repeat(2_000);
    assert_eq!((text(&blob).len(), template(&blob).end), (WEIGHT_MAX, End::Open));
    assert_eq!(text(&format!("data: {blob}")), "data: ");
    let uuids = "0199b7a0-1234-7abc-8def-0123456789ab ".repeat(13);
    let wanted = format!("{}abcdefghijklmnop", "<uuid> ".repeat(13));
    assert_eq!(text(&format!("{uuids}abcdefghijklmnop 2026-01-31T08:00:00Z")), wanted);
}

/// A part that is masked, in two ways; and one that stays.
fn a_part() -> impl Strategy<Value = (String, String)> {
    let twice = |pattern: &'static str| (pattern, pattern).boxed();
    prop_oneof![
        twice("-?[0-9]{1,9}(\\.[0-9]{1,3}){0,2}"),
        twice("[0-9]{1,5}(ms|s|h|m|us|ns)"),
        twice("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        twice("[0-9]{1,3}(\\.[0-9]{1,3}){3}"),
        twice("(0[1-9][a-f]{5}|[a-f]{5}[0-9]{3})"),
        twice(
            "20[0-9]{2}-0[1-9]-[0-2][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|\\+02:00)?"
        ),
        twice("[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"),
        twice("[a-z]{1,8}@[a-z]{2,8}\\.(com|de)"),
        "[g-zG-Z_,;äß名#%/]{1,12}".prop_map(|text| (text.clone(), text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn masking_twice_is_masking_once(message in prop_oneof![
        "\\PC{0,80}",
        "[a-f0-9xX.:@<>n\\-+ T\u{1b}\\[m\r\n]{0,60}",
        "([a-z0-9.@:-]{0,12} ?){0,60}",
        prop::collection::vec(a_part(), 0..12).prop_map(|parts| parts.into_iter().map(|(part, _)| part).collect()),
    ]) {
        let once = text(&message);
        prop_assert_eq!(text(&once), once);
    }

    #[test]
    fn messages_that_differ_in_what_varies_are_of_one_kind(parts in prop::collection::vec(a_part(), 0..8)) {
        // Behind a blank alone, a number with a sign could be the zone of a time.
        let join = |parts: Vec<String>| parts.join("; ");
        let (one, other) = parts.into_iter().unzip();
        let (one, other) = (join(one), join(other));
        prop_assert_eq!(template(&one), template(&other), "{} | {}", one, other);
    }

    #[test]
    fn the_head_tells_as_much_as_the_message(message in "([a-z0-9 ]{0,20}|\\PC{0,20}|\n|\r){0,60}") {
        let head: String = message.chars().take(HEAD_CHARS).collect();
        prop_assert_eq!(template(&head), template(&message));
    }

    #[test]
    fn pieces_are_the_text(message in "([a-z]{1,5} |[0-9]{1,3}|<n>| ){0,30}") {
        let template = template(&message);
        let text: String = template.pieces().map(|piece| match piece {
            Piece::Text(text) => { assert!(!text.is_empty()); text },
            Piece::Mask(mask) => mask.placeholder(),
        }).collect();
        prop_assert_eq!(text, template.text());
    }
}
