"""confluent-kafka: librdkafka, the client under most languages' clients."""

import os
import statistics
import threading
import time

from harness import patience
from harness.cases import case, equal, eventually, note, run_cases

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

BOOTSTRAP = os.environ["BOOTSTRAP"]
RUN = str(os.getpid())
TIMESTAMP_CREATE, TIMESTAMP_LOG_APPEND = 1, 2
NAGLE_FREE = {"socket.nagle.disable": True}


def topic(name):
    return f"confluent-{name}-{RUN}"


def producer(**options):
    settings = {key.replace("_", "."): value for key, value in options.items()}
    return Producer({"bootstrap.servers": BOOTSTRAP, **NAGLE_FREE, "linger.ms": 2, **settings})


def consumer(**options):
    """A consumer for assign(): the group id is demanded by the library, no group is joined."""
    settings = {key.replace("_", "."): value for key, value in options.items()}
    return Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            **NAGLE_FREE,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            **settings,
        }
    )


def admin():
    return AdminClient({"bootstrap.servers": BOOTSTRAP, **NAGLE_FREE})


def results(futures):
    """Wait for an admin request: {name: None or the error's code}."""
    found = {}
    for name, future in futures.items():
        try:
            future.result(10)
            found[name] = None
        except KafkaException as error:
            found[name] = error.args[0].code()
    return found


def create(name, partitions=1, **settings):
    config = {key.replace("_", "."): value for key, value in settings.items()}
    client = admin()  # a name of its own: the requests of a client that goes away are cancelled
    equal(results(client.create_topics([NewTopic(name, partitions, 1, config=config)])), {name: None})


class Ledger:
    """What delivery reports said."""

    def __init__(self):
        self.delivered, self.errors = [], []

    def report(self, error, message):
        if error:
            self.errors.append(error.code())
        else:
            self.delivered.append((message.partition(), message.offset(), message.value()))


def produce(name, values, partition=0, **options):
    """Produce all, wait for all; the ledger."""
    client, ledger = producer(**options), Ledger()
    for value in values:
        client.produce(name, value, partition=partition, on_delivery=ledger.report)
        client.poll(0)
    equal(client.flush(20), 0, "messages left after flush")
    return ledger


def read(client, count, timeout_s=15):
    """The count next messages of an assigned consumer."""
    found, deadline = [], time.monotonic() + timeout_s * patience.factor()
    while len(found) < count and time.monotonic() < deadline:
        for message in client.consume(count - len(found), 0.5):
            if message.error():
                raise KafkaException(message.error())
            found.append(message)
    return found


def read_all(name, count, partition=0, offset=0, **options):
    client = consumer(**options)
    client.assign([TopicPartition(name, partition, offset)])
    found = read(client, count)
    client.close()
    return found


# --- producing -------------------------------------------------------------------------------------------------


@case("delivery reports: 10,000 messages, their offsets without a gap")
def delivery_reports():
    name, sent = topic("delivery"), [b"%d" % i for i in range(10_000)]
    create(name)
    ledger = produce(name, sent, acks="all", batch_num_messages=100, linger_ms=1)
    equal(ledger.errors, [])
    equal(ledger.delivered, [(0, i, value) for i, value in enumerate(sent)])
    got = read_all(name, 10_000)
    equal([(m.offset(), m.value()) for m in got], list(enumerate(sent)))


def idempotent_case(codec):
    @case(f"idempotent producer, {codec}, small batches, five in flight")
    def idempotent():
        name, sent = topic(f"idempotent-{codec}"), [b"%d %s" % (i, b"x" * (i % 90)) for i in range(5000)]
        create(name)
        ledger = produce(
            name, sent, enable_idempotence=True, compression_codec=codec, batch_num_messages=20, linger_ms=1
        )
        equal(ledger.errors, [])
        equal([m.value() for m in read_all(name, 5000)], sent)

    return idempotent


for one in ("none", "gzip", "snappy", "lz4", "zstd"):
    idempotent_case(one)


