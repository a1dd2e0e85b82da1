//! Every knob of the process: meaning, unit, default and why that number. In: environment variables. Out: one typed [`Config`], or
//! all faults at once. Nothing else in the program reads the environment, and no socket is opened before this has succeeded.

mod reader;
mod variables;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use self::reader::Reader;
use crate::writer::sealer::SealConfig;

pub use self::variables::{VARIABLES, Variable};

/// The whole configuration; illegal mixes cannot be written.
#[derive(Debug, Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub database: DatabaseConfig,
    pub queue: QueueConfig,
    pub roles: Roles,
    pub writer: WriterConfig,
    pub retention: RetentionConfig,
    pub search: SearchConfig,
    /// Value for env_logger (`RUST_LOG`).
    pub log_filter: String,
}

/// The HTTP server and the limits of the door.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    /// Bytes of a body after inflating (`BODY_BYTES_MAX`).
    pub body_bytes_max: usize,
    /// Records of one request (`REQUEST_RECORDS_MAX`).
    pub records_max: usize,
    /// Bytes of bodies being read and parsed at once, all requests together (`BODIES_BYTES_MAX`).
    pub bodies_bytes_max: usize,
    /// Older records are refused: retention would drop them (`RETENTION_DAYS`).
    pub age_max: Option<Duration>,
    /// Whether `POST /v1/delete` deletes (`ALLOW_DELETE`).
    pub may_delete: bool,
}

/// Where the rows live.
#[derive(Clone)]
pub enum DatabaseConfig {
    /// A server that somebody else runs.
    Url(Box<tokio_postgres::Config>),
    /// A server of our own below this folder, started and stopped with the process.
    Private { data_dir: PathBuf },
}

impl std::fmt::Debug for DatabaseConfig {
    /// Never prints the URL: it holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(…)"),
            Self::Private { data_dir } => write!(f, "Private({})", data_dir.display()),
        }
    }
}

/// What stands between the door and the writer.
#[derive(Debug, Clone)]
pub enum QueueConfig {
    /// Requests hand their records to the writer in this process and are answered after its commit.
    Direct { bytes_max: usize },
    /// Requests are answered when the broker has the message.
    Kafka { brokers: String, topic: String, group: String, bytes_max: usize },
}

/// What this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub ingest: bool,
    pub write: bool,
    pub query: bool,
}

/// The batch writer.
#[derive(Debug, Clone)]
pub struct WriterConfig {
    /// Connections that write side by side (`WRITERS`).
    pub connections: usize,
    /// How long a batch from Kafka waits for more records (`FLUSH_WAIT_MAX_MS`).
    pub flush_wait_max: Duration,
    pub seal: SealConfig,
}

/// What is kept; None: everything.
#[derive(Debug, Clone, Copy)]
pub struct RetentionConfig {
    /// Days that a record is kept at least (`RETENTION_DAYS`).
    pub days: Option<u32>,
    /// Bytes of records with their index beyond which the oldest leaves go (`RETENTION_BYTES`).
    pub bytes: Option<i64>,
}

/// Searches.
#[derive(Debug, Clone)]
pub struct SearchConfig {
    /// Time one search may take (`SEARCH_BUDGET_MS`).
    pub budget: Duration,
    /// Searches that run at once (`SEARCHES_MAX`).
    pub concurrent_max: usize,
    /// Searches longer than 10 ms, 2 ms where the index rules nothing out, that run at once (`LONG_SEARCHES_MAX`).
    pub long_max: usize,
    /// Exports that run at once (`EXPORTS_MAX`).
    pub exports_max: usize,
    /// How long an export waits for a client that does not read (`EXPORT_WAIT_MAX_MS`).
    pub export_wait_max: Duration,
    /// Connections for searches and look-ups (`QUERY_POOL_SIZE`).
    pub pool_size: usize,
    /// Whether searches are remembered (`HISTORY`).
    pub keeps_history: bool,
}

