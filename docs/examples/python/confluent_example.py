#!/usr/bin/python3
"""confluent-kafka (Debian and Ubuntu: python3-confluent-kafka): an idempotent producer, and reading from a point in time.

	/usr/bin/python3 confluent_example.py
"""

import os
import time

from confluent_kafka import Consumer, Producer, TopicPartition

BOOTSTRAP = os.environ.get("BOOTSTRAP", "localhost:9092")
TOPIC = "events"


def report(error, message):
    print(f"not delivered: {error}" if error else f"{message.value().decode()} is at offset {message.offset()}")


# A retry of an idempotent producer is not stored twice, also when the worker that took it died before it could answer.
producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "compression.type": "zstd"})
for text in ("earlier 1", "earlier 2"):
    producer.produce(TOPIC, text, on_delivery=report)
producer.flush(10)
time.sleep(0.01)
begin_ms = int(time.time() * 1000)
for text in ("later 1", "later 2"):
    producer.produce(TOPIC, text, on_delivery=report)
producer.flush(10)

# The library wants a group's name; no group is joined, as partitions are assigned by hand.
consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "none", "enable.auto.commit": False})
(start,) = consumer.offsets_for_times([TopicPartition(TOPIC, 0, begin_ms)], timeout=10)
print(f"the first record since {begin_ms} is at offset {start.offset}")
consumer.assign([start])
for message in consumer.consume(2, timeout=10):
    print(f"offset {message.offset()}: {message.value().decode()}")
consumer.close()