@case("two hundred partitions, an idempotent producer, keys")
def many_partitions():
    name = topic("wide")
    create(name, 200)
    client, ledger = producer(enable_idempotence=True, linger_ms=20), Ledger()
    for i in range(10_000):
        client.produce(name, b"%d" % i, b"k%d" % i, on_delivery=ledger.report)
        client.poll(0)
    equal(client.flush(20), 0)
    equal(ledger.errors, [])
    reader = consumer()
    reader.assign([TopicPartition(name, p, 0) for p in range(200)])
    got = read(reader, 10_000)
    equal(sorted(int(m.value()) for m in got), list(range(10_000)))
    equal(len({m.partition() for m in got}), 200, "partitions in use")
    reader.close()


@case("headers, null and empty keys and values, timestamps")
def contents():
    name, now = topic("contents"), int(time.time() * 1000)
    create(name)
    client = producer()
    wanted = [(None, b"v", None), (b"", b"", [("a", b"1"), ("a", None), ("b", b"")]), (b"k", None, [("ü", "ü".encode())])]
    for i, (key, value, headers) in enumerate(wanted):
        client.produce(name, value, key, 0, timestamp=now + i, headers=headers)
    equal(client.flush(10), 0)
    got = read_all(name, 3)
    equal([(m.key(), m.value(), m.headers()) for m in got], wanted)
    equal([m.timestamp() for m in got], [(TIMESTAMP_CREATE, now + i) for i in range(3)])