/// Everything that is wrong with the configuration, one line a fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the process environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        let values = VARIABLES
            .iter()
            .filter_map(|v| std::env::var_os(v.name).map(|value| (v.name, value)))
            .map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self::from_values(&values)
    }

    /// Reads a map of variables; an empty value counts as unset. All faults are collected.
    pub fn from_values(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { values, faults: Vec::new() };
        let roles = reader.roles();
        let queue = reader.queue();
        let database = reader.database();
        let listen = reader.listen();
        let retention = RetentionConfig {
            days: reader.optional("RETENTION_DAYS", 1, 36_500),
            bytes: reader.optional("RETENTION_BYTES", 1 << 20, 1 << 60),
        };
        let day = Duration::from_secs(86_400);
        let config = Config {
            http: HttpConfig {
                listen,
                body_bytes_max: reader.number("BODY_BYTES_MAX", 1024, 256 << 20),
                records_max: reader.number("REQUEST_RECORDS_MAX", 1, 1_000_000),
                bodies_bytes_max: reader.number("BODIES_BYTES_MAX", 1024, 64 << 30),
                age_max: retention.days.map(|days| day * days),
                may_delete: reader.may_delete(listen),
            },
            database,
            queue,
            roles,
            writer: WriterConfig {
                connections: reader.number("WRITERS", 1, 64),
                flush_wait_max: Duration::from_millis(reader.number("FLUSH_WAIT_MAX_MS", 0, 10_000)),
                seal: SealConfig {
                    blocks: reader.number::<usize>("SEAL_BLOCKS", 8, 8_192).next_multiple_of(8),
                    idle: Duration::from_millis(reader.number("SEAL_IDLE_MS", 0, 86_400_000)),
                },
            },
            retention,
            search: SearchConfig {
                budget: Duration::from_millis(reader.number("SEARCH_BUDGET_MS", 10, 30_000)),
                concurrent_max: reader.number("SEARCHES_MAX", 1, 1_000),
                long_max: reader.number("LONG_SEARCHES_MAX", 1, 1_000),
                exports_max: reader.number("EXPORTS_MAX", 1, 1_000),
                export_wait_max: Duration::from_millis(reader.number("EXPORT_WAIT_MAX_MS", 100, 3_600_000)),
                pool_size: reader.number("QUERY_POOL_SIZE", 2, 2_000),
                keeps_history: reader.keeps_history(),
            },
            log_filter: reader.text("RUST_LOG"),
        };
        reader.check_mix(&config);
        if reader.faults.is_empty() { Ok(config) } else { Err(ConfigError(reader.faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_values(&pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    #[test]
    fn defaults_are_a_complete_product() {
        let config = read(&[]).unwrap();
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:1323");
        assert!(matches!(config.queue, QueueConfig::Direct { .. }));
        assert!(matches!(config.database, DatabaseConfig::Private { .. }));
    }

    #[test]
    fn all_faults_come_together() {
        let error = read(&[
            ("LISTEN", "0.0.0.0:80"),
            ("WRITERS", "none"),
            ("ROLES", "ingest,dance"),
            ("KAFKA_BROKERS", "localhost"),
            ("KAFKA_TOPIC", "a b"),
            ("DATABASE_URL", "mysql://secret@host"),
            ("RETENTION_DAYS", "a week"),
            ("RETENTION_BYTES", "1000"),
            ("ALLOW_DELETE", "maybe"),
            ("HISTORY", "maybe"),
        ])
        .unwrap_err();
        let text = error.to_string();
        for name in [
            "LISTEN",
            "WRITERS",
            "ROLES",
            "KAFKA_BROKERS",
            "KAFKA_TOPIC",
            "DATABASE_URL",
            "RETENTION_DAYS",
            "RETENTION_BYTES",
            "ALLOW_DELETE",
            "HISTORY",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in:\n{text}");
        }
        assert!(!text.contains("secret"));
    }

    #[test]
    fn a_public_address_needs_a_word() {
        assert!(read(&[("LISTEN", "0.0.0.0:1323"), ("AUTH", "off")]).is_ok());
        assert!(read(&[("LISTEN", "0.0.0.0:1323")]).is_err());
    }

    #[test]
    fn deleting_is_for_loopback_or_said() {
        let public = ("LISTEN", "0.0.0.0:1323");
        let may = |pairs: &[(&str, &str)]| read(pairs).unwrap().http.may_delete;
        assert!(may(&[]) && !may(&[("ALLOW_DELETE", "off")]));
        assert!(!may(&[public, ("AUTH", "off")]));
        assert!(may(&[public, ("AUTH", "off"), ("ALLOW_DELETE", "on")]));
    }

    #[test]
    fn what_is_kept() {
        let config = read(&[("RETENTION_DAYS", "7"), ("RETENTION_BYTES", "10737418240")]).unwrap();
        assert_eq!(config.http.age_max, Some(Duration::from_secs(604_800)));
        assert_eq!((config.retention.days, config.retention.bytes), (Some(7), Some(10 << 30)));
        assert_eq!(read(&[]).unwrap().http.age_max, None);
    }

    #[test]
    fn env_example_matches() {
        let example = include_str!("../.env.example");
        let mut lines = example.lines().filter(|line| line.contains('=') && !line.starts_with("# "));
        for variable in VARIABLES {
            let expected = format!("#{}={}", variable.name, variable.default);
            assert_eq!(lines.next(), Some(expected.as_str()));
            assert!(
                example.contains(&format!("# {}", variable.meaning)),
                "{}: meaning differs",
                variable.name
            );
        }
        assert_eq!(lines.next(), None);
    }
}
