//! The single place that knows what an answer of Postgres means for a batch: nothing happened, nobody knows, a row is at fault, or
//! somebody else owns it.

use tokio_postgres::error::{Severity, SqlState};

/// Why a batch was not written, named by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Certainly not stored; Postgres is away, busy or refuses all work: try again later.
    NotStored(String),
    /// The reply to COMMIT is missing: stored or not.
    Unknown(String),
    /// LI001: another writer owns the partitions, or this very batch is stored already.
    Fenced,
    /// LI002 or a unique violation: some of it is stored already.
    Repeated,
    /// A row breaks a rule of Postgres that ours should have caught.
    RowAtFault { sqlstate: String, reason: String },
    /// A leaf that was known has been dropped, or made anew with other bounds.
    LeafGone,
}

/// How far the transaction had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    BeforeCommit,
    /// The message with COMMIT was sent.
    Commit,
}

/// Classifies an error of tokio-postgres. SQLSTATE classes as in the PostgreSQL manual, appendix A.
pub fn classify(error: &tokio_postgres::Error, phase: Phase) -> Failure {
    let text = describe(error);
    let Some(db) = error.as_db_error() else {
        return unreachable_server(text, phase);
    };
    let ended = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    if ended || db.code().code().starts_with("57P") {
        return unreachable_server(text, phase);
    }
    match db.code().code() {
        "LI001" => Failure::Fenced,
        "LI002" => Failure::Repeated,
        _ if *db.code() == SqlState::UNIQUE_VIOLATION => Failure::Repeated,
        _ if *db.code() == SqlState::UNDEFINED_TABLE => Failure::LeafGone,
        // Without the name of a constraint it is no CHECK: the row has no partition, or not this one.
        _ if *db.code() == SqlState::CHECK_VIOLATION && db.constraint().is_none() => Failure::LeafGone,
        code if code.starts_with("22") || matches!(code, "23502" | "23514" | "54000" | "54001") => {
            Failure::RowAtFault { sqlstate: code.to_owned(), reason: db.message().to_owned() }
        }
        _ => Failure::NotStored(text),
    }
}

fn unreachable_server(text: String, phase: Phase) -> Failure {
    match phase {
        Phase::BeforeCommit => Failure::NotStored(text),
        Phase::Commit => Failure::Unknown(text),
    }
}

/// The server's message with its SQLSTATE, or the driver's with its cause.
pub fn describe(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
