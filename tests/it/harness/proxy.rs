//! A TCP proxy before Postgres that fails on command: it refuses, swallows, is slow, or loses exactly the reply to a COMMIT.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What the network between the product and Postgres does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Open connections are cut, new ones are closed at once.
    Cut,
    /// Connections stay open and nothing comes through any more.
    Swallow,
    /// Whatever the server sends takes as long as [`SLOW`].
    Slow,
    /// The next COMMIT reaches the server, its reply is lost and the connection with it; afterwards all is well.
    LoseCommitReply,
    /// The next COMMIT is lost and the connection with it; afterwards all is well.
    LoseCommit,
}

/// More than what the product takes for a quick search.
const SLOW: Duration = Duration::from_millis(20);

pub struct Proxy {
    pub port: u16,
    fault: watch::Sender<Fault>,
    commits_lost: Arc<AtomicU32>,
    connections: Arc<AtomicU32>,
    listener: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (fault, _) = watch::channel(Fault::None);
        let commits_lost = Arc::new(AtomicU32::new(0));
        let connections = Arc::new(AtomicU32::new(0));
        let (faults, lost, opened) = (fault.clone(), commits_lost.clone(), connections.clone());
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                let link = Link { fault: faults.clone(), commits_lost: lost.clone() };
                tokio::spawn(link.carry(client, server_port));
            }
        });
        Self { port, fault, commits_lost, connections, listener }
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many connections were tried.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many COMMITs [`Fault::LoseCommit`] and [`Fault::LoseCommitReply`] have hit.
    pub fn commits_lost(&self) -> u32 {
        self.commits_lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.fault.send_replace(Fault::Cut);
    }
}

#[derive(Clone)]
struct Link {
    fault: watch::Sender<Fault>,
    commits_lost: Arc<AtomicU32>,
}

impl Link {
    async fn carry(self, client: TcpStream, server_port: u16) {
        let mut faults = self.fault.subscribe();
        if *faults.borrow() == Fault::Cut {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
        // Or every round trip of several small packets takes 40 ms.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
        let (deaf, hears) = watch::channel(false);
        tokio::select! {
            _ = self.to_server(client_in, server_out, deaf) => {}
            _ = self.to_client(server_in, client_out, hears) => {}
            _ = faults.wait_for(|fault| *fault == Fault::Cut) => {}
        }
    }

    /// Ends when the connection has to end.
    async fn to_server(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, deaf: watch::Sender<bool>) {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            self.wait_while_swallowed().await;
            if commits(&chunk[..read]) {
                if self.spring(Fault::LoseCommit) {
                    return;
                }
                if self.spring(Fault::LoseCommitReply) {
                    deaf.send_replace(true);
                }
            }
            if to.write_all(&chunk[..read]).await.is_err() {
                return;
            }
        }
    }

    async fn to_client(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, deaf: watch::Receiver<bool>) {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            self.wait_while_swallowed().await;
            if *self.fault.borrow() == Fault::Slow {
                tokio::time::sleep(SLOW).await;
            }
            if *deaf.borrow() || to.write_all(&chunk[..read]).await.is_err() {
                return;
            }
        }
    }

    async fn wait_while_swallowed(&self) {
        let _ = self.fault.subscribe().wait_for(|fault| *fault != Fault::Swallow).await;
    }

    /// True for the one COMMIT that meets the armed trap.
    fn spring(&self, trap: Fault) -> bool {
        let sprung = self.fault.send_if_modified(|fault| {
            let armed = *fault == trap;
            if armed {
                *fault = Fault::None;
            }
            armed
        });
        if sprung {
            self.commits_lost.fetch_add(1, Ordering::SeqCst);
        }
        sprung
    }
}

/// Whether a simple-query message that ends in `commit` is in the chunk (the column "commit" stands in quotes and does not count).
fn commits(chunk: &[u8]) -> bool {
    chunk
        .windows(7)
        .any(|window| window[..6].eq_ignore_ascii_case(b"commit") && matches!(window[6], b'\0' | b';'))
}
