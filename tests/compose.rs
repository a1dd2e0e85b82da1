//! No container engine runs in the tests, so docker-compose.yml and its files are held against the product itself: every variable exists
//! and is accepted, every port and path that is probed is served, every file that is mounted, copied or built is there.

// A test that cannot go on may panic where it stands, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use log_ingestor::config::{Config, QueueConfig, VARIABLES};
use serde_json::Value;

/// What the product serves whatever its roles.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The file with `${NAME:-default}` replaced by its default, as a plain `docker-compose up` sees it.
fn compose() -> Value {
    let mut text = read("docker-compose.yml");
    while let Some(start) = text.find("${") {
        let end = start + text[start..].find('}').expect("closed");
        let (_, default) = text[start + 2..end]
            .split_once(":-")
            .expect("every variable has a default: up works without .env");
        let default = default.to_owned();
        text.replace_range(start..=end, &default);
    }
    serde_saphyr::from_str(&text).unwrap()
}

fn services(compose: &Value) -> &serde_json::Map<String, Value> {
    compose["services"].as_object().unwrap()
}

/// Services that run the product.
fn ours(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    services(compose).iter().filter(|(_, service)| service.get("build").is_some())
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|items| items.iter().map(|item| item.as_str().unwrap()).collect())
        .unwrap_or_default()
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    service["environment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[test]
fn the_product_takes_every_variable() {
    let compose = compose();
    assert_eq!(ours(&compose).count(), 3);
    for (name, service) in ours(&compose) {
        let values = environment(service);
        for variable in values.keys() {
            assert!(VARIABLES.iter().any(|known| known.name == variable), "{name}: {variable} is unknown");
        }
        let config = Config::from_values(&values).unwrap_or_else(|error| panic!("{name}: {error}"));
        let QueueConfig::Kafka { brokers, .. } = config.queue else { panic!("{name}: no Kafka") };
        let (broker, port) = brokers.rsplit_once(':').unwrap();
        let kafka = environment(&services(&compose)[broker]);
        assert!(kafka["KAFKA_ADVERTISED_LISTENERS"].contains(&brokers));
        assert!(kafka["KAFKA_LISTENERS"].split(',').any(|listener| listener.ends_with(&format!(":{port}"))));
        assert!(values["DATABASE_URL"].contains("host=postgres "));
    }
    // Together they do everything: what `app` does alone, `front` and `writer` share.
    let roles = |name: &str| Config::from_values(&environment(&services(&compose)[name])).unwrap().roles;
    let (app, front, writer) = (roles("app"), roles("front"), roles("writer"));
    assert!(app.ingest && app.write && app.query);
    assert!(front.ingest && front.query && !front.write);
    assert!(writer.write && !writer.ingest && !writer.query);
    for name in ["front", "writer"] {
        assert_eq!(services(&compose)[name]["deploy"]["replicas"], 3);
    }
}

#[test]
fn the_database_credentials_agree() {
    let compose = compose();
    let postgres = environment(&services(&compose)["postgres"]);
    for (name, service) in ours(&compose) {
        let url: tokio_postgres::Config = environment(service)["DATABASE_URL"].parse().unwrap();
        assert_eq!(url.get_user(), Some(postgres["POSTGRES_USER"].as_str()), "{name}");
        assert_eq!(url.get_dbname(), Some(postgres["POSTGRES_DB"].as_str()), "{name}");
        assert_eq!(url.get_password(), Some(postgres["POSTGRES_PASSWORD"].as_bytes()), "{name}");
    }
    // Commands are seen by every user of the host.
    for (name, service) in services(&compose) {
        let command = format!("{}{}", service["command"], service["entrypoint"]).to_lowercase();
        assert!(!command.contains("password"), "{name}: a secret in its command");
    }
}

#[test]
fn ports_are_served_and_bound_to_loopback() {
    let compose = compose();
    let nginx = read("docker/nginx.conf");
    for (name, service) in services(&compose) {
        for port in strings(&service["ports"]) {
            let parts: Vec<&str> = port.split(':').collect();
            assert_eq!(parts.len(), 3, "{name}: {port}");
            assert_eq!(parts[0], "127.0.0.1", "{name}: {port} is open to the network");
            match name.as_str() {
                "app" => {
                    let config = Config::from_values(&environment(service)).unwrap();
                    assert_eq!(config.http.listen.port().to_string(), parts[2]);
                    assert!(config.http.listen.ip().is_unspecified());
                    assert!(read("Dockerfile").contains(&format!("EXPOSE {}", parts[2])));
                }
                "nginx" => assert!(nginx.contains(&format!("listen {};", parts[2]))),
                other => panic!("{other} publishes {port}"),
            }
        }
    }
    // What nginx passes to is a service of ours, at the port where it listens.
    let upstream =
        nginx.lines().find_map(|line| line.trim().strip_prefix("server ")?.strip_suffix(" resolve;"));
    let (host, port) = upstream.unwrap().split_once(':').unwrap();
    let target = environment(&services(&compose)[host]);
    assert_eq!(Config::from_values(&target).unwrap().http.listen.port().to_string(), port);
    let passed: BTreeSet<&str> =
        nginx.lines().filter_map(|line| line.trim().strip_prefix("proxy_pass http://")).collect();
    assert_eq!(passed, BTreeSet::from(["front;"]));
    assert!(nginx.contains("upstream front {"));
}

#[test]
fn probes_ask_for_what_is_served() {
    let compose = compose();
    for (name, service) in services(&compose) {
        let test = strings(&service["healthcheck"]["test"]);
        assert!(!test.is_empty(), "{name} has no health check");
        match name.as_str() {
            "app" | "front" | "writer" => assert_eq!(test, ["CMD", "log-ingestor", "healthcheck"]),
            "nginx" => {
                let path = test.last().unwrap().strip_prefix("http://127.0.0.1:8080").unwrap();
                assert!(PROBES.contains(&path), "{path}");
            }
            "kafka" => {
                let listener = test[1].split("localhost:").nth(1).unwrap().split(' ').next().unwrap();
                assert!(
                    environment(service)["KAFKA_LISTENERS"].contains(&format!("PLAINTEXT://:{listener}"))
                );
            }
            "postgres" => {
                let values = environment(service);
                assert!(
                    test[1].contains(&format!("-U {} -d {}", values["POSTGRES_USER"], values["POSTGRES_DB"]))
                );
            }
            other => panic!("{other}: unknown service"),
        }
        let waits = service.get("depends_on").and_then(Value::as_object);
        for (other, condition) in waits.into_iter().flatten() {
            assert!(services(&compose).contains_key(other), "{name} waits for {other}");
            assert_eq!(condition["condition"], "service_healthy", "{name} waits for {other}");
        }
    }
    // The paths in the constant above are routes of the program.
    let sources: String = ["src/app.rs", "src/health.rs"].map(read).concat();
    for path in PROBES {
        assert!(sources.contains(&format!("\"{path}\"")), "{path} is not served");
    }
}

#[test]
fn every_file_is_there() {
    let compose = compose();
    let volumes = compose["volumes"].as_object().unwrap();
    for (name, service) in services(&compose) {
        if service.get("build").is_some() {
            assert_eq!(service["build"], ".");
        }
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let exists = match source.strip_prefix("./") {
                Some(file) => root().join(file).is_file(),
                None => volumes.contains_key(source),
            };
            assert!(exists, "{name}: {source} is missing");
        }
    }
    let dockerfile = read("Dockerfile");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let mut sources = Vec::new();
    for copy in copies.filter(|copy| !copy.starts_with("--from=")) {
        let mut words: Vec<&str> = copy.split_whitespace().collect();
        words.pop();
        sources.extend(words);
    }
    assert!(!sources.is_empty());
    for source in sources {
        assert!(root().join(source).exists(), "Dockerfile copies {source}");
    }
    // What the build reads must not be kept away from it.
    for ignored in read(".dockerignore").lines().filter(|line| !line.starts_with('#')) {
        for needed in ["Cargo.toml", "Cargo.lock", "src", "migrations", "templates", "static", "assets"] {
            assert_ne!(ignored.trim_matches('/'), needed);
        }
    }
    assert!(dockerfile.contains("STOPSIGNAL SIGTERM"));
}
