"""Members of consumer groups, and a ledger for each group of what it has read and committed."""

import random
import struct
import threading

from harness import patience
from harness.cases import equal, eventually, note

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

PARTITIONS = {"t": 4, "u": 2}
EVERY = [(topic, p) for topic, n in PARTITIONS.items() for p in range(n)]
PATIENT = {
    "reconnect.backoff.ms": 5,
    "reconnect.backoff.max.ms": 50,
    "retry.backoff.ms": 10,
    "topic.metadata.refresh.fast.interval.ms": 20,
    "socket.nagle.disable": True,
    # librdkafka 2.0 may ask who the coordinator is over the very connection that it is closing as that has died; it waits
    # for the answer as long as for any. (Seen in its log: "GroupCoordinator: broker has no address yet".)
    "socket.timeout.ms": int(3000 * patience.factor()),
    "log_level": 0,  # that connections break is what is wanted here
}


class Ledger:
    """What one group has read, and what was committed for it."""

    def __init__(self, name):
        self.name, self.lock, self.wrong = name, threading.Lock(), []
        self.read = {at: set() for at in EVERY}  # offsets
        self.whole = dict.fromkeys(EVERY, 0)  # all offsets below were read
        self.committed = dict.fromkeys(EVERY, 0)  # acknowledged
        self.again = 0  # records that were read more than once

    def was_read(self, messages):
        with self.lock:
            for m in messages:
                at = m.topic(), m.partition()
                self.again += m.offset() in self.read[at]
                self.read[at].add(m.offset())
                while self.whole[at] in self.read[at]:
                    self.whole[at] += 1

    def was_committed(self, offsets):
        """Acknowledged. Nobody may skip what nobody has read."""
        with self.lock:
            for p in offsets:
                at = p.topic, p.partition
                if p.error:
                    continue
                if p.offset > self.whole[at]:
                    self.wrong.append(f"{at}: {p.offset} was committed, of which {self.whole[at]} is the first unread")
                self.committed[at] = max(self.committed[at], p.offset)

    def is_committed(self, before, found):
        """found: what a request gave that was sent when `before` was acknowledged."""
        with self.lock:
            for p in found:
                at = p.topic, p.partition
                if max(p.offset, 0) < before[at]:
                    self.wrong.append(f"{at}: {p.offset} is committed, after {before[at]} had been acknowledged")


class Member(threading.Thread):
    """Reads, remembers, commits, and is sure of nothing."""

    def __init__(self, broker, ledger, number, strategy):
        super().__init__(daemon=True)
        self.ledger, self.over, self.losses = ledger, threading.Event(), 0
        self.chance = random.Random(number)
        self.consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                **PATIENT,
                "group.id": ledger.name,
                "client.id": f"member-{number}",
                "partition.assignment.strategy": strategy,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": int(6000 * patience.factor()),
                "heartbeat.interval.ms": 200,
                "fetch.wait.max.ms": 50,
                "fetch.error.backoff.ms": 5,
            }
        )
        self.unsaid = []  # read, not committed
        self.consumer.subscribe(list(PARTITIONS), on_revoke=self._revoked, on_lost=self._lost)
        self.start()

    def _revoked(self, _consumer, partitions):
        """Within poll(). The next owner reads them again; to commit them now would take back what he commits."""
        gone = {(p.topic, p.partition) for p in partitions}
        self.unsaid = [m for m in self.unsaid if (m.topic(), m.partition()) not in gone]

    def _lost(self, consumer, partitions):
        self.losses += 1
        self._revoked(consumer, partitions)

    def run(self):
        while not self.over.is_set():
            some = self._read_some()
            # At once, or with those that follow; if it is refused, again: a cooperative member goes on with its partitions.
            if self.unsaid and (not some or self.chance.random() < 0.5) and self._commit(self.unsaid):
                self.unsaid = []
        self.consumer.close()

    def _read_some(self):
        """One by one: consume() of librdkafka 2.0 loses those that it has in its hands as partitions are paused to rebalance."""
        found, timeout_s = [], 0.05
        while len(found) < 200 and (message := self.consumer.poll(timeout_s)):
            if not message.error():
                found.append(message)
                self.unsaid.append(message)  # now: the next poll() may be that in which its partition goes
            timeout_s = 0
        self.ledger.was_read(found)
        return found

    def _commit(self, messages):
        newest = {(m.topic(), m.partition()): m.offset() + 1 for m in messages}
        wanted = [TopicPartition(topic, p, offset) for (topic, p), offset in newest.items()]
        try:
            self.ledger.was_committed(self.consumer.commit(offsets=wanted, asynchronous=False) or ())
            return True
        except KafkaException:
            return False  # it may have been taken or not

    def stop(self):
        self.over.set()
        self.join(30 * patience.factor())
        assert not self.is_alive(), "a member does not stop"


