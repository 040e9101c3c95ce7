#!/usr/bin/python3
"""kafka-python: a member of a consumer group, which commits what it has worked on.

	/usr/bin/python3 kafka_python_group.py [seconds, default 10]

Start it in two terminals: they share the partitions. Started again, it goes on where the group was.
"""

import os
import sys
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

BOOTSTRAP = os.environ.get("BOOTSTRAP", "localhost:9092")
TOPIC = "measurements"
END = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 10)


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        print(f"given up: {sorted(p.partition for p in revoked)}")

    def on_partitions_assigned(self, assigned):
        print(f"assigned: {sorted(p.partition for p in assigned)}")


admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
try:
    admin.create_topics([NewTopic(TOPIC, num_partitions=4, replication_factor=1)])
except TopicAlreadyExistsError:
    pass
admin.close()

producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all")
for i in range(20):
    producer.send(TOPIC, key=b"sensor-%d" % (i % 7), value=b"%d" % i)
producer.close()

# Commits by itself every five seconds unless told not to. By hand it is surer: first the work, then the commit.
consumer = KafkaConsumer(
    bootstrap_servers=BOOTSTRAP,
    group_id="measurement-readers",
    auto_offset_reset="earliest",  # where the group has not committed anything
    enable_auto_commit=False,
    heartbeat_interval_ms=500,  # so often does it ask whether others came or went
)
consumer.subscribe([TOPIC], listener=Listener())
while time.monotonic() < END:
    batches = consumer.poll(timeout_ms=500)
    for partition, records in batches.items():
        for record in records:
            print(f"partition {partition.partition}, offset {record.offset}: {record.key.decode()} = {record.value.decode()}")
    if batches:
        consumer.commit()
consumer.close()  # leaves the group
