//! Every knob of the process: meaning, unit, default and why that number. In: environment variables. Out: one typed [`Config`], or
//! all faults at once. Nothing else in the program reads the environment, and no socket is opened before this has succeeded.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use crate::writer::sealer::SealConfig;

/// One variable: its name, default (empty: unset) and what it means. `.env.example` is compared with this list by a test.
pub struct Variable {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

/// All variables in the order of `.env.example`; the first eight are the few that everybody meets.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "LISTEN",
        default: "127.0.0.1:1323",
        meaning: "address and port of the HTTP server; an address that is not loopback needs AUTH=off",
    },
    Variable {
        name: "DATABASE_URL",
        default: "",
        meaning: "Postgres to use; unset: a private one is started under DATA_DIR",
    },
    Variable {
        name: "KAFKA_BROKERS",
        default: "",
        meaning: "host:port list; unset: direct mode, without Kafka",
    },
    Variable {
        name: "KAFKA_TOPIC",
        default: "logs",
        meaning: "topic of the records; created with 12 partitions if it does not exist",
    },
    Variable {
        name: "KAFKA_GROUP",
        default: "log-ingestor",
        meaning: "consumer group that the writers share",
    },
    Variable {
        name: "ROLES",
        default: "ingest,write,query",
        meaning: "what this process does, comma-separated; fewer than all need KAFKA_BROKERS and DATABASE_URL",
    },
    Variable { name: "DATA_DIR", default: "./data", meaning: "folder of the private Postgres" },
    Variable {
        name: "RUST_LOG",
        default: "info,actix_http=off,actix_server=warn,refinery_core=warn,tokio_postgres=warn",
        meaning: "verbosity: error, warn, info, debug, or per module",
    },
    Variable {
        name: "AUTH",
        default: "",
        meaning: "`off` accepts that everybody who reaches LISTEN may write and read",
    },
    Variable {
        name: "RETENTION_DAYS",
        default: "",
        meaning: "days that records are kept; older ones are refused, and dropped leaf by leaf; the same in all processes; unset: for ever",
    },
    Variable {
        name: "RETENTION_BYTES",
        default: "",
        meaning: "bytes of records with their index; beyond, the oldest leaves are dropped, never that of the present; unset: no limit",
    },
    Variable {
        name: "ALLOW_DELETE",
        default: "",
        meaning: "`on` or `off`: whether POST /v1/delete deletes; unset: on if LISTEN is a loopback address, since there are no keys yet",
    },
    Variable {
        name: "BODY_BYTES_MAX",
        default: "16777216",
        meaning: "bytes of one request body after inflating; a full body of 20,000 ordinary records is 8 MB",
    },
    Variable {
        name: "REQUEST_RECORDS_MAX",
        default: "20000",
        meaning: "records of one request; ten messages of 2,000",
    },
    Variable {
        name: "QUEUE_BYTES_MAX",
        default: "67108864",
        meaning: "bytes of accepted records in flight before the door answers 503; bounds memory, about 0.5 s of full load",
    },
    Variable {
        name: "BODIES_BYTES_MAX",
        default: "134217728",
        meaning: "bytes of request bodies being read or parsed at once before the door answers 503; bounds memory under many large requests",
    },
    Variable {
        name: "WRITERS",
        default: "2",
        meaning: "Postgres connections that COPY side by side; a third brought nothing on two cores",
    },
    Variable {
        name: "FLUSH_WAIT_MAX_MS",
        default: "200",
        meaning: "milliseconds a batch from Kafka waits for more records; what a reader may lag behind",
    },
    Variable {
        name: "SEAL_BLOCKS",
        default: "4096",
        meaning: "blocks of 256 rows whose signatures are sealed together, a multiple of 8; a search reads a few slices of each group",
    },
    Variable {
        name: "SEAL_IDLE_MS",
        default: "600000",
        meaning: "milliseconds after which a leaf that got no new block is sealed as it is; until then 8 KB a block are in every searcher's memory",
    },
    Variable {
        name: "SEARCH_BUDGET_MS",
        default: "100",
        meaning: "milliseconds one search may take before it answers with what it has and a cursor to go on",
    },
    Variable {
        name: "SEARCHES_MAX",
        default: "8",
        meaning: "searches that run at once; the next wait up to 5 s, then 503",
    },
    Variable {
        name: "LONG_SEARCHES_MAX",
        default: "1",
        meaning: "searches longer than 10 ms that run at once, others answer with what they have; each keeps one core of Postgres busy",
    },
    Variable {
        name: "EXPORTS_MAX",
        default: "2",
        meaning: "exports that run at once, among SEARCHES_MAX; the next gets 503",
    },
    Variable {
        name: "EXPORT_WAIT_MAX_MS",
        default: "60000",
        meaning: "milliseconds an export waits for a client that does not read, before it is broken off",
    },
    Variable {
        name: "QUERY_POOL_SIZE",
        default: "16",
        meaning: "Postgres connections for searches and look-ups, at least SEARCHES_MAX",
    },
    Variable {
        name: "HISTORY",
        default: "on",
        meaning: "`on` or `off`: whether the searches that people run on the page are remembered, the newest 500",
    },
];

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
    /// Searches longer than 10 ms that run at once (`LONG_SEARCHES_MAX`).
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
                pool_size: reader.number("QUERY_POOL_SIZE", 1, 1_000),
                keeps_history: reader.keeps_history(),
            },
            log_filter: reader.text("RUST_LOG"),
        };
        reader.check_mix(&config);
        if reader.faults.is_empty() { Ok(config) } else { Err(ConfigError(reader.faults)) }
    }
}

