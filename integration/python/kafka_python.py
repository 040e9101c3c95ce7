"""kafka-python: pure Python, with a version probe of its own kind and old versions of most requests."""

import os
import time

import harness.six_for_kafka  # noqa: F401
from harness import kcat
from harness.cases import case, equal, eventually, note, run_cases

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import (
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

BOOTSTRAP = os.environ["BOOTSTRAP"]
RUN = str(os.getpid())
# What a user pins for old brokers; 0.11 is the first with the record batches that every broker of today demands.
PINNED = [(0, 11, 0), (1, 0, 0), (2, 0, 0), (2, 1, 0)]


def topic(name):
    return f"kafka-python-{name}-{RUN}"


def producer(**options):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **{"api_version_auto_timeout_ms": 5000, **options})


def consumer(**options):
    return KafkaConsumer(bootstrap_servers=BOOTSTRAP, **{"auto_offset_reset": "earliest", **options})


def admin(**options):
    return KafkaAdminClient(bootstrap_servers=BOOTSTRAP, **options)


def create(name, partitions=1, **settings):
    client = admin()
    client.create_topics([NewTopic(name, partitions, 1, topic_configs=settings or None)])
    client.close()


def read(name, count, partition=0, offset=0, **options):
    """The count next records of a partition."""
    client = consumer(**options)
    where = TopicPartition(name, partition)
    client.assign([where])
    client.seek(where, offset)
    found = []
    deadline = time.monotonic() + 15
    while len(found) < count and time.monotonic() < deadline:
        for records in client.poll(timeout_ms=500).values():
            found += records
    client.close()
    return found


@case("the probe finds a broker of 2.3 or newer")
def probe():
    client = producer()
    found = client.config["api_version"]
    client.close()
    note(f"kafka-python takes the broker for Kafka {'.'.join(map(str, found))}")
    assert found >= (2, 3), found


def versions_case(version):
    options = {"api_version": version} if version else {}
    title = ".".join(map(str, version)) if version else "probed"

    @case(f"api_version {title}: 1,000 messages with keys, headers, timestamps")
    def there_and_back():
        name = topic(f"v{title}")
        create(name, 2)
        client = producer(acks="all", **options)
        now = int(time.time() * 1000)
        sent = [
            client.send(name, b"v%d" % i, b"k%d" % i, [("h", b"%d" % i), ("e", b"")], partition=1, timestamp_ms=now + i)
            for i in range(1000)
        ]
        client.flush(10)
        for i, future in enumerate(sent):
            answer = future.get(5)
            equal((answer.topic, answer.partition, answer.offset, answer.timestamp), (name, 1, i, now + i))
        client.close()
        got = read(name, 1000, partition=1, **options)
        equal([(r.offset, r.key, r.value) for r in got], [(i, b"k%d" % i, b"v%d" % i) for i in range(1000)])
        equal([r.timestamp for r in got], [now + i for i in range(1000)])
        equal(got[7].headers, [("h", b"7"), ("e", b"")])


for one in [None] + PINNED:
    versions_case(one)


def acks_case(acks, codec):
    @case(f"acks={acks}, compression {codec}")
    def acknowledged():
        name = topic(f"acks{acks}")
        create(name)
        client = producer(acks=acks, compression_type=codec, batch_size=4000)
        for i in range(500):
            client.send(name, b"m%d" % i)
        client.flush(10)
        client.close()
        got = read(name, 500)
        equal([r.value for r in got], [b"m%d" % i for i in range(500)])
        equal([r.offset for r in got], list(range(500)))


acks_case(0, None)
acks_case(1, "gzip")
acks_case("all", "gzip")


@case("null and empty keys and values")
def null_and_empty():
    name = topic("null")
    create(name)
    client = producer()
    pairs = [(None, b""), (b"", b"v"), (b"k", None), (b"", b"")]
    for key, value in pairs:
        client.send(name, value, key, partition=0)
    client.flush(10)
    client.close()
    equal([(r.key, r.value) for r in read(name, 4)], pairs)


