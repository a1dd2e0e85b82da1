//! The same rules for CSV.

use super::case::Case;

const HEADER: &str = "level,message,resourceId,timestamp,traceId,metadata.a.b,metadata";
const TIME: &str = "2023-09-15T08:00:00Z";

pub fn cases() -> Vec<Case> {
    let case = |name: &str, rows: &str| {
        Case::new(name, "text/csv", format!("{HEADER}\n{}", rows.replace("TIME", TIME)))
    };
    let good = "info,hello,r,TIME,t,1,{}";
    vec![
        case("CSV", &format!("{good}\n{good}\n")).accepted(2),
        case("CSV with CRLF and no end of line", &format!("{good}\r\n{good}")).accepted(2),
        case("CSV with quoted commas, quotes and newlines", "info,\"a, \"\"b\"\"\nc\",r,TIME,,,\n")
            .accepted(1),
        case("CSV with empty cells of optional fields", "info,hello,r,TIME,,,\n").accepted(1),
        case("CSV with an empty cell of a required field", "info,,r,TIME,,,\n").rejected("message"),
        case("CSV with a bad level between", &format!("{good}\nbanana,hello,r,TIME,,,\n{good}\n"))
            .mixed(2, &[(1, "level")]),
        case("CSV with a row that is too long", &format!("{good}\n{good},x\n{good}\n")).mixed(2, &[(1, "")]),
        case("CSV with a row that is too short", &format!("{good}\ninfo,hello\n{good}\n"))
            .mixed(2, &[(1, "")]),
        case("CSV with metadata that is no JSON", &format!("info,hello,r,TIME,,,{{\n{good}\n"))
            .mixed(1, &[(0, "metadata")]),
        case("CSV with metadata in JSON and in columns", "info,hello,r,TIME,,2,\"{\"\"c\"\":3}\"\n")
            .accepted(1),
        case("CSV with a header only", "").refused(400),
        Case::new(
            "CSV with a column 20,000 deep",
            "text/csv",
            format!(
                "level,message,resourceId,timestamp,metadata.{}a\ninfo,hello,r,{TIME},1\n",
                "a.".repeat(20_000)
            ),
        )
        .rejected("metadata"),
        case(
            "CSV with a quotation mark that is not closed",
            "info,a,r,TIME,,,\ninfo,\"b,r,TIME,,,\ninfo,c,r,TIME,,,\n",
        )
        .mixed(1, &[(1, "message")])
        .says("none closes it"),
        Case::new("empty CSV", "text/csv", "").refused(400),
        Case::new(
            "CSV without the column level",
            "text/csv",
            format!("message,resourceId,timestamp\nhello,r,{TIME}\n"),
        )
        .rejected("level"),
        Case::new(
            "CSV with a byte order mark",
            "text/csv",
            format!("\u{feff}level,message,resourceId,timestamp\ninfo,hello,r,{TIME}\n"),
        )
        .accepted(1),
        Case::new(
            "CSV with an unknown column",
            "text/csv",
            format!("level,message,resourceId,timestamp,colour\ninfo,hello,r,{TIME},red\n"),
        )
        .accepted(1),
        Case::new(
            "CSV with an unknown column and ?unknown=reject",
            "text/csv",
            format!("level,message,resourceId,timestamp,colour\ninfo,hello,r,{TIME},red\n"),
        )
        .query("unknown=reject")
        .rejected("colour"),
        Case::new("CSV with invalid UTF-8 in a row", "text/csv", invalid_row()).mixed(1, &[(0, "")]),
    ]
}

fn invalid_row() -> Vec<u8> {
    let header = b"level,message,resourceId,timestamp\n".to_vec();
    let (bad, good) = (b"info,\xc3\x28,r,2023-09-15T08:00:00Z\n", b"info,hello,r,2023-09-15T08:00:00Z\n");
    [header, bad.to_vec(), good.to_vec()].concat()
}
