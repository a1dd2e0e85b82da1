//! What is shown, by tables.

use super::*;

#[test]
fn how_moments_are_shown() {
    let moment = at("2026-01-31T23:05:00.123456Z");
    let berlin = zone("Europe/Berlin");
    for (form, expected) in [
        (Form::Full, "2026-02-01 00:05:00.123456"),
        (Form::Clock, "00:05:00.123456"),
        (Form::Day, "Sun 1 Feb 2026"),
        (Form::Offset, "2026-02-01 00:05:00.123456 +01:00"),
        (Form::Utc, "2026-01-31 23:05:00.123456 UTC"),
    ] {
        assert_eq!(show(moment, berlin, form), expected);
    }
    for (seconds, expected) in [
        (0, "now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7_199, "1 h ago"),
        (172_800, "2 d ago"),
        (90 * 86_400, "3 months ago"),
        (800 * 86_400, "2 years ago"),
        (-150, "in 2 min"),
        (-7_200, "in 2 h"),
    ] {
        assert_eq!(relative(Timestamp(NOW.0 - seconds * 1_000_000), NOW), expected);
    }
}

#[test]
fn how_spans_are_written() {
    for (text, name, expected) in [
        ("all", "UTC", "all"),
        ("last 90 min", "UTC", "90m"),
        ("yesterday", "UTC", "2026-02-03"),
        ("monday - tuesday", "UTC", "2026-02-02 - 2026-02-03"),
        ("12:00-12:05", "UTC", "2026-02-04 12:00 - 12:05"),
        ("23:50-00:10", "UTC", "2026-02-03 23:50 - 2026-02-04 00:10"),
        ("22:00 - 24:00", "UTC", "2026-02-03 22:00 - 2026-02-04 00:00"),
        ("2026-01-31T14:00:00.5Z", "UTC", "2026-01-31 13:59:00.500000 - 14:01:00.599999"),
        ("since yesterday", "Europe/Berlin", "since 2026-02-03 00:00"),
        ("before 12:00", "Europe/Berlin", "before 2026-02-04 12:00"),
        ("2h - 12:00", "UTC", "2h - 2026-02-04 12:00"),
        ("2h - 1h", "UTC", "2h - 1h"),
        ("2026-10-25", "Europe/Berlin", "2026-10-25"),
        (
            "2026-10-25 00:30 - 2026-10-25 03:00",
            "Europe/Berlin",
            "2026-10-25 00:30 - 2026-10-25 03:00:00 +01:00",
        ),
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25 02:30:00 +02:00 - 2026-10-25 02:31:00 +01:00"),
    ] {
        let zone = zone(name);
        assert_eq!(write(read(text, zone, NOW).unwrap(), zone), expected, "{text}");
    }
}

#[test]
fn marks_of_an_axis() {
    let hour = 3_600_000_000;
    let marks = |from: &str, to: &str, width: i64, name: &str, labels_max: usize| {
        let labels = axis(at(from), at(to), width, zone(name), labels_max);
        labels.into_iter().map(|(_, label)| label).collect::<Vec<String>>().join(" ")
    };
    for (from, to, width, name, labels_max, expected) in [
        ("2026-02-04T12:00:00Z", "2026-02-04T12:15:00Z", 15_000_000, "UTC", 4, "12:00 12:05 12:10"),
        (
            "2026-02-04T12:01:07Z",
            "2026-02-04T12:15:00Z",
            15_000_000,
            "UTC",
            8,
            "12:02 12:04 12:06 12:08 12:10 12:12 12:14",
        ),
        ("2026-02-03T20:00:00Z", "2026-02-04T07:00:00Z", hour, "Europe/Berlin", 5, "21:00 4 Feb 03:00 06:00"),
        (
            "2026-02-03T20:00:00Z",
            "2026-02-04T01:00:00Z",
            60_000_000,
            "Asia/Kolkata",
            6,
            "02:00 03:00 04:00 05:00 06:00",
        ),
        ("2026-02-01T00:00:00Z", "2026-02-04T00:00:00Z", hour, "UTC", 4, "1 Feb 2 Feb 3 Feb"),
        ("2026-01-01T00:00:00Z", "2026-02-04T00:00:00Z", hour, "UTC", 6, "5 Jan 12 Jan 19 Jan 26 Jan 2 Feb"),
        (
            "2025-10-15T00:00:00Z",
            "2026-02-04T00:00:00Z",
            hour,
            "UTC",
            6,
            "Nov 2025 Dec 2025 Jan 2026 Feb 2026",
        ),
        (
            "2020-02-01T00:00:00Z",
            "2026-02-04T00:00:00Z",
            24 * hour,
            "UTC",
            10,
            "2021 2022 2023 2024 2025 2026",
        ),
        ("2026-02-04T12:00:00Z", "2026-02-04T12:00:01Z", 10_000, "UTC", 3, "12:00:00.000 12:00:00.500"),
        ("2026-02-04T12:00:00Z", "2026-02-04T12:01:00Z", 1_000_000, "UTC", 3, "12:00:00 12:00:30"),
        (
            "2026-02-04T12:00:00.000001Z",
            "2026-02-04T12:00:00.000004Z",
            1,
            "UTC",
            4,
            "12:00:00.000001 12:00:00.000002 12:00:00.000003",
        ),
        // Clocks change.
        (
            "2026-03-28T23:00:00Z",
            "2026-03-29T04:00:00Z",
            hour,
            "Europe/Berlin",
            9,
            "29 Mar 01:00 03:00 04:00 05:00",
        ),
        (
            "2026-10-24T22:00:00Z",
            "2026-10-25T03:00:00Z",
            hour,
            "Europe/Berlin",
            9,
            "25 Oct 01:00 02:00 02:00 03:00",
        ),
        ("2026-10-25T00:50:00Z", "2026-10-25T01:20:00Z", 60_000_000, "Europe/Berlin", 4, "02:50 02:00 02:10"),
        (
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
            hour,
            "Europe/Berlin",
            4,
            "29 Mar 06:00 12:00 18:00",
        ),
        ("2026-03-28T12:00:00Z", "2026-03-31T12:00:00Z", hour, "Europe/Berlin", 4, "29 Mar 30 Mar 31 Mar"),
        ("2026-02-04T12:00:00Z", "2026-02-04T12:00:00Z", 1, "UTC", 4, ""),
        ("2026-02-04T12:00:00Z", "2026-02-04T13:00:00Z", 1, "UTC", 0, ""),
    ] {
        assert_eq!(marks(from, to, width, name, labels_max), expected, "{from} to {to}");
    }
}
