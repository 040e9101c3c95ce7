//! rskafka against a broker: a client that refuses an answer with a single byte too many.
//!
//! `suite HOST:PORT` runs the cases (CASE=text: those whose name holds the text), prints a line for each, and exits with 1
//! where one failed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Suite {
    wanted: String,
    run: u128,
    failed: usize,
}

impl Suite {
    fn topic(&self, stem: &str) -> String {
        format!("rust-{stem}-{}", self.run)
    }

    /// One case: it fails by an error, or by taking longer than 30 seconds.
    async fn check(&mut self, name: &str, case: impl Future<Output = Outcome>) {
        if !name.contains(&self.wanted) {
            return;
        }
        let why = match tokio::time::timeout(Duration::from_secs(30), case).await {
            Ok(Ok(())) => return println!("ok - {name}"),
            Ok(Err(e)) => e.to_string(),
            Err(_) => "not within 30 s".to_owned(),
        };
        self.failed += 1;
        println!("not ok - {name}\n# {}", why.replace('\n', " "));
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(expected: T, actual: T, what: &str) -> Outcome {
    if expected == actual {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, was {actual:?}").into())
}

/// The timestamp of the i-th record, from an hour ago on: older ones might meet the retention time.
fn stamp(i: i64) -> DateTime<Utc> {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64)
    };
    DateTime::from_timestamp_millis(BEGAN.get_or_init(now) - 3_600_000 + i).expect("a time")
}

/// Records of several shapes, the same in every run.
fn records(n: i64) -> Vec<Record> {
    let value = |i: i64| (0..(i * 37) % 900).map(|k| (k * i % 251) as u8).collect::<Vec<_>>();
    let headers = |i: i64| {
        BTreeMap::from([
            ("i".to_owned(), i.to_string().into_bytes()),
            ("empty".to_owned(), vec![]),
        ])
    };
    (0..n)
        .map(|i| Record {
            key: (i % 3 > 0).then(|| format!("key {i}").into_bytes()),
            value: (i % 50 != 7).then(|| value(i)),
            headers: if i % 2 == 0 { headers(i) } else { BTreeMap::new() },
            timestamp: stamp(i),
        })
        .collect()
}

async fn partition(client: &Client, topic: &str, partitions: i32) -> Result<PartitionClient, Error> {
    client
        .controller_client()?
        .create_topic(topic, partitions, 1, 10_000)
        .await?;
    client.partition_client(topic, 0, UnknownTopicHandling::Error).await
}

async fn round_trip(client: &Client, topic: String, codec: Compression) -> Outcome {
    let p = partition(client, &topic, 1).await?;
    let sent = records(300);
    let offsets = p.produce(sent.clone(), codec).await?;
    equal((0..300).collect::<Vec<i64>>(), offsets, "offsets")?;
    let (got, high) = p.fetch_records(0, 1..10_000_000, 1000).await?;
    equal(300, high, "high watermark")?;
    equal(300, got.len(), "records")?;
    for (i, (sent, got)) in sent.iter().zip(&got).enumerate() {
        equal(i as i64, got.offset, "offset")?;
        equal(sent, &got.record, "record")?;
    }
    let (got, _) = p.fetch_records(123, 1..10_000_000, 1000).await?;
    equal(
        Some(123),
        got.first().map(|r| r.offset),
        "first offset of a fetch from within a batch",
    )
}

async fn topics(client: &Client, topic: String) -> Outcome {
    let controller = client.controller_client()?;
    partition(client, &topic, 3).await?;
    match controller.create_topic(&topic, 1, 1, 10_000).await {
        Err(Error::ServerError {
            protocol_error: ProtocolError::TopicAlreadyExists,
            ..
        }) => {}
        other => return Err(format!("expected TOPIC_ALREADY_EXISTS, was {other:?}").into()),
    }
    let listed = client.list_topics().await?;
    let mine = listed
        .iter()
        .find(|t| t.name == topic)
        .ok_or("the topic is not listed")?;
    equal(3, mine.partitions.len(), "partitions")?;
    controller.delete_topic(&topic, 10_000).await?;
    equal(
        false,
        client.list_topics().await?.iter().any(|t| t.name == topic),
        "listed after deletion",
    )
}

async fn offsets(client: &Client, topic: String) -> Outcome {
    let p = partition(client, &topic, 1).await?;
    equal(0, p.get_offset(OffsetAt::Latest).await?, "end of an empty log")?;
    p.produce(records(20), Compression::NoCompression).await?;
    equal(0, p.get_offset(OffsetAt::Earliest).await?, "earliest")?;
    equal(20, p.get_offset(OffsetAt::Latest).await?, "latest")?;
    equal(7, p.get_offset(OffsetAt::Timestamp(stamp(7))).await?, "by time")?;
    match p.fetch_records(21, 1..1000, 100).await {
        Err(Error::ServerError {
            protocol_error: ProtocolError::OffsetOutOfRange,
            ..
        }) => Ok(()),
        other => Err(format!("expected OFFSET_OUT_OF_RANGE, was {other:?}").into()),
    }
}

async fn waiting(client: &Client, topic: String) -> Outcome {
    let p = partition(client, &topic, 1).await?;
    let began = Instant::now();
    let (got, _) = p.fetch_records(0, 1..1000, 300).await?;
    equal(0, got.len(), "records of an empty log")?;
    equal(true, began.elapsed() >= Duration::from_millis(290), "waited")?;

    let reader = client.partition_client(&topic, 0, UnknownTopicHandling::Error).await?;
    let fetch = async { reader.fetch_records(0, 1..1000, 10_000).await };
    let produce = async {
        tokio::time::sleep(Duration::from_millis(200)).await; // the fetch is to be waiting; sooner would only be easier
        p.produce(records(1), Compression::NoCompression).await
    };
    let began = Instant::now();
    let (got, produced) = tokio::join!(fetch, produce);
    produced?;
    equal(1, got?.0.len(), "records")?;
    equal(true, began.elapsed() < Duration::from_secs(3), "woken by the record")
}

#[tokio::main]
async fn main() {
    let bootstrap = std::env::args().nth(1).expect("HOST:PORT");
    let client = &ClientBuilder::new(vec![bootstrap]).build().await.expect("a connection");
    let mut s = Suite {
        wanted: std::env::var("CASE").unwrap_or_default(),
        run: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() % 100_000_000),
        failed: 0,
    };
    for (name, codec) in [
        ("none", Compression::NoCompression),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        let topic = s.topic(name);
        s.check(
            &format!("records come back as sent: {name}"),
            round_trip(client, topic, codec),
        )
        .await;
    }
    let (a, b, c) = (s.topic("topics"), s.topic("offsets"), s.topic("waiting"));
    s.check("topics created, listed, deleted", topics(client, a)).await;
    s.check("offsets: earliest, latest, by time, out of range", offsets(client, b))
        .await;
    s.check(
        "a fetch that finds nothing waits, and is woken by a record",
        waiting(client, c),
    )
    .await;
    std::process::exit(i32::from(s.failed > 0));
}