class Witness(threading.Thread):
    """Asks again and again what is committed."""

    def __init__(self, broker, ledgers):
        super().__init__(daemon=True)
        self.over, self.asked = threading.Event(), 0
        self.clients = [(l, Consumer({"bootstrap.servers": broker.bootstrap, **PATIENT, "group.id": l.name})) for l in ledgers]
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            for ledger, client in self.clients:
                before = dict(ledger.committed)
                try:
                    found = client.committed([TopicPartition(*at) for at in EVERY], timeout=2)
                except KafkaException:
                    continue
                ledger.is_committed(before, [p for p in found if not p.error])
                self.asked += 1

    def stop(self):
        self.over.set()
        self.join()
        for _, client in self.clients:
            client.close()


def partitions_of(assignment):
    """[(topic, partition)] of a member's assignment, as consumers encode it."""
    found, (topics,), at = [], struct.unpack_from(">i", assignment, 2), 6
    for _ in range(topics):
        (size,) = struct.unpack_from(">h", assignment, at)
        topic = assignment[at + 2 : at + 2 + size].decode()
        (n,) = struct.unpack_from(">i", assignment, at + 2 + size)
        at += 6 + size
        found += [(topic, p) for p in struct.unpack_from(f">{n}i", assignment, at)]
        at += 4 * n
    return found


def stable(broker, ledger, members):
    """The group is stable, and all partitions are with so many members, each with one."""
    try:
        groups = AdminClient({"bootstrap.servers": broker.bootstrap, **PATIENT}).list_groups(ledger.name, timeout=5)
    except KafkaException:
        return False
    found = next((g for g in groups if g.id == ledger.name), None)
    if not found or found.state != "Stable" or len(found.members) != members:
        return False
    return sorted(p for m in found.members for p in partitions_of(m.assignment)) == EVERY


def goes_on(ledger, further=300, timeout_s=30):
    """So many records more are read and committed."""
    target = sum(ledger.committed.values()) + further
    eventually(lambda: sum(ledger.committed.values()) >= target, timeout_s, f"{ledger.name} commits {further} more", 0.002)


def ends(loads):
    """{(topic, partition): offset behind the last acknowledged record}"""
    found = dict.fromkeys(EVERY, 0)
    for load in loads:
        for partition, offset in load.acknowledged.values():
            found[load.topic, partition] = max(found[load.topic, partition], offset + 1)
    return found


def reads_all(ledger, loads, timeout_s=30):
    """Every acknowledged record, and commits it."""
    wanted = ends(loads)
    try:
        eventually(lambda: all(min(ledger.whole[at], ledger.committed[at]) >= end for at, end in wanted.items()), timeout_s)
    except AssertionError:
        for at, end in wanted.items():
            newest = max(ledger.read[at], default=-1)
            note(f"{at} ends at {end}: read to {ledger.whole[at]}, newest {newest}, committed {ledger.committed[at]}")
        raise AssertionError(f"{ledger.name} has not read and committed all within {timeout_s} s") from None


def check_ledgers(broker, ledgers):
    for ledger in ledgers:
        equal(ledger.wrong[:3], [], f"{len(ledger.wrong)} faults of {ledger.name}")
        client = Consumer({"bootstrap.servers": broker.bootstrap, **PATIENT, "group.id": ledger.name})
        found = client.committed([TopicPartition(*at) for at in EVERY], timeout=10)
        client.close()
        equal({(p.topic, p.partition): p.offset for p in found}, ledger.committed, f"committed of {ledger.name}")
        equal(ledger.whole, {at: max(offsets, default=-1) + 1 for at, offsets in ledger.read.items()}, f"gaps in what {ledger.name} read")

