//! Reads the configuration, starts, waits for a signal, stops. `log-ingestor healthcheck` asks a running process instead.

use std::process::ExitCode;

use log_ingestor::{
    app::App,
    config::{Config, VARIABLES},
    healthcheck,
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        None => {}
        Some("--version" | "-V") => {
            println!("log-ingestor {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some("--help" | "-h") => {
            print_help();
            return ExitCode::SUCCESS;
        }
        Some("healthcheck") => return healthcheck::run().await,
        Some(other) => {
            eprintln!("unknown argument `{other}`; see log-ingestor --help");
            return ExitCode::from(2);
        }
    }
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("the configuration has faults:\n{faults}");
            return ExitCode::from(2);
        }
    };
    raise_open_files();
    env_logger::Builder::new().parse_filters(&config.log_filter).format_timestamp_micros().init();
    run(config).await
}

/// A connection is an open file, and many systems allow 1,024 unless a process asks for more.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most); // refused: then it stays as it is
    }
}

async fn run(config: Config) -> ExitCode {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        eprintln!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let mut stop = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let app = tokio::select! {
        app = App::start(config) => app,
        () = stop() => return ExitCode::SUCCESS,
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    greet(&app);
    stop().await;
    tokio::select! {
        () = app.stop() => ExitCode::SUCCESS,
        () = stop() => ExitCode::FAILURE, // a second signal: at once, which is always safe
    }
}

fn greet(app: &App) {
    let link = format!("http://{}", app.address);
    println!("listening on {link}");
    println!(
        "try: curl -H 'Content-Type: application/json' {link}/public/ingest -d '{{\"level\":\"error\",\"message\":\"Failed to connect to DB\",\
         \"resourceId\":\"server-1234\",\"timestamp\":\"2023-09-15T08:00:00Z\",\"traceId\":\"abc-xyz-123\",\"spanId\":\"span-456\",\
         \"commit\":\"5e5342f\",\"metadata\":{{\"parentResourceId\":\"server-0987\"}}}}'"
    );
    if let Some(psql) = &app.psql {
        println!("SQL: {psql}");
    }
}

fn print_help() {
    println!("log-ingestor: a log store for teams that trust Postgres\n");
    println!("  log-ingestor               serve until SIGTERM or Ctrl-C");
    println!("  log-ingestor healthcheck   exit 0 if the process on LISTEN is ready\n");
    println!("Environment variables (default):");
    for variable in VARIABLES {
        println!("  {:22} {} ({})", variable.name, variable.meaning, variable.default);
    }
}