@case("a topic comes to be when it is written to")
def auto_creation():
    name = topic("auto")
    client = producer()
    answer = client.send(name, b"first").get(10)
    client.close()
    equal(answer.offset, 0)
    equal([r.value for r in read(name, 1, answer.partition)], [b"first"])


@case("a message over the topic's max.message.bytes is refused")
def too_large():
    name = topic("large")
    create(name, **{"max.message.bytes": "10000"})
    client = producer(max_request_size=5_000_000)
    try:
        client.send(name, b"x" * 20_000).get(10)
    except MessageSizeTooLargeError:
        pass
    else:
        raise AssertionError("20,000 bytes were accepted")
    equal(client.send(name, b"x" * 5_000).get(10).offset, 0)
    client.close()


@case("assign, seek, position, beginning and end offsets, offsets for times")
def positions():
    name = topic("positions")
    create(name, 3)
    client = producer(acks="all")
    for i in range(100):
        client.send(name, b"%d" % i, partition=1, timestamp_ms=1_000_000 + 10 * i)
    client.flush(10)
    client.close()
    client = consumer()
    zero, one = TopicPartition(name, 0), TopicPartition(name, 1)
    equal(client.partitions_for_topic(name), {0, 1, 2})
    client.assign([zero, one])
    equal(client.beginning_offsets([zero, one]), {zero: 0, one: 0})
    equal(client.end_offsets([zero, one]), {zero: 0, one: 100})
    found = client.offsets_for_times({one: 1_000_501, zero: 5})
    equal((found[one].offset, found[one].timestamp, found[zero]), (51, 1_000_510, None))
    equal(client.offsets_for_times({one: 9_000_000})[one], None)
    client.seek_to_end(one)
    equal(client.position(one), 100)
    client.seek_to_beginning(one)
    equal(client.position(one), 0)
    client.seek(one, 42)
    first = eventually(lambda: client.poll(timeout_ms=500, max_records=1), what="a record at 42")[one][0]
    equal((first.offset, first.value), (42, b"42"))
    equal(client.position(one), 43)
    client.close()


@case("an offset behind the end is out of range")
def out_of_range():
    name = topic("range")
    create(name)
    try:
        found = read(name, 1, offset=7, auto_offset_reset="none")
    except OffsetOutOfRangeError:
        return
    raise AssertionError(f"read {found} at offset 7 of 0")


@case("a waiting consumer is woken by a producer")
def long_poll():
    name = topic("poll")
    create(name)
    reader, writer = consumer(fetch_max_wait_ms=10_000), producer()
    where = TopicPartition(name, 0)
    reader.assign([where])
    reader.seek(where, 0)
    reader.poll(timeout_ms=100)  # its fetch is on its way, and will wait
    begin = time.monotonic()
    writer.send(name, b"wake")
    writer.flush(5)
    got = eventually(lambda: reader.poll(timeout_ms=5000), what="the record")
    took = time.monotonic() - begin
    equal(got[where][0].value, b"wake")
    note(f"woken after {took * 1000:.0f} ms of a wait of 10 s")
    assert took < 2, took
    reader.close()
    writer.close()


@case("many consumers at once, each with its own position")
def many_consumers():
    name = topic("fan")
    create(name, 4)
    client = producer()
    for i in range(400):
        client.send(name, b"%d" % i, partition=i % 4)
    client.flush(10)
    client.close()
    readers = [consumer() for _ in range(8)]
    for n, reader in enumerate(readers):
        where = TopicPartition(name, n % 4)
        reader.assign([where])
        reader.seek(where, 50 if n < 4 else 0)
    for n, reader in enumerate(readers):
        wanted = [b"%d" % i for i in range(n % 4, 400, 4)][50 if n < 4 else 0 :]
        got = []
        while len(got) < len(wanted):
            got += [r.value for r in eventually(lambda: reader.poll(timeout_ms=500), what="records")[TopicPartition(name, n % 4)]]
        equal(got, wanted)
        reader.close()


