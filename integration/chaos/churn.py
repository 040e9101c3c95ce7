"""Topics and groups that come and go, always by the same few names. What was acknowledged must be so, at once and later."""

import random
import struct
import threading

from harness import patience, wire
from members import PATIENT

from confluent_kafka import Consumer, KafkaError, KafkaException, OFFSET_INVALID, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

NAMES = [f"churn-{i}" for i in range(4)]
SHORT = "short"  # its records may go after 300 ms: the cleaner has something to do
GROUP = "churn"
TIMEOUT_S = 3
DELETE_GROUPS = 42


class Churn(threading.Thread):
    def __init__(self, broker, seed):
        super().__init__(daemon=True)
        settings = {"bootstrap.servers": broker.bootstrap, **PATIENT}
        self.chance, self.over, self.wrong = random.Random(seed), threading.Event(), []
        self.admin, self.port = AdminClient(settings), broker.port
        self.producer = Producer({**settings, "acks": "all", "message.timeout.ms": TIMEOUT_S * 1000})
        self.consumer = Consumer({**settings, "group.id": GROUP})
        self.exists = {name: False for name in NAMES}  # None: asked for, and nobody knows what came of it
        self.created = self.deleted = 0
        self._create(SHORT, {"retention.ms": "300"})
        self.start()

    def run(self):
        while not self.over.is_set():
            name = self.chance.choice(NAMES)
            if self.exists[name] is False:
                self._make(name)
            else:
                self._remove(name)
            self._fill(SHORT)

    def _create(self, name, config=None):
        """True, False: no such thing was done; None: who knows."""
        try:
            self.admin.create_topics([NewTopic(name, 2, 1, config=config or {})], request_timeout=TIMEOUT_S)[name].result(2 * TIMEOUT_S)
            return True
        except (KafkaException, TimeoutError):
            return None

    def _make(self, name):
        self.exists[name] = self._create(name)
        if not self.exists[name]:
            return
        self.created += 1
        self._must_be(name, True)
        try:
            ends = self.consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=TIMEOUT_S)
            (committed,) = self.consumer.committed([TopicPartition(name, 0)], timeout=TIMEOUT_S)
        except KafkaException:
            return
        if ends != (0, 0):
            self.wrong.append(f"{name} is new and goes from {ends[0]} to {ends[1]}")
        if not committed.error and committed.offset != OFFSET_INVALID:
            self.wrong.append(f"{name} is new and {committed.offset} is committed")
        self._fill(name)

    def _fill(self, name):
        for _ in range(20):
            self.producer.produce(name, b"z" * 1000, partition=0)
        self.producer.flush(TIMEOUT_S)
        try:
            self.consumer.commit(offsets=[TopicPartition(name, 0, 7)], asynchronous=False)
        except KafkaException:
            pass
        if self.chance.random() < 0.3:
            self._delete_group()

    def _delete_group(self):
        """By hand: older librdkafkas cannot."""
        try:
            with wire.Connection(self.port, timeout_s=TIMEOUT_S) as connection:
                connection.ask(DELETE_GROUPS, 0, struct.pack(">i", 1) + wire.string(GROUP))
        except (OSError, EOFError):
            pass

    def _remove(self, name):
        known = self.exists[name]
        if known:
            self._must_be(name, True)
        self.exists[name] = None
        try:
            self.admin.delete_topics([name], request_timeout=TIMEOUT_S)[name].result(2 * TIMEOUT_S)
        except TimeoutError:
            return
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                return
            if known:
                self.wrong.append(f"{name} was created, and cannot be deleted as it is not there")
        self.exists[name] = False
        self.deleted += 1
        self._must_be(name, False)

    def _must_be(self, name, there):
        try:
            topics = self.admin.list_topics(timeout=TIMEOUT_S).topics
        except KafkaException:
            return
        if (name in topics) != there:
            self.wrong.append(f"{name} was {'created' if there else 'deleted'}, and is {'not ' if there else ''}there")

    def stop(self):
        self.over.set()
        self.join(60 * patience.factor())
        assert not self.is_alive(), "administration does not stop"

    def check(self):
        """At rest."""
        assert not self.wrong, self.wrong[:3]
        topics = self.admin.list_topics(timeout=10).topics
        for name, exists in self.exists.items():
            assert exists is None or (name in topics) == exists, f"{name}: {exists} was acknowledged, {name in topics} it is"