@case("LogAppendTime: the broker's time, and checksums that hold")
def log_append_time():
    name = topic("append-time")
    create(name, message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    for codec in ("none", "gzip", "zstd"):
        client = producer(compression_codec=codec)
        for i in range(20):
            client.produce(name, b"x" * 100, partition=0, timestamp=1000 + i)
        equal(client.flush(10), 0)
    got = read_all(name, 60, check_crcs=True)
    equal(len(got), 60)
    for message in got:
        kind, stamp = message.timestamp()
        equal(kind, TIMESTAMP_LOG_APPEND)
        assert before <= stamp <= int(time.time() * 1000), stamp


@case("a message over the topic's limit: an error for it, none for its neighbours")
def too_large():
    name = topic("limit")
    create(name, max_message_bytes="20000")
    ledger = produce(name, [b"a", b"x" * 50_000, b"b"], batch_num_messages=1, message_timeout_ms=10_000)
    equal(ledger.errors, [KafkaError.MSG_SIZE_TOO_LARGE])
    equal([(o, v) for _, o, v in ledger.delivered], [(0, b"a"), (1, b"b")])


@case("the checksum of each batch survives (check.crcs)")
def checksums():
    name, sent = topic("crc"), [b"%d" % i for i in range(1000)]
    create(name)
    produce(name, sent, batch_num_messages=50, compression_codec="lz4")
    equal([m.value() for m in read_all(name, 1000, check_crcs=True)], sent)


# --- consuming -------------------------------------------------------------------------------------------------


@case("assign, seek, watermarks, offsets for times")
def positions():
    name = topic("positions")
    create(name, 3)
    client = producer(batch_num_messages=10)
    for i in range(200):
        client.produce(name, b"%d" % i, partition=2, timestamp=1_000_000 + i * 10)
    equal(client.flush(10), 0)
    reader = consumer(enable_partition_eof=True)
    equal(reader.get_watermark_offsets(TopicPartition(name, 2), timeout=5), (0, 200))
    equal(reader.get_watermark_offsets(TopicPartition(name, 0), timeout=5), (0, 0))
    asked = [TopicPartition(name, 2, stamp) for stamp in (0, 1_000_505, 1_001_990, 1_001_991)]
    equal([reader.offsets_for_times([one], timeout=5)[0].offset for one in asked], [0, 51, 199, OFFSET_END])
    reader.assign([TopicPartition(name, 2, 195)])
    got = [reader.poll(5) for _ in range(6)]
    equal([m.value() for m in got[:5]], [b"%d" % i for i in range(195, 200)])
    equal(got[5].error().code(), KafkaError._PARTITION_EOF)
    reader.seek(TopicPartition(name, 2, 33))  # inside a batch
    equal(reader.poll(5).value(), b"33")
    reader.seek(TopicPartition(name, 2, OFFSET_BEGINNING))
    equal(eventually(lambda: reader.poll(5)).value(), b"0")
    reader.close()


@case("a position behind the end: the error, or the reset that was asked for")
def out_of_range():
    name = topic("range")
    create(name)
    produce(name, [b"only"])
    reader = consumer(auto_offset_reset="error")
    reader.assign([TopicPartition(name, 0, 500)])
    message = eventually(lambda: reader.poll(1))
    equal(message.error().code(), KafkaError._AUTO_OFFSET_RESET)
    reader.close()
    reader = consumer(auto_offset_reset="earliest")
    reader.assign([TopicPartition(name, 0, 500)])
    equal(read(reader, 1)[0].value(), b"only")
    reader.close()


@case("both isolation levels see what no transaction wrote")
def isolation():
    name, sent = topic("isolation"), [b"%d" % i for i in range(100)]
    create(name)
    produce(name, sent)
    for level in ("read_committed", "read_uncommitted"):
        equal([m.value() for m in read_all(name, 100, isolation_level=level)], sent, level)


@case("a waiting fetch is woken by another connection's produce in less than a second")
def wake_up():
    name = topic("wake")
    create(name)
    reader = consumer(fetch_wait_max_ms=10_000)
    reader.assign([TopicPartition(name, 0, 0)])
    writer = producer(linger_ms=0)
    writer.produce(name, b"first")
    writer.flush(5)
    read(reader, 1)
    took = []
    for i in range(30):
        # Its next fetch leaves when the last message was taken; nothing tells when it has arrived, hence 30 rounds.
        begin = time.monotonic()
        writer.produce(name, b"%d" % i)
        message = reader.poll(10)
        took.append(time.monotonic() - begin)
        assert message and message.value() == b"%d" % i, message
    reader.close()
    note(f"produce to consumer: median {statistics.median(took) * 1000:.1f} ms, worst {max(took) * 1000:.1f} ms")
    assert max(took) < 1 * patience.factor(), took


@case("fetch.min.bytes is waited for, fetch.wait.max.ms ends the wait")
def min_bytes():
    name = topic("min-bytes")
    create(name)
    produce(name, [b"x" * 100])
    begin = time.monotonic()
    got = read_all(name, 1, fetch_min_bytes=100_000, fetch_wait_max_ms=700)
    took = time.monotonic() - begin
    equal(len(got), 1)
    note(f"100 bytes under a minimum of 100,000 came after {took * 1000:.0f} ms of at most 700")
    assert took > 0.6, took


@case("writers and readers at once, on as many connections")
def crowd():
    name, per_writer, writers, readers = topic("crowd"), 2000, 4, 4
    create(name, 4)
    failures, received = [], [[] for _ in range(readers)]

    def write(n):
        ledger = produce(name, [b"%d-%d" % (n, i) for i in range(per_writer)], partition=n % 4, enable_idempotence=True)
        failures.extend(ledger.errors)

    def follow(n):
        client = consumer()
        client.assign([TopicPartition(name, p, 0) for p in range(4)])
        received[n] = read(client, writers * per_writer, 20)
        client.close()

    threads = [threading.Thread(target=follow, args=(n,)) for n in range(readers)]
    threads += [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])
    for got in received:
        for p in range(4):
            part = [m for m in got if m.partition() == p]
            equal([m.offset() for m in part], list(range(per_writer)), f"offsets of partition {p}")
            equal([m.value() for m in part], [b"%d-%d" % (p, i) for i in range(per_writer)])


# --- admin -----------------------------------------------------------------------------------------------------


@case("admin: create, what is refused, delete")
def topics():
    name, client = topic("admin"), admin()
    equal(results(client.create_topics([NewTopic(name, 20, 1)])), {name: None})
    equal(len(client.list_topics(name, timeout=5).topics[name].partitions), 20)
    refused = {
        NewTopic(name, 1, 1): KafkaError.TOPIC_ALREADY_EXISTS,
        NewTopic(name + "-r", 1, 2): KafkaError.INVALID_REPLICATION_FACTOR,
        NewTopic(name + "/x", 1, 1): KafkaError.TOPIC_EXCEPTION,
        NewTopic(name + "-c", 1, 1, config={"retention.ms": "soon"}): KafkaError.INVALID_CONFIG,
        NewTopic(name + "-u", 1, 1, config={"no.such.setting": "1"}): KafkaError.INVALID_CONFIG,
    }
    for new, code in refused.items():
        equal(results(client.create_topics([new])), {new.topic: code})
    several = [NewTopic(name + "-1", 1, 1), NewTopic(name, 1, 1), NewTopic(name + "-2", 1, 1)]
    equal(
        results(client.create_topics(several)),
        {name + "-1": None, name: KafkaError.TOPIC_ALREADY_EXISTS, name + "-2": None},
    )
    equal(results(client.create_topics([NewTopic(name + "-v", 1, 1)], validate_only=True)), {name + "-v": None})
    present = [t for t in client.list_topics(timeout=5).topics if t.startswith(name)]
    equal(sorted(present), [name, name + "-1", name + "-2"])
    equal(
        results(client.delete_topics([name, name + "-1", name + "-2", name + "-no"])),
        {name: None, name + "-1": None, name + "-2": None, name + "-no": KafkaError.UNKNOWN_TOPIC_OR_PART},
    )
    equal([t for t in client.list_topics(timeout=5).topics if t.startswith(name)], [])