# --- admin -----------------------------------------------------------------------------------------------------


def topic_error(action, *arguments, kind):
    try:
        action(*arguments)
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


@case("admin: create, describe, list, delete")
def topics():
    name, client = topic("admin"), admin()
    client.create_topics([NewTopic(name, 50, 1)])
    found = client.describe_topics([name])[0]
    equal((found["error_code"], found["topic"], len(found["partitions"])), (0, name, 50))
    assert name in client.list_topics()
    topic_error(client.create_topics, [NewTopic(name, 1, 1)], kind=TopicAlreadyExistsError)
    topic_error(client.create_topics, [NewTopic(name + "-r", 1, 3)], kind=InvalidReplicationFactorError)
    topic_error(client.create_topics, [NewTopic(name + "-p", 0, 1)], kind=InvalidPartitionsError)
    client.create_topics([NewTopic(name + "-v", 1, 1)], validate_only=True)
    equal([t for t in client.list_topics() if t.startswith(name)], [name])
    client.delete_topics([name])
    assert name not in client.list_topics()
    topic_error(client.delete_topics, [name], kind=UnknownTopicOrPartitionError)
    client.close()


@case("admin: a deleted topic comes back empty")
def reborn():
    name, client = topic("reborn"), admin()
    for round_ in range(3):
        client.create_topics([NewTopic(name, 1, 1)])
        writer = producer()
        equal(writer.send(name, b"round %d" % round_).get(10).offset, 0, f"offset of the first record, round {round_}")
        writer.close()
        equal([r.value for r in read(name, 1)], [b"round %d" % round_])
        client.delete_topics([name])
    client.close()


@case("admin: create_partitions")
def grow():
    name, client = topic("grow"), admin()
    client.create_topics([NewTopic(name, 2, 1)])
    writer = producer()
    writer.send(name, b"before", partition=1).get(10)
    client.create_partitions({name: NewPartitions(5)})
    equal(len(client.describe_topics([name])[0]["partitions"]), 5)
    topic_error(client.create_partitions, {name: NewPartitions(3)}, kind=InvalidPartitionsError)
    writer.close()
    writer = producer()
    equal(writer.send(name, b"after", partition=4).get(10).offset, 0)
    writer.close()
    equal([r.value for r in read(name, 1, 1)], [b"before"])
    client.close()


@case("admin: describe_configs of a topic and of the broker")
def configs():
    name, client = topic("configs"), admin()
    client.create_topics([NewTopic(name, 1, 1, topic_configs={"retention.ms": "7200000", "cleanup.policy": "delete"})])
    answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])[0]
    found = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    equal((found["retention.ms"], found["cleanup.policy"]), ("7200000", "delete"))
    assert "max.message.bytes" in found, sorted(found)
    node = str(client.describe_cluster()["brokers"][0]["node_id"])
    answer = client.describe_configs([ConfigResource(ConfigResourceType.BROKER, node)])[0]
    found = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert "num.partitions" in found and "message.max.bytes" in found, sorted(found)
    client.close()


@case("admin: describe_cluster")
def cluster():
    client = admin()
    found = client.describe_cluster()
    host, _, port = BOOTSTRAP.rpartition(":")
    equal([(b["host"], b["port"]) for b in found["brokers"]], [(host, int(port))])
    equal(found["controller_id"], found["brokers"][0]["node_id"])
    assert found["cluster_id"], found
    client.close()


@case("kcat reads what kafka-python wrote")
def cross():
    name = topic("cross")
    create(name)
    client = producer(compression_type="gzip")
    for i in range(100):
        client.send(name, b"v%d" % i, b"k%d" % i, [("n", b"%d" % i)])
    client.flush(10)
    client.close()
    got = kcat.consume(name)
    equal([(m["key"], m["payload"], m["headers"]) for m in got], [(f"k{i}", f"v{i}", ["n", str(i)]) for i in range(100)])


run_cases()
