//! Real Apache Kafka brokers (KRaft, one node). One serves the whole run; tests that kill a broker start one of their own.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
};

use super::run;

pub struct Kafka {
    port: u16,
    controller_port: u16,
    folder: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Kafka {
    /// The broker of the run, started by the first test that asks.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Kafka>> = OnceLock::new();
        SHARED
            .get_or_init(|| {
                let kafka = Self::planned();
                kafka.start();
                Arc::new(kafka)
            })
            .clone()
    }

    /// A broker with ports and a folder of its own that does not run yet.
    pub fn planned() -> Self {
        Self {
            port: run::free_port(),
            controller_port: run::free_port(),
            folder: run::fresh_folder("kafka"),
            child: Mutex::new(None),
        }
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the broker, on the data of the last time if there was one, and waits until it answers.
    pub fn start(&self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("the log can be written");
        let mut child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka.sh"))
            .arg("run")
            .arg(self.folder.join("data"))
            .args([self.port.to_string(), self.controller_port.to_string()])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be doubled"))
            .stderr(log)
            .spawn()
            .expect("scripts/kafka.sh starts");
        run::started(child.id());
        // The first start may have to fetch the jars.
        let deadline = Instant::now() + Duration::from_secs(300);
        while !self.answers() {
            let ended = child.try_wait().expect("the broker is our child");
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the broker ended: {}", log());
            assert!(Instant::now() < deadline, "the broker does not answer: {}", log());
        }
        *self.child.lock().expect("no holder panics") = Some(child);
    }

    /// kill -9 of the broker and all that belongs to it.
    pub fn kill9(&self) {
        if let Some(mut child) = self.child.lock().expect("no holder panics").take() {
            let group = nix::unistd::Pid::from_raw(child.id() as i32);
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            child.wait().expect("the broker is our child");
            run::ended(child.id());
        }
    }

    /// Whether the broker runs, and the end of its log; for failing tests.
    pub fn state(&self) -> String {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let ended = child.as_mut().map(|child| child.try_wait());
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[log.len().saturating_sub(4_000)..]).into_owned();
        format!("broker process: {ended:?}\n{log}")
    }

    fn answers(&self) -> bool {
        let consumer: BaseConsumer = self.client();
        consumer.fetch_metadata(None, Duration::from_secs(1)).is_ok_and(|found| !found.brokers().is_empty())
    }

    fn client<T: FromClientConfig>(&self) -> T {
        ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .set("group.id", "tests")
            .set("enable.auto.commit", "false")
            .set("log_level", "0")
            .create()
            .expect("the settings are legal")
    }

    /// The number of partitions; 0 if there is no such topic.
    pub fn partitions(&self, topic: &str) -> usize {
        let consumer: BaseConsumer = self.client();
        let found =
            consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("the broker answers");
        found.topics().first().map_or(0, |topic| topic.partitions().len())
    }

    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.client();
        let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let made = admin.create_topics([&topic], &AdminOptions::new()).await.expect("the broker answers");
        assert!(made[0].is_ok(), "{made:?}");
    }

    pub async fn delete_topic(&self, topic: &str) {
        let admin: AdminClient<DefaultClientContext> = self.client();
        let gone = admin.delete_topics(&[topic], &AdminOptions::new()).await.expect("the broker answers");
        assert!(gone[0].is_ok(), "{gone:?}");
    }

    /// Puts a message into the topic past the door.
    pub async fn produce(&self, topic: &str, partition: i32, value: &[u8], headers: &[(String, Vec<u8>)]) {
        let producer: FutureProducer = self.client();
        let named = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key: key.as_str(), value: Some(value) })
        });
        let record: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(topic).partition(partition).payload(value).headers(named);
        producer.send(record, Duration::from_secs(10)).await.expect("the broker takes the message");
    }

    /// Every message that is in the topic now.
    pub fn messages(&self, topic: &str) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = self.client();
        let wait = Duration::from_secs(10);
        let mut places = TopicPartitionList::new();
        let mut wanted = 0;
        for partition in 0..self.partitions(topic) as i32 {
            let (low, high) = consumer.fetch_watermarks(topic, partition, wait).expect("the broker answers");
            wanted += (high - low) as usize;
            places.add_partition_offset(topic, partition, Offset::Beginning).expect("a new place");
        }
        consumer.assign(&places).expect("the places exist");
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut messages = Vec::new();
        while messages.len() < wanted {
            assert!(Instant::now() < deadline, "{} of {wanted} messages", messages.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                messages.push(message.detach());
            }
        }
        messages
    }
}

/// The headers of a message as [`Kafka::produce`] takes them.
pub fn headers_of(message: &OwnedMessage) -> Vec<(String, Vec<u8>)> {
    let headers = message.headers().map(|headers| headers.iter().collect::<Vec<_>>()).unwrap_or_default();
    headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill9();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