@case("admin: a created topic is known to every worker at once")
def visible_everywhere():
    client = admin()
    for i in range(10):
        name = topic(f"visible-{i}")
        equal(results(client.create_topics([NewTopic(name, 3, 1)])), {name: None})
        for _ in range(4):  # each on a connection, thus on a worker, of its own
            found = admin().list_topics(timeout=5).topics
            assert name in found and len(found[name].partitions) == 3, name
        equal(results(client.delete_topics([name])), {name: None})
        for _ in range(4):
            assert name not in admin().list_topics(timeout=5).topics, f"{name} is still there"


@case("admin: a topic that is deleted under a consumer, and comes back empty")
def delete_under_consumer():
    name, client = topic("reborn"), admin()
    create(name)
    produce(name, [b"old"] * 10)
    reader = consumer(auto_offset_reset="earliest")
    reader.assign([TopicPartition(name, 0, 0)])
    equal(len(read(reader, 10)), 10)
    equal(results(client.delete_topics([name])), {name: None})
    create(name)
    fresh = consumer()
    equal(fresh.get_watermark_offsets(TopicPartition(name, 0), timeout=5), (0, 0))
    fresh.close()
    equal(produce(name, [b"new"]).delivered, [(0, 0, b"new")])
    reader.close()


@case("admin: create_partitions")
def grow():
    name, client = topic("grow"), admin()
    create(name, 2)
    equal(results(client.create_partitions([NewPartitions(name, 6)])), {name: None})
    equal(len(client.list_topics(name, timeout=5).topics[name].partitions), 6)
    equal(results(client.create_partitions([NewPartitions(name, 6)])), {name: KafkaError.INVALID_PARTITIONS})
    equal(results(client.create_partitions([NewPartitions(name + "-no", 6)])), {name + "-no": KafkaError.UNKNOWN_TOPIC_OR_PART})
    equal(produce(name, [b"x"], partition=5).delivered, [(5, 0, b"x")])


@case("admin: describe_configs tells what was set, and what holds")
def configs():
    name, client = topic("configs"), admin()
    create(name, retention_ms="123456789", cleanup_policy="compact")
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    found = client.describe_configs([resource])[resource].result(10)
    equal((found["retention.ms"].value, found["retention.ms"].is_default), ("123456789", False))
    equal((found["cleanup.policy"].value, found["cleanup.policy"].is_default), ("compact", False))
    equal((found["max.message.bytes"].value, found["max.message.bytes"].is_default), ("1048588", True))
    node = str(list(client.list_topics(timeout=5).brokers)[0])
    resource = ConfigResource(ConfigResource.Type.BROKER, node)
    found = client.describe_configs([resource])[resource].result(10)
    equal((found["message.max.bytes"].value, found["num.partitions"].value.isdigit()), ("1048588", True))
    unknown = ConfigResource(ConfigResource.Type.TOPIC, name + "-no")
    equal(results(client.describe_configs([unknown])), {unknown: KafkaError.UNKNOWN_TOPIC_OR_PART})


@case("metadata: cluster id, broker, controller")
def cluster():
    found = admin().list_topics(timeout=5)
    assert found.cluster_id, found.cluster_id
    (broker,) = found.brokers.values()
    equal((f"{broker.host}:{broker.port}", broker.id), (BOOTSTRAP, found.controller_id))


run_cases()
