"""A producer under steady load, with a ledger of what the broker acknowledged; and the judge who compares it with the log.

    with Load(broker, "topic", partitions, {"acks": "all"}) as load:
        load.wait(3000)       # so many further acknowledgements
        ... kill something ...
        load.wait(3000)
    judge(broker, load, exactly_once=True)
"""

import collections
import threading
import time

from harness import patience, procs
from harness.cases import equal, eventually

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition, libversion
from confluent_kafka.admin import AdminClient, NewTopic

# librdkafka 2.2 to 2.4 (Ubuntu 24.04 has 2.3) may cut a batch in two when it sends it again, and then gives up for good:
# "Unable to reconstruct MessageSet" (its issue 4736). What is in batches of one cannot be cut.
CUTS_BATCHES = 0x02020000 <= libversion()[1] < 0x02050000
UNDER_WAY_MOST = 2000  # messages: enough to keep five requests in flight, few enough to feel a stall at once


def create(broker, topic, partitions=1):
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in client.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result(10)


class Load:
    def __init__(self, broker, topic, partitions, settings, padding=0, pause_s=0):
        """padding: bytes by which each message is longer than the few that it takes. pause_s: after each message."""
        self.pause_s = pause_s
        self.topic, self.partitions, self.padding = topic, partitions, b"y" * padding
        self.acknowledged = {}  # number of the message: (partition, offset)
        self.errors = []
        self.sent = 0
        self.longest_s = 0.0  # between two acknowledgements
        self._last = None
        self._over = threading.Event()
        self._client = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "linger.ms": 1,
                "batch.num.messages": 100,
                "message.timeout.ms": int(30_000 * patience.factor()),
                "reconnect.backoff.ms": 5,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 10,
                "topic.metadata.refresh.fast.interval.ms": 20,
                "socket.nagle.disable": True,
                "log_level": 2,  # that connections break is what is wanted here
                **({"batch.num.messages": 1} if CUTS_BATCHES and settings.get("enable.idempotence") else {}),
                **settings,
            }
        )
        self._thread = threading.Thread(target=self._produce, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        left = self._client.flush(30 * patience.factor())
        if left:
            self.errors.append(f"{left} messages neither delivered nor refused")

    def _produce(self):
        while not self._over.is_set():
            if len(self._client) < UNDER_WAY_MOST:
                number = self.sent
                self._client.produce(
                    self.topic,
                    b"%d %s" % (number, b"x" * (number % 100) + self.padding),
                    partition=number % self.partitions,
                    on_delivery=lambda error, message, number=number: self._report(number, error, message),
                )
                self.sent += 1
                self._client.poll(0)
                if self.pause_s:
                    time.sleep(self.pause_s)
            else:
                self._client.poll(0.01)

    def _report(self, number, error, message):
        now = time.monotonic()
        self.longest_s, self._last = max(self.longest_s, now - (self._last or now)), now
        if error:
            self.errors.append(str(error))
        else:
            self.acknowledged[number] = (message.partition(), message.offset())

    def wait(self, further, timeout_s=30):
        """Until so many more messages are acknowledged than now."""
        target = len(self.acknowledged) + further
        eventually(lambda: len(self.acknowledged) >= target, timeout_s, f"{further} further acknowledgements", 0.001)


def read_all(broker, topic, partitions, **settings):
    """{partition: [(offset, value)]} of all that consumers may see."""
    client = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "check.crcs": True,
            "fetch.wait.max.ms": 50,
            "log_level": 2,
            **settings,
        }
    )
    found = {}
    for partition in range(partitions):
        low, high = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        equal(low, 0, f"log start of partition {partition}")
        client.assign([TopicPartition(topic, partition, 0)])
        got, deadline = [], time.monotonic() + 20 * patience.factor()
        while len(got) < high:
            for message in client.consume(10_000, 0.2):
                if message.error():
                    raise KafkaException(message.error())
                got.append((message.offset(), message.value()))
            if time.monotonic() > deadline:
                raise AssertionError(f"partition {partition}: {len(got)} of {high} messages could be read")
        found[partition] = got
    client.close()
    return found


def number_of(value):
    return int(value.partition(b" ")[0])


def judge(broker, load, exactly_once):
    """Compare the ledger with the log. Returns how many stored messages had never been acknowledged, or were there twice."""
    equal(load.errors[:3], [], "errors of the producer")
    last = {p: max((o for q, o in load.acknowledged.values() if q == p), default=-1) for p in range(load.partitions)}
    log = read_all(broker, load.topic, load.partitions)
    for partition, messages in log.items():
        equal([offset for offset, _ in messages], list(range(len(messages))), f"offsets of partition {partition}")
        assert len(messages) > last[partition], f"partition {partition} ends at {len(messages)}, {last[partition]} was acknowledged"
    for number, (partition, offset) in load.acknowledged.items():
        stored = number_of(log[partition][offset][1])
        assert stored == number, f"message {number} was acknowledged at {partition}/{offset}, there lies {stored}"
    stored = [number_of(value) for messages in log.values() for _, value in messages]
    if exactly_once:
        twice = [number for number, times in collections.Counter(stored).items() if times > 1]
        equal(twice[:5], [], f"{len(twice)} messages are stored more than once")
        missing = sorted(set(range(load.sent)) - set(stored))
        equal(missing[:5], [], f"{len(missing)} messages are not stored")
        for partition, messages in log.items():
            numbers = [number_of(value) for _, value in messages]
            assert numbers == sorted(numbers), f"partition {partition} is out of order"
    return len(stored) - len(load.acknowledged)


def serving_me(broker):
    """{name: pid} of the workers that serve a connection of this process."""
    found = (broker.worker_of(port) for port in procs.connections_to(broker.port))
    return dict(worker for worker in found if worker)


def all_back(broker):
    """Every child is there."""
    return eventually(lambda: set(broker.children()) == broker.expected_children(), 20, "all processes are there again")
