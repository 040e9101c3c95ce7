"""Each client reads what each client wrote: keys, values, headers, offsets, and every codec that both have."""

import os

import harness.six_for_kafka  # noqa: F401
from harness import kcat
from harness.cases import case, equal, run_cases

import kafka
import kafka.codec
from confluent_kafka import Consumer, Producer, TopicPartition

BOOTSTRAP = os.environ["BOOTSTRAP"]
RUN = str(os.getpid())
COUNT = 50
WANTED = [(i, f"k{i}", f"v{i}", [("a", "1"), ("n", str(i))]) for i in range(COUNT)]


def text(data):
    return data if data is None or isinstance(data, str) else data.decode()


def write_kcat(topic, codec):
    for i in range(COUNT):
        kcat.produce(topic, [b"k%d:v%d" % (i, i)], "-K:", "-p", 0, "-z", codec, "-H", "a=1", "-H", f"n={i}")


def write_confluent(topic, codec):
    client = Producer({"bootstrap.servers": BOOTSTRAP, "compression.codec": codec})
    for i in range(COUNT):
        client.produce(topic, b"v%d" % i, b"k%d" % i, 0, headers=[("a", b"1"), ("n", b"%d" % i)])
    equal(client.flush(10), 0)


def write_kafka_python(topic, codec):
    client = kafka.KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=None if codec == "none" else codec)
    for i in range(COUNT):
        client.send(topic, b"v%d" % i, b"k%d" % i, [("a", b"1"), ("n", b"%d" % i)], partition=0)
    client.flush(10)
    client.close()


def read_kcat(topic):
    for m in kcat.consume(topic, "-p", 0):
        flat = m["headers"]
        yield m["offset"], m["key"], m["payload"], list(zip(flat[::2], flat[1::2]))


def read_confluent(topic):
    client = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "unused", "enable.auto.commit": False})
    client.assign([TopicPartition(topic, 0, 0)])
    for m in client.consume(COUNT, 10):
        yield m.offset(), text(m.key()), text(m.value()), [(name, text(value)) for name, value in m.headers()]
    client.close()


def read_kafka_python(topic):
    client = kafka.KafkaConsumer(bootstrap_servers=BOOTSTRAP, consumer_timeout_ms=10_000)
    client.assign([kafka.TopicPartition(topic, 0)])
    client.seek(kafka.TopicPartition(topic, 0), 0)
    for m in client:
        yield m.offset, text(m.key), text(m.value), [(name, text(value)) for name, value in m.headers]
        if m.offset == COUNT - 1:
            break
    client.close()


WRITERS = {"kcat": write_kcat, "confluent-kafka": write_confluent, "kafka-python": write_kafka_python}
READERS = {"kcat": read_kcat, "confluent-kafka": read_confluent, "kafka-python": read_kafka_python}
# kafka-python needs a further module for each codec but gzip; what it cannot open it cannot be asked to read.
PURE_PYTHON = {"none", "gzip"} | {c for c in ("snappy", "lz4", "zstd") if getattr(kafka.codec, f"has_{c}")()}


def cross_case(writer, codec):
    readers = [name for name in READERS if name != writer and (name != "kafka-python" or codec in PURE_PYTHON)]

    @case(f"{writer} writes {codec}, {' and '.join(readers)} read{'s' if len(readers) == 1 else ''}")
    def cross():
        topic = f"cross-{writer}-{codec}-{RUN}"
        WRITERS[writer](topic, codec)
        for reader in readers:
            equal(list(READERS[reader](topic)), WANTED, reader)


for name in WRITERS:
    for one in ("none", "gzip", "snappy", "lz4", "zstd"):
        if name == "kafka-python" and one not in PURE_PYTHON:
            continue
        # kcat is started once a message, which is slow: two codecs suffice.
        if name != "kcat" or one in ("none", "zstd"):
            cross_case(name, one)

run_cases()
