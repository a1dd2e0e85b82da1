//! Stack traces in a text. In: a text of lines. Out: the same text in sections whose inner frames can be folded away. Knows the traces
//! of Java, Kotlin, .NET, Node, Python, Go, Rust, Ruby, PHP and gdb. Pure.

/// Frames of each cause that stay open: those nearest to the fault.
const OPEN_FRAMES: usize = 3;
/// Fewer are not worth a click.
const FOLDED_FRAMES_MIN: usize = 2;
/// Later traces of the same text stay open.
const SECTIONS_MAX: usize = 100;

/// Part of a text; all of them, one behind the other, are the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    pub shown: &'a str,
    /// Whole lines behind what is shown; empty in the last section.
    pub folded: &'a str,
    /// Frames in what is folded.
    pub frames: usize,
}

/// What a line of a trace is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The first line of a frame.
    Frame(Kind),
    /// Belongs to the frame above it.
    Inner(Kind),
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One line a frame: Java, .NET, Node, Ruby, PHP, gdb.
    Call,
    /// The last frame is the one of the fault; everywhere else it is the first.
    Python,
    Go,
    Rust,
}

/// Frames without another line between them.
struct Run {
    kind: Kind,
    /// Where each begins.
    frames: Vec<usize>,
    end: usize,
}

/// The sections of a text that holds a stack trace long enough to be folded.
pub fn fold(text: &str) -> Option<Vec<Section<'_>>> {
    let mut sections = Vec::new();
    let mut start = 0;
    for run in runs(text) {
        let folded = run.frames.len().saturating_sub(OPEN_FRAMES);
        if folded < FOLDED_FRAMES_MIN || sections.len() == SECTIONS_MAX {
            continue;
        }
        let (from, to) = match run.kind {
            Kind::Python => (run.frames[0], run.frames[folded]),
            Kind::Call | Kind::Go | Kind::Rust => (run.frames[OPEN_FRAMES], run.end),
        };
        sections.push(Section { shown: &text[start..from], folded: &text[from..to], frames: folded });
        start = to;
    }
    if sections.is_empty() {
        return None;
    }
    if start < text.len() {
        sections.push(Section { shown: &text[start..], folded: "", frames: 0 });
    }
    Some(sections)
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut reader = Reader { above: None, is_rust: false };
    let mut lines = text.split_inclusive('\n').peekable();
    let mut at = 0;
    while let Some(line) = lines.next() {
        let above = reader.above;
        let read = reader.read(line.trim_end(), lines.peek().copied().unwrap_or(""));
        match (read, runs.last_mut()) {
            (Line::Frame(kind), Some(run)) if above == Some(kind) => run.frames.push(at),
            (Line::Frame(kind), _) => runs.push(Run { kind, frames: vec![at], end: at }),
            (Line::Inner(_) | Line::Other, _) => {}
        }
        at += line.len();
        if let (Line::Frame(_) | Line::Inner(_), Some(run)) = (read, runs.last_mut()) {
            run.end = at;
        }
    }
    runs
}

/// Reads line after line.
struct Reader {
    /// Of the line above, if it was part of a frame.
    above: Option<Kind>,
    /// Numbers are frames only behind `stack backtrace:`; elsewhere they are lists, also of causes.
    is_rust: bool,
}

impl Reader {
    fn read(&mut self, line: &str, next: &str) -> Line {
        let read = match self.above {
            Some(kind) if is_inner(kind, line) => Line::Inner(kind),
            _ => self.frame(line, next).map_or(Line::Other, Line::Frame),
        };
        self.above = match read {
            Line::Frame(kind) | Line::Inner(kind) => Some(kind),
            Line::Other => None,
        };
        read
    }

    fn frame(&mut self, line: &str, next: &str) -> Option<Kind> {
        let words = line.trim_start();
        let is_indented = words.len() < line.len();
        if words
            .get(words.len().saturating_sub("backtrace:".len())..)
            .is_some_and(|end| end.eq_ignore_ascii_case("backtrace:"))
        {
            self.is_rust = true;
            return None;
        }
        self.is_rust &= is_indented || words.is_empty();
        if self.is_rust && is_numbered(words, ": ") {
            return Some(Kind::Rust);
        }
        // Exception groups draw a margin of bars.
        if words.trim_start_matches(['|', ' ']).starts_with("File \"") && words.contains("\", line ") {
            return Some(Kind::Python);
        }
        if !is_indented && !words.is_empty() && is_go_place(next) {
            return Some(Kind::Go);
        }
        let is_call = match words.split_once(' ') {
            Some(("at", place)) => is_indented && place.contains(['(', ':']),
            Some(("from", place)) => is_indented && place.contains(":in "),
            _ => words.strip_prefix('#').is_some_and(|words| is_numbered(words, " ")),
        };
        is_call.then_some(Kind::Call)
    }
}

/// True for a line that belongs to the frame above it.
fn is_inner(kind: Kind, line: &str) -> bool {
    let words = line.trim_start();
    match kind {
        Kind::Call => {
            let is_rest = words.ends_with(" more") || words.ends_with(" omitted");
            (words.starts_with("... ") && is_rest)
                || words.starts_with("--- End of stack trace from previous")
        }
        Kind::Python => {
            let inside = line.rsplit_once('|').map_or(line, |(margin, inside)| {
                if margin.trim_matches([' ', '|', '+', '-']).is_empty() { inside } else { line }
            });
            inside.starts_with("    ") && !inside.trim_start().starts_with("File \"")
                || words.starts_with("[Previous line repeated ")
        }
        Kind::Go => is_go_place(line) || words.starts_with("...additional frames elided"),
        Kind::Rust => words.len() < line.len() && words.starts_with("at "),
    }
}

/// True for a line like `\t/src/main.go:12 +0x1d`.
fn is_go_place(line: &str) -> bool {
    line.starts_with('\t') && [".go:", ".s:"].iter().any(|kind| line.contains(kind))
}

/// True for a number and the sign behind it.
fn is_numbered(words: &str, sign: &str) -> bool {
    let rest = words.trim_start_matches(|digit: char| digit.is_ascii_digit());
    rest.len() < words.len() && rest.starts_with(sign)
}
