"""A member of a group, in a thread: confluent-kafka, with what it was assigned and what it read."""

import re
import threading

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness.cases import eventually

QUIET = {"log_level": 0, "socket.nagle.disable": True}


def create(broker, topic, partitions):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET})
    for future in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result(10)


def produce(broker, topic, values, partitions):
    """Values in turn to the partitions; returns when all are acknowledged."""
    failed = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, **QUIET, "linger.ms": 2})
    for i, value in enumerate(values):
        producer.produce(topic, str(value), partition=i % partitions, on_delivery=lambda e, _: e and failed.append(e))
    producer.flush(20)
    assert not failed, failed[0]


def owner(broker, group):
    """(name, pid) of the worker that coordinates the group, from the last line in which it says so."""
    found = re.findall(rf"(worker-\d+)\[(\d+)\] group rebalances group={re.escape(group)} ", broker.log())
    assert found, f"nobody has said that it rebalances {group}"
    return found[-1][0], int(found[-1][1])


class Member:
    """One consumer; commits what it reads, one by one if commit_each."""

    def __init__(self, broker, group, topic, commit_each=False, **options):
        settings = {key.replace("_", "."): value for key, value in options.items()}
        self.consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                **QUIET,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 200,
                **settings,
            }
        )
        self.cooperative = settings.get("partition.assignment.strategy") == "cooperative-sticky"
        self.assigned = set()
        self.assigns, self.revokes, self.losses = [], [], []
        self.read = []  # (partition, offset, value)
        self.errors = []
        self.commit_each = commit_each
        self.stopping = threading.Event()
        self.abrupt = False
        self.consumer.subscribe([topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _assign(self, _consumer, partitions):
        found = {p.partition for p in partitions}
        self.assigns.append(found)
        self.assigned = self.assigned | found if self.cooperative else found

    def _revoke(self, _consumer, partitions):
        found = {p.partition for p in partitions}
        self.revokes.append(found)
        self.assigned = self.assigned - found if self.cooperative else set()

    def _lost(self, _consumer, partitions):
        self.losses.append({p.partition for p in partitions})
        self.assigned = set()

    def _run(self):
        while not self.stopping.is_set():
            message = self.consumer.poll(0.05)
            if message is None:
                continue
            if message.error():
                self.errors.append(message.error())
                continue
            self.read.append((message.partition(), message.offset(), message.value().decode()))
            if self.commit_each:
                try:
                    self.consumer.commit(message=message, asynchronous=False)
                except KafkaException as error:
                    self.errors.append(error.args[0])
        if not self.abrupt:
            self.consumer.close()

    def stop(self):
        """Leave the group in good order."""
        self.stopping.set()
        self.thread.join(15)
        assert not self.thread.is_alive(), "the member does not stop"


def share(members, partitions, timeout_s=20):
    """Wait until the members have all partitions between them, each partition once and each member some."""

    def shared():
        sets = [set(m.assigned) for m in members]
        return sum(map(len, sets)) == partitions and set().union(*sets) == set(range(partitions)) and (
            all(sets) or len(sets) > partitions
        )

    eventually(shared, timeout_s, f"{len(members)} members share {partitions} partitions")


def everything(members, values, timeout_s=20):
    """Wait until the members have read all values between them."""
    wanted = {str(v) for v in values}
    eventually(lambda: {v for m in members for _, _, v in list(m.read)} >= wanted, timeout_s, "all is read")
