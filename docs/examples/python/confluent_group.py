#!/usr/bin/python3
"""confluent-kafka: a member of a consumer group that gives up only what it must (cooperative rebalancing).

	/usr/bin/python3 confluent_group.py [seconds, default 10]

Start it in two terminals: half of the partitions move, the others are read on meanwhile. With NAME=a in the environment
(NAME=b in the other terminal) it is a static member: stopped and started again within a minute, it gets the same
partitions, and the other one does not notice.
"""

import os
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP = os.environ.get("BOOTSTRAP", "localhost:9092")
TOPIC = "orders-placed"
END = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 10)

admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
try:
    admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result(10)
except KafkaException as error:
    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
        raise

producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
for i in range(20):
    producer.produce(TOPIC, key=f"customer-{i % 7}", value=str(i))
producer.flush(10)

settings = {
    "bootstrap.servers": BOOTSTRAP,
    "group.id": "order-readers",
    "partition.assignment.strategy": "cooperative-sticky",
    "auto.offset.reset": "earliest",  # where the group has not committed anything
    "enable.auto.commit": False,
    "session.timeout.ms": 60000,  # so long may it be away without being missed
    "heartbeat.interval.ms": 500,  # so often does it ask whether others came or went
}
if os.environ.get("NAME"):
    settings["group.instance.id"] = os.environ["NAME"]

consumer = Consumer(settings)
consumer.subscribe(
    [TOPIC],
    on_assign=lambda _, more: print(f"assigned: {sorted(p.partition for p in more)}"),
    on_revoke=lambda _, fewer: print(f"given up: {sorted(p.partition for p in fewer)}"),
)
while time.monotonic() < END:
    message = consumer.poll(0.5)
    if message is None:
        continue
    if message.error():
        raise KafkaException(message.error())
    where = f"partition {message.partition()}, offset {message.offset()}"
    print(f"{where}: {message.key().decode()} = {message.value().decode()}")
    consumer.commit(message, asynchronous=False)  # on disk when this returns
consumer.close()  # leaves the group, unless it is a static member
