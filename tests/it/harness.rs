//! What the tests stand on: the real binary as a process, a real Postgres with a fresh database per test, a real Kafka for those that
//! need it, a proxy that can fail on command. In: a builder. Out: a running product and ways to look at it from outside (HTTP, SQL).
//! Whatever is started here ends with the test run, even when tests panic or are killed (see [`run`]).

pub mod app;
pub mod browser;
pub mod devtools;
pub mod follower;
pub mod http;
pub mod kafka;
pub mod load;
pub mod postgres;
pub mod proxy;
pub mod records;
pub mod run;

pub use app::TestApp;
pub use http::Answer;
pub use load::Load;
pub use proxy::Fault;
