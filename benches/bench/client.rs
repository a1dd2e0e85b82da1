//! A load driver that costs little, because it shares the machine's cores: requests are ready-made bytes, answers are only measured.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

/// What is sent, over how many keep-alive connections.
pub struct Load {
    pub requests: Vec<Vec<u8>>,
    pub connections: usize,
}

/// Sends everything; each connection takes the next request when its answer is there. Returns seconds and sorted latencies.
pub async fn run(address: &str, load: Load) -> (f64, Vec<Duration>) {
    let work = Rc::new(RefCell::new(load.requests.into_iter()));
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let started = Instant::now();
    let set = LocalSet::new();
    for _ in 0..load.connections {
        let (work, latencies, address) = (work.clone(), latencies.clone(), address.to_owned());
        set.spawn_local(async move {
            let mut connection = Connection::open(&address).await;
            loop {
                let Some(request) = work.borrow_mut().next() else { break };
                let sent = Instant::now();
                let status = connection.exchange(&request).await;
                assert!(matches!(status, 200 | 202), "answered {status}");
                latencies.borrow_mut().push(sent.elapsed());
            }
        });
    }
    set.await;
    let seconds = started.elapsed().as_secs_f64();
    let mut latencies = latencies.take();
    latencies.sort_unstable();
    (seconds, latencies)
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self { stream, buffer: Vec::with_capacity(64 << 10) }
    }

    /// Sends a request and reads its answer to the end; returns the status.
    pub async fn exchange(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.expect("the server reads");
        self.buffer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.buffer).await.expect("the server answers");
            assert!(count > 0, "the server closed the connection");
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end]).expect("a head is ASCII");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.expect("a length").parse().expect("a number");
                let status = head[9..12].parse().expect("a status");
                while self.buffer.len() < end + 4 + length {
                    let count = self.stream.read_buf(&mut self.buffer).await.expect("the server answers");
                    assert!(count > 0, "the server closed the connection");
                }
                return status;
            }
        }
    }

    pub fn body(&self) -> &[u8] {
        let end = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head was read");
        &self.buffer[end + 4..]
    }
}

/// The value below which `share` of the sorted latencies lie, in milliseconds.
pub fn percentile(latencies: &[Duration], share: f64) -> f64 {
    let at = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
    latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}
