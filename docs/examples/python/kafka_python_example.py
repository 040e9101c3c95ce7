#!/usr/bin/python3
"""kafka-python (Debian and Ubuntu: python3-kafka): produce ten records, read them back.

	/usr/bin/python3 kafka_python_example.py

The consumer is given its partitions itself: assign(). For a group that shares them see kafka_python_group.py.
"""

import os

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

BOOTSTRAP = os.environ.get("BOOTSTRAP", "localhost:9092")
TOPIC = "readings"

producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", compression_type="gzip")
sent = [producer.send(TOPIC, key=b"sensor-1", value=b"%d" % degrees) for degrees in range(20, 30)]
offsets = [future.get(timeout=10).offset for future in sent]
print(f"acknowledged: offsets {offsets[0]} to {offsets[-1]}")
producer.close()

consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, consumer_timeout_ms=1000)
partition = TopicPartition(TOPIC, 0)
consumer.assign([partition])
consumer.seek(partition, offsets[0])
for record in consumer:
    print(f"offset {record.offset}: {record.key.decode()} = {record.value.decode()}")
    if record.offset == offsets[-1]:
        break
consumer.close()
