//! Reads single variables. In: texts by name; one that is empty or missing stands for its default. Out: typed values; what is wrong is
//! collected, so that all faults are told at once.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use super::{Config, DatabaseConfig, QueueConfig, Roles, VARIABLES};

pub(super) struct Reader<'a> {
    pub(super) values: &'a BTreeMap<String, String>,
    pub(super) faults: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn text(&self, name: &str) -> String {
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

    pub(super) fn number<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
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

    pub(super) fn optional<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        name: &str,
        min: T,
        max: T,
    ) -> Option<T> {
        if self.text(name).is_empty() { None } else { Some(self.number(name, min, max)) }
    }

    pub(super) fn may_delete(&mut self, listen: SocketAddr) -> bool {
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

    pub(super) fn keeps_history(&mut self) -> bool {
        match self.text("HISTORY").as_str() {
            "on" => true,
            "off" => false,
            other => {
                self.faults.push(format!("HISTORY: on and off are known, got `{other}`"));
                false
            }
        }
    }

    pub(super) fn listen(&mut self) -> SocketAddr {
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

    pub(super) fn database(&mut self) -> DatabaseConfig {
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

    pub(super) fn queue(&mut self) -> QueueConfig {
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

    pub(super) fn roles(&mut self) -> Roles {
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

    pub(super) fn check_mix(&mut self, config: &Config) {
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
        if config.search.pool_size <= config.search.concurrent_max {
            self.faults.push(format!(
                "QUERY_POOL_SIZE: more than SEARCHES_MAX ({}) is needed, got `{}`",
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
