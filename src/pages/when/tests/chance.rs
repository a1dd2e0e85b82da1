//! What is shown is read again, and nothing that is typed breaks anything, by chance.

use super::*;
use proptest::prelude::*;

fn a_zone() -> impl Strategy<Value = Zone> {
    prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Asia/Kolkata"),
        Just("Australia/Lord_Howe"),
        Just("America/St_Johns"),
        Just("Pacific/Apia"),
    ]
    .prop_map(zone)
}

/// Any moment of 1970 to 2100, often one close to when clocks change in Berlin, New York or Lord Howe, often a round one.
fn a_moment() -> impl Strategy<Value = Timestamp> {
    let changes = prop_oneof![
        Just("2026-03-29T01:00:00Z"),
        Just("2026-10-25T01:00:00Z"),
        Just("2026-03-08T07:00:00Z"),
        Just("2026-11-01T06:00:00Z"),
        Just("2026-04-04T15:00:00Z"),
        Just("2026-10-03T15:30:00Z"),
        Just("2011-12-30T10:00:00Z"),
    ];
    let any = prop_oneof![
        0_i64..4_102_444_800_000_000,
        (changes, -10_000_000_000_i64..10_000_000_000).prop_map(|(change, near)| at(change).0 + near),
    ];
    let round = prop_oneof![Just(1), Just(1_000), Just(1_000_000), Just(60_000_000), Just(1_800_000_000)];
    (any, round).prop_map(|(moment, round)| Timestamp(moment - moment % round))
}

fn holds(span: Span, moment: Timestamp) -> bool {
    let side = |bound: Option<Bound>| bound.map(|bound| bound.moment(NOW));
    side(span.from).is_none_or(|from| from <= moment) && side(span.to).is_none_or(|to| moment < to)
}

proptest! {
    #[test]
    fn what_is_shown_is_found(moment in a_moment(), zone in a_zone()) {
        for form in [Form::Full, Form::Day, Form::Offset, Form::Utc] {
            let text = show(moment, zone, form);
            let span = read(&text, zone, NOW);
            prop_assert!(span.as_ref().is_ok_and(|span| holds(*span, moment)), "{} is {:?}", text, span);
        }
        // Numbers with fewer digits are milliseconds.
        let micros = moment.0.max(100_000_000_000_000).to_string();
        for (moment, text) in [
            (moment, moment.to_string()),
            (moment, moment.datetime().to_rfc2822()),
            (Timestamp(moment.0.max(100_000_000_000_000)), micros),
        ] {
            let span = read(&text, zone, NOW);
            prop_assert!(span.as_ref().is_ok_and(|span| holds(*span, moment)), "{} is {:?}", text, span);
        }
    }

    #[test]
    fn a_range_of_what_is_shown_holds_both(one in a_moment(), other in a_moment(), zone in a_zone()) {
        let (from, to) = (one.min(other), one.max(other));
        for form in [Form::Full, Form::Offset, Form::Utc] {
            let text = format!("{} - {}", show(from, zone, form), show(to, zone, form));
            let span = read(&text, zone, NOW);
            prop_assert!(span.as_ref().is_ok_and(|span| holds(*span, from) && holds(*span, to)), "{} is {:?}", text, span);
        }
    }

    #[test]
    // What is less than an hour short of a day ago is read as the hour to come.
    fn the_last_day_by_its_clock_alone(ago in 0_i64..82_700_000_000, zone in a_zone()) {
        let moment = Timestamp(NOW.0 - ago);
        let text = show(moment, zone, Form::Clock);
        let span = read(&text, zone, NOW);
        prop_assert!(span.as_ref().is_ok_and(|span| holds(*span, moment)), "{} is {:?}", text, span);
    }

    #[test]
    fn what_is_written_is_read(one in a_moment(), other in a_moment(), zone in a_zone(), sides in 0..3) {
        let at = |moment: Timestamp| Some(Bound::At(moment));
        let (from, to) = (one.min(other), one.max(other));
        let span = match sides {
            0 if from < to => Span { from: at(from), to: at(to) },
            1 => Span { from: at(from), to: None },
            _ => Span { from: None, to: at(to) },
        };
        let text = write(span, zone);
        prop_assert_eq!(read(&text, zone, NOW), Ok(span), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), zone in a_zone(), now in any::<i64>()) {
        let _ = read(&text, zone, Timestamp(now));
    }

    #[test]
    fn any_time_like_text_is_read_or_refused(
        parts in proptest::collection::vec(
            prop_oneof![
                "[0-9]{1,20}",
                "[-+:./,TZ@\\[\\]() –…]{1,2}",
                Just("last ".to_owned()),
                Just("ago".to_owned()),
                Just(" - ".to_owned()),
                Just("Jan".to_owned()),
                Just("monday ".to_owned()),
                "[smhdwy]",
                Just("pm".to_owned()),
                Just("yesterday ".to_owned()),
                Just("14:00".to_owned()),
                Just("0001-01-01".to_owned()),
                Just("9999-12-31 ".to_owned()),
                Just("now".to_owned()),
                Just(" Europe/Berlin".to_owned()),
            ],
            0..12,
        ),
        zone in a_zone(),
        now in prop_oneof![Just(NOW.0), any::<i64>()],
    ) {
        let text = parts.concat();
        match read(&text, zone, Timestamp(now)) {
            Ok(span) => {
                let _ = write(span, zone);
                let side = |bound: Option<Bound>| bound.map(|bound| bound.moment(Timestamp(now)));
                prop_assert!(!matches!((side(span.from), side(span.to)), (Some(from), Some(to)) if from >= to));
            }
            Err(fault) => {
                let chars = text.chars().count();
                prop_assert!(fault.columns.is_none_or(|c| 1 <= c.start && c.start <= c.end && c.end <= chars + 1));
            }
        }
    }

    #[test]
    fn marks_are_in_the_range(
        one in prop_oneof![any::<i64>(), a_moment().prop_map(|moment| moment.0)],
        other in prop_oneof![any::<i64>(), a_moment().prop_map(|moment| moment.0)],
        near in prop_oneof![Just(None), (1_i64..100_000_000_000).prop_map(Some)],
        width in prop_oneof![any::<i64>(), 1_i64..10_000_000_000],
        zone in a_zone(),
        labels_max in 0_usize..40,
    ) {
        let other = near.map_or(other, |near| one.saturating_add(near));
        let (from, to) = (Timestamp(one.min(other)), Timestamp(one.max(other)));
        let marks = axis(from, to, width, zone, labels_max);
        prop_assert!(marks.len() <= labels_max);
        prop_assert!(marks.iter().all(|(at, label)| from <= *at && *at < to && !label.is_empty()));
        prop_assert!(marks.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let range = i128::from(to.0) - i128::from(from.0);
        let usual = (0..4_102_444_800_000_000).contains(&from.0) && (0..4_102_444_800_000_000).contains(&to.0);
        // Steps are at most five times as wide as the next smaller one, so there is a mark in every range of some length.
        prop_assert!(!(usual && labels_max >= 12 && i128::from(width) * 12 < range && range > 100 && marks.is_empty()));
    }
}
