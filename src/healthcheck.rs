//! `log-ingestor healthcheck`: asks the process on LISTEN whether it is ready; for containers without curl.

use std::{net::Ipv4Addr, process::ExitCode, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::config::Config;

/// Exit 0 if `/readyz` answers 200 within 5 s.
pub async fn run() -> ExitCode {
    let mut address = match Config::from_env() {
        Ok(config) => config.http.listen,
        Err(faults) => {
            eprintln!("the configuration has faults:\n{faults}");
            return ExitCode::from(2);
        }
    };
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(
                format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
            )
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(Duration::from_secs(5), ask).await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => ExitCode::SUCCESS,
        Ok(Ok(answer)) => {
            eprintln!("not ready: {}", answer.lines().last().unwrap_or_default());
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            eprintln!("cannot reach {address}: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("{address} did not answer within 5 s");
            ExitCode::FAILURE
        }
    }
}
