//! Messages as programs write them: shapes whose variable parts differ from one to the next.

use crate::harness::records::Dice;

pub const SHAPES: usize = 44;

fn hex(dice: &mut Dice, len: usize) -> String {
    // A digit and a letter, or it could be a number or a word.
    let mut text = format!("{}{}", dice.roll(10), ["a", "b", "e", "f"][dice.roll(4) as usize]);
    while text.len() < len {
        text.push(char::from(b"0123456789abcdef"[dice.roll(16) as usize]));
    }
    text
}

fn uuid(dice: &mut Dice) -> String {
    [8, 4, 4, 4, 12].map(|len| hex(dice, len)).join("-")
}

fn ip(dice: &mut Dice) -> String {
    if dice.roll(5) == 0 {
        return format!("fe80::{:x}:{:x}1", 1 + dice.roll(9_999), dice.roll(999));
    }
    format!("10.{}.{}.{}", dice.roll(256), dice.roll(256), dice.roll(256))
}

fn day(dice: &mut Dice) -> String {
    format!("20{:02}-{:02}-{:02}", 20 + dice.roll(7), 1 + dice.roll(12), 1 + dice.roll(28))
}

fn clock(dice: &mut Dice) -> String {
    format!("{:02}:{:02}:{:02}", dice.roll(24), dice.roll(60), dice.roll(60))
}

fn span(dice: &mut Dice) -> String {
    let unit = ["ms", "s", "µs", "ns", "m"][dice.roll(5) as usize];
    if dice.roll(2) == 0 {
        format!("{}{unit}", dice.roll(5_000))
    } else {
        format!("{}.{}{unit}", dice.roll(99), dice.roll(999))
    }
}

fn number(dice: &mut Dice) -> String {
    let sign = if dice.roll(6) == 0 { "-" } else { "" };
    match dice.roll(3) {
        0 => format!("{sign}{}.{}", dice.roll(100), dice.roll(100)),
        1 => format!("{sign}{}", dice.roll(10)),
        _ => format!("{sign}{}", dice.roll(10_000_000)),
    }
}

/// A message of this shape.
pub fn a_message(dice: &mut Dice, shape: usize) -> String {
    let d = dice;
    let months = ["Jan", "Feb", "Mar", "Oct", "Dec"];
    let month = months[d.roll(5) as usize];
    let whole = d.roll(100_000);
    match shape {
        0 => format!("connection from {} closed after {}", ip(d), span(d)),
        1 => format!("user {} logged in", whole),
        2 => format!("user {} logged out", whole),
        3 => format!("GET /api/v1/users/{}/orders/{} 200 {}", whole, hex(d, 10), span(d)),
        4 => format!("POST /api/v1/users/{} 500 in {}", whole, span(d)),
        5 => format!("request {} failed: timeout after {}", uuid(d), span(d)),
        6 => "connection reset by peer".to_owned(),
        7 => format!("{} {} [INFO] worker-{} started", day(d), clock(d), d.roll(64)),
        8 => format!("{}T{}.{:03}Z level=warn pool=main free={}", day(d), clock(d), d.roll(1_000), whole),
        9 => format!(
            "[{:02}/{month}/2026:{} +0{}00] \"GET / HTTP/1.1\" 200 {}",
            1 + d.roll(28),
            clock(d),
            d.roll(9),
            whole
        ),
        10 => format!(
            "{month} {:2} {} host sshd[{}]: Accepted publickey for root from {} port {}",
            1 + d.roll(28),
            clock(d),
            whole,
            ip(d),
            whole
        ),
        11 => format!("deployed commit {} to api-{}", hex(d, 7), hex(d, 10)),
        12 => format!("retry {} of {} for job {}", d.roll(10), d.roll(10), uuid(d)),
        13 => format!("memory usage {}% of {}MB", number(d), whole),
        14 => format!("balance changed by {} to {}", number(d), number(d)),
        15 => format!(
            "mail to {}{}@example.{} bounced",
            ["ann", "bob.x", "c-d"][d.roll(3) as usize],
            d.roll(99),
            ["org", "com", "de"][d.roll(3) as usize]
        ),
        16 => format!("cache miss for key user:{}:profile", whole),
        17 => format!("{{\"event\":\"login\",\"id\":{},\"ok\":true}}", number(d)),
        18 => format!(
            "Exception in thread \"main\": index {} out of range\n\tat a.b.C.run(C.java:{})\n\tat x",
            whole, whole
        ),
        19 => {
            format!("Exception in thread \"main\": index {} out of range\r\n  at line {}", whole, d.roll(9))
        }
        20 => format!(
            "\u{1b}[3{}mWARN\u{1b}[0m disk {} is {}% full",
            d.roll(8),
            ["sda", "sdb"][d.roll(2) as usize],
            whole % 100
        ),
        21 => format!("neighbour 0{}:1a:2b:3c:4d:{:02x} is up", d.roll(10), d.roll(256)),
        22 => format!("read 0x{:x} bytes at 0x{:x}", d.roll(1 << 40), d.roll(1 << 20)),
        23 => format!("slow query ({}): select * from t where id = {} and n > {}", span(d), whole, number(d)),
        24 => format!("kernel: [{}.{:06}] eth{}: link up", whole, d.roll(1_000_000), d.roll(4)),
        25 => format!("Über {} Einträge gelöscht in {}", whole, span(d)),
        26 => format!("订单 {} 已支付 金额={}", whole, number(d)),
        27 => format!("job finished at {} on {}", clock(d), day(d)),
        28 => format!("ключ {} не найден (код {})", hex(d, 16), whole),
        29 => format!("a*b+c? (x|y) [z] {{q}} ^$ \\ / {}", whole),
        30 => format!("shard {}/{} moved", d.roll(64), d.roll(64)),
        31 => format!("token req_{} of pi_3Mt{}Lk{}x refused", hex(d, 12), d.roll(99), d.roll(99)),
        32 => format!("version v{}.{}.{} is out", d.roll(9), d.roll(20), d.roll(30)),
        33 => format!("state: {} -> done, took {}", d.roll(9), span(d)),
        34 => format!("state: {} -> failed, took {}", d.roll(9), span(d)),
        35 => format!("long {} end", format!("part {} ", whole).repeat(60)),
        36 => format!("blob {}", "QUJD".repeat(300)),
        37 => format!("it is {:02}:{:02} o'clock", d.roll(24), d.roll(60)),
        38 => format!(
            "expires {}, {:02} {month} 2026 {} GMT",
            ["Mon", "Tue", "Sun"][d.roll(3) as usize],
            1 + d.roll(28),
            clock(d)
        ),
        39 => format!("point ({}, {}) outside", number(d), number(d)),
        40 => format!("  indented {}  ", whole),
        41 => format!("tab\tseparated\t{}", whole),
        42 => format!("pod api-{}-x{}k{}z evicted", hex(d, 9), d.roll(10), d.roll(10)),
        43 => format!("peer {} speaks TLSv1.{}", ip(d), d.roll(4)),
        _ => unreachable!("there are {SHAPES} shapes"),
    }
}
