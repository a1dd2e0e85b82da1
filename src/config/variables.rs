//! The variables of the environment: names, defaults, meanings. `.env.example`, compose and `--help` are held against this list.

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
        meaning: "milliseconds after which a leaf that got no new block is sealed as it is; until then 12 KB a block are in every searcher's memory",
    },
    Variable {
        name: "SEARCH_BUDGET_MS",
        default: "100",
        meaning: "milliseconds one search may take before it answers with what it has and a cursor to go on",
    },
    Variable {
        name: "SEARCHES_MAX",
        default: "8",
        meaning: "searches that run at once, half as many of those that the index does not help; the next wait up to 5 s, then 503",
    },
    Variable {
        name: "LONG_SEARCHES_MAX",
        default: "1",
        meaning: "searches longer than 10 ms (2 ms where the index rules nothing out) that run at once, others answer with what they have; each keeps one core of Postgres busy, a search that is alone two",
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
        default: "24",
        meaning: "Postgres connections for searches and look-ups, more than SEARCHES_MAX; a quarter is common to all threads, the rest are sets of at least SEARCHES_MAX for them",
    },
    Variable {
        name: "HISTORY",
        default: "on",
        meaning: "`on` or `off`: whether the searches that people run on the page are remembered, the newest 500",
    },
];