struct Reader<'a> {
    values: &'a BTreeMap<String, String>,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> String {
        match self.values.get(name) {
            Some(value) if !value.is_empty() => value.clone(),
            _ => VARIABLES
                .iter()
                .find(|v| v.name == name)
                .expect("every variable is listed")
                .default
                .to_owned(),
        }
    }

    fn number<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        name: &str,
        min: T,
        max: T,
    ) -> T {
        let text = self.text(name);
        match text.parse() {
            Ok(number) if number >= min && number <= max => number,
            _ => {
                self.faults
                    .push(format!("{name}: a whole number from {min} to {max} is needed, got `{text}`"));
                min
            }
        }
    }

    fn optional<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        name: &str,
        min: T,
        max: T,
    ) -> Option<T> {
        if self.text(name).is_empty() { None } else { Some(self.number(name, min, max)) }
    }

    fn may_delete(&mut self, listen: SocketAddr) -> bool {
        match self.text("ALLOW_DELETE").as_str() {
            "on" => true,
            "off" => false,
            "" => listen.ip().is_loopback(),
            other => {
                self.faults.push(format!("ALLOW_DELETE: on and off are known, got `{other}`"));
                false
            }
        }
    }

    fn keeps_history(&mut self) -> bool {
        match self.text("HISTORY").as_str() {
            "on" => true,
            "off" => false,
            other => {
                self.faults.push(format!("HISTORY: on and off are known, got `{other}`"));
                false
            }
        }
    }

    fn listen(&mut self) -> SocketAddr {
        let text = self.text("LISTEN");
        let address = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        let Some(address) = address else {
            self.faults.push(format!("LISTEN: host:port is needed, got `{text}`"));
            return SocketAddr::from(([127, 0, 0, 1], 0));
        };
        match self.text("AUTH").as_str() {
            "off" => {}
            "" if address.ip().is_loopback() => {}
            "" => self.faults.push(format!(
                "LISTEN: `{text}` is not a loopback address, so everybody in the network could read and write; set AUTH=off if that is meant"
            )),
            other => self.faults.push(format!("AUTH: only `off` is known, got `{other}`")),
        }
        address
    }

    fn database(&mut self) -> DatabaseConfig {
        let private = DatabaseConfig::Private { data_dir: self.text("DATA_DIR").into() };
        let url = self.text("DATABASE_URL");
        if url.is_empty() {
            return private;
        }
        match url.parse() {
            Ok(config) => DatabaseConfig::Url(Box::new(config)),
            Err(error) => {
                // The message of the parser never holds the value; the URL itself is not printed, it may carry a password.
                self.faults.push(format!("DATABASE_URL: not a Postgres URL ({error})"));
                private
            }
        }
    }

    fn queue(&mut self) -> QueueConfig {
        let bytes_max = self.number("QUEUE_BYTES_MAX", 1 << 20, 64 << 30);
        let brokers = self.text("KAFKA_BROKERS");
        if brokers.is_empty() {
            return QueueConfig::Direct { bytes_max };
        }
        for broker in brokers.split(',') {
            let port = broker.trim().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                self.faults.push(format!("KAFKA_BROKERS: host:port[,host:port] is needed, got `{brokers}`"));
                break;
            }
        }
        let topic = self.text("KAFKA_TOPIC");
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.len() > 249 || !topic.chars().all(legal) || topic == "." || topic == ".." {
            self.faults.push(format!(
                "KAFKA_TOPIC: at most 249 letters, digits, dots, dashes and underscores, got `{topic}`"
            ));
        }
        QueueConfig::Kafka { brokers, topic, group: self.text("KAFKA_GROUP"), bytes_max }
    }

    fn roles(&mut self) -> Roles {
        let mut roles = Roles { ingest: false, write: false, query: false };
        for role in self.text("ROLES").split(',').map(str::trim) {
            match role {
                "ingest" => roles.ingest = true,
                "write" => roles.write = true,
                "query" => roles.query = true,
                other => self.faults.push(format!("ROLES: ingest, write and query are known, got `{other}`")),
            }
        }
        roles
    }

    fn check_mix(&mut self, config: &Config) {
        let Roles { ingest, write, query } = config.roles;
        if !(ingest && write && query) {
            if ingest != write && matches!(config.queue, QueueConfig::Direct { .. }) {
                self.faults.push(
                    "ROLES: ingest and write in separate processes need KAFKA_BROKERS between them".into(),
                );
            }
            if matches!(config.database, DatabaseConfig::Private { .. }) {
                self.faults.push("ROLES: separate processes need a common Postgres in DATABASE_URL".into());
            }
        }
        if config.search.pool_size < config.search.concurrent_max {
            self.faults.push(format!(
                "QUERY_POOL_SIZE: at least SEARCHES_MAX ({}) is needed, got `{}`",
                config.search.concurrent_max, config.search.pool_size
            ));
        }
        if config.http.bodies_bytes_max < 2 * config.http.body_bytes_max {
            self.faults.push(format!(
                "BODIES_BYTES_MAX: at least twice BODY_BYTES_MAX ({}) is needed, got `{}`",
                config.http.body_bytes_max, config.http.bodies_bytes_max
            ));
        }
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
