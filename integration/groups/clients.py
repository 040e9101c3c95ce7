"""kcat -G and kafka-python: group consumers of other makes."""

import os
import subprocess
import threading
import time

import harness.six_for_kafka  # noqa: F401
from harness.broker import Broker
from harness.cases import case, equal, eventually, run_cases
from harness.kcat import KCAT

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from member import create, produce

BROKER = Broker().start()
os.environ["BOOTSTRAP"] = BROKER.bootstrap


def kcat_group(group, topic, count):
    command = [KCAT, "-b", BROKER.bootstrap, "-G", group, "-q", "-u", "-c", str(count), "-X", "auto.offset.reset=earliest", topic]
    return subprocess.run(command, capture_output=True, timeout=20, check=True).stdout.decode().split()


@case("kcat -G reads all, and the next one goes on")
def kcat():
    create(BROKER, "kcat", 3)
    produce(BROKER, "kcat", range(30), 3)
    equal(sorted(map(int, kcat_group("g-kcat", "kcat", 30))), list(range(30)))
    produce(BROKER, "kcat", range(30, 45), 3)
    equal(sorted(map(int, kcat_group("g-kcat", "kcat", 15))), list(range(30, 45)))


class Member(threading.Thread):
    def __init__(self, group, topic, **options):
        super().__init__(daemon=True)
        self.consumer = KafkaConsumer(
            bootstrap_servers=BROKER.bootstrap, group_id=group, auto_offset_reset="earliest",
            heartbeat_interval_ms=300, session_timeout_ms=6000, **options,
        )
        self.topic, self.values, self.assigned, self.stopping = topic, [], set(), False
        self.start()

    def run(self):
        self.consumer.subscribe([self.topic])
        while not self.stopping:
            for records in self.consumer.poll(timeout_ms=50).values():
                self.values += [int(r.value) for r in records]
            self.assigned = {p.partition for p in self.consumer.assignment()}
        self.consumer.close()

    def stop(self):
        self.stopping = True
        self.join(15)


@case("kafka-python: two members share, one leaves, commits hold", timeout_s=60)
def kafka_python():
    create(BROKER, "kp", 4)
    produce(BROKER, "kp", range(40), 4)
    a, b = Member("g-kp", "kp"), Member("g-kp", "kp")
    eventually(lambda: a.assigned | b.assigned == {0, 1, 2, 3} and len(a.assigned) == len(b.assigned) == 2, 20, "two and two")
    eventually(lambda: set(a.values + b.values) == set(range(40)), 20, "all is read")
    b.stop()
    eventually(lambda: a.assigned == {0, 1, 2, 3}, 20, "all are with the one that stays")
    a.stop()
    admin = KafkaAdminClient(bootstrap_servers=BROKER.bootstrap)
    got = admin.list_consumer_group_offsets("g-kp")
    equal({tp.partition: o.offset for tp, o in got.items()}, {i: 10 for i in range(4)})
    admin.close()


@case("kafka-python as a client of Kafka 0.11 and 1.0 (JoinGroup v2)", timeout_s=60)
def old():
    create(BROKER, "old", 2)
    produce(BROKER, "old", range(10), 2)
    for version in (0, 11, 0), (1, 0, 0):
        m = Member(f"g-old-{version[0]}-{version[1]}", "old", api_version=version)
        eventually(lambda: sorted(m.values) == list(range(10)), 20, "all is read")
        m.stop()


@case("kafka-python: metadata round-trips, and null topics are all topics")
def metadata():
    create(BROKER, "meta", 3)
    consumer = KafkaConsumer(bootstrap_servers=BROKER.bootstrap, group_id="g-meta", enable_auto_commit=False)
    consumer.assign([TopicPartition("meta", 1)])
    long = "x" * 4096
    consumer.commit({TopicPartition("meta", 0): OffsetAndMetadata(3, "häppy"), TopicPartition("meta", 1): OffsetAndMetadata(4, long)})
    equal(consumer.committed(TopicPartition("meta", 0), metadata=True), OffsetAndMetadata(3, "häppy"))
    equal(consumer.committed(TopicPartition("meta", 1), metadata=True), OffsetAndMetadata(4, long))
    equal(consumer.committed(TopicPartition("meta", 2)), None)
    consumer.close()
    admin = KafkaAdminClient(bootstrap_servers=BROKER.bootstrap)
    equal({p.partition: o.offset for p, o in admin.list_consumer_group_offsets("g-meta").items()}, {0: 3, 1: 4})
    admin.delete_topics(["meta"])
    create(BROKER, "meta", 3)
    equal(admin.list_consumer_group_offsets("g-meta"), {}, "offsets of the deleted topic, for the new one")
    admin.close()


def end():
    wrong = BROKER.stop()
    BROKER.remove()
    assert not wrong, wrong


case("the broker ends well")(end)

if __name__ == "__main__":
    run_cases()
